//! From text to ids, piece by piece.
//!
//! A piece is looked up among those [met](super::cache) [before](super::long_cache), then among those that are [one
//! token](super::known), and else merged: from its bytes, or from [characters](super::atoms) where that is the same.
//! Pieces are taken [some hundred](super::batch) at a time.

use std::ops::Range;

use lmfast_base::{Control, Result};
use rustc_hash::FxHashMap;

use super::atoms::Atoms;
use super::batch::{self, Batch, Key, TOO_LONG};
use super::cache::{Found, LONGEST, PieceCache, ROOM};
use super::known::{Known, NO_ID};
use super::long;
use super::long_cache::{self, LongCache};
use super::merges::MergeTable;
use super::reachable::reachable;
use super::short;
use crate::split::{Ends, Split};

/// A byte-level BPE vocabulary.
#[derive(Debug)]
pub(crate) struct Bpe {
    byte_ids: [u32; 256],
    merges: MergeTable,
    atoms: Atoms,
    known: Known,
    /// The tokens that a piece is as a whole, without merging: those of `ignore_merges`, else none.
    whole: FxHashMap<Box<[u8]>, u32>,
    /// The bytes of each token that can come out, by id.
    lengths: Vec<u32>,
}

/// Memory that one thread encodes with.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    cache: PieceCache,
    long_cache: LongCache,
    pieces: Vec<Range<usize>>,
    ends: Option<Ends>,
    batch: Option<Batch>,
    symbols: Vec<u32>,
    /// The ids of a piece.
    new: Vec<u32>,
    /// Those of a piece that the cache has.
    found: [u32; ROOM],
}

impl Scratch {
    /// The ids of a piece, if they are known.
    #[inline]
    fn known(&mut self, piece: &[u8], key: Key) -> Option<&[u32]> {
        if key.whole() == TOO_LONG {
            return self.long_cache.get(piece, key.hash);
        }
        match self.cache.find(key.whole(), key.hash)? {
            Found::Here(entry) => {
                self.found = entry.ids();
                Some(&self.found[..entry.count()])
            }
            Found::Elsewhere(place) => self.long_cache.at(place),
        }
    }
}

impl Bpe {
    /// `byte_ids`: the token of each byte. `merges`: (left, right, merged) by rank. `whole`: tokens taken before merges,
    /// all of them among `tokens`, the bytes of each token with its id; nothing else but speed and
    /// [`token_length`](Self::token_length) comes from these.
    pub(crate) fn new(
        byte_ids: &[u32; 256],
        merges: &[(u32, u32, u32)],
        whole: FxHashMap<Box<[u8]>, u32>,
        tokens: &[(Vec<u8>, u32)],
    ) -> Self {
        let fewer = reachable(byte_ids, merges);
        let merges = fewer.as_deref().unwrap_or(merges);
        let table = MergeTable::new(merges);
        let mut lengths = vec![0; tokens.iter().map(|&(_, id)| id as usize + 1).max().unwrap_or(0)];
        for (bytes, id) in tokens {
            lengths[*id as usize] = bytes.len() as u32;
        }
        let atoms = Atoms::new(byte_ids, &table, merges);
        let mut bpe = Self { byte_ids: *byte_ids, merges: table, atoms, known: Known::default(), whole, lengths };
        let (mut symbols, mut ids) = (Vec::new(), Vec::new());
        let known = tokens.iter().filter_map(|(bytes, _)| {
            ids.clear();
            let is_short = !bytes.is_empty() && bytes.len() <= LONGEST;
            if is_short && bpe.merge(bytes, &mut symbols, &mut ids, &Control::default()).is_err() {
                return None;
            }
            if let [id] = ids[..] { Some((bytes.as_slice(), id)) } else { None }
        });
        bpe.known = Known::new(known);
        bpe
    }

    /// The number of bytes that a token covers.
    pub(crate) fn token_length(&self, id: u32) -> usize {
        self.lengths.get(id as usize).map_or(0, |&length| length as usize)
    }

    /// Appends the ids of a piece; can be cancelled.
    pub(crate) fn encode(
        &self,
        piece: &[u8],
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let key = Key::of(piece);
        if let Some(found) = scratch.known(piece, key) {
            ids.extend_from_slice(found);
            return Ok(());
        }
        self.encode_unknown(piece, key, scratch, ids, control)
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
        scratch.cache.begin();
        let (mut ends, mut pieces) = (scratch.ends.take().unwrap_or_default(), std::mem::take(&mut scratch.pieces));
        let mut from = 0;
        while from < text.len() {
            control.check()?;
            ends.begin(from);
            if let Some(behind) = split.ends(text, &mut ends) {
                let borders = ends.borders();
                let sides = |index| (borders[index], borders[index + 1]);
                let all = borders.windows(2).map(|sides| (sides[0], sides[1]));
                self.encode_pieces(text.as_bytes(), all, sides, scratch, ids, control)?;
                from = behind;
                continue;
            }
            pieces.clear();
            from = split.split(text, from, &mut pieces)?;
            for pieces in pieces.chunks(batch::MOST) {
                let sides = |index: usize| (pieces[index].start, pieces[index].end);
                self.encode_pieces(text.as_bytes(), (0..pieces.len()).map(sides), sides, scratch, ids, control)?;
            }
        }
        (scratch.ends, scratch.pieces) = (Some(ends), pieces);
        Ok(())
    }

    /// Appends the ids of texts that lie one behind the other, each between others, and to `lengths` how many each has;
    /// can be cancelled. The first begins at byte `start`, and `text_ends` says where each ends. The cutter must give
    /// bare [ends](Split::ends).
    ///
    /// Batches go across the ends of texts, so that short ones take no longer than a long one.
    #[expect(clippy::too_many_arguments, reason = "where texts lie, what is around them, and where their ids go")]
    pub(crate) fn encode_run(
        &self,
        split: &dyn Split,
        (text, start, text_ends): (&str, usize, &[usize]),
        (before, behind): (&[u32], &[u32]),
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        lengths: &mut Vec<u64>,
        control: &Control,
    ) -> Result<()> {
        scratch.cache.begin();
        let mut ends = scratch.ends.take().unwrap_or_default();
        let (mut batch, mut new) = (scratch.batch.take().unwrap_or_default(), std::mem::take(&mut scratch.new));
        let (mut from, mut text_ends, mut is_begin, mut first_id) = (start, text_ends.iter(), true, ids.len());
        let mut open = text_ends.next();
        // How many pieces lie before the end of each text that ends in the batch.
        let mut counts = Vec::new();
        while open.is_some() {
            control.check()?;
            ends.begin(from);
            counts.clear();
            while let Some(&end) = open
                && !ends.is_full()
            {
                split.ends(&text[..end], &mut ends);
                if ends.last() < end {
                    break;
                }
                counts.push(ends.count());
                open = text_ends.next();
            }
            from = ends.last();
            let borders = ends.borders();
            let sides = borders.windows(2).map(|sides| (sides[0], sides[1]));
            batch.prepare(&scratch.cache, &scratch.long_cache, text.as_bytes(), sides);
            let piece = |index| &text.as_bytes()[borders[index]..borders[index + 1]];
            let mut index = 0;
            let is_open = counts.last().is_none_or(|&count| count < ends.count());
            let tail = is_open.then_some((ends.count(), false));
            for (count, is_end) in counts.iter().map(|&count| (count, true)).chain(tail) {
                if std::mem::replace(&mut is_begin, is_end) {
                    batch.add(before, ids);
                }
                self.look_up(index..count, piece, &mut batch, &mut new, scratch, ids, control)?;
                index = count;
                if is_end {
                    batch.add(behind, ids);
                    let last_id = ids.len() + batch.written();
                    lengths.push((last_id - std::mem::replace(&mut first_id, last_id)) as u64);
                }
            }
            batch.give(ids);
        }
        (scratch.ends, scratch.batch, scratch.new) = (Some(ends), Some(batch), new);
        Ok(())
    }

    /// Appends the ids of some hundred pieces of a text; `sides` says where each begins and ends, `all` of all.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "once for each kind of pieces, both in `encode_text`")]
    fn encode_pieces(
        &self,
        bytes: &[u8],
        all: impl ExactSizeIterator<Item = (usize, usize)>,
        sides: impl Fn(usize) -> (usize, usize),
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<()> {
        let (mut batch, mut new) = (scratch.batch.take().unwrap_or_default(), std::mem::take(&mut scratch.new));
        batch.prepare(&scratch.cache, &scratch.long_cache, bytes, all);
        let count = batch.count();
        let piece = |index| {
            let (start, end) = sides(index);
            &bytes[start..end]
        };
        self.look_up(0..count, piece, &mut batch, &mut new, scratch, ids, control)?;
        batch.give(ids);
        (scratch.batch, scratch.new) = (Some(batch), new);
        Ok(())
    }

    /// Takes some of the pieces of a batch; `new` is memory for the ids of one.
    #[inline(always)]
    #[expect(clippy::inline_always, clippy::too_many_arguments, reason = "the inner loop of two callers")]
    fn look_up<'t>(
        &self,
        pieces: Range<usize>,
        piece: impl Fn(usize) -> &'t [u8],
        batch: &mut Batch,
        new: &mut Vec<u32>,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<()> {
        let mut index = pieces.start;
        while let Some((at, key)) = batch.look_up(&scratch.cache, index..pieces.end) {
            let piece = piece(at);
            self.known.prepare(key.hash);
            if let Some(found) = scratch.known(piece, key) {
                batch.add(found, ids);
            } else {
                new.clear();
                self.encode_unknown(piece, key, scratch, new, control)?;
                batch.add(new, ids);
            }
            index = at + 1;
        }
        Ok(())
    }

    /// Appends the ids of a piece of which nothing is known.
    #[cold]
    #[inline(never)]
    fn encode_unknown(
        &self,
        piece: &[u8],
        key: Key,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<()> {
        let (before, hash, key) = (ids.len(), key.hash, key.whole());
        if key == TOO_LONG {
            self.merge(piece, &mut scratch.symbols, ids, control)?;
            if piece.len() <= long_cache::LONGEST {
                scratch.long_cache.keep(piece, hash, &ids[before..]);
            }
            return Ok(());
        }
        match self.known.get(key, hash) {
            NO_ID => self.merge_parts(piece, &mut scratch.symbols, ids, control)?,
            id => ids.push(id),
        }
        let ids = &ids[before..];
        if !scratch.cache.keep(key, hash, ids) {
            let place = scratch.long_cache.keep(piece, long_cache::hash(piece), ids);
            scratch.cache.keep_elsewhere(key, hash, place);
        }
        Ok(())
    }

    fn merge(&self, piece: &[u8], symbols: &mut Vec<u32>, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        if !self.whole.is_empty()
            && let Some(&id) = self.whole.get(piece)
        {
            ids.push(id);
            return Ok(());
        }
        self.merge_parts(piece, symbols, ids, control)
    }

    /// [`merge`](Self::merge) for a piece that is not a whole token.
    fn merge_parts(&self, piece: &[u8], symbols: &mut Vec<u32>, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        symbols.clear();
        if piece.is_ascii() {
            symbols.extend(piece.iter().map(|&byte| self.byte_ids[usize::from(byte)]));
        } else {
            self.symbols(piece, symbols);
        }
        if symbols.len() <= short::MOST {
            short::merge(&self.merges, symbols, |(id, _)| ids.push(id));
            return Ok(());
        }
        long::merge(&self.merges, symbols, control, |(id, _)| ids.push(id))
    }

    /// Appends the symbols that the merging of a piece may begin with.
    fn symbols(&self, piece: &[u8], symbols: &mut Vec<u32>) {
        for chunk in piece.utf8_chunks() {
            let mut is_inner = false;
            for character in chunk.valid().chars() {
                let was_inner = std::mem::replace(&mut is_inner, !character.is_ascii());
                if let Some(id) = self.atoms.get(character, was_inner) {
                    symbols.push(id);
                } else {
                    let mut buffer = [0; 4];
                    let bytes = character.encode_utf8(&mut buffer).bytes();
                    symbols.extend(bytes.map(|byte| self.byte_ids[usize::from(byte)]));
                }
            }
            symbols.extend(chunk.invalid().iter().map(|&byte| self.byte_ids[usize::from(byte)]));
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

    /// Merges over three letters, in the order in which they can be learned or in any order, so that a later merge may
    /// have a lower rank than one it is made of.
    fn merges() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
        let picks = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..25);
        (picks, any::<bool>()).prop_flat_map(|(picks, shuffled)| {
            let mut tokens: Vec<Vec<u8>> = (0..LETTERS).map(|letter| vec![b'a' + letter as u8]).collect();
            let mut ids: Vec<u32> = (0..LETTERS).map(|letter| u32::from(b'a') + letter as u32).collect();
            let mut merges = Vec::new();
            for (left, right) in picks {
                let (left, right) = (left.index(tokens.len()), right.index(tokens.len()));
                let joined = [tokens[left].clone(), tokens[right].clone()].concat();
                let known = tokens.iter().position(|token| *token == joined);
                merges.push((ids[left], ids[right], known.map_or(256 + tokens.len() as u32, |at| ids[at])));
                if known.is_none() {
                    ids.push(256 + tokens.len() as u32);
                    tokens.push(joined);
                }
            }
            let learned = merges.clone();
            Just(merges).prop_shuffle().prop_map(move |any| if shuffled { any } else { learned.clone() })
        })
    }

    /// The bytes of the letters and of what merges make of them.
    fn tokens(merges: &[(u32, u32, u32)]) -> Vec<(Vec<u8>, u32)> {
        let mut tokens: Vec<(Vec<u8>, u32)> = (0..=255).map(|byte| (vec![byte], u32::from(byte))).collect();
        while let Some(token) = merges.iter().find_map(|&(left, right, merged)| {
            let bytes = |id| tokens.iter().find(|(_, known)| *known == id).map(|(bytes, _)| bytes.clone());
            if bytes(merged).is_some() { None } else { Some(([bytes(left)?, bytes(right)?].concat(), merged)) }
        }) {
            tokens.push(token);
        }
        tokens
    }

    proptest! {
        #[test]
        fn every_path_equals_the_naive_encoder(
            merges in merges(),
            text in prop::collection::vec(b'a'..b'a' + LETTERS as u8, 1..300),
            runs in prop::collection::vec((prop::collection::vec(b'a'..b'a' + LETTERS as u8, 1..4), 1..60_usize), 1..6),
        ) {
            let runs: Vec<u8> = runs.into_iter().flat_map(|(letters, count)| letters.repeat(count)).collect();
            let bpe = Bpe::new(&byte_ids(), &merges, FxHashMap::default(), &tokens(&merges));
            let mut scratch = Scratch::default();
            for text in [&text[..], &text[..text.len().div_ceil(12)], &runs] {
                let expected = naive::encode(&byte_ids(), &merges, text);
                let mut ids = Vec::new();
                let symbols: Vec<u32> = text.iter().map(|&byte| u32::from(byte)).collect();
                let give = |(id, _)| ids.push(id);
                long::merge(&bpe.merges, &symbols, &Control::default(), give).expect("merges");
                prop_assert_eq!(&ids, &expected);
                for _ in 0..2 {
                    ids.clear();
                    bpe.encode(text, &mut scratch, &mut ids, &Control::default()).expect("encodes");
                    prop_assert_eq!(&ids, &expected);
                }
            }
        }

        #[test]
        fn characters_merged_first_change_nothing(
            merges in prop::collection::vec((0..7_u32, 0..7_u32), 1..14), text in "[a\u{e1}\u{e2}\u{121}\u{122}]{1,40}"
        ) {
            // The bytes of these characters, and two tokens of two of them.
            let letters = [0x61, 0xC3, 0xC4, 0xA1, 0xA2, 256, 257];
            let merges: Vec<(u32, u32, u32)> = (256..)
                .zip(merges)
                .map(|(id, (left, right))| (letters[left as usize], letters[right as usize], id))
                .filter(|&(left, right, id)| left < id && right < id)
                .collect();
            let bpe = Bpe::new(&byte_ids(), &merges, FxHashMap::default(), &[]);
            let mut ids = Vec::new();
            bpe.merge(text.as_bytes(), &mut Vec::new(), &mut ids, &Control::default()).expect("merges");
            prop_assert_eq!(ids, naive::encode(&byte_ids(), &merges, text.as_bytes()));
        }
    }

    #[test]
    fn a_long_piece_can_be_cancelled() {
        for merges in [vec![(97, 97, 256), (256, 256, 257)], vec![(256, 256, 257), (97, 97, 256)]] {
            let bpe = Bpe::new(&byte_ids(), &merges, FxHashMap::default(), &tokens(&merges));
            let control = Control::default();
            control.cancel();
            let (mut scratch, mut ids) = (Scratch::default(), Vec::new());
            let text = vec![b'a'; 90];
            assert!(bpe.encode(&text, &mut scratch, &mut ids, &control).is_err());
            // And nothing of that is remembered.
            ids.clear();
            bpe.encode(&text, &mut scratch, &mut ids, &Control::default()).expect("encodes");
            assert_eq!(ids, naive::encode(&byte_ids(), &merges, &text));
        }
    }

    #[test]
    fn a_million_equal_letters_take_no_time() {
        let merges: Vec<(u32, u32, u32)> =
            std::iter::once((97, 97, 256)).chain((256..270).map(|id| (id, id, id + 1))).collect();
        let bpe = Bpe::new(&byte_ids(), &merges, FxHashMap::default(), &tokens(&merges));
        let mut ids = Vec::new();
        let start = std::time::Instant::now();
        bpe.encode(&vec![b'a'; 1_000_000], &mut Scratch::default(), &mut ids, &Control::default()).expect("encodes");
        assert!(start.elapsed().as_secs() < 10, "quadratic time: {:?}", start.elapsed());
        assert_eq!(ids.len(), 1_000_000 / (1 << 15) + (1_000_000_u32 % (1 << 15)).count_ones() as usize);
    }
}
