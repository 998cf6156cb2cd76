//! Stage 4: what the successors of a context leave to the order below.
//!
//! Input: the adjusted counts c of the n-grams that begin with a context, and which of them are kept. Output: the
//! denominator of their probabilities, the sum of all c; and the back-off weight
//! gamma = (D1 N1 + D2 N2 + D3+ N3+ + sum of the pruned c) / (sum of all c), where Ni of the kept ones have the count i.
//! (Chen and Goodman 1998, page 20; the pruned counts as in `KenLM`, `initial_probabilities.cc`.)

use crate::discount::Discount;

/// What is known of a context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Context {
    /// The sum of the adjusted counts of its successors.
    pub(crate) denominator: f32,
    /// The share of the order below.
    pub(crate) gamma: f32,
}

impl Context {
    /// Sums up the successors: the adjusted count of each, and whether it is kept.
    pub(crate) fn new(successors: impl Iterator<Item = (u32, bool)>, discount: &Discount) -> Self {
        let (mut total, mut pruned, mut with_count) = (0_u64, 0_u64, [0_u32; 4]);
        for (count, is_kept) in successors {
            total += u64::from(count);
            with_count[count.min(3) as usize] += u32::from(is_kept);
            pruned += if is_kept { 0 } else { count.into() };
        }
        let denominator = total as f32;
        let mut gamma = 0.0;
        for (amount, number) in discount.amounts[1..].iter().zip(&with_count[1..]) {
            gamma += amount * *number as f32;
        }
        gamma += pruned as f32;
        Self { denominator, gamma: gamma / denominator }
    }
}
