//! The model: a trie over n-grams from their first word on, with links that leave the first word out.
//!
//! Nodes are numbered breadth first: node 0 is the empty n-gram, nodes `1..=V` are the unigrams by word id, then come the
//! bigrams, and so on. Within an order, nodes are sorted by their context's node, then by word, so the successors of a
//! context lie together, sorted: node `g` has the children `inner[g].first_child .. inner[g + 1].first_child`. The n-grams
//! of the highest order are leaves.
//!
//! `suffix` is the node of the n-gram without its first word (if that is not in the model, without its first words), and
//! always a smaller number. Where a context has no child for a word, scoring adds its back-off weight and goes on at its
//! suffix, which ends at the empty n-gram, of which every word is a child.

mod build;
mod column;
pub(crate) mod container;
mod format;
mod normalize;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytemuck::{Pod, Zeroable};
use lmfast_base::{Control, Map, Pages, Result};

pub(crate) use build::{ArpaEntry, Builder};
pub(crate) use column::Column;
#[cfg(test)]
pub(crate) use container::fix_checksums;
pub(crate) use format::is_lmn;
pub(crate) use normalize::probability;

use crate::compact::{self, Compact, Loaded, Recipe};
use crate::corpus::{BEGIN, SPECIALS, UNKNOWN};
use crate::external::Budget;
use crate::index::Index;
use crate::score::TokenScore;
use crate::vocabulary::Vocabulary;

/// The words before the next one, as far as they matter to a model: two are equal where all that follows scores alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State(Context);

/// Of a trie, the node of the longest context; of a compact model all of them, if there is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Context {
    Node(u32),
    Compact(compact::State),
}

impl Default for State {
    fn default() -> Self {
        Self(Context::Node(ROOT))
    }
}

impl State {
    fn of_compact(state: compact::State) -> Self {
        if state == compact::State::EMPTY { Self::default() } else { Self(Context::Compact(state)) }
    }
}

/// The node of the empty n-gram.
pub(crate) const ROOT: u32 = 0;

/// What the words of a model are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words of text, separated by white space.
    Words,
    /// Tokens of a tokenizer; token `i` is word `i + 3`.
    Tokens,
}

/// An n-gram that is a context, or could be one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Inner {
    pub(crate) log10_prob: f32,
    pub(crate) backoff: f32,
    pub(crate) first_child: u32,
    pub(crate) suffix: u32,
}

/// An n-gram of the highest order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Leaf {
    pub(crate) log10_prob: f32,
    pub(crate) suffix: u32,
}

/// A language model of n-grams, in memory or mapped from a file.
#[derive(Debug)]
pub struct Model {
    kind: Kind,
    vocabulary: Vocabulary,
    /// The first node of each order from 0 up, and behind them the number of nodes.
    level_starts: Vec<u32>,
    /// Of every node the last word.
    words: Column<u32>,
    /// Every node that is not of the highest order, and one more that only ends the children of the last.
    inner: Column<Inner>,
    leaves: Column<Leaf>,
    /// The probabilities of unigrams, once something asked for them.
    pub(crate) unigrams: OnceLock<Vec<f32>>,
    index: Indexed,
    /// The n-grams, if they are compact; then there are no nodes above.
    pub(crate) compact: Option<Box<Compact>>,
    /// What a compact form may be made with.
    pub(crate) recipe: Option<Recipe>,
    file: Option<format::Checked>,
    /// What writing the model may take, for one that was estimated within a budget.
    pub(crate) budget: Option<Budget>,
    /// How it was estimated, if that is known: the name of the smoothing, and what was chosen.
    method: String,
}

/// The index of a model, once something asked for it: nothing inside where there cannot be one.
#[derive(Debug, Default)]
struct Indexed {
    index: OnceLock<Option<Index>>,
    building: Mutex<()>,
    /// How many words were scored without it.
    scored: AtomicUsize,
}

impl Model {
    /// A model of these nodes.
    pub(crate) fn new(
        kind: Kind,
        vocabulary: Vocabulary,
        level_starts: Vec<u32>,
        words: Pages<u32>,
        inner: Pages<Inner>,
        leaves: Pages<Leaf>,
    ) -> Self {
        Self {
            kind,
            vocabulary,
            level_starts,
            words: Column::Pages(words),
            inner: Column::Pages(inner),
            leaves: Column::Pages(leaves),
            unigrams: OnceLock::new(),
            index: Indexed::default(),
            compact: None,
            recipe: None,
            file: None,
            budget: None,
            method: String::new(),
        }
    }

    /// The same model, with what it was estimated with.
    pub(crate) fn with_recipe(self, recipe: Option<Recipe>) -> Self {
        Self { recipe, ..self }
    }

    /// A model of compact n-grams.
    pub(crate) fn of_compact(loaded: Loaded) -> Self {
        let Loaded { kind, vocabulary, compact, method, file } = loaded;
        let (words, inner, leaves) = Default::default();
        let mut level_starts = vec![0, 1];
        for &size in compact.sizes() {
            level_starts.push(size.saturating_add(level_starts[level_starts.len() - 1]));
        }
        let compact = Some(Box::new(compact));
        let (unigrams, index, recipe, file) = (OnceLock::new(), Indexed::default(), None, Some(file));
        Self {
            kind,
            vocabulary,
            level_starts,
            words,
            inner,
            leaves,
            unigrams,
            index,
            compact,
            recipe,
            file,
            budget: None,
            method,
        }
    }

    /// The file that the model is mapped from.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.map.path())
    }

    /// A model whose nodes lie in working files.
    pub(crate) fn mapped(
        kind: Kind,
        vocabulary: Vocabulary,
        level_starts: Vec<u32>,
        words: Map,
        inner: Map,
        leaves: Map,
        budget: &Budget,
    ) -> Result<Self> {
        let num_inner = level_starts.iter().rev().nth(1).map_or(0, |&start| start as usize);
        let num_nodes = level_starts.last().map_or(0, |&end| end as usize);
        let mut model = Self::new(kind, vocabulary, level_starts, Pages::default(), Pages::default(), Pages::default());
        model.words = Column::mapped(&Arc::new(words), 0, num_nodes)?;
        model.inner = Column::mapped(&Arc::new(inner), 0, num_inner + 1)?;
        model.leaves = Column::mapped(&Arc::new(leaves), 0, num_nodes - num_inner)?;
        model.budget = Some(budget.clone());
        Ok(model)
    }

    /// The length of the longest n-grams.
    pub fn order(&self) -> usize {
        self.level_starts.len() - 2
    }

    /// How many n-grams there are of each order from 1 up.
    pub fn counts(&self) -> Vec<u64> {
        self.level_starts.windows(2).skip(1).map(|pair| u64::from(pair[1] - pair[0])).collect()
    }

    /// How the model was estimated: the name of the smoothing, then what was chosen, such as `add_k k=0.5`; empty where
    /// the file does not say.
    pub fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn set_method(&mut self, method: String) {
        self.method = method;
    }

    /// Whether the words after a context have probabilities that sum to one, and not mere scores.
    pub fn is_distribution(&self) -> bool {
        !self.method.starts_with("stupid_backoff")
    }

    /// What the words are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The words, by id.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// How many tokens the tokenizer of a model of tokens has; of a model of words, how many words but the special ones.
    pub fn num_tokens(&self) -> u32 {
        (self.vocabulary.len() as u32).saturating_sub(SPECIALS)
    }

    /// Lets go of the memory of nodes that are not read again soon, if they lie in working files.
    pub(crate) fn release(&self, nodes: std::ops::Range<u32>) {
        if self.budget.is_some() {
            let num_inner = self.view().num_inner();
            self.inner.release(nodes.start as usize..nodes.end as usize);
            self.leaves
                .release(nodes.start.saturating_sub(num_inner) as usize..nodes.end.saturating_sub(num_inner) as usize);
        }
    }

    /// The index if it is there, or worth being made for scoring so many words more; nothing where there is none.
    pub(crate) fn index(&self, words: usize, control: &Control) -> Result<Option<&Index>> {
        if self.index.index.get().is_none() {
            let scored = self.index.scored.fetch_add(words, Ordering::Relaxed).saturating_add(words);
            if scored < self.words.as_slice().len() / 64 {
                return Ok(None);
            }
        }
        self.made_index(control)
    }

    /// The state at the beginning of a sentence, or before any word.
    pub fn first_state(&self, begin: bool) -> State {
        if let Some(compact) = &self.compact {
            return State::of_compact(compact.first_state(begin));
        }
        let view = self.view();
        State(Context::Node(if begin { view.shortest(view.begin()) } else { ROOT }))
    }

    /// Scores a word after a state.
    pub fn advance(&self, state: State, word: u32) -> (TokenScore, State) {
        let is_unknown = word == UNKNOWN;
        if let Some(compact) = &self.compact {
            let mut state = match state.0 {
                Context::Compact(state) => state,
                Context::Node(_) => compact::State::EMPTY,
            };
            let (log10_prob, matched_order) = compact.advance(&mut state, word);
            return (TokenScore { log10_prob, matched_order, is_unknown }, State::of_compact(state));
        }
        let view = self.view();
        let node = match state.0 {
            Context::Node(node) => node,
            Context::Compact(_) => ROOT,
        };
        let (log10_prob, node, next) = view.step(node, word);
        let score = TokenScore { log10_prob, matched_order: view.order_of(node), is_unknown };
        (score, State(Context::Node(view.shortest(next))))
    }

    /// Makes the index for scoring many words, which is otherwise made when the first many are scored, or the model is
    /// saved. Uses the current pool of threads.
    pub fn index_now(&self, control: &Control) -> Result<()> {
        if self.compact.is_some() {
            return Ok(());
        }
        self.made_index(control).map(|_| ())
    }

    /// The index, made where it is not there; nothing where there cannot be one. Uses the current pool of threads.
    pub(crate) fn made_index(&self, control: &Control) -> Result<Option<&Index>> {
        if let Some(index) = self.index.index.get() {
            return Ok(index.as_ref());
        }
        let _alone = self.index.building.lock().unwrap_or_else(PoisonError::into_inner);
        if self.index.index.get().is_none() {
            let index = Index::build(self.view(), control)?;
            return Ok(self.index.index.get_or_init(|| index).as_ref());
        }
        Ok(self.index.index.get().and_then(Option::as_ref))
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            level_starts: &self.level_starts,
            words: self.words.as_slice(),
            inner: self.inner.as_slice(),
            leaves: self.leaves.as_slice(),
        }
    }
}

/// The trie for many steps. A step through a damaged file may score wrongly, but it ends and never leaves the arrays.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) level_starts: &'a [u32],
    pub(crate) words: &'a [u32],
    pub(crate) inner: &'a [Inner],
    pub(crate) leaves: &'a [Leaf],
}

impl View<'_> {
    /// How many words there are.
    pub(crate) fn num_words(&self) -> u32 {
        self.level_starts[2] - 1
    }

    fn num_inner(&self) -> u32 {
        self.inner.len() as u32 - 1
    }

    /// Whether children and suffixes lie where they must, and children are sorted.
    fn is_trie(&self) -> bool {
        let levels = || self.level_starts.windows(2).map(|pair| (pair[0], pair[1]));
        let rising = self.inner.windows(2).all(|pair| pair[0].first_child <= pair[1].first_child);
        let apart =
            levels().all(|(start, end)| self.inner.get(start as usize).is_none_or(|inner| inner.first_child == end));
        let closed = self.inner.last().map(|last| last.first_child) == self.level_starts.last().copied();
        let sorted = (0..self.num_inner()).all(|node| {
            let words = self.words.get(self.children(node)).unwrap_or_default();
            words.is_sorted_by(|a, b| a < b) && words.last().is_none_or(|&last| last < self.num_words())
        });
        let shorter = levels().skip(1).all(|(start, end)| (start..end).all(|node| self.suffix(node) < start));
        rising && apart && closed && sorted && shorter
    }

    /// The length of a node's n-gram.
    pub(crate) fn order_of(&self, node: u32) -> u8 {
        self.level_starts.iter().skip(1).take_while(|&&start| start <= node).count() as u8
    }

    /// The children of a node, as a range of nodes.
    pub(crate) fn children(&self, node: u32) -> std::ops::Range<usize> {
        match self.inner.get(node as usize..node as usize + 2) {
            Some([this, next]) => this.first_child as usize..next.first_child as usize,
            _ => 0..0,
        }
    }

    fn child(&self, node: u32, word: u32) -> Option<u32> {
        if node == ROOT {
            return Some(1 + word);
        }
        let children = self.children(node);
        let place = self.words.get(children.clone())?.binary_search(&word).ok()?;
        Some((children.start + place) as u32)
    }

    pub(crate) fn log10_prob(&self, node: u32) -> f32 {
        match self.inner.get(node as usize) {
            Some(inner) if node < self.num_inner() => inner.log10_prob,
            _ => self.leaves.get((node - self.num_inner()) as usize).map_or(0.0, |leaf| leaf.log10_prob),
        }
    }

    pub(crate) fn backoff(&self, node: u32) -> f32 {
        self.inner.get(node as usize).map_or(0.0, |inner| inner.backoff)
    }

    /// The n-gram without its first word; always a smaller node.
    pub(crate) fn suffix(&self, node: u32) -> u32 {
        let suffix = match self.inner.get(node as usize) {
            Some(inner) if node < self.num_inner() => inner.suffix,
            _ => self.leaves.get((node - self.num_inner()) as usize).map_or(ROOT, |leaf| leaf.suffix),
        };
        if suffix < node { suffix } else { ROOT }
    }

    /// The longest end of a node's n-gram that can be a context.
    fn state(&self, node: u32) -> u32 {
        let mut node = node;
        while node >= self.num_inner() {
            node = self.suffix(node);
        }
        node
    }

    /// The longest end of a state's n-gram that a longer one begins with, or that has a weight: what is longer changes no
    /// score to come.
    fn shortest(&self, state: u32) -> u32 {
        let mut node = state;
        while node != ROOT && self.children(node).is_empty() && self.backoff(node) == 0.0 {
            node = self.suffix(node);
        }
        node
    }

    /// The state at the beginning of a sentence.
    pub(crate) fn begin(&self) -> u32 {
        self.state(1 + BEGIN)
    }

    /// Scores a word after a state: its log10 probability, the node of the n-gram that was found, and the state after it.
    ///
    /// Back-off weights are added from the shortest context up, as by `KenLM`.
    pub(crate) fn step(&self, state: u32, word: u32) -> (f32, u32, u32) {
        let word = if word < self.num_words() { word } else { UNKNOWN };
        let mut backoffs = [0.0; crate::count::MOST_ORDERS];
        let (mut node, mut missed) = (state, 0);
        let found = loop {
            if let Some(child) = self.child(node, word) {
                break child;
            }
            if let Some(backoff) = backoffs.get_mut(missed) {
                *backoff = self.backoff(node);
                missed += 1;
            }
            node = self.suffix(node);
        };
        let log10_prob = backoffs[..missed].iter().rev().fold(self.log10_prob(found), |sum, backoff| sum + backoff);
        (log10_prob, found, self.state(found))
    }
}
