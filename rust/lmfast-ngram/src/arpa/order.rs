//! The n-grams of a model in suffix order: the last word is compared first, then the one before it, and so on.
//!
//! An n-gram's key is the place that the n-gram without its first word has among those of the order below. Nodes are
//! numbered by their first word first, so those with the same key have their first words in rising order: to sort by the key
//! alone, keeping the order of equals, is enough. Within a budget of memory the keys and what is kept of each order lie in
//! working files, and the n-grams are sorted a range of keys at a time.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};

use lmfast_base::{Control, Pages, Result, Spill, prefetch};
use rayon::prelude::*;

use crate::external::Budget;
use crate::model::Model;

/// How many nodes ahead memory is asked for.
const AHEAD: usize = 32;

/// Arrays are read in chunks of this many values.
const CHUNK: usize = 1 << 16;

/// Nodes of working files are let go of after this many.
pub(super) const RELEASED: u32 = 1 << 20;

/// An entry is the first word, the log10 probability and, below the highest order, the back-off weight and the node.
pub(super) const BACKOFF: usize = 2;
pub(super) const NODE: usize = 3;

/// Numbers in memory or in a working file.
pub(super) enum Array {
    Memory(Pages<u32>),
    File(Spill<u32>),
}

/// An [`Array`] that many threads write to.
pub(super) enum Slots<'a> {
    Memory(&'a [AtomicU32]),
    File(&'a Spill<u32>),
}

impl Array {
    fn new(count: usize, budget: Option<&Budget>) -> Result<Self> {
        match budget {
            None => Ok(Self::Memory(Pages::zeroed(count))),
            Some(budget) => Ok(Self::File(Spill::create(&budget.folder)?)),
        }
    }

    pub(super) fn slots(&mut self) -> Slots<'_> {
        match self {
            Self::Memory(values) => Slots::Memory(values.as_atomic()),
            Self::File(spill) => Slots::File(spill),
        }
    }

    /// The values of a range, which may come to lie in the buffer.
    pub(super) fn read<'a>(&'a self, range: Range<usize>, buffer: &'a mut Vec<u32>) -> Result<&'a [u32]> {
        match self {
            Self::Memory(values) => Ok(&values[range]),
            Self::File(spill) => {
                buffer.resize(range.len(), 0);
                spill.read(range.start as u64, buffer)?;
                Ok(buffer)
            }
        }
    }
}

impl Slots<'_> {
    /// Writes values from a place on.
    pub(super) fn write(&self, at: usize, values: &[u32]) -> Result<()> {
        match self {
            Self::Memory(slots) => {
                slots[at..].iter().zip(values).for_each(|(slot, &value)| slot.store(value, Relaxed));
                Ok(())
            }
            Self::File(spill) => spill.write(at as u64, values),
        }
    }
}

/// What is kept of an order for the next one.
pub(super) struct Section {
    size: usize,
    /// The nodes in suffix order.
    pub(super) nodes: Array,
    /// Their words.
    pub(super) words: Array,
}

impl Section {
    /// That of the empty n-gram, which all unigrams end with.
    pub(super) fn empty() -> Self {
        Self { size: 1, nodes: Array::Memory(Pages::zeroed(1)), words: Array::Memory(Pages::default()) }
    }

    /// Room for n-grams.
    pub(super) fn new(size: usize, order: usize, budget: Option<&Budget>) -> Result<Self> {
        Ok(Self { size, nodes: Array::new(size, budget)?, words: Array::new(size * order, budget)? })
    }
}

/// Sorts the n-grams of one order.
pub(super) struct Sorter<'a> {
    model: &'a Model,
    order: usize,
    below: &'a Section,
    /// For each word the first node that begins with it, and where the level ends.
    firsts: &'a [u32],
    /// The nodes of the order.
    start: u32,
    end: u32,
    /// By node.
    keys: Array,
    is_incomplete: bool,
}

/// The n-grams with a range of keys.
pub(super) struct Sorted {
    pub(super) order: usize,
    /// How many values an entry has.
    pub(super) stride: usize,
    pub(super) entries: Pages<u32>,
    /// For each key where its entries end.
    pub(super) ends: Pages<u32>,
    pub(super) first_key: usize,
    /// Whether some end with an n-gram that is not in the order below, as files of others have it.
    pub(super) is_incomplete: bool,
}

impl Sorted {
    pub(super) fn len(&self) -> usize {
        self.entries.len() / self.stride
    }
}

impl<'a> Sorter<'a> {
    /// Finds the keys.
    pub(super) fn new(
        model: &'a Model,
        order: usize,
        below: &'a Section,
        firsts: &'a [u32],
        control: &Control,
    ) -> Result<Self> {
        let view = model.view();
        let [start_below, start, end] = [order - 1, order, order + 1].map(|level| view.level_starts[level]);
        let mut keys = Array::new((end - start) as usize, model.budget.as_ref())?;
        let lost = AtomicBool::new(false);
        let room = model.budget.as_ref().map_or(usize::MAX, |budget| (budget.bytes / 16).max(1));
        for low in (0..below.size).step_by(room) {
            let high = below.size.min(low.saturating_add(room));
            // The places of the nodes from `low` on.
            let mut places = Pages::<u32>::zeroed(high - low);
            let slots = places.as_atomic();
            chunks(0..below.size).try_for_each_init(Vec::new, |buffer, chunk| {
                control.check()?;
                let nodes = below.nodes.read(chunk.clone(), buffer)?;
                for (number, (&node, place)) in nodes.iter().zip(chunk.start as u32..).enumerate() {
                    if let Some(&ahead) = nodes.get(number + AHEAD) {
                        prefetch(slots, (ahead.wrapping_sub(start_below) as usize).wrapping_sub(low));
                    }
                    if let Some(slot) = slots.get((node.wrapping_sub(start_below) as usize).wrapping_sub(low)) {
                        slot.store(place, Relaxed);
                    }
                }
                Ok::<(), lmfast_base::Error>(())
            })?;
            let is_whole = low == 0 && high == below.size;
            let slots = keys.slots();
            let old = match &slots {
                Slots::File(spill) if !is_whole => Some(spill),
                _ => None,
            };
            // An n-gram whose suffix is not in the order below, for its file leaves that one out, goes with the first there.
            let place = |node: u32| (view.suffix(node).saturating_sub(start_below) as usize).wrapping_sub(low);
            chunks(0..(end - start) as usize).try_for_each_init(Vec::new, |buffer, chunk| {
                control.check()?;
                buffer.clear();
                buffer.resize(chunk.len(), 0);
                if let Some(old) = old {
                    old.read(chunk.start as u64, buffer)?;
                }
                let nodes = start + chunk.start as u32..start + chunk.end as u32;
                for (node, key) in nodes.clone().zip(buffer.iter_mut()) {
                    let ahead = node.saturating_add(AHEAD as u32).min(end - 1);
                    prefetch(&places, place(ahead));
                    if let Some(&found) = places.get(place(node)) {
                        *key = found;
                    }
                    if view.suffix(node) < start_below {
                        lost.store(true, Relaxed);
                    }
                }
                model.release(nodes);
                slots.write(chunk.start, buffer)
            })?;
        }
        Ok(Self { model, order, below, firsts, start, end, keys, is_incomplete: lost.into_inner() })
    }

    /// How many n-grams there are.
    pub(super) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn stride(&self) -> usize {
        if self.order < self.model.order() || self.is_incomplete { NODE + 1 } else { BACKOFF }
    }

    /// Cuts the keys into ranges whose entries fit in memory.
    pub(super) fn ranges(&self, control: &Control) -> Result<Vec<Range<usize>>> {
        let keys = self.below.size;
        let room = self.model.budget.as_ref().map_or(usize::MAX, |budget| budget.bytes / 2);
        let entry_bytes = self.stride() * size_of::<u32>();
        if keys * size_of::<u32>() + self.len() * entry_bytes <= room {
            return Ok(std::iter::once(0..keys).collect());
        }
        let bits = (usize::BITS - keys.leading_zeros()).saturating_sub(16);
        let mut sizes = vec![0_usize; (keys >> bits) + 1];
        let mut buffer = Vec::new();
        for start in (0..self.len()).step_by(CHUNK) {
            control.check()?;
            let keys = self.keys.read(start..self.len().min(start + CHUNK), &mut buffer)?;
            for &key in keys {
                sizes[key as usize >> bits] += 1;
            }
        }
        let (mut ranges, mut first, mut bytes) = (Vec::new(), 0, 0);
        for (block, size) in sizes.iter().enumerate() {
            let more = (size_of::<u32>() << bits) + size * entry_bytes;
            let start = block << bits;
            if bytes + more > room && start > first {
                ranges.push(first..start.min(keys));
                (first, bytes) = (start, 0);
            }
            bytes += more;
        }
        ranges.push(first.min(keys)..keys);
        ranges.retain(|range| !range.is_empty());
        Ok(ranges)
    }

    /// Sorts the n-grams with a range of keys.
    pub(super) fn sort(&self, keys: Range<usize>, control: &Control) -> Result<Sorted> {
        let mut ends = Pages::<u32>::zeroed(keys.len());
        // Every thread goes through all n-grams and takes those whose keys are its own.
        let share = keys.len().div_ceil(rayon::current_num_threads()).max(1);
        let low = |number: usize| (keys.start + number * share) as u32;
        ends.par_chunks_mut(share).enumerate().try_for_each_init(Vec::new, |buffer, (number, mine)| {
            let low = low(number);
            for start in (0..self.len()).step_by(CHUNK) {
                control.check()?;
                let keys = self.keys.read(start..self.len().min(start + CHUNK), buffer)?;
                for (at, &key) in keys.iter().enumerate() {
                    if let Some(&ahead) = keys.get(at + AHEAD) {
                        prefetch(mine, ahead.wrapping_sub(low) as usize);
                    }
                    let at = key.wrapping_sub(low) as usize;
                    let is_mine = at < mine.len();
                    mine[if is_mine { at } else { 0 }] += u32::from(is_mine);
                }
            }
            Ok::<(), lmfast_base::Error>(())
        })?;
        let mut total = 0;
        for end in ends.iter_mut() {
            (total, *end) = (total + *end, total);
        }
        let stride = self.stride();
        let mut entries = Pages::<u32>::zeroed(total as usize * stride);
        let slots = entries.as_atomic();
        ends.par_chunks_mut(share).enumerate().try_for_each_init(Vec::new, |buffer, (number, mine)| {
            self.scatter(low(number), mine, slots, buffer, control)
        })?;
        let Self { order, is_incomplete, .. } = *self;
        Ok(Sorted { order, stride, entries, ends, first_key: keys.start, is_incomplete })
    }

    /// Puts the n-grams with some keys, from `low` on, in their places; `next` is the next place of each key.
    fn scatter(
        &self,
        low: u32,
        next: &mut [u32],
        slots: &[AtomicU32],
        buffer: &mut Vec<u32>,
        control: &Control,
    ) -> Result<()> {
        let (view, stride) = (self.model.view(), self.stride());
        let mut word = 0;
        for start in (0..self.len()).step_by(CHUNK) {
            control.check()?;
            let keys = self.keys.read(start..self.len().min(start + CHUNK), buffer)?;
            let first = self.start + start as u32;
            for (at, &key) in keys.iter().enumerate() {
                if let Some(&ahead) = keys.get(at + AHEAD) {
                    prefetch(next, ahead.wrapping_sub(low) as usize);
                }
                if let Some(&ahead) = keys.get(at + AHEAD / 2)
                    && let Some(&place) = next.get(ahead.wrapping_sub(low) as usize)
                {
                    prefetch(slots, place as usize * stride);
                }
                let Some(next) = next.get_mut(key.wrapping_sub(low) as usize) else { continue };
                let node = first + at as u32;
                while self.firsts.get(word + 1).is_some_and(|&first| first <= node) {
                    word += 1;
                }
                let entry = &slots[*next as usize * stride..][..stride];
                *next += 1;
                entry[0].store(word as u32, Relaxed);
                entry[1].store(view.log10_prob(node).to_bits(), Relaxed);
                if let Some(slot) = entry.get(BACKOFF) {
                    slot.store(view.backoff(node).to_bits(), Relaxed);
                    entry[NODE].store(node, Relaxed);
                }
            }
            self.model.release(first..first + keys.len() as u32);
        }
        Ok(())
    }
}

/// Cuts a range into chunks, for all threads.
fn chunks(range: Range<usize>) -> impl IndexedParallelIterator<Item = Range<usize>> {
    let number = range.len().div_ceil(CHUNK);
    (0..number).into_par_iter().map(move |chunk| {
        let start = range.start + chunk * CHUNK;
        start..range.end.min(start + CHUNK)
    })
}
