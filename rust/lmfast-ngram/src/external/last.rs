//! The n-gram of the corpus that is last in suffix order, which compares the last word first, then the one before it.

use std::ops::Range;

use crate::corpus::BEGIN;

/// Finds it, block by block.
pub(super) struct Last {
    order: usize,
    /// Its last word.
    word: u32,
    /// Its words, the last one first: as many as the order, or fewer with `<s>` at the end.
    backwards: Vec<u32>,
    /// For each beginning of these how many n-grams end so.
    tokens: Vec<u64>,
}

impl Last {
    /// Given how often each word occurs.
    pub(super) fn new(order: usize, tokens: &[u64]) -> Self {
        let occurs = |&word: &u32| word != BEGIN && tokens[word as usize] > 0;
        let word = (0..tokens.len() as u32).rev().find(occurs).unwrap_or(0);
        Self { order, word, backwards: Vec::new(), tokens: Vec::new() }
    }

    /// Looks at the n-grams that end in a range of these ids.
    pub(super) fn add(&mut self, ids: &[u32], ends: Range<usize>) {
        for end in ends.filter(|&end| ids[end] == self.word) {
            let words = ids[..=end].iter().rev().take(self.order);
            let length = words.clone().position(|&word| word == BEGIN).map_or(self.order, |place| place + 1);
            let words = words.take(length);
            let shared = words.clone().zip(&self.backwards).take_while(|(a, b)| a == b).count();
            self.tokens[..shared].iter_mut().for_each(|tokens| *tokens += 1);
            if words.clone().gt(&self.backwards) {
                // Whatever shares more with this one than the last before it did would have been behind that.
                self.backwards = words.copied().collect();
                self.tokens.truncate(shared);
                self.tokens.resize(self.backwards.len(), 1);
            }
        }
    }

    /// Its ends, from one word up, and how often each occurs.
    pub(super) fn ends(&self) -> impl Iterator<Item = (Vec<u32>, u64)> {
        let end = |(place, &tokens)| (self.backwards[..=place].iter().rev().copied().collect(), tokens);
        self.tokens.iter().enumerate().map(end)
    }
}
