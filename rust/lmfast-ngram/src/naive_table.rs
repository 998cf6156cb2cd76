//! Back-off models over hash maps and in double precision: the oracle of what is done to models.

use std::collections::{HashMap, HashSet};

use crate::corpus::BEGIN;
use crate::model::{Model, probability};

/// Probabilities and back-off weights by n-gram.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) order: usize,
    pub(crate) words: u32,
    pub(crate) probabilities: HashMap<Vec<u32>, f64>,
    pub(crate) weights: HashMap<Vec<u32>, f64>,
}

impl Table {
    pub(crate) fn of(model: &Model) -> Self {
        let (view, words) = (model.view(), model.vocabulary().len() as u32);
        let mut table = Self { order: model.order(), words, probabilities: HashMap::new(), weights: HashMap::new() };
        let mut nodes: Vec<(u32, Vec<u32>)> = (0..words).map(|word| (1 + word, vec![word])).collect();
        while let Some((node, gram)) = nodes.pop() {
            table.probabilities.insert(gram.clone(), probability(view.log10_prob(node).into()));
            table.weights.insert(gram.clone(), probability(view.backoff(node).into()));
            let longer = |child: usize| (child as u32, [gram.as_slice(), &[view.words[child]]].concat());
            nodes.extend(view.children(node).map(longer));
        }
        table
    }

    /// Every word that can follow.
    pub(crate) fn events(&self) -> impl Iterator<Item = u32> + Clone + use<> {
        (0..self.words).filter(|&word| word != BEGIN)
    }

    pub(crate) fn probability(&self, context: &[u32], word: u32) -> f64 {
        let context = &context[context.len().saturating_sub(self.order - 1)..];
        match (self.probabilities.get(&[context, &[word]].concat()), context) {
            (Some(&probability), _) => probability,
            (None, []) => 0.0,
            (None, [_, rest @ ..]) => self.weights.get(context).copied().unwrap_or(1.0) * self.probability(rest, word),
        }
    }

    /// The words that a context was seen with.
    pub(crate) fn seen(&self, context: &[u32]) -> Vec<u32> {
        self.events().filter(|word| self.probabilities.contains_key(&[context, &[*word]].concat())).collect()
    }

    /// Computes every weight anew.
    pub(crate) fn normalize(&mut self) {
        let contexts: HashSet<Vec<u32>> =
            self.probabilities.keys().map(|gram| gram[..gram.len() - 1].to_vec()).collect();
        let mut contexts: Vec<Vec<u32>> = contexts.into_iter().filter(|context| !context.is_empty()).collect();
        contexts.sort_by_key(|context| (context.len(), context.clone()));
        self.weights.clear();
        for context in contexts {
            let seen = self.seen(&context);
            let left = 1.0 - seen.iter().map(|&word| self.probability(&context, word)).sum::<f64>();
            let shorter = 1.0 - seen.iter().map(|&word| self.probability(&context[1..], word)).sum::<f64>();
            self.weights.insert(context, if seen.len() == self.events().count() { 1.0 } else { left / shorter });
        }
    }

    pub(crate) fn distribution(&self, history: &[u32]) -> Vec<f64> {
        let history = [&[BEGIN], history].concat();
        (0..self.words).map(|word| if word == BEGIN { 0.0 } else { self.probability(&history, word) }).collect()
    }
}
