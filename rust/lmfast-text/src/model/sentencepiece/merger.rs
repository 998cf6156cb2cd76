//! Merging any symbols by rank: as long as any pair merges, the leftmost of those with the lowest rank.
//!
//! A few symbols are merged by scanning; many by a heap of (rank, place) in O(n log n) time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lmfast_base::{Control, Result};
use rustc_hash::FxHashMap;

use crate::model::PATIENCE;

/// The most symbols that are merged by scanning.
const FEW: usize = 48;

/// The value of a pair that does not merge.
const NONE: u64 = u64::MAX;

/// A symbol, and how many there were of what it was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) id: u32,
    pub(crate) count: u32,
}

/// A merge of two symbols.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merge {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) rank: u32,
    pub(crate) merged: u32,
}

/// The merges.
#[derive(Debug)]
pub(crate) struct Merger {
    /// Rank and merged symbol, packed, by left and right, packed.
    pairs: FxHashMap<u64, u64>,
}

fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

impl Merger {
    /// Of two merges of one pair the later counts. No rank is `u32::MAX`.
    pub(crate) fn new(merges: impl Iterator<Item = Merge>) -> Self {
        let pairs = merges.map(|merge| (pack(merge.left, merge.right), pack(merge.rank, merge.merged)));
        Self { pairs: pairs.collect() }
    }

    #[inline]
    fn get(&self, left: Symbol, right: Symbol) -> u64 {
        self.pair(left.id, right.id)
    }

    #[inline]
    fn pair(&self, left: u32, right: u32) -> u64 {
        self.pairs.get(&pack(left, right)).copied().unwrap_or(NONE)
    }

    /// Merges what can be merged; can be cancelled.
    pub(crate) fn merge(&self, symbols: &mut Vec<Symbol>, control: &Control) -> Result<()> {
        if symbols.len() <= FEW {
            self.merge_few(symbols);
            return Ok(());
        }
        self.merge_noting(symbols, control, |_, _, _| ())
    }

    /// The last merge of symbols that become one; nothing that is one, if they do not.
    pub(crate) fn last(&self, symbols: impl Iterator<Item = u32>) -> (u32, u32) {
        let mut ids: Vec<u32> = symbols.collect();
        let get = |ids: &[u32], at: usize| ids.get(at + 1).map_or(NONE, |&right| self.pair(ids[at], right));
        let mut pairs: Vec<u64> = (0..ids.len()).map(|at| get(&ids, at)).collect();
        loop {
            let lowest = pairs.iter().map(|pair| pair >> 32).enumerate().min_by_key(|&(_, rank)| rank);
            match (lowest.filter(|&(at, _)| pairs[at] != NONE), &ids[..]) {
                (Some(_), &[left, right]) => return (left, right),
                (Some((at, _)), _) => {
                    ids[at] = pairs[at] as u32;
                    ids.remove(at + 1);
                    pairs.remove(at + 1);
                    pairs[at] = get(&ids, at);
                    if at > 0 {
                        pairs[at - 1] = get(&ids, at - 1);
                    }
                }
                (None, _) => return (u32::MAX, u32::MAX),
            }
        }
    }

    /// `pairs[i]` is the merge of `symbols[i]` and the next.
    fn merge_few(&self, symbols: &mut Vec<Symbol>) {
        let mut pairs = [NONE; FEW];
        for (pair, two) in pairs.iter_mut().zip(symbols.windows(2)) {
            *pair = self.get(two[0], two[1]);
        }
        loop {
            let length = symbols.len();
            let lowest = pairs[..length].iter().map(|pair| pair >> 32).enumerate().min_by_key(|&(_, rank)| rank);
            let Some((at, _)) = lowest.filter(|&(at, _)| pairs[at] != NONE) else { return };
            symbols[at] = Symbol { id: pairs[at] as u32, count: symbols[at].count + symbols[at + 1].count };
            symbols.remove(at + 1);
            pairs.copy_within(at + 2..length, at + 1);
            pairs[length - 1] = NONE;
            pairs[at] = symbols.get(at + 1).map_or(NONE, |&next| self.get(symbols[at], next));
            if at > 0 {
                pairs[at - 1] = self.get(symbols[at - 1], symbols[at]);
            }
        }
    }

    /// The same, and calls `note` with the merged symbol and both parts of every pair that could merge, as it is met.
    pub(crate) fn merge_noting(
        &self,
        symbols: &mut Vec<Symbol>,
        control: &Control,
        mut note: impl FnMut(u32, Symbol, Symbol),
    ) -> Result<()> {
        let length = symbols.len();
        let mut previous: Vec<usize> = (0..length).map(|at| at.wrapping_sub(1)).collect();
        let mut next: Vec<usize> = (1..=length).collect();
        let mut gone = vec![false; length];
        let mut heap: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
        let rank = |pair: u64| (pair >> 32) as u32;
        for at in 1..length {
            if at % PATIENCE == 0 {
                control.check()?;
            }
            let pair = self.get(symbols[at - 1], symbols[at]);
            if pair != NONE {
                note(pair as u32, symbols[at - 1], symbols[at]);
                heap.push(Reverse((rank(pair), at - 1)));
            }
        }
        let mut taken = 0;
        while let Some(Reverse((lowest, at))) = heap.pop() {
            taken += 1;
            if taken % PATIENCE == 0 {
                control.check()?;
            }
            if gone[at] || next[at] >= length {
                continue;
            }
            let right = next[at];
            let pair = self.get(symbols[at], symbols[right]);
            // What is out of date was noted again, under its new rank, when it changed.
            if pair == NONE || rank(pair) != lowest {
                continue;
            }
            symbols[at] = Symbol { id: pair as u32, count: symbols[at].count + symbols[right].count };
            gone[right] = true;
            next[at] = next[right];
            if next[at] < length {
                previous[next[at]] = at;
            }
            let before = (at > 0).then(|| previous[at]);
            for (left, right) in [(before, Some(at)), (Some(at), Some(next[at]))] {
                let (Some(left), Some(right)) = (left, right.filter(|&right| right < length)) else { continue };
                let pair = self.get(symbols[left], symbols[right]);
                if pair != NONE {
                    note(pair as u32, symbols[left], symbols[right]);
                    heap.push(Reverse((rank(pair), left)));
                }
            }
        }
        let mut gone = gone.into_iter();
        symbols.retain(|_| !gone.next().unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(merges: &[Merge], symbols: &mut Vec<Symbol>) {
        let find = |left: Symbol, right: Symbol| {
            merges.iter().rev().find(|merge| (merge.left, merge.right) == (left.id, right.id))
        };
        loop {
            let pairs =
                (1..symbols.len()).filter_map(|end| find(symbols[end - 1], symbols[end]).map(|merge| (merge, end)));
            let Some((merge, end)) = pairs.min_by_key(|(merge, end)| (merge.rank, *end)) else { return };
            let count = symbols[end - 1].count + symbols[end].count;
            symbols.splice(end - 1..=end, [Symbol { id: merge.merged, count }]);
        }
    }

    proptest! {
        #[test]
        fn few_and_many_equal_the_naive_merger(
            merges in prop::collection::vec((0..8_u32, 0..8_u32, 0..9_u32, 0..12_u32), 0..30),
            symbols in prop::collection::vec(0..5_u32, 0..48),
        ) {
            let merges: Vec<Merge> =
                merges.into_iter().map(|(left, right, rank, merged)| Merge { left, right, rank, merged }).collect();
            let merger = Merger::new(merges.iter().copied());
            let symbols: Vec<Symbol> = symbols.into_iter().map(|id| Symbol { id, count: 1 }).collect();
            let (mut expected, mut few, mut many) = (symbols.clone(), symbols.clone(), symbols);
            naive(&merges, &mut expected);
            merger.merge_few(&mut few);
            prop_assert_eq!(&few, &expected);
            merger.merge_noting(&mut many, &Control::default(), |_, _, _| ()).expect("merges");
            prop_assert_eq!(&many, &expected);
        }
    }
}
