//! Builds the trie level by level.

use std::sync::OnceLock;

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use super::{Column, Inner, Kind, Leaf, Model, ROOT};
use crate::initial::Context;
use crate::interpolate::{Entry, log10_probability};
use crate::vocabulary::Vocabulary;

/// Nodes are written in pieces of this many.
const PIECE: usize = 1 << 16;

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
    level_starts: Vec<u32>,
    words: Vec<u32>,
    inner: Vec<Inner>,
    leaves: Vec<Leaf>,
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

    fn end(&self) -> u32 {
        self.words.len() as u32
    }

    /// The nodes of the highest level so far.
    fn last_level(&self) -> std::ops::Range<usize> {
        let start = self.level_starts.iter().rev().nth(1).map_or(0, |&start| start as usize);
        start..self.words.len()
    }

    /// Gives the highest level its back-off weights and children, and finds where each child goes.
    ///
    /// N-gram `i` of the next level, in suffix order, follows context `contexts[i]`, which is counted within the level
    /// and is described by `table`. Returns for every place among the children which n-gram comes there: by context, and
    /// in suffix order within one, so by last word.
    pub(crate) fn place(&mut self, table: &[Context], contexts: &[u32], control: &Control) -> Result<Vec<u32>> {
        if self.words.len() + contexts.len() >= u32::MAX as usize {
            return Err(Error::invalid(format!(
                "more than {} n-grams: train with a lower order or on a part of the text",
                u32::MAX
            )));
        }
        let (level, base) = (self.last_level(), self.end());
        let mut next = 0;
        let mut starts = Vec::with_capacity(table.len() + 1);
        for (context, inner) in table.iter().zip(&mut self.inner[level]) {
            starts.push(next);
            inner.first_child = base + next;
            // Without successors it is no context, and backing off from it costs nothing.
            inner.backoff = if context.successors > 0 { context.gamma.log10() } else { 0.0 };
            next += context.successors;
        }
        starts.push(next);
        let mut placed = vec![0; contexts.len()];
        let parts = parts(&starts, &mut placed, rayon::current_num_threads());
        parts.into_par_iter().try_for_each(|(first, starts, placed)| {
            let base = starts.first().copied().unwrap_or_default();
            let mut next: Vec<u32> = starts.iter().map(|start| start - base).collect();
            for (piece, number) in contexts.chunks(PIECE).zip((0..).step_by(PIECE)) {
                control.check()?;
                for (context, gram) in piece.iter().zip(number..) {
                    if let Some(place) = next.get_mut(context.wrapping_sub(first) as usize) {
                        placed[*place as usize] = gram;
                        *place += 1;
                    }
                }
            }
            Ok(())
        })?;
        Ok(placed)
    }

    /// Appends a level: at place `i` the entry `entries[placed[i]]`. Returns the level's first node.
    pub(crate) fn append(&mut self, entries: &[Entry], placed: &[u32], control: &Control) -> Result<u32> {
        let first = self.end();
        let entry = |gram: &u32| entries[*gram as usize];
        self.words.reserve_exact(placed.len());
        self.words.par_extend(placed.par_iter().map(|gram| entry(gram).word));
        control.check()?;
        let first_child = self.end();
        if self.level_starts.len() == self.order + 1 {
            self.leaves.par_extend(placed.par_iter().map(|gram| {
                let Entry { probability, suffix, .. } = entry(gram);
                Leaf { log10_prob: log10_probability(probability), suffix }
            }));
        } else {
            self.inner.par_extend(placed.par_iter().map(|gram| {
                let Entry { probability, suffix, .. } = entry(gram);
                Inner { log10_prob: log10_probability(probability), backoff: 0.0, first_child, suffix }
            }));
        }
        self.level_starts.push(self.end());
        Ok(first)
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

    fn child(&self, node: u32, word: u32) -> Option<u32> {
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
            file: None,
        }
    }
}

/// Contexts cut into consecutive parts with about as many successors each: the first context of a part, where the
/// successors of each of its contexts start, and the places of all its successors.
fn parts<'a>(starts: &'a [u32], placed: &'a mut [u32], number: usize) -> Vec<(u32, &'a [u32], &'a mut [u32])> {
    let contexts = starts.len() - 1;
    let share = placed.len().div_ceil(number.max(1));
    let (mut parts, mut first, mut placed) = (Vec::new(), 0, placed);
    for part in 1..=number {
        let last =
            if part == number { contexts } else { starts.partition_point(|&start| (start as usize) < part * share) };
        let last = last.clamp(first, contexts);
        let mine;
        (mine, placed) = placed.split_at_mut((starts[last] - starts[first]) as usize);
        parts.push((first as u32, &starts[first..last], mine));
        first = last;
    }
    parts
}
