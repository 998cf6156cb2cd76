//! Which pairs of tokens merge, how soon, and into what.

/// The value of a pair that does not merge; greater than that of every one that does.
pub(crate) const NONE: u64 = u64::MAX;

/// What an empty slot holds: no pair of two ids below `u32::MAX` is packed so.
const EMPTY: u64 = u64::MAX;

/// A hash table with linear probing from (left, right) to a rank and the id of the merged token, packed as
/// `rank << 32 | id`, so that the smaller value is the merge that comes first.
#[derive(Debug, Clone)]
pub(crate) struct MergeTable {
    slots: Vec<(u64, u64)>,
    shift: u32,
}

impl MergeTable {
    /// A table of merges `(left, right, merged)` in the order of their ranks; of two of one pair, the later counts.
    /// No id is `u32::MAX`, and the merges number less than `u32::MAX`.
    pub(crate) fn new(merges: &[(u32, u32, u32)]) -> Self {
        let bits = (merges.len() * 2).next_power_of_two().trailing_zeros().max(4);
        let mut table = Self { slots: vec![(EMPTY, NONE); 1 << bits], shift: 64 - bits };
        for (rank, &(left, right, merged)) in merges.iter().enumerate() {
            let key = pack(left, right);
            let slot = table.find(key);
            table.slots[slot] = (key, pack(rank as u32, merged));
        }
        table
    }

    /// The packed rank and id of a pair, or [`NONE`].
    #[inline]
    pub(crate) fn get(&self, left: u32, right: u32) -> u64 {
        self.slots[self.find(pack(left, right))].1
    }

    /// The slot of a key, or the empty one where it belongs. At least half of the slots are empty.
    #[inline]
    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize;
        loop {
            let found = self.slots[slot].0;
            if found == key || found == EMPTY {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Two numbers in one, ordered by the first.
#[inline]
pub(crate) fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_merges_of_a_pair_the_later_counts() {
        let table = MergeTable::new(&[(1, 2, 7), (2, 1, 8), (1, 2, 9)]);
        assert_eq!((table.get(1, 2), table.get(2, 1), table.get(2, 2)), (pack(2, 9), pack(1, 8), NONE));
        assert_eq!(MergeTable::new(&[]).get(0, 0), NONE);
    }
}
