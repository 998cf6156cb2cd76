//! From a piece to its ids.
//!
//! Short pieces are looked up in the [cache](super::cache), then merged on the stack by a scan for the lowest rank.
//! Pieces above [`STACK`] bytes, where that scan would take quadratic time, are merged rank by rank: the places of a
//! pair are collected under its rank, a heap gives the lowest rank, and its places are merged from left to right. With
//! n bytes and m places ever collected (at most 3n) that takes O(n + m log m) time, and for text of few different pairs
//! it is linear.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use lmfast_base::{Control, Result};
use rustc_hash::FxHashMap;

use super::cache::{PieceCache, key};
use super::merges::{MergeTable, NONE};
use crate::split::Split;

/// The longest piece that is merged by scanning.
const STACK: usize = 48;

/// In place of a token that was merged away; no id has this value.
const GONE: u32 = u32::MAX;

/// A byte-level BPE vocabulary.
#[derive(Debug)]
pub(crate) struct Bpe {
    byte_ids: [u32; 256],
    merges: MergeTable,
    /// The tokens that a piece is as a whole, without merging: those of `ignore_merges`, else none.
    whole: FxHashMap<Box<[u8]>, u32>,
    /// The bytes of each token that can come out, by id.
    lengths: Vec<u32>,
}

/// Memory that one thread encodes with.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    cache: PieceCache,
    pieces: Vec<Range<usize>>,
}

impl Bpe {
    /// `byte_ids`: the token of each byte. `merges`: (left, right, merged) by rank. `whole`: tokens taken before merges. `lengths`: the bytes of each
    /// token, by id.
    pub(crate) fn new(
        byte_ids: &[u32; 256],
        merges: &[(u32, u32, u32)],
        whole: FxHashMap<Box<[u8]>, u32>,
        lengths: Vec<u32>,
    ) -> Self {
        Self { byte_ids: *byte_ids, merges: MergeTable::new(merges), whole, lengths }
    }

    /// The number of bytes that a token covers.
    pub(crate) fn token_length(&self, id: u32) -> usize {
        self.lengths.get(id as usize).map_or(0, |&length| length as usize)
    }

    /// Appends the ids of a piece.
    #[inline]
    pub(crate) fn encode(&self, piece: &[u8], scratch: &mut Scratch, ids: &mut Vec<u32>) {
        match piece {
            [] => {}
            [byte] => ids.push(self.byte_ids[usize::from(*byte)]),
            _ => match key(piece) {
                None => self.merge(piece, ids),
                Some(key) => {
                    if !scratch.cache.append(key, ids) {
                        let before = ids.len();
                        self.merge(piece, ids);
                        scratch.cache.keep(key, &ids[before..]);
                    }
                }
            },
        }
    }

    /// Appends the ids of a text, piece by piece; can be cancelled.
    pub(crate) fn encode_text(
        &self,
        split: &dyn Split,
        text: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<()> {
        let mut pieces = std::mem::take(&mut scratch.pieces);
        let mut from = 0;
        while from < text.len() {
            control.check()?;
            pieces.clear();
            from = split.split(text, from, &mut pieces)?;
            for piece in pieces.drain(..) {
                self.encode(&text.as_bytes()[piece], scratch, ids);
            }
        }
        scratch.pieces = pieces;
        Ok(())
    }

    /// Appends what becomes of any symbols, not only bytes, by merging alone.
    pub(crate) fn merge_symbols(&self, symbols: Vec<u32>, ids: &mut Vec<u32>) {
        let mut long = LongPiece::new(&self.merges, symbols);
        while let Some(Reverse(rank)) = long.ranks.pop() {
            long.merge_rank(rank);
        }
        ids.extend(long.symbols.iter().filter(|&&symbol| symbol != GONE));
    }

    fn merge(&self, piece: &[u8], ids: &mut Vec<u32>) {
        if let Some(&id) = self.whole.get(piece) {
            ids.push(id);
        } else if piece.len() <= STACK {
            self.merge_short(piece, ids);
        } else {
            self.merge_long(piece, ids);
        }
    }

    /// For pieces of 1 to [`STACK`] bytes. `pairs[i]` is the merge of `symbols[i]` and the next, [`NONE`] for the last.
    fn merge_short(&self, piece: &[u8], ids: &mut Vec<u32>) {
        let mut symbols = [0; STACK];
        let mut pairs = [NONE; STACK];
        let mut length = piece.len();
        for (symbol, &byte) in symbols.iter_mut().zip(piece) {
            *symbol = self.byte_ids[usize::from(byte)];
        }
        for at in 1..length {
            pairs[at - 1] = self.merges.get(symbols[at - 1], symbols[at]);
        }
        loop {
            let (mut at, mut lowest) = (0, NONE);
            for (index, &pair) in pairs[..length].iter().enumerate() {
                if pair < lowest {
                    (at, lowest) = (index, pair);
                }
            }
            if lowest == NONE {
                break;
            }
            symbols.copy_within(at + 2..length, at + 1);
            pairs.copy_within(at + 2..length, at + 1);
            length -= 1;
            symbols[at] = lowest as u32;
            pairs[at] = if at + 1 < length { self.merges.get(symbols[at], symbols[at + 1]) } else { NONE };
            if at > 0 {
                pairs[at - 1] = self.merges.get(symbols[at - 1], symbols[at]);
            }
        }
        ids.extend_from_slice(&symbols[..length]);
    }

    fn merge_long(&self, piece: &[u8], ids: &mut Vec<u32>) {
        self.merge_symbols(piece.iter().map(|&byte| self.byte_ids[usize::from(byte)]).collect(), ids);
    }
}

/// The places of one pair.
struct Places {
    left: u32,
    right: u32,
    merged: u32,
    /// Bytes where `left` began when the place was noted; some are out of date.
    starts: Vec<usize>,
}

/// A long piece while it is merged. A token is held at the byte where it begins; the others of its bytes are [`GONE`].
struct LongPiece<'a> {
    merges: &'a MergeTable,
    symbols: Vec<u32>,
    previous: Vec<usize>,
    next: Vec<usize>,
    places: FxHashMap<u32, Places>,
    /// The ranks under which there are places.
    ranks: BinaryHeap<Reverse<u32>>,
}

impl<'a> LongPiece<'a> {
    fn new(merges: &'a MergeTable, symbols: Vec<u32>) -> Self {
        let length = symbols.len();
        let mut long = Self {
            merges,
            symbols,
            previous: (0..length).map(|at| at.wrapping_sub(1)).collect(),
            next: (1..=length).collect(),
            places: FxHashMap::default(),
            ranks: BinaryHeap::new(),
        };
        for start in 1..length {
            long.note(start - 1, start);
        }
        long
    }

    /// Notes the place of a pair, and gives its rank if it merges, else `u32::MAX`.
    fn note(&mut self, start: usize, second: usize) -> u32 {
        let (left, right) = (self.symbols[start], self.symbols[second]);
        let merge = self.merges.get(left, right);
        if merge == NONE {
            return u32::MAX;
        }
        let rank = (merge >> 32) as u32;
        let places =
            self.places.entry(rank).or_insert_with(|| Places { left, right, merged: merge as u32, starts: Vec::new() });
        if places.starts.is_empty() {
            self.ranks.push(Reverse(rank));
        }
        places.starts.push(start);
        rank
    }

    /// Merges the places of a rank from left to right. Where that makes a pair of a lower rank, which a trained
    /// vocabulary never does but a file may, the rest waits.
    fn merge_rank(&mut self, rank: u32) {
        let Some(places) = self.places.get_mut(&rank) else { return };
        let (left, right, merged) = (places.left, places.right, places.merged);
        let mut starts = std::mem::take(&mut places.starts);
        starts.sort_unstable();
        for (index, &start) in starts.iter().enumerate() {
            let second = self.next[start];
            if self.symbols[start] != left || second >= self.symbols.len() || self.symbols[second] != right {
                continue;
            }
            self.symbols[start] = merged;
            self.symbols[second] = GONE;
            let after = self.next[second];
            self.next[start] = after;
            let mut lowest = u32::MAX;
            if after < self.symbols.len() {
                self.previous[after] = start;
                lowest = self.note(start, after);
            }
            if start > 0 {
                lowest = lowest.min(self.note(self.previous[start], start));
            }
            if lowest < rank {
                self.wait(rank, starts.split_off(index + 1));
                return;
            }
        }
    }

    fn wait(&mut self, rank: u32, rest: Vec<usize>) {
        if let Some(places) = self.places.get_mut(&rank) {
            if places.starts.is_empty() && !rest.is_empty() {
                self.ranks.push(Reverse(rank));
            }
            places.starts.extend(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive;
    use super::*;
    use proptest::prelude::*;

    const LETTERS: usize = 3;

    fn byte_ids() -> [u32; 256] {
        std::array::from_fn(|byte| byte as u32)
    }

    /// Merges over three letters in any order, so that a later merge may have a lower rank than one it is made of.
    fn merges() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
        prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..12).prop_flat_map(
            |picks| {
                let mut tokens: Vec<Vec<u8>> = (0..LETTERS).map(|letter| vec![b'a' + letter as u8]).collect();
                let mut ids: Vec<u32> = (0..LETTERS).map(|letter| u32::from(b'a') + letter as u32).collect();
                let mut merges = Vec::new();
                for (left, right) in picks {
                    let (left, right) = (left.index(tokens.len()), right.index(tokens.len()));
                    let joined = [tokens[left].clone(), tokens[right].clone()].concat();
                    let id = tokens
                        .iter()
                        .position(|token| *token == joined)
                        .map_or(256 + tokens.len() as u32, |at| ids[at]);
                    merges.push((ids[left], ids[right], id));
                    if !tokens.contains(&joined) {
                        tokens.push(joined);
                        ids.push(id);
                    }
                }
                Just(merges).prop_shuffle()
            },
        )
    }

    proptest! {
        #[test]
        fn every_path_equals_the_naive_encoder(
            merges in merges(), text in prop::collection::vec(b'a'..b'a' + LETTERS as u8, 1..120)
        ) {
            let bpe = Bpe::new(&byte_ids(), &merges, FxHashMap::default(), Vec::new());
            let expected = naive::encode(&byte_ids(), &merges, &text);
            let (mut ids, mut scratch) = (Vec::new(), Scratch::default());
            bpe.merge_long(&text, &mut ids);
            prop_assert_eq!(&ids, &expected);
            for _ in 0..2 {
                ids.clear();
                bpe.encode(&text, &mut scratch, &mut ids);
                prop_assert_eq!(&ids, &expected);
            }
        }
    }

    #[test]
    fn a_million_equal_letters_take_no_time() {
        let merges: Vec<(u32, u32, u32)> =
            std::iter::once((97, 97, 256)).chain((256..270).map(|id| (id, id, id + 1))).collect();
        let bpe = Bpe::new(&byte_ids(), &merges, FxHashMap::default(), Vec::new());
        let mut ids = Vec::new();
        let start = std::time::Instant::now();
        bpe.encode(&vec![b'a'; 1_000_000], &mut Scratch::default(), &mut ids);
        assert!(start.elapsed().as_secs() < 10, "quadratic time: {:?}", start.elapsed());
        assert_eq!(ids.len(), 1_000_000 / (1 << 15) + (1_000_000_u32 % (1 << 15)).count_ones() as usize);
    }
}
