//! Fills the tables of an index from a trie, order by order.
//!
//! Where an n-gram lies does not depend on the number of threads: each thread fills a range of buckets with the n-grams
//! that belong there, in the order of the trie; those that found their bucket full are then placed by one thread, in the
//! order of the trie too.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use lmfast_base::{Control, Pages, Result, prefetch};
use rayon::prelude::*;

use super::{HIGHEST_SLOTS, Highest, Index, Keys, MIDDLE_SLOTS, MOST_STEPS, Middle, Shape};
use crate::model::{Column, View};

/// N-grams a bucket has on average.
const MIDDLE_LOAD: f64 = 3.0;
const HIGHEST_LOAD: f64 = 4.2;
/// How many n-grams ahead a bucket is asked for.
const AHEAD: usize = 32;
/// Contexts between two looks at the control.
const PIECE: usize = 1 << 14;

/// An n-gram on its way into a table.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    node: u32,
    bucket: u32,
    tag: u32,
    log10_prob: f32,
    backoff: f32,
}

/// A bucket that is filled.
trait Bucket: Copy + Send + bytemuck::Pod {
    const SLOTS: usize;

    fn used(&mut self) -> &mut u32;

    /// Writes a slot.
    fn set(&mut self, at: usize, entry: &Entry);

    /// The slot taken, if there was one.
    fn put(&mut self, entry: &Entry) -> Option<usize> {
        let at = *self.used() as usize;
        if at >= Self::SLOTS {
            return None;
        }
        self.set(at, entry);
        *self.used() += 1;
        Some(at)
    }
}

impl Bucket for Middle {
    const SLOTS: usize = MIDDLE_SLOTS;

    fn used(&mut self) -> &mut u32 {
        &mut self.used
    }

    fn set(&mut self, at: usize, entry: &Entry) {
        (self.tags[at], self.log10_probs[at], self.backoffs[at]) = (entry.tag, entry.log10_prob, entry.backoff);
    }
}

impl Bucket for Highest {
    const SLOTS: usize = HIGHEST_SLOTS;

    fn used(&mut self) -> &mut u32 {
        &mut self.used
    }

    fn set(&mut self, at: usize, entry: &Entry) {
        (self.tags[at], self.log10_probs[at]) = (entry.tag, entry.log10_prob);
    }
}

impl Index {
    /// Indexes a trie; nothing where its n-grams are too many to be numbered so. Uses the current pool of threads, on
    /// which the outcome does not depend.
    pub(crate) fn build(view: View<'_>, control: &Control) -> Result<Option<Self>> {
        let levels = view.level_starts;
        let [.., leaf_start, end] = *levels else { return Ok(None) };
        let order = levels.len() - 2;
        control.begin("indexing", u64::from(end));
        let middle = leaf_start.saturating_sub(levels[2]);
        let highest = if order > 1 { end - leaf_start } else { 0 };
        let closed = u64::from(is_closed(view));
        let buckets = |ngrams: u32, load: f64| (f64::from(ngrams) / load) as u64 + 1;
        let mut shape = Shape {
            words: view.num_words().into(),
            middle: buckets(middle, MIDDLE_LOAD),
            highest: buckets(highest, HIGHEST_LOAD),
            order: order as u64,
            closed,
        };
        for _ in 0..64 {
            let Some(keys) = Keys::new(&shape) else {
                // Tags need more buckets, which give more numbers to contexts; without end if there is no such index.
                shape.middle = shape.middle * 5 / 4 + 1;
                shape.highest = shape.highest * 5 / 4 + 1;
                continue;
            };
            let Some(buckets) = shape.buckets() else { break };
            if let Some(index) = fill(view, shape, keys, buckets, control)? {
                return Ok(Some(index));
            }
            (shape.middle, shape.highest) = (2 * shape.middle, 2 * shape.highest);
        }
        Ok(None)
    }
}

/// Whether every n-gram without its first word is in the model.
fn is_closed(view: View<'_>) -> bool {
    let levels: Vec<(u32, u32, u32)> =
        view.level_starts.windows(3).map(|level| (level[0], level[1], level[2])).collect();
    levels
        .into_iter()
        .skip(1)
        .all(|(below, start, end)| (start..end).into_par_iter().all(|node| view.suffix(node) >= below))
}

/// Nothing if an n-gram found no room near enough to its bucket.
fn fill(view: View<'_>, shape: Shape, keys: Keys, buckets: [usize; 2], control: &Control) -> Result<Option<Index>> {
    let levels = view.level_starts;
    let order = levels.len() - 2;
    let unigrams: Vec<[f32; 2]> =
        (1..=view.num_words()).map(|node| [view.log10_prob(node), backoff(view, node)]).collect();
    let mut middle = Pages::<Middle>::zeroed(buckets[0]);
    let mut highest = Pages::<Highest>::zeroed(buckets[1]);
    // The numbers of the contexts of the level at hand.
    let mut contexts = Pages::<u32>::zeroed(unigrams.len());
    contexts.iter_mut().zip(0..).for_each(|(context, word)| *context = word);
    for level in 2..=order {
        let (parents, nodes) = (levels[level - 1]..levels[level], levels[level]..levels[level + 1]);
        let work = Level { view, keys, parents, contexts: &contexts, control };
        if level == order {
            if !work.fill(&mut highest, shape.highest, |_, _, _| ())? {
                return Ok(None);
            }
        } else {
            let mut numbers = Pages::<u32>::zeroed(nodes.len());
            let slots = numbers.as_atomic();
            let placed = work.fill(&mut middle, shape.middle, |node, bucket, at| {
                let number = shape.words as u32 + bucket * MIDDLE_SLOTS as u32 + at as u32;
                if let Some(slot) = slots.get((node - nodes.start) as usize) {
                    AtomicU32::store(slot, number, Ordering::Relaxed);
                }
            })?;
            if !placed {
                return Ok(None);
            }
            contexts = numbers;
        }
    }
    Ok(Index::of_tables(shape, Column::Owned(unigrams), Column::Pages(middle), Column::Pages(highest)))
}

/// The back-off weight of a node; -0 where it is 0 and the node has no children.
fn backoff(view: View<'_>, node: u32) -> f32 {
    let backoff = view.backoff(node);
    if backoff == 0.0 && view.children(node).is_empty() { -0.0 } else { backoff }
}

/// The children of all nodes of a level.
struct Level<'a> {
    view: View<'a>,
    keys: Keys,
    parents: Range<u32>,
    contexts: &'a [u32],
    control: &'a Control,
}

impl Level<'_> {
    /// Places them in a table, and tells where; false if one of them found no room near enough.
    fn fill<B: Bucket>(&self, table: &mut [B], buckets: u64, tell: impl Fn(u32, u32, usize) + Sync) -> Result<bool> {
        let size = table.len().div_ceil(rayon::current_num_threads().max(1)).max(1);
        let full = table.par_chunks_mut(size).zip((0..table_starts(buckets)).into_par_iter().step_by(size));
        let full = full.map(|(part, start)| self.fill_part(part, start as u32, buckets, &tell));
        let mut full = full.collect::<Result<Vec<_>>>()?.concat();
        full.par_sort_unstable_by_key(|entry| entry.node);
        for (at, entry) in full.iter().enumerate() {
            if at % PIECE == 0 {
                self.control.check()?;
            }
            if let Some(later) = full.get(at + AHEAD) {
                prefetch(table, later.bucket as usize + 1);
            }
            let mut bucket = entry.bucket;
            let slot = loop {
                if bucket > entry.bucket + MOST_STEPS {
                    return Ok(false);
                }
                let Some(here) = table.get_mut(bucket as usize) else { return Ok(false) };
                if let Some(slot) = here.put(entry) {
                    break slot;
                }
                *here.used() = B::SLOTS as u32 + 1;
                bucket += 1;
            };
            tell(entry.node, bucket, slot);
        }
        Ok(true)
    }

    /// Places those that belong to a part of the table, and gives back those that found their bucket full.
    fn fill_part<B: Bucket>(
        &self,
        part: &mut [B],
        start: u32,
        buckets: u64,
        tell: &impl Fn(u32, u32, usize),
    ) -> Result<Vec<Entry>> {
        let (view, mut full) = (self.view, Vec::new());
        let mut waiting = [Entry::default(); AHEAD];
        let mut number = 0_usize;
        let mut place = |entry: &Entry, part: &mut [B]| {
            let placed = part.get_mut((entry.bucket - start) as usize).and_then(|bucket| bucket.put(entry));
            match placed {
                Some(slot) => tell(entry.node, entry.bucket, slot),
                None => full.push(*entry),
            }
        };
        for (parent, &context) in self.parents.clone().zip(self.contexts) {
            if parent as usize % PIECE == 0 {
                self.control.check()?;
                if start == 0 {
                    self.control.advance(PIECE as u64);
                }
            }
            let children = view.children(parent);
            let words = view.words.get(children.clone()).unwrap_or_default();
            for (node, &word) in (children.start as u32..).zip(words) {
                let mixed = self.keys.mix(context, word);
                let bucket = self.keys.bucket(mixed, buckets);
                let inside = bucket.wrapping_sub(start) as usize;
                if inside >= part.len() {
                    continue;
                }
                prefetch(part, inside);
                let slot = &mut waiting[number % AHEAD];
                if number >= AHEAD {
                    place(slot, part);
                }
                let (log10_prob, backoff) = (view.log10_prob(node), backoff(view, node));
                *slot = Entry { node, bucket, tag: mixed as u32, log10_prob, backoff };
                number += 1;
            }
        }
        for last in number.saturating_sub(AHEAD)..number {
            place(&waiting[last % AHEAD], part);
        }
        Ok(full)
    }
}

/// One past the last bucket of a table.
fn table_starts(buckets: u64) -> usize {
    buckets as usize + MOST_STEPS as usize
}
