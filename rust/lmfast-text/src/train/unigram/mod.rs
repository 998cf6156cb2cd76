//! Training of a unigram vocabulary (Kudo 2018, section 3.2), step by step that of `tokenizers` (`UnigramTrainer`) and
//! of sentencepiece.
//!
//! It begins with far too many tokens ([`seed`]) and gives up those that are missed least. In each round the tokens'
//! probabilities are set, twice, to how often the present ones make each token expected in all ways to cover the words
//! ([`lattices`]); the logarithm is replaced by the digamma function, which favours the frequent (Liang and Klein 2007,
//! equation 8), and a token expected less than half a time is dropped. Then, of the tokens that others can stand for,
//! a quarter goes, those first without which the best covers lose the least likelihood. The last round leaves a tenth
//! more than wanted; of these the order of losses decides.
//!
//! Sums are made in an order of their own, so the result does not depend on the number of threads.

mod lattices;
mod seed;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use lmfast_base::{Control, Error, Result};
use rustc_hash::FxHashMap;

use lattices::{GONE, Lattices};

/// The longest token possible, in characters.
pub(super) const LONGEST: usize = lattices::LONGEST;

/// The most tokens possible.
pub(super) const MOST: usize = seed::MOST;

/// A token.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// The logarithm of its probability.
    pub(super) score: f64,
    /// Its place among the others by how much it would be missed.
    rank: usize,
}

/// Steps of expectation and maximization between two prunings.
const STEPS: u64 = 2;

/// The share of tokens that a pruning keeps.
const KEPT: f64 = 0.75;

/// A token expected less often is dropped.
const LEAST_EXPECTED: f64 = 0.5;

/// The unknown token's score is that much lower than the lowest.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Scores of characters without a token of their own rise by this from one to the next.
const STEP: f64 = 0.0001;

/// Makes `size` tokens of words with their counts, or fewer; the highest scores first.
///
/// The words are different, and sorted, so that nothing depends on their order. Characters of `alphabet` and of the
/// words all become tokens. Runs on the threads of the pool that it is called in.
pub(super) fn train(
    words: &[(&str, u64)],
    size: usize,
    longest: usize,
    alphabet: &[char],
    control: &Control,
) -> Result<Vec<Piece>> {
    let required = required(words, alphabet);
    if required.len() > size {
        return Err(Error::invalid(format!(
            "vocab_size: the text has {} different characters, each of which becomes a token; at most {size} were wanted beside the special tokens",
            required.len()
        )));
    }
    control.begin("seeding", 0);
    let mut pieces = vec![Piece::default()]; // the unknown one
    pieces.extend(seed::seed(words, longest, control)?);
    pieces.iter_mut().enumerate().for_each(|(rank, piece)| piece.rank = rank);
    let covers = Lattices::new(words, &pieces, longest, control)?;
    let own: Vec<(&str, u64)> = pieces.iter().skip(1).map(|piece| (piece.text.as_str(), 1)).collect();
    let own = Lattices::new(&own, &pieces, longest, control)?;
    let mut state = State { pieces, covers, own };

    let wanted = size + size / 10;
    let rounds = ((wanted as f64 / state.pieces.len() as f64).ln() / KEPT.ln()).max(0.0) as u64 + 1;
    control.begin("fitting", rounds * STEPS);
    loop {
        for _ in 0..STEPS {
            state.maximize(control)?;
            control.advance(1);
        }
        let before = state.pieces.len();
        if before <= wanted {
            break;
        }
        state.prune(wanted.max((before as f64 * KEPT) as usize), control)?;
        if state.pieces.len() == before {
            break; // nothing can stand for what is left
        }
    }
    Ok(finish(state.pieces, &required, size))
}

/// The characters that must become tokens, the most frequent first.
fn required(words: &[(&str, u64)], alphabet: &[char]) -> Vec<char> {
    let mut counts: BTreeMap<char, u64> = alphabet.iter().map(|&character| (character, 0)).collect();
    for (word, count) in words {
        word.chars().for_each(|character| *counts.entry(character).or_default() += count);
    }
    let mut characters: Vec<(char, u64)> = counts.into_iter().collect();
    characters.sort_by_key(|&(character, count)| (Reverse(count), character));
    characters.into_iter().map(|(character, _)| character).collect()
}

/// The tokens, the first of them the unknown one, and how they cover the words and each other.
struct State {
    pieces: Vec<Piece>,
    covers: Lattices,
    own: Lattices,
}

impl State {
    /// The scores, with that of the unknown token as the others make it.
    fn scores(&self) -> Vec<f64> {
        let mut scores: Vec<f64> = self.pieces.iter().map(|piece| piece.score).collect();
        let lowest = scores.iter().skip(1).copied().fold(f64::INFINITY, f64::min);
        scores[0] = if lowest.is_finite() { lowest } else { 0.0 } - UNKNOWN_PENALTY;
        scores
    }

    /// Sets the scores to what is expected, and drops what hardly is.
    fn maximize(&mut self, control: &Control) -> Result<()> {
        let expected = self.covers.expected(&self.scores(), control)?;
        let kept: Vec<bool> =
            expected.iter().enumerate().map(|(token, &count)| token == 0 || count >= LEAST_EXPECTED).collect();
        let counts = || expected.iter().zip(&kept).skip(1).filter(|(_, kept)| **kept).map(|(count, _)| count);
        let sum = digamma(counts().sum());
        let scores: Vec<f64> = counts().map(|&count| digamma(count) - sum).collect();
        self.keep(&kept);
        self.pieces.iter_mut().skip(1).zip(scores).for_each(|(piece, score)| piece.score = score);
        Ok(())
    }

    /// Gives up tokens until there are `most`, those first that are missed least.
    fn prune(&mut self, most: usize, control: &Control) -> Result<()> {
        let scores = self.scores();
        let counts = self.covers.best(&scores, control)?;
        let alternatives = self.own.alternatives(&scores, control)?;
        let sum: f64 = counts.iter().sum();
        let total = self.covers.total();
        let mut kept = vec![false; self.pieces.len()];
        kept[0] = true;
        let (mut number, mut losses) = (1, Vec::new());
        for (token, (score, path)) in (1..).zip(alternatives) {
            // What no other tokens can stand for stays; what others cover better, or what no best cover has, goes.
            if path.is_empty() || score > scores[token] && counts[token] > 0.0 {
                kept[token] = true;
                self.pieces[token].rank = number;
                number += 1;
            } else if counts[token] > 0.0 {
                // The likelihood that is lost if the others stand for it (sentencepiece, `PruneSentencePieces`).
                let others = (sum + counts[token] * (path.len() as f64 - 1.0)).ln();
                let share: f64 = path.iter().map(|&other| (counts[other] + counts[token]).ln() - others).sum();
                losses.push((counts[token] / total * (counts[token].ln() - sum.ln() - share), token));
            }
        }
        losses.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (_, token) in losses.into_iter().take(most.saturating_sub(number)) {
            kept[token] = true;
            self.pieces[token].rank = number;
            number += 1;
        }
        self.keep(&kept);
        Ok(())
    }

    /// Gives up the tokens that are not kept.
    fn keep(&mut self, kept: &[bool]) {
        if kept.iter().all(|&kept| kept) {
            return;
        }
        let mut next = 0;
        let ids: Vec<u32> = kept
            .iter()
            .map(|&kept| {
                if kept {
                    next += 1;
                    next - 1
                } else {
                    GONE
                }
            })
            .collect();
        self.covers.renumber(&ids, |_| true);
        self.own.renumber(&ids, |number| kept[number + 1]);
        let mut kept = kept.iter();
        self.pieces.retain(|_| kept.next() == Some(&true));
    }
}

/// The tokens of the vocabulary: the required characters, and others as long as there is room.
fn finish(mut pieces: Vec<Piece>, required: &[char], size: usize) -> Vec<Piece> {
    pieces.remove(0);
    let mut lowest = pieces.iter().map(|piece| piece.score).fold(0.0, f64::min);
    pieces.sort_by_key(|piece| piece.rank);
    let mut known: FxHashMap<String, Piece> = pieces.iter().map(|piece| (piece.text.clone(), piece.clone())).collect();
    let mut found = Vec::with_capacity(size);
    for text in required.iter().map(char::to_string) {
        found.push(known.remove(&text).unwrap_or_else(|| {
            let score = lowest;
            lowest += STEP;
            Piece { text, score, rank: 0 }
        }));
    }
    let others = pieces.into_iter().filter(|piece| known.contains_key(&piece.text));
    found.extend(others.take(size.saturating_sub(required.len())));
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    found
}

/// The logarithmic derivative of the gamma function: the recurrence up to 7, then the asymptotic series.
fn digamma(mut x: f64) -> f64 {
    let mut result = 0.0;
    while x < 7.0 {
        result -= 1.0 / x;
        x += 1.0;
    }
    x -= 0.5;
    let square = 1.0 / (x * x);
    let series = 1.0 / 24.0 - square * (7.0 / 960.0 - square * (31.0 / 8064.0 - square * (127.0 / 30720.0)));
    result + x.ln() + square * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digamma_is_that_of_the_tables() {
        for (x, expected) in [(1.0, -0.577_215_664_901), (0.5, -1.963_510_026_021), (10.0, 2.251_752_589_066)] {
            assert!((digamma(x) - expected).abs() < 1e-6, "{x}: {}", digamma(x));
        }
    }

    fn words() -> Vec<(String, u64)> {
        let stems = ["walk", "talk", "jump", "play", "cook", "bak", "lov", "hop"];
        let ends = ["", "s", "ed", "ing", "er", "ers"];
        let all = stems.iter().enumerate().flat_map(|(one, stem)| {
            ends.iter()
                .enumerate()
                .map(move |(two, end)| (format!("_{stem}{end}"), (one * 7 + two * 3) as u64 % 11 + 1))
        });
        let mut all: Vec<(String, u64)> = all.collect();
        all.sort();
        all
    }

    fn trained(size: usize, threads: usize) -> Vec<Piece> {
        let words = words();
        let words: Vec<(&str, u64)> = words.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        let pool = lmfast_base::threads::pool(Some(threads)).expect("starts");
        pool.install(|| train(&words, size, 16, &['!'], &Control::default())).expect("trains")
    }

    #[test]
    fn stems_become_tokens_whatever_the_threads() {
        let pieces = trained(40, 1);
        assert_eq!(pieces, trained(40, 3));
        assert_eq!(pieces.len(), 40);
        let texts: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
        // Endings do not: they are always followed by the same, the end of the word.
        for text in ["!", "_", "w", "_talk", "_cook", "_bak"] {
            assert!(texts.contains(&text), "{text} is not in {texts:?}");
        }
        assert!(pieces.is_sorted_by(|one, other| one.score >= other.score));
        assert!(pieces.iter().all(|piece| piece.score < 0.0 && piece.score.is_finite()));
    }

    #[test]
    fn too_small_a_size_is_an_error() {
        let error = train(&[("abc", 1)], 2, 16, &[], &Control::default()).expect_err("has three characters");
        assert!(error.to_string().contains("3 different characters"), "{error}");
        let few = train(&[("abc", 1)], 10, 16, &[], &Control::default()).expect("trains");
        assert_eq!(few.len(), 3);
    }
}
