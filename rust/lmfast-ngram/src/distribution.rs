//! The distribution of the word that follows a context.
//!
//! From the shortest context up: each longer one scales what is there by its back-off weight, and replaces the words that
//! it was seen with, which lie together in the trie.

use crate::corpus::BEGIN;
use crate::model::{Model, ROOT};

pub(crate) fn probability(log10_prob: f32) -> f32 {
    (f64::from(log10_prob) * std::f64::consts::LN_10).exp() as f32
}

impl Model {
    /// The probability of every word after `<s>` and these words, by id; 0 for `<s>` itself.
    pub fn next_distribution(&self, context: &[u32]) -> Vec<f32> {
        match &self.compact {
            Some(compact) => compact.distribution_after(&compact.state_after(context)),
            None => self.distribution_after(self.state_after(context)),
        }
    }

    pub(crate) fn distribution_after(&self, state: u32) -> Vec<f32> {
        let view = self.view();
        // The contexts from the longest down, each with the sum of the log10 weights of the longer ones.
        let (mut contexts, mut weights, mut node) = (Vec::new(), 0.0, state);
        while node != ROOT {
            contexts.push((node, weights));
            weights += view.backoff(node);
            node = view.suffix(node);
        }
        let scale = probability(weights);
        let mut distribution: Vec<f32> = self.unigrams().iter().map(|unigram| unigram * scale).collect();
        for (node, weights) in contexts.into_iter().rev() {
            let children = view.children(node);
            let words = view.words.get(children.clone()).unwrap_or_default();
            for (&word, child) in words.iter().zip(children) {
                if let Some(entry) = distribution.get_mut(word as usize) {
                    *entry = probability(view.log10_prob(child as u32) + weights);
                }
            }
        }
        distribution
    }

    /// The probabilities of unigrams by id, computed when first asked for.
    fn unigrams(&self) -> &[f32] {
        self.unigrams.get_or_init(|| {
            let view = self.view();
            let unigram = |word| if word == BEGIN { 0.0 } else { probability(view.log10_prob(1 + word)) };
            (0..view.num_words()).map(unigram).collect()
        })
    }
}
