//! Stage 5: interpolated probabilities.
//!
//! Input: the adjusted counts of one order, and the probabilities of the order below. Output:
//! p(w | context) = (c - D(c)) / denominator + gamma p(w | shorter context), and the back-off weights gamma of the contexts.
//! Below unigrams lies the uniform distribution over all words but `<s>`. (Chen and Goodman 1998, page 20.)

use lmfast_base::{Control, Pages, Result, prefetch};
use rayon::prelude::*;

use crate::adjust::Adjusted;
use crate::corpus::{BEGIN, UNKNOWN};
use crate::count::Counted;
use crate::discount::Discount;
use crate::initial::Context;
use crate::prune::Kept;

/// How many n-grams ahead memory is asked for.
const AHEAD: usize = 32;

/// The probabilities of unigrams, by id.
///
/// Without interpolation the mass that discounting frees goes to the unknown word alone, as in `SRILM`. `<s>` has
/// probability 1: it is only ever a context.
pub(crate) fn unigrams(
    counted: &Counted,
    kept: &Kept,
    adjusted: &Adjusted,
    discount: &Discount,
    uniform: f32,
    interpolate: bool,
) -> Pages<f32> {
    let counts = counted.parts.iter().flat_map(|part| adjusted.of(part)).copied().zip(0..);
    unigram_probabilities(counts.map(|(count, id)| (count, kept.keeps(0, id))), discount, uniform, interpolate)
}

/// [`unigrams`] given the adjusted count of each, and whether it is kept.
pub(crate) fn unigram_probabilities(
    counts: impl Iterator<Item = (u32, bool)> + Clone,
    discount: &Discount,
    uniform: f32,
    interpolate: bool,
) -> Pages<f32> {
    let context = Context::new(counts.clone(), discount);
    let probability = |((count, _), id)| {
        let own = discount.apply(count) / context.denominator;
        match id {
            BEGIN => 1.0,
            _ if interpolate => own + context.gamma * uniform,
            UNKNOWN => own + context.gamma,
            _ => own,
        }
    };
    let mut probabilities = Pages::zeroed(counts.clone().count());
    probabilities.iter_mut().zip(counts.zip(0..).map(probability)).for_each(|(slot, probability)| *slot = probability);
    probabilities
}

/// The outcome for one order.
pub(crate) struct Interpolated {
    /// Of every n-gram, kept or not, the probability itself, not its logarithm.
    pub(crate) probabilities: Pages<f32>,
    /// Of every n-gram of the order below the back-off weight: 1 if nothing follows it.
    pub(crate) backoffs: Pages<f32>,
}

/// The probabilities of the n-grams of `level` + 1 words, at least 2, given those of the order below.
pub(crate) fn interpolate(
    counted: &Counted,
    kept: &Kept,
    level: usize,
    adjusted: &Adjusted,
    discount: &Discount,
    lower: &[f32],
    control: &Control,
) -> Result<Interpolated> {
    let mut probabilities = Pages::zeroed(counted.sizes[level]);
    let mut backoffs = Pages::zeroed(counted.sizes[level - 1]);
    let slots = split(&mut probabilities, counted.parts.iter().map(|part| part.size(level)));
    let below = split(&mut backoffs, counted.parts.iter().map(|part| part.size(level - 1)));
    counted.parts.par_iter().zip(slots).zip(below).try_for_each(|((part, probabilities), backoffs)| {
        control.check()?;
        let (counts, suffixes, base) = (adjusted.of(part), part.levels[level].suffixes(), part.bases[level]);
        for (context, backoff) in part.levels[level - 1].children.windows(2).zip(backoffs) {
            let successors = context[0] as usize..context[1] as usize;
            if successors.is_empty() {
                *backoff = 1.0;
                continue;
            }
            let flags = (base + context[0]..base + context[1]).map(|number| kept.keeps(level, number));
            let Context { denominator, gamma } =
                Context::new(counts[successors.clone()].iter().copied().zip(flags), discount);
            let own = counts[successors.clone()].iter().map(|&count| discount.apply(count) / denominator);
            let ends = successors.clone().zip(&suffixes[successors.clone()]);
            for ((slot, own), (at, &suffix)) in probabilities[successors].iter_mut().zip(own).zip(ends) {
                if let Some(&ahead) = suffixes.get(at + AHEAD) {
                    prefetch(lower, ahead as usize);
                }
                *slot = own + gamma * lower[suffix as usize];
            }
            *backoff = gamma;
        }
        Ok(())
    })?;
    Ok(Interpolated { probabilities, backoffs })
}

/// Cuts a slice into pieces of these sizes.
pub(crate) fn split<T>(slice: &mut [T], sizes: impl Iterator<Item = usize>) -> Vec<&mut [T]> {
    let (mut left, mut pieces) = (slice, Vec::new());
    for size in sizes {
        let piece;
        (piece, left) = left.split_at_mut(size);
        pieces.push(piece);
    }
    pieces
}

/// The logarithm of a probability, which rounding does not let rise above 0.
pub(crate) fn log10_probability(probability: f32) -> f32 {
    probability.log10().min(0.0)
}
