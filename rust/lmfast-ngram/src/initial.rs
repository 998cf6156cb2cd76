//! Stage 4: what the successors of a context leave to the order below.
//!
//! Input: the adjusted counts of one order and the context of each n-gram. Output for every context, from the counts c
//! of the n-grams that begin with it: the denominator of their probabilities, the sum of c; and the back-off weight
//! gamma = (D1 N1 + D2 N2 + D3+ N3+) / (sum of c), where Ni of them have the count i. (Chen and Goodman 1998, page 20.)

use std::sync::atomic::{AtomicU32, Ordering};

use lmfast_base::{Control, Result};
use rayon::prelude::*;

use crate::discount::Discount;

/// Counts are added up in pieces of this many n-grams.
const PIECE: usize = 1 << 16;

/// What is known of a context.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Context {
    /// The sum of the adjusted counts of its successors; 0 if nothing follows it.
    pub(crate) denominator: f32,
    /// The share of the order below.
    pub(crate) gamma: f32,
    /// How many different words follow it.
    pub(crate) successors: u32,
}

/// Sums over the successors of one context. Additions commute, so their order, and with it the threads, do not matter.
#[derive(Default)]
struct Sums {
    counts: AtomicU32,
    with_count: [AtomicU32; 3],
}

impl Sums {
    fn add(&self, count: u32) {
        self.counts.fetch_add(count, Ordering::Relaxed);
        if let Some(class) = (count.min(3) as usize).checked_sub(1) {
            self.with_count[class].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn context(&self, discount: &Discount) -> Context {
        let [one, two, more] = [0, 1, 2].map(|class| self.with_count[class].load(Ordering::Relaxed));
        let denominator = self.counts.load(Ordering::Relaxed) as f32;
        let mut gamma = 0.0;
        for (amount, number) in discount.amounts[1..].iter().zip([one, two, more]) {
            gamma += amount * number as f32;
        }
        Context { denominator, gamma: gamma / denominator, successors: one + two + more }
    }
}

/// The one context of unigrams.
pub(crate) fn empty_context(counts: &[u32], discount: &Discount) -> Context {
    let sums = Sums::default();
    for &count in counts {
        sums.add(count);
    }
    sums.context(discount)
}

/// The contexts of n-grams: n-gram `i` has adjusted count `counts[i]` and follows context `contexts[i]` of `number`.
pub(crate) fn contexts(
    counts: &[u32],
    contexts: &[u32],
    number: usize,
    discount: &Discount,
    control: &Control,
) -> Result<Vec<Context>> {
    let sums: Vec<Sums> = (0..number).into_par_iter().map(|_| Sums::default()).collect();
    counts.par_chunks(PIECE).zip(contexts.par_chunks(PIECE)).try_for_each(|(counts, contexts)| {
        control.check()?;
        for (&count, &context) in counts.iter().zip(contexts) {
            sums[context as usize].add(count);
        }
        Ok(())
    })?;
    Ok(sums.par_iter().map(|sums| sums.context(discount)).collect())
}
