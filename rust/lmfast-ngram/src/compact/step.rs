//! One word after another.

use lmfast_base::prefetch;

use super::{Context, NOWHERE, Spot, View};
use crate::corpus::{BEGIN, UNKNOWN};
use crate::count::MOST_ORDERS;
use crate::interpolate::log10_probability;

/// The contexts after some words: of every length from one word up the node, or [`NOWHERE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    len: usize,
    nodes: [u32; MOST_ORDERS],
}

impl State {
    /// Without any word.
    pub(crate) const EMPTY: Self = Self { len: 0, nodes: [NOWHERE; MOST_ORDERS] };

    /// The contexts from the shortest up, each with its number of words less 1.
    pub(super) fn contexts(&self) -> impl DoubleEndedIterator<Item = (usize, u32)> {
        self.nodes.into_iter().take(self.len).enumerate().filter(|&(_, node)| node != NOWHERE)
    }

    fn push(&mut self, level: usize, node: u32) {
        if let Some(slot) = self.nodes.get_mut(level) {
            *slot = node;
            self.len = level + 1;
        }
    }
}

/// What is known of a state's contexts before the word: memory is asked for at each stage that the next one reads.
#[derive(Default)]
pub(super) struct Ahead<'a> {
    /// Of each context its number of words less 1, its node, and where its group lies.
    spots: Vec<(usize, u32, Spot)>,
    contexts: Vec<(usize, Context<'a>)>,
    /// Where the word is among the children of the first context, if at all.
    range: (usize, usize),
}

impl<'a> View<'a> {
    /// The state at the beginning of a sentence, or without any word.
    pub(super) fn start(&self, begin: bool) -> State {
        let mut state = State::EMPTY;
        if begin && !self.levels.is_empty() {
            state.push(0, BEGIN);
        }
        state
    }

    /// A state without its longest contexts that have no words behind them and no weight: they change no score to come.
    pub(super) fn shortest(&self, mut state: State) -> State {
        while let Some(last) = state.len.checked_sub(1) {
            let node = state.nodes[last];
            let matters = node != NOWHERE
                && self.levels.get(last).is_some_and(|level| {
                    let context = level.context(node, level.spot(node));
                    context.len() > 0 || level.backoff(&context) != 0.0
                });
            if matters {
                break;
            }
            (state.nodes[last], state.len) = (NOWHERE, last);
        }
        state
    }

    /// Finds the groups of a state's contexts.
    #[inline]
    pub(super) fn locate(&self, state: &State, ahead: &mut Ahead<'a>) {
        ahead.spots.clear();
        for (number, node) in state.contexts() {
            if let Some(level) = self.levels.get(number) {
                let spot = level.spot(node);
                prefetch(level.bodies, spot.start);
                prefetch(level.bodies, spot.start + 64);
                ahead.spots.push((number, node, spot));
            }
        }
    }

    /// Finds the children of the contexts, those of the shortest near the word that is to be sought.
    #[inline]
    pub(super) fn open(&self, ahead: &mut Ahead<'a>, word: u32) {
        let word = self.known(word);
        ahead.contexts.clear();
        for &(number, node, spot) in &ahead.spots {
            let context = self.levels[number].context(node, spot);
            if number == 0 {
                ahead.range = context.group.narrow(context.children, word);
                context.group.prefetch(ahead.range);
            } else {
                context.group.prefetch(context.children);
            }
            ahead.contexts.push((number, context));
        }
    }

    fn known(&self, word: u32) -> u32 {
        if (word as usize) < self.unigrams.len() { word } else { UNKNOWN }
    }

    /// Scores a word after a state whose contexts are open, and steps on: its log10 probability, and how many words the
    /// n-gram has that was found.
    ///
    /// Back-off weights are added from the shortest context up, as by `KenLM`.
    #[inline]
    pub(super) fn step(&self, state: &mut State, ahead: &Ahead<'a>, word: u32) -> (f32, u8) {
        let word = self.known(word);
        let (mut value, mut matched) = (self.unigrams.get(word as usize).copied().unwrap_or_default(), 1);
        let (mut sought, mut is_sought) = (word, true);
        let (mut backoffs, mut missed) = ([0.0; MOST_ORDERS], 0);
        let mut next = State::EMPTY;
        if !self.levels.is_empty() {
            next.push(0, word);
        }
        for (number, context) in &ahead.contexts {
            let level = &self.levels[*number];
            let found = if is_sought {
                let narrow = || context.group.narrow(context.children, sought);
                context.group.find(if *number == 0 { ahead.range } else { narrow() }, sought)
            } else {
                None
            };
            if let Some(child) = found {
                value = level.value(context, child, value);
                (matched, missed) = (*number as u8 + 2, 0);
                if let Some(above) = self.levels.get(number + 1) {
                    let node = context.node(child);
                    prefetch(above.groups, (node / super::group::CONTEXTS) as usize);
                    next.push(number + 1, node);
                }
                if self.is_ranked {
                    sought = (child - context.children.0) as u32;
                }
            } else {
                // Where words are ranks, whatever is in a context is in the shorter ones.
                is_sought = !self.is_ranked;
                backoffs[missed] = level.backoff(context);
                missed += 1;
            }
        }
        *state = next;
        let log10_prob = if self.has_counts { log10_probability(value) } else { value };
        (backoffs[..missed].iter().fold(log10_prob, |sum, backoff| sum + backoff), matched)
    }
}
