//! Merging a few symbols by scanning for the lowest rank.

use super::merges::{MergeTable, NONE};

/// The most symbols that are merged this way: the square of their number must stay small.
pub(crate) const MOST: usize = 32;

/// A symbol and where it ends, in symbols merged.
pub(crate) type Token = (u32, u32);

/// Merges up to [`MOST`] symbols, and gives the tokens, each with the number of symbols up to its end.
///
/// `order[i]` is the rank of symbol i and the next times [`MOST`], plus i: the least is the leftmost of the lowest rank.
#[inline]
pub(crate) fn merge(merges: &MergeTable, symbols: &[u32], mut give: impl FnMut(Token)) {
    let mut ids = [0; MOST];
    let mut order = [u64::MAX; MOST];
    let count = symbols.len().min(MOST);
    ids[..count].copy_from_slice(&symbols[..count]);
    let rank = |left: u32, right: u32, at: usize| {
        let rank = merges.rank(left, right);
        if rank == NONE { u64::MAX } else { u64::from(rank) * MOST as u64 + at as u64 }
    };
    // All are asked for before the first is waited for.
    for at in 1..count {
        merges.prepare(ids[at - 1], ids[at]);
    }
    for at in 1..count {
        order[at - 1] = rank(ids[at - 1], ids[at], at - 1);
    }
    let mut alive: u32 = if count == MOST { u32::MAX } else { (1 << count) - 1 };
    loop {
        let least = order[..count].iter().fold(u64::MAX, |least, &value| least.min(value));
        if least == u64::MAX {
            break;
        }
        let at = least as usize % MOST;
        let behind = alive & u32::MAX << 1 << at;
        let second = behind.trailing_zeros() as usize;
        ids[at] = merges.merged((least / MOST as u64) as u32);
        order[second] = u64::MAX;
        alive &= !(1 << second);
        let third = behind & (behind - 1);
        order[at] = if third == 0 { u64::MAX } else { rank(ids[at], ids[third.trailing_zeros() as usize], at) };
        let before = alive & ((1 << at) - 1);
        if before != 0 {
            let before = 31 - before.leading_zeros() as usize;
            order[before] = rank(ids[before], ids[at], before);
        }
    }
    while alive != 0 {
        let at = alive.trailing_zeros() as usize;
        alive &= alive - 1;
        let end = if alive == 0 { count as u32 } else { alive.trailing_zeros() };
        give((ids[at], end));
    }
}
