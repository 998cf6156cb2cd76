//! How often each pair of neighbouring tokens occurs.

use std::cmp::Reverse;

use lmfast_base::{Control, Result};
use rustc_hash::FxHashMap;

use super::neighbours::Neighbours;
use super::queue::{Places, Queue, Queued};
use super::sequences::{Changes, Sequences};

/// A hash table with linear probing from pairs, the left id in the high half, to counts.
#[derive(Debug)]
pub(super) struct Pairs {
    slots: Vec<(u64, u64)>,
    used: usize,
}

/// Two ids in one number, ordered by the left one.
fn pack(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// No pair of two ids below `u32::MAX`.
const EMPTY: u64 = u64::MAX;

impl Pairs {
    /// Counts the pairs of all words and queues them.
    pub(super) fn new(words: &Sequences, queue: &mut Queue, control: &Control) -> Result<Self> {
        let mut numbers = FxHashMap::<u64, u32>::default();
        let mut found = Vec::<(u64, u64, u32, usize)>::new(); // pair, count, its last place, how many places
        for (index, (place, count, tokens)) in words.iter().enumerate() {
            if index % (1 << 12) == 0 {
                control.check()?;
            }
            for window in tokens.windows(2) {
                let pair = pack(window[0], window[1]);
                let number = *numbers.entry(pair).or_insert_with(|| {
                    found.push((pair, 0, u32::MAX, 0));
                    found.len() as u32 - 1
                });
                let entry = &mut found[number as usize];
                entry.1 += count;
                entry.3 += usize::from(entry.2 != place);
                entry.2 = place;
            }
        }
        let mut places: Vec<Vec<u32>> = found.iter().map(|entry| Vec::with_capacity(entry.3)).collect();
        for (index, (place, _, tokens)) in words.iter().enumerate() {
            if index % (1 << 12) == 0 {
                control.check()?;
            }
            for window in tokens.windows(2) {
                if let Some(&number) = numbers.get(&pack(window[0], window[1])) {
                    let places = &mut places[number as usize];
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
        }
        let mut pairs = Self { slots: vec![(EMPTY, 0); (found.len() * 2).next_power_of_two().max(16)], used: 0 };
        for ((pair, count, ..), places) in found.into_iter().zip(places) {
            pairs.add(pair, count);
            queue.push(Queued { count, pair: Reverse(pair), places: Places::from(places) });
        }
        Ok(pairs)
    }

    /// The count of a pair.
    pub(super) fn count(&self, pair: u64) -> u64 {
        self.slots[self.find(pair)].1
    }

    fn find(&self, pair: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (pair.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as usize & mask;
        while self.slots[at].0 != pair && self.slots[at].0 != EMPTY {
            at = (at + 1) & mask;
        }
        at
    }

    fn add(&mut self, pair: u64, count: u64) {
        let at = self.find(pair);
        let slot = &mut self.slots[at];
        self.used += usize::from(slot.0 == EMPTY);
        *slot = (pair, slot.1 + count);
        if self.used * 4 > self.slots.len() * 3 {
            self.grow();
        }
    }

    /// Pairs that are not counted stay so.
    fn subtract(&mut self, pair: u64, count: u64) {
        let at = self.find(pair);
        self.slots[at].1 = self.slots[at].1.saturating_sub(count);
    }

    /// Counts what a merge made and unmade, and queues the pairs that it made of an `allowed` neighbour.
    pub(super) fn update(
        &mut self,
        (left, right, merged): (u32, u32, u32),
        changes: &[Changes],
        sides: &mut [Neighbours; 2],
        allowed: impl Fn(u32) -> bool,
        queue: &mut Queue,
    ) {
        for (side, neighbours) in sides.iter_mut().enumerate() {
            neighbours.group(changes.iter().flat_map(|changes| &changes[side]).copied(), merged);
        }
        let [before, after] = sides;
        // What is unmade may have been made by the same merge: first all that is added.
        for (neighbour, count, _) in before.iter().filter(|group| allowed(group.0)) {
            self.add(pack(neighbour, merged), count);
        }
        for (neighbour, count, _) in after.iter().filter(|group| allowed(group.0)) {
            self.add(pack(merged, neighbour), count);
        }
        before.iter().for_each(|(neighbour, count, _)| self.subtract(pack(neighbour, left), count));
        after.iter().for_each(|(neighbour, count, _)| self.subtract(pack(right, neighbour), count));
        let mut push = |pair, places: &[u32]| {
            let count = self.count(pair);
            if count > 0 {
                queue.push(Queued { count, pair: Reverse(pair), places: Places::new(places) });
            }
        };
        // The new token beside itself, if that came up on both sides.
        let twice = before.places(merged).zip(after.places(merged)).map(|(before, after)| {
            let mut places = [before, after].concat();
            places.sort_unstable();
            places.dedup();
            places
        });
        let own = |neighbour| twice.is_some() && neighbour == merged;
        for (neighbour, _, places) in before.iter().filter(|group| allowed(group.0) && !own(group.0)) {
            push(pack(neighbour, merged), places);
        }
        for (neighbour, _, places) in after.iter().filter(|group| allowed(group.0) && !own(group.0)) {
            push(pack(merged, neighbour), places);
        }
        if let Some(places) = twice.filter(|_| allowed(merged)) {
            push(pack(merged, merged), &places);
        }
    }

    /// Makes room, above all of pairs that no longer occur.
    fn grow(&mut self) {
        let live = self.slots.iter().filter(|slot| slot.1 > 0).count();
        let room = (live * 2).next_power_of_two().max(16);
        let old = std::mem::replace(&mut self.slots, vec![(EMPTY, 0); room]);
        self.used = live;
        for slot in old {
            if slot.1 > 0 {
                let at = self.find(slot.0);
                self.slots[at] = slot;
            }
        }
    }
}
