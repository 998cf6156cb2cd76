//! Characters of two or three bytes that can be merged before all else.
//!
//! Most text beyond ASCII is made of characters whose bytes always end up in one token. Let a character's bytes, alone,
//! become one token by merges of ranks r1, r2, ..., and let no merge with a symbol outside of the character come before
//! the symbol at its edge is used up inside of it. Then these merges happen in every text, and nothing else depends on
//! when: encoding may begin with the character as one symbol.

use super::merges::{MergeTable, NONE};

/// The end of the characters that the table covers: the Basic Multilingual Plane.
const END: usize = 0x1_0000;

/// The token of each character that may be merged first.
#[derive(Debug)]
pub(crate) struct Atoms {
    ids: Vec<u32>,
}

impl Atoms {
    /// `merges` are those that the table was made of.
    pub(crate) fn new(byte_ids: &[u32; 256], table: &MergeTable, merges: &[(u32, u32, u32)]) -> Self {
        let largest = merges.iter().map(|&(left, right, merged)| left.max(right).max(merged)).max().unwrap_or(0);
        let largest = byte_ids.iter().fold(largest, |largest, &id| largest.max(id));
        // The lowest rank at which a symbol merges with one before it, and with one behind it.
        let mut soonest = [vec![NONE; largest as usize + 1], vec![NONE; largest as usize + 1]];
        for (rank, &(left, right, _)) in (0..).zip(merges) {
            for (soonest, id) in soonest.iter_mut().zip([right, left]) {
                soonest[id as usize] = soonest[id as usize].min(rank);
            }
        }
        let mut ids = vec![NONE; END];
        for character in ('\u{80}'..='\u{FFFF}').filter(|character| (*character as usize) < END) {
            ids[character as usize] = atom(byte_ids, table, &soonest, character).unwrap_or(NONE);
        }
        Self { ids }
    }

    /// The token of a character, if it may be merged first.
    #[inline]
    pub(crate) fn get(&self, character: char) -> Option<u32> {
        self.ids.get(character as usize).copied().filter(|&id| id != NONE)
    }
}

fn atom(byte_ids: &[u32; 256], table: &MergeTable, soonest: &[Vec<u32>; 2], character: char) -> Option<u32> {
    let mut buffer = [0; 4];
    let bytes = character.encode_utf8(&mut buffer).as_bytes();
    let mut symbols: Vec<u32> = bytes.iter().map(|&byte| byte_ids[usize::from(byte)]).collect();
    let mut latest = 0;
    while symbols.len() > 1 {
        let pairs = symbols.windows(2).enumerate().map(|(at, pair)| (table.rank(pair[0], pair[1]), at));
        let (rank, at) = pairs.min().filter(|&(rank, _)| rank != NONE)?;
        latest = rank.max(latest);
        let used_up = |edge: usize, symbol: u32| soonest[edge][symbol as usize] > latest;
        if at == 0 && !used_up(0, symbols[0]) || at + 2 == symbols.len() && !used_up(1, symbols[at + 1]) {
            return None;
        }
        symbols[at] = table.merged(rank);
        symbols.remove(at + 1);
    }
    symbols.pop()
}
