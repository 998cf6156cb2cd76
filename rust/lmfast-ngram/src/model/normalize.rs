//! Back-off weights that make every context's probabilities sum to one.

use std::ops::Range;

use lmfast_base::{Control, Result};
use rayon::prelude::*;

use super::{Builder, Inner, ROOT};

/// What rounding to single precision may leave of a sum of probabilities that is zero.
const ROUNDING: f64 = 1e-6;

/// A probability below this is none.
const NOTHING: f64 = 1e-12;

impl Builder {
    /// Gives the contexts of the level below the highest one so far their weights,
    /// (1 - sum of p(w | context)) / (1 - sum of p(w | shorter context)), both sums over the words that follow the context
    /// (Katz 1987). Levels are to be done from the lowest up. `left` is the upper part of the fraction by context, if it is
    /// known better than by summing up.
    pub(crate) fn normalize(&mut self, left: Option<&[f64]>, control: &Control) -> Result<()> {
        let contexts = self.level_below();
        let weights: Vec<f32> = contexts
            .clone()
            .into_par_iter()
            .with_min_len(1 << 10)
            .map(|context| {
                if context.is_multiple_of(1 << 10) {
                    control.check()?;
                }
                let left = left.and_then(|left| left.get(context - contexts.start)).copied();
                Ok(self.weight(context as u32, left))
            })
            .collect::<Result<_>>()?;
        let inner = self.inner[contexts].iter_mut();
        inner.zip(weights).for_each(|(inner, weight): (&mut Inner, f32)| inner.backoff = weight);
        Ok(())
    }

    fn level_below(&self) -> Range<usize> {
        match self.level_starts[..] {
            [.., start, end, _] => start as usize..end as usize,
            _ => 0..0,
        }
    }

    /// The log10 weight of a context.
    fn weight(&self, context: u32, left: Option<f64>) -> f32 {
        let first = self.inner[context as usize].first_child as usize;
        let last = self.inner.get(context as usize + 1).map_or(self.words.len(), |next| next.first_child as usize);
        if first == last {
            return 0.0;
        }
        let (mut own, mut shorter) = (0.0, 0.0);
        for child in first..last {
            own += probability(self.log10_prob(child));
            shorter += probability(self.shorter(context, self.words[child]));
        }
        let (left, shorter) = (left.unwrap_or(1.0 - own), 1.0 - shorter);
        // With no word left that the context was not seen with, the weight does not matter.
        if shorter < NOTHING || (shorter < ROUNDING && left <= 0.0) {
            return 0.0;
        }
        let weight = (left.max(0.0) / shorter).log10() as f32;
        // What is left over by rounding must not be blown up.
        if left < ROUNDING && shorter < ROUNDING { weight.min(0.0) } else { weight }
    }

    /// The log10 probability of a word after a context without its first word.
    fn shorter(&self, context: u32, word: u32) -> f64 {
        let (mut node, mut weights) = (self.inner[context as usize].suffix, 0.0);
        loop {
            if let Some(child) = self.child(node, word) {
                return self.log10_prob(child as usize) + weights;
            }
            if node == ROOT {
                return f64::NEG_INFINITY;
            }
            weights += f64::from(self.inner[node as usize].backoff);
            node = self.inner[node as usize].suffix;
        }
    }

    fn log10_prob(&self, node: usize) -> f64 {
        match self.inner.get(node) {
            Some(inner) => inner.log10_prob,
            None => self.leaves[node - self.inner.len()].log10_prob,
        }
        .into()
    }
}

/// The number that a logarithm to base 10 is of.
pub(crate) fn probability(log10: f64) -> f64 {
    (log10 * std::f64::consts::LN_10).exp()
}
