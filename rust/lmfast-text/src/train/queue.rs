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

/// A list of places in ascending order; few lie in it, many apart, behind a thin pointer that keeps the queue small.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Places {
    /// The number of places, and they.
    Few(u8, [u32; FEW]),
    /// Any number.
    Many(Box<Box<[u32]>>),
}

/// As many as leave [`Places`] at 16 bytes.
const FEW: usize = 3;

impl Places {
    /// A copy of places.
    pub(super) fn new(places: &[u32]) -> Self {
        if places.len() > FEW {
            return Self::Many(Box::new(places.into()));
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

impl From<Vec<u32>> for Places {
    fn from(places: Vec<u32>) -> Self {
        if places.len() > FEW { Self::Many(Box::new(places.into_boxed_slice())) } else { Self::new(&places) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pairs_come_by_count_then_by_id(counts in prop::collection::vec(0..2000_u64, 0..200), more in prop::collection::vec(0..50_u64, 0..50)) {
            let mut queue = Queue::default();
            let queued = |pair: usize, count| {
                Queued { count, pair: Reverse(pair as u64), places: Places::new(&vec![7; pair % 6]) }
            };
            counts.iter().enumerate().for_each(|(pair, &count)| queue.push(queued(pair, count)));
            let mut expected: Vec<(Reverse<u64>, usize)> =
                counts.iter().enumerate().map(|(pair, &count)| (Reverse(count), pair)).collect();
            expected.sort_unstable();
            let (half, mut found) = (expected.len() / 2, Vec::new());
            for _ in 0..half {
                found.extend(queue.pop());
            }
            // What is pushed later finds its place among what is left.
            expected.drain(..half);
            expected.extend(more.iter().zip(1000..).map(|(&count, pair)| (Reverse(count), pair)));
            expected.sort_unstable();
            more.iter().zip(1000..).for_each(|(&count, pair)| queue.push(queued(pair, count)));
            prop_assert!(found.is_sorted_by(|one, other| one >= other));
            for (Reverse(count), pair) in expected {
                let top = queue.pop().expect("is there");
                prop_assert_eq!((top.count, top.pair, top.places.as_slice().len()), (count, Reverse(pair as u64), pair % 6));
            }
            prop_assert!(queue.pop().is_none());
        }
    }

    #[test]
    fn places_are_small() {
        assert_eq!(size_of::<Queued>(), 32);
    }
}
