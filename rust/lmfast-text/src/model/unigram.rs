//! Unigram: of all ways to cover a piece with tokens, the one whose scores, logarithms of probabilities, have the
//! greatest sum (Kudo 2018, section 3.1), found by Viterbi's algorithm in 64-bit floats as in `tokenizers`.
//!
//! At each character a token begins that may be the unknown one, ten below the lowest score, where no token is that
//! very character. Of equal sums the one met first counts: that of the earlier beginning. Neighbouring unknown tokens
//! are one, and become their bytes where the vocabulary has these.

use std::ops::Range;

use lmfast_base::{Control, Result};

use super::cache::{LONGEST, hash};
use super::trie::{NONE, Trie};
use super::{PATIENCE, Scratch, byte_token, no_unknown};

/// How much less than the lowest score the unknown token has.
pub(crate) const UNKNOWN_PENALTY: f64 = 10.0;

/// The model.
#[derive(Debug)]
pub(crate) struct Unigram {
    trie: Trie,
    scores: Vec<f64>,
    unknown: Option<u32>,
    unknown_score: f64,
    /// The token of each byte, if the vocabulary is to use them.
    bytes: Option<Box<[Option<u32>; 256]>>,
}

/// The best ways to every place in a piece.
#[derive(Debug, Default)]
pub(crate) struct Lattice {
    ends: Vec<End>,
    path: Vec<(Range<usize>, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    score: f64,
    /// Where the last token begins; [`NOWHERE`] if no way leads here.
    start: usize,
    id: u32,
}

const NOWHERE: usize = usize::MAX;

impl Unigram {
    /// `tokens` with their ids, which are the places of their scores.
    pub(crate) fn new<'a>(
        tokens: impl Iterator<Item = (&'a str, u32)>,
        scores: Vec<f64>,
        unknown: Option<u32>,
        byte_fallback: bool,
    ) -> std::result::Result<Self, String> {
        let trie = Trie::new(tokens.map(|(token, id)| (token.as_bytes(), id)))?;
        let byte_ids = || Box::new(std::array::from_fn(|byte| trie.get(byte_token(byte as u8).as_bytes())));
        Ok(Self {
            unknown,
            unknown_score: scores.iter().copied().fold(f64::INFINITY, f64::min) - UNKNOWN_PENALTY,
            bytes: byte_fallback.then(byte_ids),
            scores,
            trie,
        })
    }

    /// Appends the ids of a piece and, where asked, the bytes that each covers.
    pub(crate) fn encode(
        &self,
        piece: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        spans: Option<&mut Vec<Range<usize>>>,
        control: &Control,
    ) -> Result<()> {
        if let Some(spans) = spans {
            self.best(piece, &mut scratch.lattice, control)?;
            self.take(piece, &scratch.lattice.path, |id, span| {
                ids.push(id);
                spans.push(span);
            });
            return Ok(());
        }
        let hash = (piece.len() <= LONGEST).then(|| hash(piece.as_bytes(), 0));
        if let Some(known) = hash.and_then(|hash| scratch.words.get(piece.as_bytes(), 0, hash)) {
            ids.extend_from_slice(known);
            return Ok(());
        }
        let before = ids.len();
        self.best(piece, &mut scratch.lattice, control)?;
        self.take(piece, &scratch.lattice.path, |id, _| ids.push(id));
        if let Some(hash) = hash {
            scratch.words.keep(piece.as_bytes(), 0, hash, &ids[before..]);
        }
        Ok(())
    }

    /// Finds the best path, of tokens with their places.
    fn best(&self, piece: &str, lattice: &mut Lattice, control: &Control) -> Result<()> {
        let (bytes, ends) = (piece.as_bytes(), &mut lattice.ends);
        ends.clear();
        ends.resize(bytes.len() + 1, End { score: 0.0, start: NOWHERE, id: 0 });
        for (number, (start, character)) in piece.char_indices().enumerate() {
            if number % PATIENCE == PATIENCE - 1 {
                control.check()?;
            }
            let (so_far, length) = (ends[start].score, character.len_utf8());
            let (mut node, mut alone) = (Trie::ROOT, false);
            for (at, &byte) in bytes.iter().enumerate().skip(start) {
                let Some(child) = self.trie.step(node, byte) else { break };
                node = child;
                let id = self.trie.value(node);
                if id != NONE {
                    ends[at + 1].offer(so_far + self.scores[id as usize], start, id);
                    alone |= at + 1 - start == length;
                }
            }
            if !alone && ends[start + length].is_worse(so_far + self.unknown_score) {
                let unknown = self.unknown.ok_or_else(|| no_unknown(piece, "model.unk_id is null"))?;
                ends[start + length].offer(so_far + self.unknown_score, start, unknown);
            }
        }
        lattice.path.clear();
        let mut end = bytes.len();
        while end > 0 {
            let End { start, id, .. } = lattice.ends[end];
            lattice.path.push((start..end, id));
            end = start;
        }
        lattice.path.reverse();
        Ok(())
    }

    /// Gives the tokens of a path: neighbours that are unknown as one, or as bytes.
    fn take(&self, piece: &str, path: &[(Range<usize>, u32)], mut take: impl FnMut(u32, Range<usize>)) {
        for run in path.chunk_by(|one, other| Some(one.1) == self.unknown && one.1 == other.1) {
            let [(first, id), ..] = run else { continue };
            let span = first.start..run.last().map_or(first.end, |(last, _)| last.end);
            if Some(*id) != self.unknown {
                take(*id, span);
                continue;
            }
            let text = &piece.as_bytes()[span.clone()];
            if let Some(id) = self.trie.get(text) {
                take(id, span);
                continue;
            }
            let byte_ids = self
                .bytes
                .as_ref()
                .and_then(|ids| text.iter().map(|&byte| ids[usize::from(byte)]).collect::<Option<Vec<u32>>>());
            match byte_ids {
                Some(ids) => ids.into_iter().for_each(|id| take(id, span.clone())),
                None => take(*id, span),
            }
        }
    }
}

impl End {
    #[inline]
    fn is_worse(&self, score: f64) -> bool {
        self.start == NOWHERE || score > self.score
    }

    #[inline]
    fn offer(&mut self, score: f64, start: usize, id: u32) {
        if self.is_worse(score) {
            *self = Self { score, start, id };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The greatest sum over every way to cover the piece.
    fn greatest(tokens: &[(String, f64)], unknown: f64, piece: &str) -> f64 {
        let Some(first) = piece.chars().next() else { return 0.0 };
        let mut best = f64::NEG_INFINITY;
        for (token, score) in tokens {
            if let Some(rest) = piece.strip_prefix(token.as_str()) {
                best = best.max(score + greatest(tokens, unknown, rest));
            }
        }
        if !tokens.iter().any(|(token, _)| token.chars().eq([first])) {
            best = best.max(unknown + greatest(tokens, unknown, &piece[first.len_utf8()..]));
        }
        best
    }

    proptest! {
        #[test]
        fn the_path_has_the_greatest_sum(
            tokens in prop::collection::btree_map("[ab\u{e9}]{1,3}", -40..0_i32, 1..20),
            piece in "[ab\u{e9}c]{1,9}",
        ) {
            // Halves are exact, whatever the order of adding.
            let tokens: Vec<(String, f64)> =
                tokens.into_iter().map(|(token, score)| (token, f64::from(score) / 2.0)).collect();
            let scores: Vec<f64> = tokens.iter().map(|&(_, score)| score).collect();
            let numbered = tokens.iter().zip(0..).map(|((token, _), id)| (token.as_str(), id));
            let model = Unigram::new(numbered, scores.clone(), Some(0), false).expect("builds");
            let mut lattice = Lattice::default();
            model.best(&piece, &mut lattice, &Control::default()).expect("has an unknown token");
            let score = |(span, id): &(Range<usize>, u32)| {
                let is_token = tokens[*id as usize].0 == piece[span.clone()];
                if is_token { scores[*id as usize] } else { model.unknown_score }
            };
            let found: f64 = lattice.path.iter().map(score).sum();
            prop_assert_eq!(found.to_bits(), greatest(&tokens, model.unknown_score, &piece).to_bits());
            prop_assert_eq!(lattice.path.iter().map(|(span, _)| &piece[span.clone()]).collect::<String>(), piece.clone());
            let (mut scratch, mut ids, mut again, mut spans) = Default::default();
            model.encode(&piece, &mut scratch, &mut ids, Some(&mut spans), &Control::default()).expect("encodes");
            for _ in 0..2 {
                again = Vec::new();
                model.encode(&piece, &mut scratch, &mut again, None, &Control::default()).expect("encodes");
                prop_assert_eq!(&again, &ids);
            }
            prop_assert_eq!(spans.len(), again.len());
        }
    }

    #[test]
    fn unknown_characters_are_one_token_or_bytes() {
        let tokens = ["<unk>", "a", "<0xC3>", "<0xA9>"];
        let encode = |unknown, byte_fallback| {
            let numbered = tokens.iter().zip(0..).map(|(token, id)| (*token, id));
            let model = Unigram::new(numbered, vec![0.0, -1.0, -2.0, -2.0], unknown, byte_fallback).expect("builds");
            let (mut ids, mut spans) = (Vec::new(), Vec::new());
            model
                .encode("a\u{e9}\u{e9}xa", &mut Scratch::default(), &mut ids, Some(&mut spans), &Control::default())
                .map(|()| (ids, spans))
        };
        assert_eq!(encode(Some(0), false).expect("encodes"), (vec![1, 0, 1], vec![0..1, 1..6, 6..7]));
        // Not all of the bytes are there.
        assert_eq!(encode(Some(0), true).expect("encodes").0, [1, 0, 1]);
        assert!(encode(None, true).is_err_and(|error| error.to_string().contains("unk_id")));
    }
}
