//! From probabilities to the nodes of a model.

use lmfast_base::{Control, Error, Pages, Result};
use rayon::prelude::*;

use crate::count::{Counted, Part};
use crate::interpolate::{log10_probability, split};
use crate::model::{Inner, Kind, Leaf, Model, ROOT};
use crate::prune::Kept;
use crate::vocabulary::Vocabulary;

/// The nodes of a model while they are filled in, level by level.
pub(crate) struct Nodes {
    /// The first node of each order from 0 up, and behind them the number of nodes.
    level_starts: Vec<u32>,
    words: Pages<u32>,
    inner: Pages<Inner>,
    leaves: Pages<Leaf>,
}

impl Nodes {
    /// Room for the n-grams that are kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 2^32 n-grams or more.
    pub(crate) fn new(counted: &Counted, kept: &Kept) -> Result<Self> {
        let sizes = counted.sizes.iter().enumerate().map(|(level, &size)| kept.number(level, size as u32));
        let mut level_starts = vec![0, 1];
        for size in sizes {
            let start = level_starts[level_starts.len() - 1];
            level_starts.push(u32::checked_add(start, size).filter(|&end| end < u32::MAX).ok_or_else(|| {
                Error::invalid(format!(
                    "more than {} n-grams: train with a lower order, prune, or train on a part of the text",
                    u32::MAX
                ))
            })?);
        }
        let [.., leaf_start, end] = level_starts[..] else { return Err(Error::invalid("order=0")) };
        let mut inner = Pages::<Inner>::zeroed(leaf_start as usize + 1);
        inner[ROOT as usize].first_child = 1;
        inner[leaf_start as usize].first_child = end;
        Ok(Self {
            words: Pages::zeroed(end as usize),
            inner,
            leaves: Pages::zeroed((end - leaf_start) as usize),
            level_starts,
        })
    }

    /// Fills in the n-grams of `level` + 1 words, given for all of them the probabilities and back-off weights.
    pub(crate) fn fill(
        &mut self,
        counted: &Counted,
        kept: &Kept,
        level: usize,
        probabilities: &[f32],
        backoffs: &[f32],
        control: &Control,
    ) -> Result<()> {
        let Self { level_starts, words, inner, leaves } = self;
        let (start, end) = (level_starts[level + 1] as usize, level_starts[level + 2] as usize);
        let size = |part: &Part| {
            let base = part.bases[level];
            (kept.number(level, base + part.size(level) as u32) - kept.number(level, base)) as usize
        };
        let sizes = || counted.parts.iter().map(size);
        let words = split(&mut words[start..end], sizes());
        let (inner, leaves) = if level + 1 < counted.sizes.len() {
            (split(&mut inner[start..end], sizes()), split(&mut [], sizes().map(|_| 0)))
        } else {
            (split(&mut [], sizes().map(|_| 0)), split(leaves, sizes()))
        };
        let nodes = counted.parts.par_iter().zip(words).zip(inner.into_par_iter().zip(leaves));
        nodes.try_for_each(|((part, words), (inner, leaves))| {
            control.check()?;
            let base = part.bases[level];
            let numbers = (base..base + part.size(level) as u32).filter(|&number| kept.keeps(level, number));
            let node = |number: u32| {
                let at = (number - base) as usize;
                let (word, suffix) = if level == 0 {
                    (part.first_words.start + at as u32, ROOT)
                } else {
                    let suffix = part.levels[level].suffixes()[at];
                    (part.levels[level].words[at], level_starts[level] + kept.number(level - 1, suffix))
                };
                (at, kept.number(0, word), log10_probability(probabilities[number as usize]), suffix)
            };
            let nodes = numbers.map(|number| (number, node(number))).zip(words);
            if leaves.is_empty() {
                let mut log10 = Log10::default();
                let first_child = level_starts[level + 2];
                for (((number, (at, id, log10_prob, suffix)), word), inner) in nodes.zip(inner) {
                    *word = id;
                    let child = part.bases[level + 1] + part.levels[level].children[at];
                    let first_child = first_child + kept.number(level + 1, child);
                    *inner = Inner { log10_prob, backoff: log10.of(backoffs[number as usize]), first_child, suffix };
                }
            } else {
                for (((_, (_, id, log10_prob, suffix)), word), leaf) in nodes.zip(leaves) {
                    *word = id;
                    *leaf = Leaf { log10_prob, suffix };
                }
            }
            Ok(())
        })
    }

    /// The model.
    pub(crate) fn finish(self, vocabulary: Vocabulary, kind: Kind) -> Model {
        Model::new(kind, vocabulary, self.level_starts, self.words, self.inner, self.leaves)
    }
}

/// Logarithms of numbers that come again and again, as back-off weights do.
pub(crate) struct Log10 {
    known: [(f32, f32); 64],
}

impl Default for Log10 {
    fn default() -> Self {
        Self { known: [(1.0, 0.0); 64] }
    }
}

impl Log10 {
    pub(crate) fn of(&mut self, number: f32) -> f32 {
        let slot = &mut self.known[(number.to_bits().wrapping_mul(0x9e37_79b9) >> 26) as usize];
        if slot.0.to_bits() != number.to_bits() {
            *slot = (number, number.log10());
        }
        slot.1
    }
}
