//! The probabilities of one order, and the back-off weights of the order below.

use lmfast_base::{Control, Pages, Result, prefetch};
use rayon::prelude::*;

use crate::corpus::{BEGIN, UNKNOWN};
use crate::count::Counted;
use crate::interpolate::split;
use crate::prune::Kept;

/// How many n-grams ahead memory is asked for.
const AHEAD: usize = 32;

/// The smoothing of one order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Absolute discounting.
    Discounting { discount: f64 },
    /// Witten-Bell.
    WittenBell,
    /// Add-k, over so many words.
    AddK { k: f64, words: f64 },
    /// The relative frequency, and a back-off weight.
    Frequency { backoff: f64 },
}

/// What is known of the words that follow a context.
#[derive(Debug, Clone, Copy, Default)]
struct Successors {
    /// The sum of the counts of all of them.
    total: u64,
    /// The part of it that pruned ones have.
    pruned: u64,
    /// How many occur.
    types: u64,
    /// How many of these are kept.
    kept: u64,
}

impl Successors {
    fn new(counts: impl Iterator<Item = (u32, bool)>) -> Self {
        let mut sums = Self::default();
        for (count, is_kept) in counts.filter(|&(count, _)| count > 0) {
            sums.total += u64::from(count);
            sums.types += 1;
            sums.kept += u64::from(is_kept);
            sums.pruned += if is_kept { 0 } else { count.into() };
        }
        sums
    }
}

/// The rule applied to a context: p = (c + `plus`) / `denominator` + `mixed` p', and the shorter context's weight, where
/// that does not depend on what p' leaves.
struct Weights {
    plus: f64,
    denominator: f64,
    mixed: f64,
    backoff: f64,
}

impl Rule {
    fn weights(&self, of: Successors) -> Weights {
        let (total, pruned, types, kept) = (of.total as f64, of.pruned as f64, of.types as f64, of.kept as f64);
        match *self {
            Self::Discounting { discount } => {
                let mixed = (discount * kept + pruned) / total;
                Weights { plus: -discount, denominator: total, mixed, backoff: mixed }
            }
            Self::WittenBell => {
                let mixed = (types + pruned) / (total + types);
                Weights { plus: 0.0, denominator: total + types, mixed, backoff: mixed }
            }
            Self::AddK { k, words } => {
                let denominator = total + k * words;
                Weights { plus: k, denominator, mixed: 0.0, backoff: (pruned + k * (words - kept)) / denominator }
            }
            Self::Frequency { backoff } => Weights { plus: 0.0, denominator: total, mixed: 0.0, backoff },
        }
    }

    /// Whether the weight of a shorter context is shared by the words that it leaves.
    fn backs_off(&self) -> bool {
        matches!(self, Self::AddK { .. })
    }
}

/// The probabilities of unigrams, by id; `uniform` is what lies below them, if that is mixed in.
///
/// Words that are pruned are unknown ones: their counts are the unknown word's, unless they go to the shorter context.
/// `<s>` has probability 1: it is only ever a context.
pub(super) fn unigrams(counted: &Counted, kept: &Kept, rule: &Rule, uniform: Option<f64>) -> Pages<f64> {
    let counts = || {
        let counts = counted.parts.iter().flat_map(|part| &part.levels[0].tokens).copied().zip(0..);
        counts.map(|(count, id)| if id == BEGIN { (0, id) } else { (count, id) })
    };
    let successors = Successors::new(counts().map(|(count, id)| (count, kept.keeps(0, id))));
    let weights = rule.weights(successors);
    let interpolates = matches!(rule, Rule::Discounting { .. } | Rule::WittenBell);
    let adds = matches!(rule, Rule::AddK { .. });
    let to_unknown = match uniform {
        _ if !interpolates => successors.pruned as f64 / weights.denominator,
        None => weights.mixed,
        Some(_) => 0.0,
    };
    let probability = |(count, id): (u32, u32)| {
        let own = if count > 0 || adds { (f64::from(count) + weights.plus) / weights.denominator } else { 0.0 };
        let probability = own + weights.mixed * uniform.unwrap_or(0.0);
        match id {
            BEGIN => 1.0,
            UNKNOWN => probability + to_unknown,
            _ => probability,
        }
    };
    let mut probabilities = Pages::zeroed(counted.sizes[0]);
    probabilities.iter_mut().zip(counts().map(probability)).for_each(|(slot, probability)| *slot = probability);
    probabilities
}

/// The probabilities of the n-grams of `level` + 1 words, at least 2, and the back-off weights of their contexts, given the
/// probabilities of the order below.
pub(super) fn contexts(
    counted: &Counted,
    kept: &Kept,
    level: usize,
    rule: &Rule,
    lower: &[f64],
    control: &Control,
) -> Result<(Pages<f64>, Pages<f32>)> {
    let mut probabilities = Pages::zeroed(counted.sizes[level]);
    let mut backoffs = Pages::zeroed(counted.sizes[level - 1]);
    let slots = split(&mut probabilities, counted.parts.iter().map(|part| part.size(level)));
    let below = split(&mut backoffs, counted.parts.iter().map(|part| part.size(level - 1)));
    counted.parts.par_iter().zip(slots).zip(below).try_for_each(|((part, probabilities), backoffs)| {
        control.check()?;
        let (counts, suffixes, base) = (&part.levels[level].tokens, part.levels[level].suffixes(), part.bases[level]);
        for (context, backoff) in part.levels[level - 1].children.windows(2).zip(backoffs) {
            let successors = context[0] as usize..context[1] as usize;
            if successors.is_empty() {
                *backoff = 1.0;
                continue;
            }
            let keeps = |at: usize| kept.keeps(level, base + at as u32);
            let sums = Successors::new(successors.clone().map(|at| (counts[at], keeps(at))));
            let weights = rule.weights(sums);
            // What the shorter context gives to the words that are kept here.
            let mut taken = 0.0;
            for at in successors {
                if let Some(&ahead) = suffixes.get(at + AHEAD) {
                    prefetch(lower, ahead as usize);
                }
                let shorter = lower[suffixes[at] as usize];
                probabilities[at] =
                    (f64::from(counts[at]) + weights.plus) / weights.denominator + weights.mixed * shorter;
                taken += if rule.backs_off() && keeps(at) { shorter } else { 0.0 };
            }
            *backoff = match rule.backs_off() {
                // With every word kept, none is left for the shorter context.
                true if weights.backoff <= 0.0 || taken >= 1.0 => 1.0,
                true => (weights.backoff / (1.0 - taken)) as f32,
                false => weights.backoff as f32,
            };
        }
        Ok(())
    })?;
    Ok((probabilities, backoffs))
}
