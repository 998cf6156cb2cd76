//! From groups back to nodes.

use std::ops::Range;

use lmfast_base::{Control, Error, Pages, Result};
use rayon::prelude::*;

use super::{Compact, LevelView, View};
use crate::interpolate::split;
use crate::model::{Inner, Kind, Leaf, Model, ROOT};
use crate::vocabulary::Vocabulary;

/// Contexts are worked on in pieces of this many.
const PIECE: usize = 1 << 14;

impl Compact {
    /// The same model as nodes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the groups make no model, and for 2^32 n-grams or more.
    pub(crate) fn expand(&self, vocabulary: Vocabulary, kind: Kind, control: &Control) -> Result<Model> {
        let view = self.view();
        let mut level_starts = vec![0, 1];
        for (&size, order) in self.sizes.iter().zip(1..) {
            let start = level_starts[level_starts.len() - 1];
            level_starts
                .push(u32::checked_add(start, size).filter(|&end| end < u32::MAX).ok_or_else(|| broken(order))?);
        }
        let [.., leaf_start, end] = level_starts[..] else { return Err(broken(0)) };
        control.begin("expanding", end.into());
        let mut nodes = Nodes {
            words: Pages::zeroed(end as usize),
            inner: Pages::zeroed(leaf_start as usize + 1),
            leaves: Pages::zeroed((end - leaf_start) as usize),
            values: Pages::from(view.unigrams),
            level_starts,
        };
        nodes.inner[ROOT as usize].first_child = 1;
        nodes.inner[leaf_start as usize].first_child = end;
        nodes.words[1..].iter_mut().zip(0..self.sizes[0]).for_each(|(word, id)| *word = id);
        nodes.set_probabilities(1, &view);
        for (order, level) in (1..).zip(&view.levels) {
            nodes.fill(&view, order, level, control)?;
            nodes.set_probabilities(order + 1, &view);
        }
        let Nodes { level_starts, words, inner, leaves, .. } = nodes;
        Ok(Model::new(kind, vocabulary, level_starts, words, inner, leaves))
    }
}

fn broken(order: usize) -> Error {
    Error::invalid(format!("the n-grams of order {order} make no model: the file is damaged"))
}

/// The nodes of a model while they are filled in.
struct Nodes {
    level_starts: Vec<u32>,
    words: Pages<u32>,
    inner: Pages<Inner>,
    leaves: Pages<Leaf>,
    /// What the nodes of the last order filled in have: probabilities from counts, else their logarithms.
    values: Pages<f32>,
}

impl Nodes {
    fn range(&self, order: usize) -> Range<usize> {
        self.level_starts[order] as usize..self.level_starts[order + 1] as usize
    }

    /// Gives the nodes of the last order filled in their log10 probabilities.
    fn set_probabilities(&mut self, order: usize, view: &View<'_>) {
        let values = self.values.par_iter().map(|&value| view.log10(value));
        if order <= view.levels.len() {
            let range = self.range(order);
            self.inner[range].par_iter_mut().zip(values).for_each(|(inner, value)| inner.log10_prob = value);
        } else {
            self.leaves.par_iter_mut().zip(values).for_each(|(leaf, value)| leaf.log10_prob = value);
        }
    }

    /// Fills in the children of the nodes of an order, and what these nodes have as contexts.
    fn fill(&mut self, view: &View<'_>, order: usize, level: &LevelView<'_>, control: &Control) -> Result<()> {
        let (contexts, children) = (self.range(order), self.range(order + 1));
        let context = |place: usize| level.context(place as u32, level.spot(place as u32));
        let starts = (0..contexts.len()).step_by(PIECE);
        let borders = starts.clone().map(&context).map(|context| context.node(context.children.0) as usize);
        let borders: Vec<usize> = borders.chain([children.len()]).collect();
        if !borders.is_sorted() || borders[0] != 0 {
            return Err(broken(order + 1));
        }
        let sizes = || borders.windows(2).map(|pair| pair[1] - pair[0]);
        let (mut values, mut suffixes) = (Pages::zeroed(children.len()), Pages::<u32>::zeroed(children.len()));
        let (words_below, words) = self.words.split_at_mut(children.start);
        let (below, inner) = self.inner.split_at_mut(contexts.start);
        let shorter = Shorter {
            inner: below,
            words: words_below,
            values: &self.values,
            range: contexts.clone(),
            end: children.start,
        };
        let words = split(&mut words[..children.len()], sizes());
        let slots = words.into_iter().zip(split(&mut values, sizes())).zip(split(&mut suffixes, sizes()));
        let inner = inner[..contexts.len()].chunks_mut(PIECE);
        let work: Vec<_> = starts.zip(&borders).zip(inner.zip(slots)).collect();
        work.into_par_iter().try_for_each(|((start, &border), (inner, ((words, values), suffixes)))| {
            control.check()?;
            let mut done = 0;
            for (inner, place) in inner.iter_mut().zip(start..) {
                let context = context(place);
                let first = context.node(context.children.0) as usize;
                if first != border + done || context.len() > words.len() - done {
                    return Err(broken(order + 1));
                }
                inner.first_child = (children.start + first) as u32;
                inner.backoff = level.backoff(&context);
                let (begin, end) = context.children;
                let rising = (begin..end).is_sorted_by(|&a, &b| context.group.word(a) < context.group.word(b));
                for child in begin..end {
                    let word = context.group.word(child);
                    let is_rank = view.is_ranked && order > 1;
                    let suffix =
                        if is_rank { shorter.ranked(inner.suffix, word) } else { shorter.found(inner.suffix, word) };
                    let suffix = suffix.filter(|_| rising).ok_or_else(|| broken(order + 1))?;
                    words[done] = if is_rank { shorter.words[suffix] } else { word };
                    values[done] = level.value(&context, child, shorter.value(suffix));
                    suffixes[done] = suffix as u32;
                    done += 1;
                }
            }
            control.advance(done as u64);
            if done == words.len() { Ok(()) } else { Err(broken(order + 1)) }
        })?;
        if order < view.levels.len() {
            self.inner[children].par_iter_mut().zip(&suffixes[..]).for_each(|(inner, &suffix)| inner.suffix = suffix);
        } else {
            self.leaves.par_iter_mut().zip(&suffixes[..]).for_each(|(leaf, &suffix)| leaf.suffix = suffix);
        }
        self.values = values;
        Ok(())
    }
}

/// The nodes of the orders up to that of some contexts, and the children of all shorter contexts.
struct Shorter<'a> {
    /// Without those of the contexts.
    inner: &'a [Inner],
    words: &'a [u32],
    /// Of the nodes of the contexts' order.
    values: &'a [f32],
    /// These nodes.
    range: Range<usize>,
    /// The node behind them.
    end: usize,
}

impl Shorter<'_> {
    /// The child of this rank of a context's suffix.
    fn ranked(&self, suffix: u32, rank: u32) -> Option<usize> {
        let node = self.inner.get(suffix as usize)?.first_child.checked_add(rank)? as usize;
        self.range.contains(&node).then_some(node)
    }

    /// The longest n-gram that ends with this word behind an end of a context without its first word.
    fn found(&self, suffix: u32, word: u32) -> Option<usize> {
        let mut context = suffix as usize;
        while context != ROOT as usize {
            let inner = self.inner.get(context)?;
            let end = self.inner.get(context + 1).map_or(self.end, |next| next.first_child as usize);
            let children = self.words.get(inner.first_child as usize..end)?;
            if let Ok(place) = children.binary_search(&word) {
                return Some(inner.first_child as usize + place);
            }
            context = inner.suffix as usize;
        }
        let words = self.inner.get(1).map_or(self.range.end, |first| first.first_child as usize) - 1;
        ((word as usize) < words).then_some(1 + word as usize)
    }

    fn value(&self, node: usize) -> f32 {
        node.checked_sub(self.range.start).and_then(|place| self.values.get(place)).copied().unwrap_or_default()
    }
}
