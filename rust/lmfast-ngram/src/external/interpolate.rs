//! Stages 4 to 6: interpolated probabilities, and the nodes of the model.
//!
//! As in [`interpolate`](crate::interpolate), [`initial`](crate::initial) and [`assemble`](crate::assemble), over working
//! files. The probabilities of the order below are looked up in ranges that fit in memory; for each range all n-grams are
//! gone through.

use lmfast_base::{Control, Error, Pages, Result, Sink, Spill, Stream, prefetch};
use rayon::prelude::*;

use super::Budget;
use super::ends::Adjusted;
use super::trie::{Part, Trie};
use crate::assemble::Log10;
use crate::discount::Discount;
use crate::initial::Context;
use crate::interpolate::log10_probability;
use crate::model::{Inner, Kind, Leaf, Model, ROOT};
use crate::vocabulary::Vocabulary;

/// How many n-grams ahead memory is asked for.
const AHEAD: usize = 32;

/// What is known of the n-grams of one order, by number.
pub(super) struct Interpolated {
    /// The probabilities themselves, not their logarithms.
    pub(super) probabilities: Spill<f32>,
    /// The numbers of their ends among those that are kept; nothing for unigrams, and where everything is kept, for then
    /// they are those of the ends.
    kept_ends: Option<Spill<u32>>,
    /// Of every n-gram of the order below the back-off weight: 1 if nothing follows it. Nothing for unigrams.
    pub(super) backoffs: Option<Spill<f32>>,
}

impl Interpolated {
    /// That of unigrams, by id.
    pub(super) fn unigrams(probabilities: &[f32], budget: &Budget) -> Result<Self> {
        let spill = Spill::create(&budget.folder)?;
        spill.append(probabilities)?;
        Ok(Self { probabilities: spill, kept_ends: None, backoffs: None })
    }
}

/// The probabilities of the n-grams of `level` + 1 words, at least 2, given those of the order below. `ends` is nothing for
/// bigrams, whose ends are their last words.
#[expect(clippy::too_many_arguments, reason = "what the stages before have found")]
pub(super) fn interpolate(
    trie: &Trie,
    level: usize,
    adjusted: &Adjusted,
    discount: &Discount,
    ends: Option<&Spill<u32>>,
    lower: &Interpolated,
    budget: &Budget,
    control: &Control,
) -> Result<Interpolated> {
    let new = || Spill::create(&budget.folder);
    let kept_ends = if trie.prunes { Some(new()?) } else { None };
    let (probabilities, backoffs) = (Spill::create(&budget.folder)?, Spill::create(&budget.folder)?);
    let all = trie.sizes[level - 1];
    let room = (budget.bytes / 2 / if trie.prunes { 8 } else { 4 }).clamp(1, u32::MAX as usize) as u32;
    for start in (0..all).step_by(room as usize) {
        let end = all.min(start.saturating_add(room));
        let range = Lower {
            start,
            probabilities: &lower.probabilities.table(start.into()..end.into())?,
            kept: &if trie.prunes { trie.load_kept(level - 1, start..end)? } else { Pages::default() },
            is_whole: start == 0 && end == all,
        };
        trie.parts.par_iter().try_for_each(|part| {
            let capacity = budget.values(9);
            let contexts = u64::from(part.bases[level - 1]);
            let mut work = Work {
                children: trie.children(level - 1, part, capacity),
                counts: match &adjusted.counts {
                    Some(counts) => Stream::new(counts, part.numbers(level), capacity),
                    None => trie.tokens(level, part, capacity),
                },
                kept: trie.kept(level, part, capacity),
                ends: ends_of(trie, level, part, ends, capacity),
                probabilities: Sink::new(&probabilities, part.numbers(level).start, capacity),
                kept_ends: kept_ends.as_ref().map(|ends| Sink::new(ends, part.numbers(level).start, capacity)),
                backoffs: Sink::new(&backoffs, contexts, capacity),
                before: Stream::new(&probabilities, part.numbers(level), if range.is_whole { 1 } else { capacity }),
                kept_before: kept_ends.as_ref().map(|ends| Stream::new(ends, part.numbers(level), capacity)),
            };
            work.part(part.sizes[level - 1], trie.prunes, discount, &range, control)
        })?;
    }
    Ok(Interpolated { probabilities, kept_ends, backoffs: Some(backoffs) })
}

fn ends_of<'a>(
    trie: &'a Trie,
    level: usize,
    part: &Part,
    ends: Option<&'a Spill<u32>>,
    capacity: usize,
) -> Stream<'a, u32> {
    match ends {
        Some(ends) => Stream::new(ends, part.numbers(level), capacity),
        None => trie.words(level, part, capacity),
    }
}

/// A range of the order below.
struct Lower<'a> {
    start: u32,
    probabilities: &'a [f32],
    /// Their numbers among those that are kept; nothing if all are.
    kept: &'a [u32],
    /// Whether these are all there are.
    is_whole: bool,
}

/// What one part is made from, and what is made of it.
struct Work<'a> {
    children: Stream<'a, u32>,
    counts: Stream<'a, u32>,
    kept: Stream<'a, u32>,
    ends: Stream<'a, u32>,
    probabilities: Sink<'a, f32>,
    kept_ends: Option<Sink<'a, u32>>,
    backoffs: Sink<'a, f32>,
    /// What was found with the ranges before this one.
    before: Stream<'a, f32>,
    kept_before: Option<Stream<'a, u32>>,
}

impl Work<'_> {
    fn part(
        &mut self,
        contexts: u32,
        prunes: bool,
        discount: &Discount,
        lower: &Lower<'_>,
        control: &Control,
    ) -> Result<()> {
        let (mut counts, mut flags) = (Vec::new(), Vec::new());
        let mut begin = self.children.read()?;
        let mut kept_before = if prunes { self.kept.read()? } else { 0 };
        for number in 0..contexts {
            if number % (1 << 14) == 0 {
                control.check()?;
            }
            let end = self.children.read()?;
            let size = (end - begin) as usize;
            begin = end;
            if size == 0 {
                self.backoffs.push(1.0)?;
                continue;
            }
            counts.clear();
            self.counts.take(size, &mut counts)?;
            if prunes {
                flags.clear();
                for _ in 0..size {
                    let kept = self.kept.read()?;
                    flags.push(kept > kept_before);
                    kept_before = kept;
                }
            }
            let flag = |at: usize| !prunes || flags[at];
            let successors = counts.iter().enumerate().map(|(at, &count)| (count, flag(at)));
            let Context { denominator, gamma } = Context::new(successors, discount);
            for &count in &counts {
                if let Some(ahead) = self.ends.peek(AHEAD) {
                    prefetch(lower.probabilities, ahead.wrapping_sub(lower.start) as usize);
                }
                let at = self.ends.read()?.wrapping_sub(lower.start) as usize;
                let own = discount.apply(count) / denominator;
                let (mut before, mut kept_before) = (0.0, 0);
                if !lower.is_whole {
                    before = self.before.read()?;
                    if let Some(stream) = &mut self.kept_before {
                        kept_before = stream.read()?;
                    }
                }
                let probability = lower.probabilities.get(at).map_or(before, |lower| own + gamma * lower);
                self.probabilities.push(probability)?;
                if let Some(kept_ends) = &mut self.kept_ends {
                    kept_ends.push(lower.kept.get(at).copied().unwrap_or(kept_before))?;
                }
            }
            self.backoffs.push(gamma)?;
        }
        self.probabilities.flush()?;
        self.backoffs.flush()?;
        self.kept_ends.as_mut().map_or(Ok(()), Sink::flush)
    }
}

/// The nodes of a model while they are filled in, level by level.
pub(super) struct Nodes {
    /// The first node of each order from 0 up, and behind them the number of nodes.
    pub(super) level_starts: Vec<u32>,
    pub(super) words: Spill<u32>,
    pub(super) inner: Spill<Inner>,
    pub(super) leaves: Spill<Leaf>,
}

impl Nodes {
    /// Room for the n-grams that are kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 2^32 n-grams or more.
    pub(super) fn new(trie: &Trie, budget: &Budget) -> Result<Self> {
        let mut level_starts = vec![0, 1];
        for &size in &trie.kept_sizes {
            let start = level_starts[level_starts.len() - 1];
            level_starts.push(u32::checked_add(start, size).filter(|&end| end < u32::MAX).ok_or_else(|| {
                Error::invalid(format!(
                    "more than {} n-grams: train with a lower order, prune, or train on a part of the text",
                    u32::MAX
                ))
            })?);
        }
        let folder = &budget.folder;
        let nodes = Self {
            level_starts,
            words: Spill::create(folder)?,
            inner: Spill::create(folder)?,
            leaves: Spill::create(folder)?,
        };
        nodes.inner.write(ROOT.into(), &[Inner { first_child: 1, ..Inner::default() }])?;
        let [.., leaf_start, end] = nodes.level_starts[..] else { return Err(Error::invalid("order=0")) };
        nodes.inner.write(leaf_start.into(), &[Inner { first_child: end, ..Inner::default() }])?;
        Ok(nodes)
    }

    /// Fills in the n-grams of `level` + 1 words. `backoffs` is nothing for the highest order.
    #[expect(clippy::too_many_arguments, reason = "what the stages before have found")]
    pub(super) fn fill(
        &self,
        trie: &Trie,
        level: usize,
        ends: Option<&Spill<u32>>,
        found: &Interpolated,
        backoffs: Option<&Spill<f32>>,
        budget: &Budget,
        control: &Control,
    ) -> Result<()> {
        let starts = &self.level_starts;
        let (start, leaf_start) = (starts[level + 1], starts[starts.len() - 2]);
        // Words are numbered anew where some are not kept.
        let ids = if trie.prunes { trie.load_kept(0, 0..trie.sizes[0])? } else { Pages::default() };
        let id = |word: u32| ids.get(word as usize).copied().unwrap_or(word);
        trie.parts.par_iter().try_for_each(|part| {
            let capacity = budget.values(9);
            let numbers = part.numbers(level);
            let mut probabilities = Stream::new(&found.probabilities, numbers.clone(), capacity);
            let mut words = trie.words(level, part, capacity);
            let mut kept = trie.kept(level, part, capacity);
            let mut ends = match &found.kept_ends {
                Some(ends) => Stream::new(ends, numbers.clone(), capacity),
                None => ends_of(trie, level, part, ends, capacity),
            };
            let mut weights = backoffs.map(|backoffs| Stream::new(backoffs, numbers, capacity));
            let mut children = trie.children(level, part, capacity);
            let kept_children = (backoffs.is_some() && trie.prunes).then(|| trie.kept(level + 1, part, capacity));
            let mut kept_children = kept_children.map(|stream| Following { stream, at: 0, value: None });
            let first_node = start + part.kept_bases[level];
            let mut words_out = Sink::new(&self.words, first_node.into(), capacity);
            let mut inner_out = Sink::new(&self.inner, first_node.into(), capacity);
            let mut leaves_out = Sink::new(&self.leaves, u64::from(first_node.saturating_sub(leaf_start)), capacity);
            let mut log10 = Log10::default();
            let mut kept_before = if trie.prunes { kept.read()? } else { 0 };
            for number in 0..part.sizes[level] {
                if number % (1 << 14) == 0 {
                    control.check()?;
                }
                let word = if level == 0 { part.first_words.start + number } else { words.read()? };
                let probability = probabilities.read()?;
                let suffix = if level == 0 { ROOT } else { starts[level] + ends.read()? };
                let inner = match &mut weights {
                    Some(weights) => Some((weights.read()?, children.read()?)),
                    None => None,
                };
                if trie.prunes {
                    let kept = kept.read()?;
                    let keeps = kept > kept_before;
                    kept_before = kept;
                    if !keeps {
                        continue;
                    }
                }
                words_out.push(id(word))?;
                let log10_prob = log10_probability(probability);
                match inner {
                    Some((backoff, child)) => {
                        let child = match &mut kept_children {
                            Some(following) => part.kept_bases[level + 1] + following.value_at(child)?,
                            None => part.bases[level + 1] + child,
                        };
                        let first_child = starts[level + 2] + child;
                        inner_out.push(Inner { log10_prob, backoff: log10.of(backoff), first_child, suffix })?;
                    }
                    None => leaves_out.push(Leaf { log10_prob, suffix })?,
                }
            }
            words_out.flush()?;
            inner_out.flush()?;
            leaves_out.flush()
        })
    }

    /// The model, whose arrays are mapped.
    pub(super) fn finish(self, vocabulary: Vocabulary, kind: Kind, budget: &Budget) -> Result<Model> {
        let [.., leaf_start, end] = self.level_starts[..] else { return Err(Error::invalid("order=0")) };
        let words = self.words.into_map(end.into())?;
        let inner = self.inner.into_map(u64::from(leaf_start) + 1)?;
        let leaves = self.leaves.into_map((end - leaf_start).into())?;
        Model::mapped(kind, vocabulary, self.level_starts, words, inner, leaves, budget)
    }
}

/// The values of an array at places that do not fall.
struct Following<'a> {
    stream: Stream<'a, u32>,
    at: u32,
    value: Option<u32>,
}

impl Following<'_> {
    fn value_at(&mut self, place: u32) -> Result<u32> {
        match self.value {
            Some(value) if place < self.at => Ok(value),
            _ => {
                self.stream.skip(u64::from(place - self.at));
                let value = self.stream.read()?;
                (self.at, self.value) = (place + 1, Some(value));
                Ok(value)
            }
        }
    }
}
