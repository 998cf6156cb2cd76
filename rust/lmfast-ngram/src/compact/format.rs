//! The compact `.lmn` file: a [container] of the arrays of [`Compact`], as they are in memory.
//!
//! | section | values | content |
//! |---|---|---|
//! | `shape` | u64 | the order; 0 for words, 1 for tokens; 1 if values are counts, else 0; 1 if words are ranks, else 0; the number of n-grams of each order; then for each order but the highest three: bytes of its groups, entries of its table of probabilities (of its children), entries of its table of back-off weights |
//! | `text`, `ends`, `slots` | | the vocabulary, as in a plain `.lmn` |
//! | `recipe` | f32 | nothing, or if values are counts: the uniform probability, 1 or 0 for interpolated unigrams or not, and four discounts an order |
//! | `method` | bytes | how the model was estimated, [`Model::method`]; may be missing |
//! | `unigrams` | f32 | for each word its probability if values are counts, else its log10 probability |
//! | `tables` | f32 | the tables of all orders |
//! | `groups` | u32 | for each order but the highest, for each group of 32 n-grams: its first child among the n-grams of the next order, and a quarter of the byte where it begins among its order's groups; then one such pair: the number of n-grams of the next order, 0 |
//! | `bodies` | bytes | the [groups](super::group) of each order, and 8 zeros behind those of each |

use std::path::Path;
use std::sync::OnceLock;

use lmfast_base::{Control, Error, Map, Result};
use rayon::prelude::*;

use super::group::CONTEXTS;
use super::{Compact, Level, LevelView, Recipe};
use crate::count::MOST_ORDERS;
use crate::model::container::{self, Container, Format};
use crate::model::{Kind, Model};
use crate::vocabulary::Vocabulary;

const FORMAT: Format = Format { magic: *b"LMFNCMPT", incomplete: *b"LMFNPART", version: 1 };

/// Whether a file that begins so is a compact model.
pub(crate) fn is_compact(start: &[u8]) -> bool {
    start.starts_with(&FORMAT.magic)
}

/// A model as it lies in a file.
pub(crate) struct Loaded {
    pub(crate) kind: Kind,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) compact: Compact,
    pub(crate) method: String,
    pub(crate) file: Container,
}

impl Recipe {
    /// All numbers in a row; see `recipe` above.
    pub(crate) fn to_numbers(&self) -> Vec<f32> {
        let flag = if self.interpolate_unigrams { 1.0 } else { 0.0 };
        [self.uniform, flag].into_iter().chain(self.discounts.iter().flatten().copied()).collect()
    }

    /// The recipe of a model of this order; nothing if the numbers are none.
    pub(crate) fn from_numbers(numbers: &[f32], order: usize) -> Option<Self> {
        let (&[uniform, flag], discounts) = numbers.split_first_chunk::<2>()?;
        let (discounts, rest) = discounts.as_chunks::<4>();
        let is_sound = discounts.len() == order && rest.is_empty();
        is_sound.then(|| Self { uniform, interpolate_unigrams: flag > 0.5, discounts: discounts.to_vec() })
    }
}

impl Compact {
    /// Writes the model as a compact `.lmn` file.
    pub(crate) fn save(&self, path: &Path, model: &Model, control: &Control) -> Result<()> {
        let (kind, vocabulary) = (model.kind(), model.vocabulary());
        let flags = [kind == Kind::Tokens, self.recipe.is_some(), self.is_ranked].map(u64::from);
        let mut shape: Vec<u64> = [self.order() as u64].into_iter().chain(flags).collect();
        shape.extend(self.sizes.iter().copied().map(u64::from));
        for level in &self.levels {
            shape.extend(
                [level.bodies.len(), level.probabilities.len(), level.backoffs.len()].map(|length| length as u64),
            );
        }
        let slots = vocabulary.packed_slots();
        let recipe = self.recipe.as_ref().map(Recipe::to_numbers).unwrap_or_default();
        let sections: [(&str, &[u8]); 10] = [
            ("shape", bytemuck::cast_slice(&shape)),
            ("text", vocabulary.text.as_slice()),
            ("ends", bytemuck::cast_slice(vocabulary.ends.as_slice())),
            ("slots", bytemuck::cast_slice(&slots)),
            ("recipe", bytemuck::cast_slice(&recipe)),
            ("method", model.method().as_bytes()),
            ("unigrams", bytemuck::cast_slice(self.unigrams.as_slice())),
            ("tables", bytemuck::cast_slice(self.tables.as_slice())),
            ("groups", bytemuck::cast_slice(self.groups.as_slice())),
            ("bodies", self.bodies.as_slice()),
        ];
        container::write(path, &FORMAT, &sections, control)
    }
}

/// Maps a compact file. Reads the header and what is small.
pub(crate) fn load(map: Map) -> Result<Loaded> {
    let file = Container::open(map, &FORMAT)?;
    let broken = |what: &str| Error::format(file.map.path(), format!("{what}: the file is damaged"));
    let Shape { kind, has_counts, is_ranked, sizes, levels } =
        Shape::read(file.checked::<u64>("shape")?).ok_or_else(|| broken("the numbers of n-grams make no sense"))?;
    let recipe = has_counts.then(|| Recipe::from_numbers(file.checked("recipe").ok()?, sizes.len()));
    if recipe == Some(None) {
        return Err(broken("the discounts are missing"));
    }
    let ends = levels.last().cloned().unwrap_or_default();
    let compact = Compact {
        is_ranked,
        recipe: recipe.flatten(),
        unigrams: file.column("unigrams", Some(sizes[0].into()))?,
        groups: file.column("groups", Some(ends.groups.end as u64))?,
        tables: file.column("tables", Some(ends.backoffs.end as u64))?,
        bodies: file.column("bodies", Some(ends.bodies.end as u64))?,
        probabilities: OnceLock::new(),
        sizes,
        levels,
    };
    let vocabulary = Vocabulary {
        text: file.column("text", None)?,
        ends: file.column("ends", Some(compact.sizes[0].into()))?,
        slots: file.column("slots", None)?,
    };
    if !vocabulary.slots.as_slice().len().is_power_of_two() {
        return Err(broken("the size of \"slots\" is no power of two"));
    }
    let method = file.method()?;
    Ok(Loaded { kind, vocabulary, compact, method, file })
}

struct Shape {
    kind: Kind,
    has_counts: bool,
    is_ranked: bool,
    sizes: Vec<u32>,
    levels: Vec<Level>,
}

impl Shape {
    /// What the section says; nothing if that cannot be.
    fn read(numbers: &[u64]) -> Option<Self> {
        let (&[order, ref flags @ ..], rest) = numbers.split_first_chunk::<4>()?;
        if !(1..=MOST_ORDERS as u64).contains(&order) || flags.iter().any(|&flag| flag > 1) {
            return None;
        }
        let [is_of_tokens, has_counts, is_ranked] = flags.map(|flag| flag == 1);
        let (sizes, lengths) = rest.split_at_checked(order as usize)?;
        let sizes: Vec<u32> = sizes.iter().map(|&size| u32::try_from(size).ok()).collect::<Option<_>>()?;
        let (lengths, tail) = lengths.as_chunks::<3>();
        // The three special words are always there; only ranks lead from counts to probabilities.
        if lengths.len() + 1 != sizes.len() || !tail.is_empty() || sizes[0] < 3 || (has_counts && !is_ranked) {
            return None;
        }
        let (mut levels, mut before) = (Vec::new(), Level::default());
        for (&[bodies, probabilities, backoffs], &size) in lengths.iter().zip(&sizes) {
            let range = |start: usize, length: u64| Some(start..start.checked_add(usize::try_from(length).ok()?)?);
            let groups = range(before.groups.end, u64::from(size.div_ceil(CONTEXTS)) + 1)?;
            let bodies = range(before.bodies.end, bodies)?;
            let probabilities = range(before.backoffs.end, probabilities)?;
            let backoffs = range(probabilities.end, backoffs)?;
            before = Level { groups, bodies, probabilities, backoffs };
            levels.push(before.clone());
        }
        let kind = if is_of_tokens { Kind::Tokens } else { Kind::Words };
        Some(Self { kind, has_counts, is_ranked, sizes, levels })
    }
}

impl Compact {
    /// Whether the groups follow each other and the words of a context rise. Uses the current pool of threads.
    pub(crate) fn is_sound(&self, control: &Control) -> Result<bool> {
        let view = self.view();
        let is_level_sound = |level: &LevelView<'_>, contexts: u32, children: u32| {
            let rising = level.groups.is_sorted_by_key(|&[first_child, _]| first_child)
                && level.groups.first().is_some_and(|&[first_child, _]| first_child == 0)
                && level.groups.last().is_some_and(|&[end, _]| end == children);
            let groups = (0..contexts.div_ceil(CONTEXTS)).into_par_iter();
            rising
                && groups.all(|group| {
                    if control.check().is_err() {
                        return false;
                    }
                    let mut before = 0;
                    let is_sound = (group * CONTEXTS..(group + 1).saturating_mul(CONTEXTS)).all(|node| {
                        let context = level.context(node, level.spot(node));
                        let (start, end) = context.children;
                        let follows = start == before;
                        before = end;
                        follows && (start..end).is_sorted_by(|&a, &b| context.group.word(a) < context.group.word(b))
                    });
                    is_sound && before as u32 == level.spot(group * CONTEXTS).total
                })
        };
        let sizes = self.sizes.windows(2);
        let is_sound = view.levels.iter().zip(sizes).all(|(level, sizes)| is_level_sound(level, sizes[0], sizes[1]));
        control.check().map(|()| is_sound)
    }
}
