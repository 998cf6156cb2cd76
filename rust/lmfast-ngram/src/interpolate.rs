//! Stage 5: interpolated probabilities.
//!
//! Input: the adjusted counts of one order in suffix order, the context of each n-gram, and the probabilities of the
//! order below. Output: p(w | context) = (c - D(c)) / denominator + gamma p(w | shorter context), in suffix order, where
//! the shorter context's n-gram is the one that was met last in the order below. Below unigrams lies the uniform
//! distribution over all words but `<s>`. (Chen and Goodman 1998, page 20.)

use std::ops::Range;

use lmfast_base::{Control, Result};
use rayon::prelude::*;

use crate::corpus::{BEGIN, Corpus, UNKNOWN};
use crate::count::Sorted;
use crate::discount::Discount;
use crate::initial::Context;

/// An n-gram with its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Entry {
    /// The last word.
    pub(crate) word: u32,
    /// The probability itself, not its logarithm.
    pub(crate) probability: f32,
    /// The node of the n-gram without its first word.
    pub(crate) suffix: u32,
}

/// The order below: its n-grams in suffix order.
pub(crate) struct Lower<'a> {
    pub(crate) probabilities: &'a [f32],
    pub(crate) nodes: &'a [u32],
    /// How many n-grams each chunk has; nothing for unigrams, which stand under their words' ids.
    pub(crate) sizes: Option<&'a [usize]>,
}

/// The probabilities of unigrams, by id.
///
/// Without interpolation the mass that discounting frees goes to the unknown word alone, as in `SRILM`. `<s>` has
/// probability 1: it is only ever a context.
pub(crate) fn unigrams(
    counts: &[u32],
    context: &Context,
    discount: &Discount,
    uniform: f32,
    interpolate: bool,
) -> Vec<f32> {
    let probability = |(&count, id)| {
        let own = discount.apply(count) / context.denominator;
        match id {
            BEGIN => 1.0,
            _ if interpolate => own + context.gamma * uniform,
            UNKNOWN => own + context.gamma,
            _ => own,
        }
    };
    counts.iter().zip(0..).map(probability).collect()
}

/// The n-grams of one order, at least 2, in suffix order.
pub(crate) struct Level<'a> {
    pub(crate) order: usize,
    pub(crate) counts: &'a [u32],
    pub(crate) sizes: &'a [usize],
    /// Parallel to `counts`: the context's place in `table`.
    pub(crate) contexts: &'a [u32],
    pub(crate) table: &'a [Context],
    pub(crate) discount: Discount,
}

/// The entries of one order, in suffix order.
pub(crate) fn entries(
    corpus: &Corpus,
    sorted: &Sorted,
    level: &Level<'_>,
    lower: &Lower<'_>,
    control: &Control,
) -> Result<Vec<Entry>> {
    let places = ranges(level.sizes);
    let lower_places = lower.sizes.map(ranges);
    let chunk_entries = |index: usize, chunk: &Range<usize>| {
        let place = places[index].clone();
        let base = lower_places.as_ref().map(|places| places[index].start);
        let entry = |((gram, &count), &context): ((crate::count::Gram, &u32), &u32)| {
            let word = corpus.ids()[sorted.ends[gram.first] as usize];
            let below = base.map_or(word as usize, |base| base + gram.suffix);
            let context = &level.table[context as usize];
            let own = level.discount.apply(count) / context.denominator;
            let probability = own + context.gamma * lower.probabilities[below];
            Entry { word, probability, suffix: lower.nodes[below] }
        };
        let grams = sorted.grams(chunk, level.order);
        grams.zip(&level.counts[place.clone()]).zip(&level.contexts[place]).map(entry).collect::<Vec<_>>()
    };
    let parts = sorted.chunks.par_iter().enumerate().map(|(index, chunk)| {
        control.check()?;
        Ok(chunk_entries(index, chunk))
    });
    Ok(parts.collect::<Result<Vec<_>>>()?.concat())
}

/// Ranges of these sizes one behind the other.
pub(crate) fn ranges(sizes: &[usize]) -> Vec<Range<usize>> {
    let mut start = 0;
    let range = |&size: &usize| {
        start += size;
        start - size..start
    };
    sizes.iter().map(range).collect()
}

/// The logarithm of a probability, which rounding does not let rise above 0.
pub(crate) fn log10_probability(probability: f32) -> f32 {
    probability.log10().min(0.0)
}
