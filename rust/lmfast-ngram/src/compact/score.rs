//! Scores of sentences, several at a time, so that they wait for memory together.

use super::step::Ahead;
use super::{Compact, State, View};
use crate::corpus::{BEGIN, UNKNOWN};
use crate::distribution::probability;
use crate::index::Piece;
use crate::interpolate::log10_probability;

/// How many sentences are scored at a time.
const LANES: usize = 8;

/// A sentence being scored.
struct Lane<'m> {
    at: usize,
    scored: usize,
    end: usize,
    word: u32,
    state: State,
    ahead: Ahead<'m>,
}

impl Lane<'_> {
    /// Goes to the next word, of the next piece that has one if there is none left in this.
    fn next(&mut self, words: &[u32], starts: &[State; 2], waiting: &mut impl Iterator<Item = Piece>) -> bool {
        self.at += 1;
        while self.at >= self.end {
            let Some(piece) = waiting.next() else { return false };
            (self.at, self.scored, self.end) = (piece.start, piece.scored, piece.end);
            self.state = starts[usize::from(piece.begins)];
        }
        self.word = words.get(self.at).copied().unwrap_or(UNKNOWN);
        true
    }
}

impl Compact {
    /// Scores pieces of an array of words, and gives each word's place, log10 probability and matched order to `take`; of
    /// one piece word by word.
    pub(crate) fn walk(
        &self,
        words: &[u32],
        mut pieces: impl Iterator<Item = Piece>,
        mut take: impl FnMut(usize, f32, u8),
    ) {
        let view = self.view();
        let starts = [false, true].map(|begins| view.start(begins));
        let lane = |_| Lane { at: 0, scored: 0, end: 0, word: 0, state: State::EMPTY, ahead: Ahead::default() };
        let mut lanes: Vec<Lane<'_>> = (0..LANES).map(lane).collect();
        loop {
            lanes.retain_mut(|lane| lane.next(words, &starts, &mut pieces));
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
                if lane.at >= lane.scored {
                    take(lane.at, log10_prob, matched);
                }
            }
        }
    }

    /// The state at the beginning of a sentence, or before any word.
    pub(crate) fn first_state(&self, begin: bool) -> State {
        let view = self.view();
        view.shortest(view.start(begin))
    }

    /// Scores a word after a state; then the state is that after the word.
    pub(crate) fn advance(&self, state: &mut State, word: u32) -> (f32, u8) {
        let view = self.view();
        let mut ahead = Ahead::default();
        view.locate(state, &mut ahead);
        view.open(&mut ahead, word);
        let scored = view.step(state, &ahead, word);
        *state = view.shortest(*state);
        scored
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
