//! Builds the trie level by level.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::{Column, Indexed, Inner, Kind, Leaf, Model, ROOT};
use crate::vocabulary::Vocabulary;

/// An n-gram of an ARPA file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ArpaEntry {
    /// The node of the words before the last.
    pub(crate) context: u32,
    pub(crate) word: u32,
    pub(crate) log10_prob: f32,
    pub(crate) backoff: f32,
}

/// A trie whose levels are appended from the unigrams up.
pub(crate) struct Builder {
    order: usize,
    pub(super) level_starts: Vec<u32>,
    pub(super) words: Vec<u32>,
    pub(super) inner: Vec<Inner>,
    pub(super) leaves: Vec<Leaf>,
}

impl Builder {
    /// Begins with the log10 probabilities of the unigrams, by id.
    pub(crate) fn new(order: usize, unigrams: impl ExactSizeIterator<Item = f32>) -> Self {
        let size = unigrams.len() as u32;
        let mut builder = Self {
            order,
            level_starts: vec![0, 1, 1 + size],
            words: [ROOT].into_iter().chain(0..size).collect(),
            inner: vec![Inner { first_child: 1, ..Inner::default() }],
            leaves: Vec::new(),
        };
        if order == 1 {
            builder.leaves.extend(unigrams.map(|log10_prob| Leaf { log10_prob, suffix: ROOT }));
        } else {
            let first_child = 1 + size;
            builder.inner.extend(unigrams.map(|log10_prob| Inner { log10_prob, first_child, ..Inner::default() }));
        }
        builder
    }

    pub(crate) fn end(&self) -> u32 {
        self.words.len() as u32
    }

    /// The nodes of the highest level so far.
    fn last_level(&self) -> std::ops::Range<usize> {
        let start = self.level_starts.iter().rev().nth(1).map_or(0, |&start| start as usize);
        start..self.words.len()
    }

    /// Gives the highest level its back-off weights.
    pub(crate) fn set_backoffs(&mut self, backoffs: impl Iterator<Item = f32>) {
        let level = self.last_level();
        if let Some(inner) = self.inner.get_mut(level) {
            inner.iter_mut().zip(backoffs).for_each(|(inner, backoff)| inner.backoff = backoff);
        }
    }

    /// The node of an n-gram.
    pub(crate) fn find(&self, words: &[u32]) -> Option<u32> {
        words.iter().try_fold(ROOT, |node, &word| self.child(node, word))
    }

    pub(super) fn child(&self, node: u32, word: u32) -> Option<u32> {
        if node == ROOT {
            return (word < self.level_starts[2] - 1).then_some(1 + word);
        }
        let first = self.inner.get(node as usize)?.first_child as usize;
        let last = self.inner.get(node as usize + 1).map_or(self.words.len(), |next| next.first_child as usize);
        let place = self.words.get(first..last)?.binary_search(&word).ok()?;
        Some((first + place) as u32)
    }

    /// Appends a level whose entries are sorted by context, then by word.
    pub(crate) fn append_sorted(&mut self, entries: &[ArpaEntry]) {
        let (contexts, base) = (self.last_level(), self.end());
        let suffixes: Vec<u32> = entries.par_iter().map(|entry| self.suffix(entry)).collect();
        let mut next = 0;
        for context in contexts {
            self.inner[context].first_child = base + next as u32;
            next += entries[next..].iter().take_while(|entry| entry.context as usize == context).count();
        }
        self.words.extend(entries.iter().map(|entry| entry.word));
        let first_child = self.end();
        let nodes = entries.iter().zip(suffixes);
        if self.level_starts.len() == self.order + 1 {
            self.leaves.extend(nodes.map(|(entry, suffix)| Leaf { log10_prob: entry.log10_prob, suffix }));
        } else {
            self.inner.extend(nodes.map(|(entry, suffix)| {
                let &ArpaEntry { log10_prob, backoff, .. } = entry;
                Inner { log10_prob, backoff, first_child, suffix }
            }));
        }
        self.level_starts.push(self.end());
    }

    /// The longest n-gram of the levels so far that an entry ends with: what follows the context's suffixes, from the
    /// longest down.
    fn suffix(&self, entry: &ArpaEntry) -> u32 {
        let mut context = entry.context;
        while context != ROOT {
            context = self.inner[context as usize].suffix;
            if let Some(node) = self.child(context, entry.word) {
                return node;
            }
        }
        ROOT
    }

    /// The model.
    pub(crate) fn finish(mut self, vocabulary: Vocabulary, kind: Kind) -> Model {
        self.inner.push(Inner { first_child: self.end(), ..Inner::default() });
        Model {
            kind,
            vocabulary,
            level_starts: self.level_starts,
            words: Column::Owned(self.words),
            inner: Column::Owned(self.inner),
            leaves: Column::Owned(self.leaves),
            unigrams: OnceLock::new(),
            index: Indexed::default(),
            compact: None,
            recipe: None,
            file: None,
            budget: None,
            method: String::new(),
        }
    }
}
