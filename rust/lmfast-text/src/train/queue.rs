//! The queue of pairs, and the lists of places in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Pairs with the places of the words where they were when they were queued.
///
/// Most pairs are rare and never come first. Those below a floor therefore lie aside, in no order, until all others
/// are gone; then the floor is lowered.
#[derive(Debug)]
pub(super) struct Queue {
    /// All with a count of `floor` and more.
    front: BinaryHeap<Queued>,
    /// All others.
    aside: Vec<Queued>,
    floor: u64,
}

/// The greatest is the most frequent, of equals the pair of the lowest ids.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Queued {
    pub(super) count: u64,
    pub(super) pair: Reverse<u64>,
    pub(super) places: Places,
}

/// How many times lower the floor is than the count that is first when it is lowered.
const LOWER: u64 = 3;

impl Queue {
    /// Adds a pair.
    pub(super) fn push(&mut self, queued: Queued) {
        if queued.count >= self.floor {
            self.front.push(queued);
        } else {
            self.aside.push(queued);
        }
    }

    /// Takes the greatest.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        if self.front.is_empty() {
            let first = self.aside.iter().map(|queued| queued.count).max()?;
            let floor = first / LOWER;
            self.floor = floor;
            let mut raised = Vec::new();
            let mut index = 0;
            while index < self.aside.len() {
                if self.aside[index].count >= floor {
                    raised.push(self.aside.swap_remove(index));
                } else {
                    index += 1;
                }
            }
            self.front = raised.into();
        }
        self.front.pop()
    }
}

impl Default for Queue {
    /// An empty queue, in which all that comes before the first pop lies aside.
    fn default() -> Self {
        Self { front: BinaryHeap::new(), aside: Vec::new(), floor: u64::MAX }
    }
}

/// A list of places in ascending order; few lie in it, many apart.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Places {
    /// The number of places, and they.
    Few(u8, [u32; FEW]),
    /// Any number.
    Many(Box<[u32]>),
}

/// As many as leave [`Places`] no larger than it is without them.
const FEW: usize = 4;

impl Places {
    /// A copy of places.
    pub(super) fn new(places: &[u32]) -> Self {
        if places.len() > FEW {
            return Self::Many(places.into());
        }
        let mut few = [0; FEW];
        few[..places.len()].copy_from_slice(places);
        Self::Few(places.len() as u8, few)
    }

    /// The places.
    pub(super) fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few(length, places) => &places[..usize::from(*length)],
            Self::Many(places) => places,
        }
    }
}
