//! Scores of sentences, several at a time, so that they wait for memory together.

use lmfast_base::{Control, Result};

use super::step::Ahead;
use super::{Compact, State, View};
use crate::corpus::BEGIN;
use crate::distribution::probability;
use crate::interpolate::log10_probability;

/// How many sentences are scored at a time.
const LANES: usize = 8;

/// Rounds between two looks at the control.
const CHECK: u32 = 1 << 12;

/// A sentence being scored.
struct Lane<'a, 'm> {
    sentence: usize,
    words: std::slice::Iter<'a, u32>,
    word: u32,
    state: State,
    ahead: Ahead<'m>,
}

impl<'a> Lane<'a, '_> {
    /// Goes to the next word, of the next sentence that has one if there is none left in this.
    fn next(&mut self, start: State, waiting: &mut impl Iterator<Item = (usize, &'a [u32])>) -> bool {
        loop {
            if let Some(&word) = self.words.next() {
                self.word = word;
                return true;
            }
            let Some((sentence, words)) = waiting.next() else { return false };
            (self.sentence, self.words, self.state) = (sentence, words.iter(), start);
        }
    }
}

impl Compact {
    /// Scores the words of sentences, each after `<s>` if `begin`. `each` is told the sentence's number, the word,
    /// its log10 probability and the number of words of the n-gram that was found; of one sentence word by word.
    pub(crate) fn score<'a>(
        &self,
        sentences: impl Iterator<Item = &'a [u32]>,
        begin: bool,
        control: &Control,
        mut each: impl FnMut(usize, u32, f32, u8),
    ) -> Result<()> {
        let view = self.view();
        let (start, mut waiting) = (view.start(begin), sentences.enumerate());
        let lane = |_| Lane { sentence: 0, words: [].iter(), word: 0, state: start, ahead: Ahead::default() };
        let mut lanes: Vec<Lane<'_, '_>> = (0..LANES).map(lane).collect();
        for round in 0_u32.. {
            if round % CHECK == 0 {
                control.check()?;
            }
            lanes.retain_mut(|lane| lane.next(start, &mut waiting));
            if lanes.is_empty() {
                break;
            }
            for lane in &mut lanes {
                view.locate(&lane.state, &mut lane.ahead);
            }
            for lane in &mut lanes {
                view.open(&mut lane.ahead, lane.word);
            }
            for lane in &mut lanes {
                let (log10_prob, matched) = view.step(&mut lane.state, &lane.ahead, lane.word);
                each(lane.sentence, lane.word, log10_prob, matched);
            }
        }
        Ok(())
    }

    /// The state after a state and a word.
    pub(crate) fn follow(&self, state: &mut State, word: u32) {
        self.view().follow(state, word);
    }

    /// The state after `<s>` and these words.
    pub(crate) fn state_after(&self, words: &[u32]) -> State {
        let view = self.view();
        // Longer histories than the longest context do not matter.
        let known = words.len().saturating_sub(self.order());
        let mut state = view.start(known == 0);
        words[known..].iter().for_each(|&word| view.follow(&mut state, word));
        state
    }

    /// The probability of every word after a state, by id; 0 for `<s>`.
    pub(crate) fn distribution_after(&self, state: &State) -> Vec<f32> {
        let view = self.view();
        let contexts = state.contexts().filter_map(|(number, node)| {
            let level = view.levels.get(number)?;
            Some((level, level.context(node, level.spot(node))))
        });
        let mut contexts: Vec<_> = contexts.map(|(level, context)| (level, context, 0.0)).collect();
        // Each context has the sum of the log10 weights of the longer ones.
        let mut weights = 0.0;
        for (level, context, longer) in contexts.iter_mut().rev() {
            *longer = weights;
            weights += level.backoff(context);
        }
        let scale = probability(weights);
        let unigrams = self.probabilities.get_or_init(|| view.unigram_probabilities());
        let mut distribution: Vec<f32> = unigrams.iter().map(|unigram| unigram * scale).collect();
        // The words and values of the children of the context before, to which ranks point.
        let mut below: Option<Vec<(u32, f32)>> = None;
        for (level, context, weights) in &contexts {
            let child = |place| {
                let word = context.group.word(place);
                let (word, lower) = match &below {
                    Some(below) if view.is_ranked => below.get(word as usize).copied().unwrap_or_default(),
                    _ => (word, view.unigrams.get(word as usize).copied().unwrap_or_default()),
                };
                (word, level.value(context, place, lower))
            };
            let children: Vec<(u32, f32)> = (context.children.0..context.children.1).map(child).collect();
            for &(word, value) in &children {
                if let Some(entry) = distribution.get_mut(word as usize) {
                    *entry = probability(view.log10(value) + weights);
                }
            }
            below = Some(children);
        }
        distribution
    }
}

impl View<'_> {
    fn follow(&self, state: &mut State, word: u32) {
        let mut ahead = Ahead::default();
        self.locate(state, &mut ahead);
        self.open(&mut ahead, word);
        self.step(state, &ahead, word);
    }

    /// The log10 probability that a value stands for.
    pub(super) fn log10(&self, value: f32) -> f32 {
        if self.has_counts { log10_probability(value) } else { value }
    }

    fn unigram_probabilities(&self) -> Vec<f32> {
        let unigrams = self.unigrams.iter().zip(0..);
        unigrams.map(|(&value, word)| if word == BEGIN { 0.0 } else { probability(self.log10(value)) }).collect()
    }
}
