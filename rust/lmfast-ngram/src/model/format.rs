//! The `.lmn` file: a [container](super::container) of the arrays of a [`Model`], as they are in memory.
//!
//! | section | values | content |
//! |---|---|---|
//! | `shape` | u64 | the order; 0 for words, 1 for tokens; then the number of n-grams of each order |
//! | `text` | bytes | the spellings of the words, one behind the other |
//! | `ends` | u64 | for each word where its spelling ends in `text` |
//! | `slots` | u64 | the hash table of [`vocabulary`](crate::vocabulary) |
//! | `words` | u32 | for each node the last word |
//! | `inner` | 16 bytes | for each node that is no leaf, and one more: log10 probability (f32), log10 back-off weight (f32), first child (u32), suffix (u32) |
//! | `recipe` | f32 | what the model was estimated with, if by counts and without pruning; see [`compact`](crate::compact) |
//! | `leaves` | 8 bytes | for each leaf: log10 probability (f32), suffix (u32) |
//! | `method` | bytes | how the model was estimated, [`Model::method`]; may be missing |
//! | `index`, `unigrams`, `middle`, `highest` | | the [`index`](crate::index); may be missing |

use std::path::Path;
use std::sync::OnceLock;

use lmfast_base::{Control, Error, Map, Result};

use super::container::{self, Container, Format};
use super::{Indexed, Inner, Kind, Leaf, Model};
use crate::compact::Recipe;
use crate::count::MOST_ORDERS;
use crate::index::{Index, Shape};
use crate::vocabulary::Vocabulary;

pub(super) use super::container::Container as Checked;

const FORMAT: Format = Format { magic: *b"LMFNGRAM", incomplete: *b"LMFNPART", version: 1 };

/// Whether a file that begins so is for [`Model::load_lmn`].
pub(crate) fn is_lmn(start: &[u8]) -> bool {
    start.starts_with(&FORMAT.magic) || start.starts_with(&FORMAT.incomplete)
}

impl Model {
    /// Writes the model as a `.lmn` file.
    ///
    /// # Errors
    /// [`Error::Format`] if the model is mapped from a file that is damaged.
    pub fn save_lmn(&self, path: impl AsRef<Path>, control: &Control) -> Result<()> {
        if self.compact.is_some() {
            return self.expanded(control)?.save_lmn(path, control);
        }
        self.verify(control)?;
        let mut shape = vec![self.order() as u64, u64::from(self.kind == Kind::Tokens)];
        shape.extend(self.counts());
        let recipe = self.recipe.as_ref().map(Recipe::to_numbers).unwrap_or_default();
        let mut sections: Vec<(&str, &[u8])> = vec![
            ("shape", bytemuck::cast_slice(&shape)),
            ("text", self.vocabulary.text.as_slice()),
            ("ends", bytemuck::cast_slice(self.vocabulary.ends.as_slice())),
            ("slots", bytemuck::cast_slice(self.vocabulary.slots.as_slice())),
            ("words", bytemuck::cast_slice(self.words.as_slice())),
            ("inner", bytemuck::cast_slice(self.inner.as_slice())),
            ("leaves", bytemuck::cast_slice(self.leaves.as_slice())),
            ("recipe", bytemuck::cast_slice(&recipe)),
            ("method", self.method.as_bytes()),
        ];
        if let Some(index) = self.made_index(control)? {
            sections.extend([
                ("index", bytemuck::bytes_of(&index.shape)),
                ("unigrams", bytemuck::cast_slice(index.unigrams.as_slice())),
                ("middle", bytemuck::cast_slice(index.middle.as_slice())),
                ("highest", bytemuck::cast_slice(index.highest.as_slice())),
            ]);
        }
        container::write(path.as_ref(), &FORMAT, &sections, control)
    }

    /// Maps a `.lmn` file. Reads the header only; [`verify`](Self::verify) reads the rest.
    pub(crate) fn load_lmn(map: Map) -> Result<Self> {
        map.advise_huge();
        let file = Container::open(map, &FORMAT)?;
        let level_starts = level_starts(file.checked::<u64>("shape")?).ok_or_else(|| {
            Error::format(file.map.path(), "the numbers of n-grams make no sense: the file is damaged")
        })?;
        let [.., leaf_start, end] = level_starts[..] else {
            return Err(Error::format(file.map.path(), "there is no order: the file is damaged"));
        };
        let words = u64::from(level_starts[2]) - 1;
        let kind = if file.checked::<u64>("shape")?.get(1) == Some(&1) { Kind::Tokens } else { Kind::Words };
        let vocabulary = Vocabulary {
            text: file.column("text", None)?,
            ends: file.column("ends", Some(words))?,
            slots: file.column("slots", None)?,
        };
        if !vocabulary.slots.as_slice().len().is_power_of_two() {
            return Err(Error::format(
                file.map.path(),
                "the size of \"slots\" is no power of two: the file is damaged",
            ));
        }
        let method = file.method()?;
        let index = index(&file, words, level_starts.len() as u64 - 2)?;
        Ok(Self {
            method,
            kind,
            vocabulary,
            words: file.column("words", Some(end.into()))?,
            inner: file.column::<Inner>("inner", Some(u64::from(leaf_start) + 1))?,
            leaves: file.column::<Leaf>("leaves", Some(u64::from(end - leaf_start)))?,
            recipe: if file.has("recipe") {
                Recipe::from_numbers(file.checked("recipe")?, level_starts.len() - 2)
            } else {
                None
            },
            level_starts,
            unigrams: OnceLock::new(),
            index,
            compact: None,
            file: Some(file),
            budget: None,
        })
    }

    /// Reads a mapped file whole, compares its checksums, and checks that its numbers make a trie; a model in memory is
    /// always sound.
    ///
    /// # Errors
    /// [`Error::Format`] saying what is damaged.
    pub fn verify(&self, control: &Control) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        file.verify(control)?;
        let is_sound = match &self.compact {
            Some(compact) => compact.is_sound(control)?,
            None => self.view().is_trie(),
        };
        if is_sound {
            return Ok(());
        }
        Err(Error::format(
            file.map.path(),
            "the checksums fit, but the numbers make no model: another program wrote this file",
        ))
    }
}

/// The index of a file that has one.
fn index(file: &Container, words: u64, order: u64) -> Result<Indexed> {
    if !file.has("index") {
        return Ok(Indexed::default());
    }
    let damaged = || Error::format(file.map.path(), "the sizes of the index make no sense: the file is damaged");
    let &[shape] = file.checked::<Shape>("index")? else { return Err(damaged()) };
    let tables = (file.column("unigrams", None)?, file.column("middle", None)?, file.column("highest", None)?);
    let index = Index::of_tables(shape, tables.0, tables.1, tables.2);
    let index = index.filter(|_| shape.words == words && shape.order == order).ok_or_else(damaged)?;
    Ok(Indexed { index: OnceLock::from(Some(index)), ..Indexed::default() })
}

/// The first node of each order, from what `shape` says; nothing if that cannot be.
fn level_starts(shape: &[u64]) -> Option<Vec<u32>> {
    let (&[order, kind], counts) = shape.split_first_chunk::<2>()?;
    let possible = (1..=MOST_ORDERS as u64).contains(&order) && counts.len() as u64 == order && kind <= 1;
    let mut starts = vec![0, 1];
    for &count in counts {
        let next = u32::try_from(count).ok()?.checked_add(*starts.last()?)?;
        starts.push(next);
    }
    // The three special words are always there.
    (possible && *counts.first()? >= 3).then_some(starts)
}
