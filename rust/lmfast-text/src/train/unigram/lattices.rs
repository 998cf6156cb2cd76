//! All ways to cover words with tokens, and sums over them.
//!
//! For each character of a word the tokens that begin there are *edges*, numbers of 32 bits that hold a token and its
//! length. They are looked up once; when tokens are given up, their edges are. Where no token of one character begins,
//! the unknown one, token 0, does.

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::Piece;

/// Bits of an edge: the token, its length in characters, and whether it is the last edge of its character.
const TOKEN_BITS: u32 = 20;
const LENGTH_BITS: u32 = 11;
const LAST: u32 = 1 << 31;

/// The longest token, in characters, that an edge can hold.
pub(super) const LONGEST: usize = (1 << LENGTH_BITS) - 1;

/// The unknown token.
pub(super) const UNKNOWN: u32 = 0;

/// What has been given up.
pub(super) const GONE: u32 = u32::MAX;

/// Words are gone through in this many parts, whatever the number of threads, so that sums do not depend on it.
const PARTS: usize = 16;

/// The edges of words, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Lattices {
    edges: Vec<u32>,
    words: Vec<Word>,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    /// Where its edges end.
    end: usize,
    characters: u32,
    count: f64,
}

#[inline]
fn edge(token: u32, length: usize) -> u32 {
    token | (length as u32) << TOKEN_BITS
}

/// The token and the length in characters.
#[inline]
fn token_of(edge: u32) -> (usize, usize) {
    ((edge & ((1 << TOKEN_BITS) - 1)) as usize, (edge >> TOKEN_BITS) as usize & LONGEST)
}

impl Lattices {
    /// The edges of words by all tokens, which are at most 2**20, the first of them the unknown one.
    pub(super) fn new(words: &[(&str, u64)], pieces: &[Piece], longest: usize, control: &Control) -> Result<Self> {
        let known: FxHashMap<&str, u32> =
            pieces.iter().zip(0..).skip(1).map(|(piece, token)| (piece.text.as_str(), token)).collect();
        let parts = words.par_chunks(words.len().div_ceil(PARTS * 4).max(1)).map(|words| {
            let mut part = Self::default();
            for (number, (word, count)) in words.iter().enumerate() {
                if number % 256 == 0 {
                    control.check()?;
                }
                part.push(word, *count, &known, longest)?;
            }
            Ok(part)
        });
        let mut all = Self::default();
        for part in parts.collect::<Vec<Result<Self>>>() {
            let part = part?;
            let before = all.edges.len();
            all.edges.extend(part.edges);
            all.words.extend(part.words.into_iter().map(|word| Word { end: before + word.end, ..word }));
        }
        Ok(all)
    }

    fn push(&mut self, word: &str, count: u64, known: &FxHashMap<&str, u32>, longest: usize) -> Result<()> {
        let mut characters = 0_u32;
        for (start, _) in word.char_indices() {
            let rest = &word[start..];
            let ends = rest.char_indices().map(|(at, _)| at).skip(1).chain([rest.len()]);
            let first = self.edges.len();
            for (end, length) in ends.take(longest).zip(1..) {
                match known.get(&rest[..end]) {
                    Some(&token) => self.edges.push(edge(token, length)),
                    None if length == 1 => self.edges.push(edge(UNKNOWN, 1)),
                    None => {}
                }
            }
            if self.edges.len() > first {
                let last = self.edges.len() - 1;
                self.edges[last] |= LAST;
            }
            characters =
                characters.checked_add(1).ok_or_else(|| Error::invalid("a word has more than 2**32 characters"))?;
        }
        self.words.push(Word { end: self.edges.len(), characters, count: count as f64 });
        Ok(())
    }

    /// Gives up tokens: `ids` has the new number of each, or [`GONE`]. `kept` tells which words stay.
    pub(super) fn renumber(&mut self, ids: &[u32], kept: impl Fn(usize) -> bool) {
        let (mut write, mut start) = (0, 0);
        let mut words = Vec::with_capacity(self.words.len());
        for (number, word) in self.words.iter().enumerate() {
            if kept(number) {
                let mut first = write;
                for read in start..word.end {
                    let old = self.edges[read];
                    let (token, length) = token_of(old);
                    let new = match ids[token] {
                        GONE if length == 1 => UNKNOWN,
                        new => new,
                    };
                    if new != GONE {
                        self.edges[write] = edge(new, length);
                        write += 1;
                    }
                    if old & LAST != 0 && write > first {
                        self.edges[write - 1] |= LAST;
                        first = write;
                    }
                }
                words.push(Word { end: write, ..*word });
            }
            start = word.end;
        }
        self.edges.truncate(write);
        self.words = words;
    }

    /// The sum of all counts.
    pub(super) fn total(&self) -> f64 {
        self.words.iter().map(|word| word.count).sum()
    }

    /// How often each token is expected: the sum over all words of its share in all ways to cover them.
    pub(super) fn expected(&self, scores: &[f64], control: &Control) -> Result<Vec<f64>> {
        let shares: Vec<f64> = scores.iter().map(|score| score.exp()).collect();
        self.sum(scores.len(), control, |marginals, edges, word, sums| {
            if !marginals.add(edges, word, &shares, sums) {
                marginals.add_by_logarithms(edges, word, scores, sums);
            }
        })
    }

    /// How often each token is in the best covers of all words.
    pub(super) fn best(&self, scores: &[f64], control: &Control) -> Result<Vec<f64>> {
        self.sum(scores.len(), control, |marginals, edges, word, sums| {
            marginals.cover(edges, word, scores, false);
            marginals.path.iter().for_each(|&token| sums[token] += word.count);
        })
    }

    /// For each word, which is token `number + 1` itself, the best cover by other tokens with its score.
    pub(super) fn alternatives(&self, scores: &[f64], control: &Control) -> Result<Vec<(f64, Vec<usize>)>> {
        let words: Vec<(usize, &Word)> = self.words.iter().enumerate().collect();
        let parts = words.par_chunks(1 << 10).map_init(Sums::default, |sums, words| {
            control.check()?;
            let others = words.iter().map(|&(number, word)| {
                let score = sums.cover(self.edges_of(number), word, scores, true);
                (score, sums.path.clone())
            });
            Ok(others.collect::<Vec<_>>())
        });
        Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn edges_of(&self, number: usize) -> &[u32] {
        let start = if number == 0 { 0 } else { self.words[number - 1].end };
        &self.edges[start..self.words[number].end]
    }

    /// Adds up what words give to each token, in an order that does not depend on the threads.
    fn sum(
        &self,
        tokens: usize,
        control: &Control,
        add: impl Fn(&mut Sums, &[u32], &Word, &mut [f64]) + Sync,
    ) -> Result<Vec<f64>> {
        let size = self.words.len().div_ceil(PARTS).max(1);
        let parts = (0..self.words.len().div_ceil(size)).into_par_iter().map(|part| {
            let (mut sums, mut found) = (Sums::default(), vec![0.0; tokens]);
            for number in part * size..((part + 1) * size).min(self.words.len()) {
                if number % 256 == 0 {
                    control.check()?;
                }
                add(&mut sums, self.edges_of(number), &self.words[number], &mut found);
            }
            Ok(found)
        });
        let mut all = vec![0.0; tokens];
        for part in parts.collect::<Result<Vec<Vec<f64>>>>()? {
            all.iter_mut().zip(part).for_each(|(all, part)| *all += part);
        }
        Ok(all)
    }
}

/// One thread's memory for the sums of a word.
#[derive(Debug, Default)]
struct Sums {
    /// Of all ways from the beginning to each character, and from it to the end.
    before: Vec<f64>,
    behind: Vec<f64>,
    /// The last edge of the best way to each character.
    steps: Vec<u32>,
    path: Vec<usize>,
}

impl Sums {
    fn clear(&mut self, characters: usize, nothing: f64, all: f64) {
        self.before.clear();
        self.before.resize(characters + 1, nothing);
        self.before[0] = all;
        self.behind.clear();
        self.behind.resize(characters + 1, nothing);
        self.behind[characters] = all;
    }

    /// Adds a word's count times each token's share, by probabilities. False if they are too small to be told.
    fn add(&mut self, edges: &[u32], word: &Word, shares: &[f64], sums: &mut [f64]) -> bool {
        let characters = word.characters as usize;
        self.clear(characters, 0.0, 1.0);
        let mut at = 0;
        for &edge in edges {
            let (token, length) = token_of(edge);
            self.before[at + length] += self.before[at] * shares[token];
            at += usize::from(edge & LAST != 0);
        }
        if self.before[characters] < 1e-200 {
            return false;
        }
        let scale = word.count / self.before[characters];
        for &edge in edges.iter().rev() {
            let (token, length) = token_of(edge);
            at -= usize::from(edge & LAST != 0);
            let way = shares[token] * self.behind[at + length];
            self.behind[at] += way;
            sums[token] += self.before[at] * way * scale;
        }
        true
    }

    /// The same by logarithms of probabilities, for any length.
    fn add_by_logarithms(&mut self, edges: &[u32], word: &Word, scores: &[f64], sums: &mut [f64]) {
        let characters = word.characters as usize;
        self.clear(characters, f64::NEG_INFINITY, 0.0);
        let mut at = 0;
        for &edge in edges {
            let (token, length) = token_of(edge);
            self.before[at + length] = sum_of_logarithms(self.before[at + length], self.before[at] + scores[token]);
            at += usize::from(edge & LAST != 0);
        }
        let whole = self.before[characters];
        for &edge in edges.iter().rev() {
            let (token, length) = token_of(edge);
            at -= usize::from(edge & LAST != 0);
            let way = scores[token] + self.behind[at + length];
            self.behind[at] = sum_of_logarithms(self.behind[at], way);
            sums[token] += word.count * (self.before[at] + way - whole).exp();
        }
    }

    /// Finds the best cover (Viterbi), of equals the one of the earlier beginning, into `path`, and gives its score. The
    /// token that is the whole word can be left out.
    fn cover(&mut self, edges: &[u32], word: &Word, scores: &[f64], without_whole: bool) -> f64 {
        let characters = word.characters as usize;
        self.clear(characters, f64::NEG_INFINITY, 0.0);
        self.steps.clear();
        self.steps.resize(characters + 1, 0);
        let mut at = 0;
        for &edge in edges {
            let (token, length) = token_of(edge);
            let score = self.before[at] + scores[token];
            if score > self.before[at + length] && !(without_whole && length == characters) {
                self.before[at + length] = score;
                self.steps[at + length] = edge;
            }
            at += usize::from(edge & LAST != 0);
        }
        self.path.clear();
        if self.before[characters] > f64::NEG_INFINITY {
            let mut end = characters;
            while end > 0 {
                let (token, length) = token_of(self.steps[end]);
                self.path.push(token);
                end -= length;
            }
            self.path.reverse();
        }
        self.before[characters]
    }
}

/// The logarithm of the sum of two numbers whose logarithms are given.
fn sum_of_logarithms(one: f64, other: f64) -> f64 {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every way to cover a word, as tokens.
    fn ways(word: &str, pieces: &[Piece]) -> Vec<Vec<usize>> {
        let Some(first) = word.chars().next() else { return vec![Vec::new()] };
        let mut found = Vec::new();
        let alone = pieces.iter().skip(1).any(|piece| piece.text.chars().eq([first]));
        let unknown = (!alone).then_some((UNKNOWN as usize, first.len_utf8()));
        let fits = |(token, piece): (usize, &Piece)| word.starts_with(&piece.text).then_some((token, piece.text.len()));
        for (token, length) in pieces.iter().enumerate().skip(1).filter_map(fits).chain(unknown) {
            found.extend(ways(&word[length..], pieces).into_iter().map(|rest| [vec![token], rest].concat()));
        }
        found
    }

    fn pieces_of(texts: &std::collections::BTreeMap<String, i32>) -> Vec<Piece> {
        let unknown = Piece { score: -30.0, ..Piece::default() };
        let others =
            texts.iter().map(|(text, &score)| Piece { text: text.clone(), score: f64::from(score) / 4.0, rank: 0 });
        [unknown].into_iter().chain(others).collect()
    }

    proptest! {
        #[test]
        fn sums_are_over_every_way(
            texts in prop::collection::btree_map("[ab\u{e9}]{1,3}", -40..0_i32, 1..14),
            words in prop::collection::vec(("[ab\u{e9}c]{1,6}", 1..9_u64), 1..9),
            given_up in prop::collection::vec(any::<bool>(), 14),
        ) {
            let mut pieces = pieces_of(&texts);
            let words: Vec<(&str, u64)> = words.iter().map(|(word, count)| (word.as_str(), *count)).collect();
            let mut lattices = Lattices::new(&words, &pieces, 3, &Control::default()).expect("looks up");
            for round in 0..2 {
                if round == 1 {
                    let mut next = 0;
                    let ids: Vec<u32> = (0..pieces.len()).map(|token| {
                        if token > 0 && given_up[token - 1] { return GONE; }
                        next += 1;
                        next - 1
                    }).collect();
                    lattices.renumber(&ids, |_| true);
                    let mut token = 0;
                    pieces.retain(|_| { token += 1; ids[token - 1] != GONE });
                    let anew = Lattices::new(&words, &pieces, 3, &Control::default()).expect("looks up");
                    prop_assert_eq!(&lattices.edges, &anew.edges);
                }
                let scores: Vec<f64> = pieces.iter().map(|piece| piece.score).collect();
                let (mut expected, mut best) = (vec![0.0; pieces.len()], 0.0);
                for (word, count) in &words {
                    let ways = ways(word, &pieces);
                    let score = |way: &Vec<usize>| way.iter().map(|&token| scores[token]).sum::<f64>();
                    let whole: f64 = ways.iter().map(|way| score(way).exp()).sum();
                    for way in &ways {
                        for &token in way {
                            expected[token] += *count as f64 * score(way).exp() / whole;
                        }
                    }
                    best += *count as f64 * ways.iter().map(score).fold(f64::NEG_INFINITY, f64::max);
                }
                let found = lattices.expected(&scores, &Control::default()).expect("sums");
                let mut by_logarithms = vec![0.0; pieces.len()];
                for (number, word) in lattices.words.iter().enumerate() {
                    Sums::default().add_by_logarithms(lattices.edges_of(number), word, &scores, &mut by_logarithms);
                }
                for token in 0..pieces.len() {
                    prop_assert!((found[token] - expected[token]).abs() < 1e-9, "{:?} {:?}", found, expected);
                    prop_assert!((by_logarithms[token] - expected[token]).abs() < 1e-9);
                }
                let counts = lattices.best(&scores, &Control::default()).expect("covers");
                let score: f64 = counts.iter().zip(&scores).map(|(count, score)| count * score).sum();
                prop_assert!((score - best).abs() < 1e-9);
            }
        }

        #[test]
        fn an_alternative_is_the_best_way_of_other_tokens(
            texts in prop::collection::btree_map("[ab]{1,4}", -40..0_i32, 1..14),
        ) {
            let pieces = pieces_of(&texts);
            let scores: Vec<f64> = pieces.iter().map(|piece| piece.score).collect();
            let own: Vec<(&str, u64)> = pieces.iter().skip(1).map(|piece| (piece.text.as_str(), 1)).collect();
            let lattices = Lattices::new(&own, &pieces, 4, &Control::default()).expect("looks up");
            let found = lattices.alternatives(&scores, &Control::default()).expect("covers");
            for (number, (score, path)) in found.into_iter().enumerate() {
                let others = ways(own[number].0, &pieces).into_iter().filter(|way| *way != [number + 1]);
                let others = others.filter(|way| way.len() > 1);
                let sums = others.map(|way| way.iter().map(|&token| scores[token]).sum::<f64>());
                let best = sums.fold(f64::NEG_INFINITY, f64::max);
                prop_assert!(score.to_bits() == best.to_bits() || (score - best).abs() < 1e-9);
                prop_assert_eq!(path.is_empty(), best.is_infinite());
            }
        }
    }

    #[test]
    fn words_of_any_length_have_finite_sums() {
        let pieces = pieces_of(&[("a".to_owned(), -40)].into());
        let word = "ab".repeat(5000);
        let lattices = Lattices::new(&[(&word, 2)], &pieces, 16, &Control::default()).expect("looks up");
        let found = lattices.expected(&[-30.0, -10.0], &Control::default()).expect("sums");
        assert!(found.iter().all(|count| (count - 10_000.0).abs() < 1e-3), "{found:?}");
    }
}
