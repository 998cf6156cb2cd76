//! Merging a few symbols by scanning for the lowest rank.

use super::merges::{MergeTable, NONE};

/// The most symbols that are merged this way: the square of their number must stay small.
pub(crate) const MOST: usize = 32;

/// A symbol and where it ends, in symbols merged.
pub(crate) type Token = (u32, u32);

/// A rank and a place, ordered as the next merge is chosen: by rank, and then from left to right.
trait Order: Copy + Ord {
    /// Behind all others.
    const NONE: Self;

    /// `rank` * [`MOST`] + `at`.
    fn new(rank: u32, at: usize) -> Self;
    fn rank(self) -> u32;
    fn at(self) -> usize;
}

macro_rules! order {
    ($number:ty) => {
        #[allow(clippy::cast_lossless, reason = "one of the numbers is wider than a rank")]
        impl Order for $number {
            const NONE: Self = Self::MAX;

            #[inline]
            fn new(rank: u32, at: usize) -> Self {
                rank as Self * MOST as Self + at as Self
            }

            #[inline]
            fn rank(self) -> u32 {
                (self / MOST as Self) as u32
            }

            #[inline]
            fn at(self) -> usize {
                self as usize % MOST
            }
        }
    };
}
// Signed, since the smallest of signed numbers is found by vectors of every x86-64.
order!(i32);
order!(u64);

/// Merges up to [`MOST`] symbols, and gives the tokens, each with the number of symbols up to its end.
#[inline]
pub(crate) fn merge(merges: &MergeTable, symbols: &[u32], give: impl FnMut(Token)) {
    if merges.is_wide() { merge_by::<u64>(merges, symbols, give) } else { merge_by::<i32>(merges, symbols, give) }
}

/// `order[i]` is that of symbol i and the next: the least is the leftmost of the lowest rank.
#[inline]
fn merge_by<O: Order>(merges: &MergeTable, symbols: &[u32], mut give: impl FnMut(Token)) {
    let mut ids = [0; MOST];
    let mut order = [O::NONE; MOST];
    let count = symbols.len().min(MOST);
    ids[..count].copy_from_slice(&symbols[..count]);
    // All are asked for before the first is waited for.
    for at in 1..count {
        merges.prepare(ids[at - 1], ids[at]);
    }
    for at in 1..count {
        order[at - 1] = order_of(merges, ids[at - 1], ids[at], at - 1);
    }
    let mut alive: u32 = if count == MOST { u32::MAX } else { (1 << count) - 1 };
    loop {
        let least = least(&order, count);
        if least == O::NONE {
            break;
        }
        let at = least.at();
        let behind = alive & u32::MAX << 1 << at;
        let second = behind.trailing_zeros() as usize;
        ids[at] = merges.merged(least.rank());
        order[second] = O::NONE;
        alive &= !(1 << second);
        let third = behind & (behind - 1);
        order[at] =
            if third == 0 { O::NONE } else { order_of(merges, ids[at], ids[third.trailing_zeros() as usize], at) };
        let before = alive & ((1 << at) - 1);
        if before != 0 {
            let before = 31 - before.leading_zeros() as usize;
            order[before] = order_of(merges, ids[before], ids[at], before);
        }
    }
    while alive != 0 {
        let at = alive.trailing_zeros() as usize;
        alive &= alive - 1;
        let end = if alive == 0 { count as u32 } else { alive.trailing_zeros() };
        give((ids[at], end));
    }
}

#[inline]
fn order_of<O: Order>(merges: &MergeTable, left: u32, right: u32, at: usize) -> O {
    let rank = merges.rank(left, right);
    if rank == NONE { O::NONE } else { O::new(rank, at) }
}

/// The least of the first `count`, behind which none is less.
#[inline]
fn least<O: Order>(order: &[O; MOST], count: usize) -> O {
    let mut lanes = [O::NONE; LANES];
    for some in order.as_chunks::<LANES>().0.iter().take(count.div_ceil(LANES)) {
        for (least, &value) in lanes.iter_mut().zip(some) {
            *least = value.min(*least);
        }
    }
    lanes.into_iter().fold(O::NONE, O::min)
}

/// How many are compared at once.
const LANES: usize = 8;
