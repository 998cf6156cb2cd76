//! From the probabilities of a model back to the counts that gave them.
//!
//! The adjusted count of an n-gram below the highest order is the number of n-grams one word longer that it is the end of,
//! which the trie tells. What is left are the n-grams of the highest order and those that begin with `<s>`, whose counts
//! are how often they occur. For those, of one context, let x = p - gamma p(w | shorter context), which is
//! (c - D(c)) / denominator. If the denominator is known, each x tells its c. The denominator is told by
//! gamma = (D1 N1 + D2 N2 + D3+ N3+) / denominator, once it is roughly known how many counts are 1, 2, or more; and for
//! that much, it is enough to suppose that the smallest x has a count of 1, or else 2, or else that all are 3 or more.
//!
//! Floats are rounded, so all of this is guessing. What counts is the proof: counts are taken only if smoothing them gives
//! every bit of the model's numbers; if it does not, the model is none of counts, and keeps its numbers as they are.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use lmfast_base::{Control, Pages, Result};
use rayon::prelude::*;

use super::build::CHECK;
use super::interpolated;
use crate::corpus::{BEGIN, UNKNOWN};
use crate::discount::Discount;
use crate::initial::Context;
use crate::interpolate::{log10_probability, split};
use crate::model::{ROOT, View};

/// Contexts are worked on in pieces of this many.
const PIECE: usize = 1 << 14;

/// Counts of more tokens are not searched for.
const MOST_TOKENS: f64 = 1e10;

/// What an estimation without pruning makes of counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recipe {
    /// The discounts of each order.
    pub(crate) discounts: Vec<[f32; 4]>,
    /// The probability of each word in the uniform distribution below unigrams.
    pub(crate) uniform: f32,
    /// Whether unigrams are interpolated with it.
    pub(crate) interpolate_unigrams: bool,
}

impl Recipe {
    /// The discounts of the n-grams of `level` + 1 words.
    pub(super) fn discount(&self, level: usize) -> Discount {
        Discount { amounts: self.discounts.get(level).copied().unwrap_or_default(), is_fallback: false }
    }
}

/// Finds counts, order by order.
pub(super) struct Recount<'a> {
    view: View<'a>,
    recipe: &'a Recipe,
    /// The probabilities of the n-grams of the last order that was counted.
    pub(super) probabilities: Pages<f32>,
    /// The nodes of that order that begin with `<s>`.
    begin: std::ops::Range<usize>,
}

impl<'a> Recount<'a> {
    /// Begins with unigrams; nothing if counts do not give their probabilities.
    pub(super) fn new(view: View<'a>, recipe: &'a Recipe, control: &Control) -> Result<Option<Self>> {
        let words = view.num_words();
        let order = view.level_starts.len() - 2;
        if order < 2 || recipe.discounts.len() != order {
            return Ok(None);
        }
        let counts = extensions(&view, 1, control)?;
        let discount = recipe.discount(0);
        let context = Context::new(counts.iter().map(|&count| (count, true)), &discount);
        let mut probabilities = Pages::zeroed(words as usize);
        for ((probability, &count), word) in probabilities.iter_mut().zip(counts.iter()).zip(0..words) {
            let own = discount.apply(count) / context.denominator;
            *probability = match word {
                BEGIN => 1.0,
                _ if recipe.interpolate_unigrams => own + context.gamma * recipe.uniform,
                UNKNOWN => own + context.gamma,
                _ => own,
            };
            if !same(log10_probability(*probability), view.log10_prob(1 + word)) {
                return Ok(None);
            }
        }
        let begin = 1 + BEGIN as usize..2 + BEGIN as usize;
        Ok(Some(Self { view, recipe, probabilities, begin }))
    }

    /// The adjusted counts of the n-grams of `level` + 1 words, at least 2; nothing if counts do not give their
    /// probabilities.
    pub(super) fn next(&mut self, level: usize, control: &Control) -> Result<Option<Pages<u32>>> {
        let (view, starts) = (self.view, self.view.level_starts);
        let (start, end) = (starts[level + 1] as usize, starts[level + 2] as usize);
        let contexts = starts[level] as usize..start;
        let begin = view.children(self.begin.start as u32).start..view.children(self.begin.end as u32 - 1).end;
        let is_highest = level + 3 == starts.len();
        let mut counts = if is_highest { Pages::zeroed(end - start) } else { extensions(&view, level + 1, control)? };
        let mut probabilities = Pages::zeroed(end - start);
        let pieces: Vec<_> = contexts.clone().step_by(PIECE).map(|at| at..(at + PIECE).min(start)).collect();
        let sizes = || {
            pieces.iter().map(|piece| view.children(piece.end as u32 - 1).end - view.children(piece.start as u32).start)
        };
        let slots = split(&mut counts, sizes()).into_iter().zip(split(&mut probabilities, sizes()));
        let (discount, lower, failed) = (self.recipe.discount(level), &self.probabilities, AtomicBool::new(false));
        let work: Vec<_> = pieces.iter().cloned().zip(slots).collect();
        work.into_par_iter().try_for_each(|(piece, (mut counts, mut probabilities))| {
            control.check()?;
            let mut solver = Solver::new(discount);
            for node in piece {
                let children = view.children(node as u32);
                let (mine, values);
                (mine, counts) = counts.split_at_mut(children.len());
                (values, probabilities) = probabilities.split_at_mut(children.len());
                let is_known = !is_highest && !self.begin.contains(&node);
                solver.read(&view, node as u32, lower);
                if failed.load(Relaxed) || !solver.solve(mine, is_known, values) {
                    failed.store(true, Relaxed);
                    break;
                }
            }
            Ok(())
        })?;
        self.probabilities = probabilities;
        self.begin = begin;
        Ok((!failed.into_inner()).then_some(counts))
    }
}

/// Of how many n-grams one word longer each n-gram of `order` words is the end.
fn extensions(view: &View<'_>, order: usize, control: &Control) -> Result<Pages<u32>> {
    let starts = view.level_starts;
    let mut counts = Pages::<u32>::zeroed((starts[order + 1] - starts[order]) as usize);
    let slots = counts.as_atomic();
    (starts[order + 1]..starts[order + 2]).into_par_iter().try_for_each(|node| {
        if node % CHECK == 0 {
            control.check()?;
        }
        // A suffix that is not of this order comes from a file, whose numbers no counts give.
        if let Some(slot) = slots.get(view.suffix(node).wrapping_sub(starts[order]) as usize) {
            slot.fetch_add(1, Relaxed);
        }
        Ok(())
    })?;
    Ok(counts)
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits()
}

/// Finds the counts of the children of one context.
struct Solver {
    discount: Discount,
    /// The context's back-off weight, and the children's probabilities, all as logarithms.
    backoff: f32,
    log10_probs: Vec<f32>,
    /// The probabilities of the children's suffixes.
    lower: Vec<f32>,
    /// Of each child x, the part of its probability that its count gives.
    own: Vec<f64>,
}

impl Solver {
    fn new(discount: Discount) -> Self {
        Self { discount, backoff: 0.0, log10_probs: Vec::new(), lower: Vec::new(), own: Vec::new() }
    }

    fn read(&mut self, view: &View<'_>, context: u32, lower: &[f32]) {
        let children = view.children(context);
        let order_start = view.level_starts.get(usize::from(view.order_of(context))).copied().unwrap_or(ROOT);
        self.backoff = view.backoff(context);
        self.log10_probs.clear();
        self.lower.clear();
        for child in children {
            self.log10_probs.push(view.log10_prob(child as u32));
            let suffix = view.suffix(child as u32).wrapping_sub(order_start);
            self.lower.push(lower.get(suffix as usize).copied().unwrap_or(f32::NAN));
        }
    }

    /// Whether there are counts, known or to be found, that give the probabilities, which are given back too.
    fn solve(&mut self, counts: &mut [u32], is_known: bool, probabilities: &mut [f32]) -> bool {
        if counts.is_empty() {
            return same(self.backoff, 0.0);
        }
        if is_known {
            return !counts.contains(&0) && self.is_proven(counts, probabilities);
        }
        counts.fill(1);
        self.is_proven(counts, probabilities) || self.search(counts, probabilities)
    }

    /// Whether smoothing the counts gives every bit.
    fn is_proven(&self, counts: &[u32], probabilities: &mut [f32]) -> bool {
        let shares = Context::new(counts.iter().map(|&count| (count, true)), &self.discount);
        let smoothed =
            counts.iter().zip(&self.lower).map(|(&count, &lower)| interpolated(count, &self.discount, shares, lower));
        let mut given = probabilities.iter_mut().zip(smoothed).zip(&self.log10_probs);
        same(shares.gamma.log10(), self.backoff)
            && given.all(|((slot, smoothed), &log10_prob)| {
                *slot = smoothed;
                same(log10_probability(smoothed), log10_prob)
            })
    }

    fn search(&mut self, counts: &mut [u32], probabilities: &mut [f32]) -> bool {
        let gamma = 10_f64.powf(self.backoff.into());
        let own = self.log10_probs.iter().zip(&self.lower);
        let own = own.map(|(&log10_prob, &lower)| 10_f64.powf(log10_prob.into()) - gamma * f64::from(lower));
        self.own.clear();
        self.own.extend(own);
        if self.own.iter().any(|own| !own.is_finite()) {
            return false;
        }
        let least = self.own.iter().copied().fold(f64::INFINITY, f64::min);
        let [_, one, two, more] = self.discount.amounts.map(f64::from);
        // What the least x would be of, if its count is 1, or 2; and the denominator if all counts are 3 or more.
        let guesses = [(1.0 - one) / least, (2.0 - two) / least, more * counts.len() as f64 / gamma];
        guesses.into_iter().any(|denominator| self.refine(denominator, gamma, counts, probabilities))
            // Discounts of little text may take all of a count; then only trying helps.
            || (0..64).any(|more| self.assign((counts.len() + more) as f64, counts, probabilities))
    }

    /// Goes from a rough denominator to the right one, if that is possible.
    fn refine(&self, rough: f64, gamma: f64, counts: &mut [u32], probabilities: &mut [f32]) -> bool {
        let is_possible = |denominator: f64| (1.0..MOST_TOKENS).contains(&denominator);
        if !is_possible(rough) {
            return false;
        }
        let mut with_count = [0.0; 4];
        for &own in &self.own {
            with_count[self.count(own * rough).min(3) as usize] += 1.0;
        }
        let freed: f64 =
            self.discount.amounts.iter().zip(with_count).map(|(&amount, number)| f64::from(amount) * number).sum();
        let exact = (freed / gamma).round();
        if !is_possible(exact) {
            return false;
        }
        // Rounding moves a large denominator by a little.
        let near = 2 + (exact * 2e-7) as i32;
        (0..=2 * near).map(|step| if step % 2 == 0 { -step / 2 } else { step / 2 + 1 }).any(|step| {
            let denominator = exact + f64::from(step);
            is_possible(denominator) && self.assign(denominator, counts, probabilities)
        })
    }

    /// Gives counts to all children, for this denominator.
    fn assign(&self, denominator: f64, counts: &mut [u32], probabilities: &mut [f32]) -> bool {
        let mut left = denominator;
        for (count, &own) in counts.iter_mut().zip(&self.own) {
            *count = self.count(own * denominator);
            left -= f64::from(*count);
        }
        // Of large counts several may give the same bits: the largest make up for what the sum lacks.
        if left != 0.0 {
            let slack = 4.0 * counts.len() as f64;
            let Some(largest) = counts.iter_mut().max().filter(|_| left.abs() <= slack) else { return false };
            *largest = (f64::from(*largest) + left).max(1.0) as u32;
        }
        self.is_proven(counts, probabilities)
    }

    /// The count that this is nearest to when it is discounted.
    fn count(&self, discounted: f64) -> u32 {
        let [_, one, two, more] = self.discount.amounts.map(f64::from);
        let many = (discounted + more).round().clamp(3.0, f64::from(u32::MAX));
        let distance = |count: f64, amount: f64| (count - amount - discounted).abs();
        let (of_one, of_two, of_many) = (distance(1.0, one), distance(2.0, two), distance(many, more));
        if of_one <= of_two && of_one <= of_many {
            1
        } else if of_two <= of_many {
            2
        } else {
            many as u32
        }
    }
}
