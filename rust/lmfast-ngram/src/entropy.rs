//! Pruning by relative entropy (Stolcke 1998), as `SRILM`'s `ngram -prune` does.
//!
//! For a context h and a word w after it, with h' the context without its first word, without the n-gram hw:
//! - the weight of h becomes a' = (1 - sum of p(v|h)) / (1 - sum of p(v|h')), the sums over the other words v that h was seen
//!   with (equations 7 and 8);
//! - the distributions are apart by D = -p(h) { p(w|h) \[ln p(w|h') + ln a' - ln p(w|h)\] + (ln a' - ln a) sum of p(v|h) },
//!   the sum over the words v that h was not seen with (equation 5);
//! - perplexity rises by exp(D) - 1 of itself (section 2).
//!
//! An n-gram goes where that is below the threshold, unless a longer one that stays begins with it. All of them are judged
//! by the model as it was, the longest first. p(h) is the product of the probabilities along h, and that of `<s>` is taken
//! to be that of `</s>`, which occurs as often.

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use crate::corpus::{BEGIN, END};
use crate::filter::{Flags, check_now_and_then};
use crate::model::{Model, View, probability};

/// Contexts are judged in pieces of this many.
const PIECE: usize = 1 << 12;

/// What is found out about the contexts of one order.
#[derive(Default)]
struct Verdict {
    /// Of each n-gram of the order above whether it stays.
    stays: Vec<bool>,
    /// Of each context the probability of the words that no n-gram gives it, in the new model.
    left: Vec<f64>,
}

impl Model {
    /// A model without the n-grams whose loss raises its perplexity by less than `threshold` of itself each, such as 1e-8.
    /// Unigrams stay. The back-off weights are computed anew, so that all still sums to one. Uses the current pool of
    /// threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a threshold that is not above 0, or a model of scores that are no probabilities.
    pub fn prune(&self, threshold: f64, control: &Control) -> Result<Self> {
        if !(threshold.is_finite() && threshold > 0.0) {
            return Err(Error::invalid(format!("threshold={threshold}: a number above 0 was expected, such as 1e-8")));
        }
        self.need_distribution("pruned by relative entropy")?;
        if self.compact.is_some() {
            return self.expanded(control)?.prune(threshold, control);
        }
        self.verify(control)?;
        let view = self.view();
        control.begin("pruning", u64::from(view.level_starts[self.order() + 1]));
        let joint = joint_probabilities(&view, control)?;
        let mut verdicts: Vec<Verdict> = Vec::new();
        for order in (1..self.order()).rev() {
            let contexts = view.level_starts[order]..view.level_starts[order + 1];
            let above = verdicts.last().map_or(&[][..], |verdict| &verdict.stays);
            let first_above = view.level_starts.get(order + 2).copied().unwrap_or_default();
            let is_needed = |node: u32| {
                let children = view.children(node);
                children.into_iter().any(|child| above.get(child - first_above as usize) == Some(&true))
            };
            let pieces: Vec<u32> = contexts.clone().step_by(PIECE).collect();
            let judged = pieces.par_iter().map(|&start| {
                control.check()?;
                let mut verdict = Verdict::default();
                for context in start..contexts.end.min(start + PIECE as u32) {
                    judge(&view, context, joint[context as usize], threshold, is_needed, &mut verdict);
                }
                control.advance(verdict.stays.len() as u64);
                Ok(verdict)
            });
            let mut verdict = Verdict::default();
            for mut piece in judged.collect::<Result<Vec<_>>>()? {
                verdict.stays.append(&mut piece.stays);
                verdict.left.append(&mut piece.left);
            }
            verdicts.push(verdict);
        }
        verdicts.reverse();
        let unigrams = vec![true; self.vocabulary().len()];
        let flags: Flags = [unigrams].into_iter().chain(verdicts.iter().map(|verdict| verdict.stays.clone())).collect();
        // Contexts that are gone need no weight.
        let left: Vec<Vec<f64>> = verdicts
            .iter()
            .zip(&flags)
            .map(|(verdict, flags)| {
                let stays = verdict.left.iter().zip(flags).filter(|&(_, &is_kept)| is_kept);
                stays.map(|(&left, _)| left).collect()
            })
            .collect();
        self.keep(&flags, |builder, order| builder.normalize(Some(&left[order - 2]), control), control)
    }

    /// Refuses scores that are no probabilities.
    pub(crate) fn need_distribution(&self, what: &str) -> Result<()> {
        if self.is_distribution() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the scores of this model ({}) are no probabilities, so it cannot be {what}",
            self.method()
        )))
    }
}

/// The natural logarithm of the probability of every n-gram that can be a context.
fn joint_probabilities(view: &View<'_>, control: &Control) -> Result<Vec<f64>> {
    let ln = |node: u32| f64::from(view.log10_prob(node)) * std::f64::consts::LN_10;
    let mut joint = vec![0.0; view.inner.len()];
    let children = |node: u32| view.children(node).take_while(|&child| child + 1 < view.inner.len());
    for child in children(0) {
        joint[child] = ln(if child as u32 == 1 + BEGIN { 1 + END } else { child as u32 });
    }
    for context in 1..view.inner.len() as u32 {
        check_now_and_then(context, control)?;
        for child in children(context) {
            joint[child] = joint[context as usize] + ln(child as u32);
        }
    }
    Ok(joint)
}

/// Decides about the n-grams that begin with a context, whose probability has the natural logarithm `joint`.
fn judge(
    view: &View<'_>,
    context: u32,
    joint: f64,
    threshold: f64,
    is_needed: impl Fn(u32) -> bool,
    verdict: &mut Verdict,
) {
    let shorter = view.suffix(context);
    let first_shorter = view.order_of(shorter);
    let pair = |child: usize| {
        let suffix = view.suffix(child as u32);
        let lower = if view.order_of(suffix) == first_shorter + 1 {
            view.log10_prob(suffix)
        } else {
            view.step(shorter, view.words[child]).0
        };
        (f64::from(view.log10_prob(child as u32)), f64::from(lower))
    };
    let pairs: Vec<(f64, f64)> = view.children(context).map(pair).collect();
    let weight = f64::from(view.backoff(context)) * std::f64::consts::LN_10;
    // What the shorter context gives to the words that this one was not seen with; that times the weight is what they have.
    let unseen = (1.0 - pairs.iter().map(|&(_, lower)| probability(lower)).sum::<f64>()).max(0.0);
    let left = if unseen > 0.0 { weight.exp() * unseen } else { 0.0 };
    let mut kept_left = left;
    for (child, &(own, lower)) in view.children(context).zip(&pairs) {
        let (p, q) = (probability(own), probability(lower));
        let new_weight = (left + p).ln() - (unseen + q).ln();
        let own_part = p * ((lower - own) * std::f64::consts::LN_10 + new_weight);
        let other_part = if left > 0.0 { left * (new_weight - weight) } else { 0.0 };
        let rise = (-joint.exp() * (own_part + other_part)).exp_m1();
        let stays = !(p > 0.0 && rise < threshold) || is_needed(child as u32);
        kept_left += if stays { 0.0 } else { p };
        verdict.stays.push(stays);
    }
    verdict.left.push(kept_left);
}

#[cfg(test)]
mod tests;
