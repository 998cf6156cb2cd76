//! Which pairs of tokens merge, how soon, and into what.

use lmfast_base::{Pages, prefetch};
use rustc_hash::FxHashMap;

/// The rank of a pair that does not merge; greater than that of every one that does.
pub(crate) const NONE: u32 = u32::MAX;

/// Bits of a rank and of an id in a packed slot.
const RANK_BITS: u32 = 22;
const ID_BITS: u32 = 21;

/// What an empty slot holds; no pair is packed so.
const EMPTY: u64 = u64::MAX;

/// A hash table with linear probing from (left, right) to the rank of their merge.
///
/// A slot has 64 bits: left, right, rank. A vocabulary of more than two million tokens, or four million merges, is kept
/// in a map of whole numbers instead.
#[derive(Debug)]
pub(crate) struct MergeTable {
    slots: Pages<u64>,
    shift: u32,
    wide: Option<FxHashMap<u64, u32>>,
    /// A bit for each place of a pair: most pairs that do not merge are told here, in a table that stays near.
    filter: Box<[u64]>,
    merged: Merged,
}

/// The id that each rank makes.
#[derive(Debug)]
enum Merged {
    /// The first rank's, where each next one's is greater by one: a look at a table less for each merge.
    From(u32),
    Listed(Vec<u32>),
}

impl Merged {
    fn new(merges: &[(u32, u32, u32)]) -> Self {
        let first = merges.first().map_or(0, |&(_, _, merged)| merged);
        if merges
            .iter()
            .map(|&(_, _, merged)| u64::from(merged))
            .eq(u64::from(first)..u64::from(first) + merges.len() as u64)
        {
            return Self::From(first);
        }
        Self::Listed(merges.iter().map(|&(_, _, merged)| merged).collect())
    }
}

impl MergeTable {
    /// A table of merges `(left, right, merged)` in the order of their ranks; of two of one pair, the later counts.
    /// No id is `u32::MAX`, and the merges number less than `u32::MAX`.
    pub(crate) fn new(merges: &[(u32, u32, u32)]) -> Self {
        let largest = merges.iter().map(|&(left, right, merged)| left.max(right).max(merged)).max().unwrap_or(0);
        let fits = largest < 1 << ID_BITS && merges.len() < (1 << RANK_BITS) - 1;
        let bits = if fits { (merges.len() * 2).next_power_of_two().trailing_zeros().max(4) } else { 0 };
        let mut table = Self {
            slots: Pages::zeroed(1 << bits),
            shift: 64 - bits,
            wide: (!fits).then(FxHashMap::default),
            filter: vec![0; 1 << FILTER_BITS >> 6].into(),
            merged: Merged::new(merges),
        };
        table.slots.fill(EMPTY);
        for (rank, &(left, right, _)) in (0..).zip(merges) {
            if let Some(wide) = &mut table.wide {
                wide.insert(pack(left, right), rank);
            } else {
                let key = narrow(left, right);
                let slot = table.find(key);
                let bit = filter_bit(mix(key));
                table.filter[bit / 64] |= 1 << (bit % 64);
                table.slots[slot] = key << RANK_BITS | u64::from(rank);
            }
        }
        table
    }

    /// Says that the rank of a pair will be asked for.
    #[inline]
    pub(crate) fn prepare(&self, left: u32, right: u32) {
        let mixed = mix(narrow(left, right));
        if self.may_have(mixed) {
            prefetch(&self.slots, (mixed >> self.shift) as usize);
        }
    }

    /// The rank of a pair, or [`NONE`].
    #[inline]
    pub(crate) fn rank(&self, left: u32, right: u32) -> u32 {
        if (left | right) >> ID_BITS != 0 || self.wide.is_some() {
            return self.wide_rank(left, right);
        }
        let key = narrow(left, right);
        if !self.may_have(mix(key)) {
            return NONE;
        }
        match self.slots[self.find(key)] {
            EMPTY => NONE,
            slot => (slot & ((1 << RANK_BITS) - 1)) as u32,
        }
    }

    #[cold]
    fn wide_rank(&self, left: u32, right: u32) -> u32 {
        self.wide.as_ref().and_then(|wide| wide.get(&pack(left, right)).copied()).unwrap_or(NONE)
    }

    #[inline]
    fn may_have(&self, mixed: u64) -> bool {
        let bit = filter_bit(mixed);
        self.filter[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The id that the merge of a rank makes.
    #[inline]
    pub(crate) fn merged(&self, rank: u32) -> u32 {
        match &self.merged {
            Merged::From(first) => first + rank,
            Merged::Listed(ids) => ids[rank as usize],
        }
    }

    /// Whether ids or ranks may be larger than what is usual; no rank has more than 22 bits otherwise.
    #[inline]
    pub(crate) fn is_wide(&self) -> bool {
        self.wide.is_some()
    }

    /// The slot of a key, or the empty one where it belongs. At least half of the slots are empty.
    #[inline]
    fn find(&self, key: u64) -> usize {
        let slots = &*self.slots;
        let mask = slots.len() - 1;
        let mut slot = (mix(key) >> self.shift) as usize & mask;
        loop {
            let found = slots[slot];
            if found >> RANK_BITS == key || found == EMPTY {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Bits in the filter.
const FILTER_BITS: u32 = 20;

#[inline]
fn mix(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A place in the filter, from other bits than the place in the table.
#[inline]
fn filter_bit(mixed: u64) -> usize {
    (mixed >> 20) as usize & ((1 << FILTER_BITS) - 1)
}

#[inline]
fn narrow(left: u32, right: u32) -> u64 {
    u64::from(left) << ID_BITS | u64::from(right)
}

/// Two numbers in one, ordered by the first.
#[inline]
fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_merges_of_a_pair_the_later_counts() {
        let table = MergeTable::new(&[(1, 2, 7), (2, 1, 8), (1, 2, 9)]);
        assert_eq!((table.rank(1, 2), table.rank(2, 1), table.rank(2, 2)), (2, 1, NONE));
        assert_eq!(table.merged(2), 9);
        assert_eq!(MergeTable::new(&[]).rank(0, 0), NONE);
    }

    #[test]
    fn ids_beyond_the_packed_ones_are_kept_too() {
        let large = 1 << ID_BITS;
        let table = MergeTable::new(&[(1, 2, 7), (large, 1, large + 1)]);
        assert_eq!((table.rank(1, 2), table.rank(large, 1), table.rank(1, large)), (0, 1, NONE));
        assert_eq!(MergeTable::new(&[(1, 2, 7)]).rank(large + 1, 2), NONE);
    }
}
