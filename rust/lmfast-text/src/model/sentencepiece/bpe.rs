//! BPE as in `SentencePiece` (`bpe::Model` of its `bpe_model.cc`): as long as two neighbours together are a piece, those
//! of the highest score become it, the leftmost of equals. User-defined pieces are found first, and stay as they are.
//!
//! A character that is no piece has a number of its own if a piece has it inside, for it can be merged all the same.
//! Unused pieces are merged, and in the end taken apart again as they were put together last.

use lmfast_base::{Control, Result};
use rustc_hash::FxHashMap;

use super::merger::{Merger, Symbol};
use super::merges::Pairs;
use super::normalizer::longest;
use super::{Common, Sink};
use crate::bpe::{MergeTable, merge};
use crate::format::sentencepiece::{Kind, Settings};
use crate::model::cache::{LONGEST, hash};
use crate::model::characters::word_length;
use crate::model::trie::Trie;
use crate::model::{Scratch, Symbols};
use crate::vocabulary::Vocabulary;

/// The model.
#[derive(Debug)]
pub(super) struct Bpe {
    common: Common,
    /// The symbol of each character that is a piece or in one. Those that are no piece are numbered from `size` on.
    symbols: FxHashMap<char, u32>,
    /// The same of ASCII.
    ascii: [u32; 128],
    /// The symbol of every other character.
    stranger: u32,
    merges: Merges,
    user_defined: Option<Trie>,
    size: u32,
}

/// What merges, and how.
#[derive(Debug)]
enum Merges {
    /// By ranks, one for each merge that can [happen](super::merges).
    Ranked(MergeTable),
    /// Pieces of one score from left to right.
    Any(Merger),
    /// The same; unused pieces, by id, are taken apart again.
    Unused { merger: Merger, unused: Vec<bool> },
}

impl Bpe {
    pub(super) fn new(
        settings: &Settings,
        vocabulary: &Vocabulary,
        common: Common,
        user_defined: Option<Trie>,
    ) -> Self {
        let unused: Vec<bool> = settings.pieces.iter().map(|piece| piece.kind == Kind::Unused).collect();
        let pairs = Pairs::new(settings, vocabulary);
        let merges = match pairs.ranked(vocabulary) {
            Ok(merges) if !unused.contains(&true) => Merges::Ranked(MergeTable::new(&merges.happening())),
            _ => {
                let merger = Merger::new(pairs.merges.iter().copied());
                if unused.contains(&true) { Merges::Unused { merger, unused } } else { Merges::Any(merger) }
            }
        };
        let size = vocabulary.size();
        let stranger = size + pairs.symbols.len() as u32;
        let of = |byte: usize| pairs.symbols.get(&(byte as u8 as char)).copied().unwrap_or(stranger);
        let ascii = std::array::from_fn(of);
        Self { symbols: pairs.symbols, ascii, stranger, merges, user_defined, size, common }
    }

    pub(super) fn encode(
        &self,
        text: &str,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        if !self.common.cut || matches!(self.merges, Merges::Unused { .. }) {
            return self.part(text, 0, scratch, sink, control);
        }
        let mut start = 0;
        while start < text.len() {
            let end = start + word_length(&text[start..]);
            control.check()?;
            self.word(&text[start..end], start, scratch, sink, control)?;
            start = end;
        }
        Ok(())
    }

    fn word(
        &self,
        word: &str,
        start: usize,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        if word.len() > LONGEST || sink.spans.is_some() {
            return self.part(word, start, scratch, sink, control);
        }
        let hash = hash(word.as_bytes(), 0);
        if let Some(known) = scratch.words.get(word.as_bytes(), 0, hash) {
            self.common.take_word(known, sink);
            return Ok(());
        }
        let mut ids = std::mem::take(&mut scratch.ids);
        ids.clear();
        self.part(word, start, scratch, &mut Sink { ids: &mut ids, spans: None, after_unknown: false }, control)?;
        scratch.words.keep(word.as_bytes(), 0, hash, &ids);
        self.common.take_word(&ids, sink);
        scratch.ids = ids;
        Ok(())
    }

    /// Merges a text, which begins at `start` of the whole.
    fn part(
        &self,
        text: &str,
        start: usize,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        let symbols = &mut scratch.symbols;
        self.symbols(text, symbols);
        let mut taken = 0;
        let mut take = |id: u32, end: u32| {
            let from = std::mem::replace(&mut taken, end as usize);
            if id < self.size && id != self.common.unknown && sink.spans.is_none() {
                sink.ids.push(id);
                sink.after_unknown = false;
            } else {
                let id = if id < self.size { id } else { self.common.unknown };
                let place = symbols.bytes(from..end as usize);
                self.common.take(id, &text.as_bytes()[place.clone()], start + place.start, sink);
            }
        };
        let each = || symbols.ids.iter().map(|&id| Symbol { id, count: 1 }).collect::<Vec<_>>();
        match &self.merges {
            Merges::Ranked(table) => {
                merge(table, &symbols.ids, control, |(id, end)| take(id, end))?;
            }
            Merges::Any(merger) => {
                let (mut symbols, mut end) = (each(), 0);
                merger.merge(&mut symbols, control)?;
                for symbol in symbols {
                    end += symbol.count;
                    take(symbol.id, end);
                }
            }
            Merges::Unused { merger, unused } => {
                let mut halves: FxHashMap<u32, [Symbol; 2]> = FxHashMap::default();
                let (mut symbols, mut end) = (each(), 0);
                merger.merge_noting(&mut symbols, control, |merged, left, right| {
                    if unused[merged as usize] {
                        halves.insert(merged, [left, right]);
                    }
                })?;
                let mut open: Vec<Symbol> = Vec::new();
                for symbol in symbols {
                    open.push(symbol);
                    while let Some(symbol) = open.pop() {
                        if let Some([left, right]) = halves.get(&symbol.id) {
                            open.extend([*right, *left]);
                        } else {
                            end += symbol.count;
                            take(symbol.id, end);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The symbols that a text begins as.
    fn symbols(&self, text: &str, symbols: &mut Symbols) {
        symbols.clear();
        let of = |character: char| {
            let ascii = self.ascii.get(character as usize).copied();
            ascii.unwrap_or_else(|| self.symbols.get(&character).copied().unwrap_or(self.stranger))
        };
        let Some(trie) = &self.user_defined else {
            return text.chars().for_each(|character| symbols.push(of(character), character.len_utf8()));
        };
        let mut at = 0;
        while let Some(character) = text[at..].chars().next() {
            let (bytes, id) = longest(trie, &text.as_bytes()[at..]).unwrap_or((character.len_utf8(), of(character)));
            symbols.push(id, bytes);
            at += bytes;
        }
    }
}
