//! BPE as in `SentencePiece` (`bpe::Model` of its `bpe_model.cc`): as long as two neighbours together are a piece, those
//! of the highest score become it, the leftmost of equals. User-defined pieces are found first, and stay as they are.
//!
//! Every way to cut a piece in two is a merge here, of the rank of its score. A character that is no piece has a number
//! of its own if a piece has it inside, for it can be merged all the same. Unused pieces are merged, and in the end
//! taken apart again as they were put together last.

use lmfast_base::{Control, Result};
use rustc_hash::FxHashMap;

use super::merger::{Merge, Merger};
use super::normalizer::longest;
use super::{Common, Sink};
use crate::format::sentencepiece::{Kind, Settings};
use crate::model::cache::{LONGEST, hash};
use crate::model::characters::word_length;
use crate::model::trie::Trie;
use crate::model::{Scratch, Symbol};
use crate::vocabulary::Vocabulary;

/// A character that is in no piece.
const STRANGER: u32 = u32::MAX;

/// The model.
#[derive(Debug)]
pub(super) struct Bpe {
    common: Common,
    /// The symbol of each character that is a piece or in one. Those that are no piece are numbered from `size` on.
    symbols: FxHashMap<char, u32>,
    merger: Merger,
    user_defined: Option<Trie>,
    /// The bytes of each unused piece, by id; 0 for others.
    unused: Vec<u32>,
    has_unused: bool,
    size: u32,
}

impl Bpe {
    pub(super) fn new(
        settings: &Settings,
        vocabulary: &Vocabulary,
        common: Common,
        user_defined: Option<Trie>,
    ) -> Self {
        let kind = |id: u32| settings.pieces[id as usize].kind;
        let is_merged = |id: u32| matches!(kind(id), Kind::Normal | Kind::Unused);
        let size = vocabulary.size();
        let mut symbols: FxHashMap<char, u32> = FxHashMap::default();
        let characters = vocabulary.iter().filter(|&(_, id)| is_merged(id)).flat_map(|(piece, _)| piece.chars());
        for character in characters {
            let next = size + symbols.len() as u32;
            let mut spelled = [0; 4];
            symbols
                .entry(character)
                .or_insert_with(|| vocabulary.id(character.encode_utf8(&mut spelled)).unwrap_or(next));
        }
        let single = vocabulary.iter().filter_map(|(piece, id)| {
            let mut characters = piece.chars();
            characters.next().filter(|_| characters.next().is_none()).map(|character| (character, id))
        });
        for (character, id) in single {
            symbols.insert(character, id);
        }
        let mut scores: Vec<f32> = settings.pieces.iter().map(|piece| piece.score + 0.0).collect();
        scores.sort_by(|one, other| other.total_cmp(one));
        scores.dedup();
        let rank = |id: u32| {
            let score = settings.pieces[id as usize].score + 0.0;
            scores.partition_point(|&other| other > score) as u32
        };
        let side = |part: &str| {
            let mut characters = part.chars();
            let symbol = match (characters.next(), characters.next()) {
                (Some(character), None) => symbols.get(&character).copied(),
                _ => vocabulary.id(part).filter(|&id| is_merged(id)),
            };
            symbol.filter(|&symbol| symbol >= size || kind(symbol) != Kind::UserDefined)
        };
        let mut merges = Vec::new();
        for (piece, id) in vocabulary.iter().filter(|&(_, id)| is_merged(id)) {
            for (at, _) in piece.char_indices().skip(1) {
                if let (Some(left), Some(right)) = (side(&piece[..at]), side(&piece[at..])) {
                    merges.push(Merge { left, right, rank: rank(id), merged: id });
                }
            }
        }
        let mut unused = vec![0; size as usize];
        for (piece, id) in vocabulary.iter().filter(|&(_, id)| kind(id) == Kind::Unused) {
            unused[id as usize] = piece.len() as u32;
        }
        Self {
            symbols,
            merger: Merger::new(merges.into_iter()),
            user_defined,
            has_unused: unused.iter().any(|&bytes| bytes > 0),
            unused,
            size,
            common,
        }
    }

    pub(super) fn encode(
        &self,
        text: &str,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        if !self.common.cut || self.has_unused {
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
        symbols.clear();
        let mut at = 0;
        while let Some(character) = text[at..].chars().next() {
            let fixed = self.user_defined.as_ref().and_then(|trie| longest(trie, &text.as_bytes()[at..]));
            let (bytes, id) = fixed
                .unwrap_or_else(|| (character.len_utf8(), self.symbols.get(&character).copied().unwrap_or(STRANGER)));
            symbols.push(Symbol { id, bytes: bytes as u32 });
            at += bytes;
        }
        let mut halves: FxHashMap<u32, [Symbol; 2]> = FxHashMap::default();
        if self.has_unused {
            self.merger.merge_noting(symbols, control, |merged, left, right| {
                if self.unused.get(merged as usize).is_some_and(|&bytes| bytes > 0) {
                    halves.insert(merged, [left, right]);
                }
            })?;
        } else {
            self.merger.merge(symbols, control)?;
        }
        let mut at = 0;
        let mut open: Vec<Symbol> = Vec::new();
        for &symbol in &*symbols {
            open.push(symbol);
            while let Some(symbol) = open.pop() {
                if let Some([left, right]) = halves.get(&symbol.id) {
                    open.extend([*right, *left]);
                    continue;
                }
                let id = if symbol.id < self.size { symbol.id } else { self.common.unknown };
                let end = at + symbol.bytes as usize;
                self.common.take(id, &text.as_bytes()[at..end], start + at, sink);
                at = end;
            }
        }
        Ok(())
    }
}
