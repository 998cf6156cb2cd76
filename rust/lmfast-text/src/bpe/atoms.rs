//! Characters of two or three bytes that can be merged before all else.
//!
//! Most text beyond ASCII is made of characters whose bytes always end up in one token. Let a character's bytes, alone,
//! become one token by merges of ranks r1, r2, ..., and let no merge with a symbol outside of the character come before
//! the symbol at its edge is used up inside of it. Then these merges happen in every text, and nothing else depends on
//! when: encoding may begin with the character as one symbol.
//!
//! Of the merges with what stands before, only those count whose left symbol can end there. Behind another character
//! beyond ASCII that symbol ends with a byte that continues a character; so a merge of the space with the first byte of
//! some letters, which most vocabularies have, concerns no letter but the first of a word.

use super::merges::{MergeTable, NONE};

/// The end of the characters that the table covers: the Basic Multilingual Plane.
const END: usize = 0x1_0000;

/// The bit of an entry that says it holds only behind a character beyond ASCII; no id has it.
const INNER: u32 = 1 << 31;

/// The token of each character that may be merged first.
#[derive(Debug)]
pub(crate) struct Atoms {
    ids: Vec<u32>,
}

/// The lowest rank at which each symbol merges with another one.
struct Soonest {
    /// With any that stands before.
    before: Vec<u32>,
    /// With one before that may end with a byte that continues a character.
    before_inner: Vec<u32>,
    /// With any that stands behind.
    behind: Vec<u32>,
}

impl Soonest {
    fn new(byte_ids: &[u32; 256], merges: &[(u32, u32, u32)]) -> Self {
        let largest = merges.iter().map(|&(left, right, merged)| left.max(right).max(merged)).max().unwrap_or(0);
        let count = byte_ids.iter().fold(largest, |largest, &id| largest.max(id)) as usize + 1;
        // The last byte of each symbol, where it is known.
        let mut last: Vec<Option<u8>> = vec![None; count];
        for (byte, &id) in (0..=u8::MAX).zip(byte_ids) {
            last[id as usize] = Some(byte);
        }
        let [before, before_inner, behind] = [(); 3].map(|()| vec![NONE; count]);
        let mut soonest = Self { before, before_inner, behind };
        let sooner = |known: &mut u32, rank: u32| *known = rank.min(*known);
        for (rank, &(left, right, merged)) in (0..).zip(merges) {
            sooner(&mut soonest.before[right as usize], rank);
            sooner(&mut soonest.behind[left as usize], rank);
            if last[left as usize].is_none_or(|byte| (0x80..0xC0).contains(&byte)) {
                sooner(&mut soonest.before_inner[right as usize], rank);
            }
            last[merged as usize] = last[right as usize];
        }
        soonest
    }
}

impl Atoms {
    /// `merges` are those that the table was made of.
    pub(crate) fn new(byte_ids: &[u32; 256], table: &MergeTable, merges: &[(u32, u32, u32)]) -> Self {
        let soonest = Soonest::new(byte_ids, merges);
        let mut ids = vec![NONE; END];
        for character in ('\u{80}'..='\u{FFFF}').filter(|character| (*character as usize) < END) {
            let atom = |before| atom(byte_ids, table, before, &soonest.behind, character).filter(|&id| id < INNER);
            let inner = || atom(&soonest.before_inner).map(|id| id | INNER);
            ids[character as usize] = atom(&soonest.before).or_else(inner).unwrap_or(NONE);
        }
        Self { ids }
    }

    /// The token of a character, if it may be merged first, here behind another one beyond ASCII or not.
    #[inline]
    pub(crate) fn get(&self, character: char, is_inner: bool) -> Option<u32> {
        let id = self.ids.get(character as usize).copied().filter(|&id| id != NONE)?;
        (is_inner || id < INNER).then_some(id & !INNER)
    }
}

fn atom(byte_ids: &[u32; 256], table: &MergeTable, before: &[u32], behind: &[u32], character: char) -> Option<u32> {
    let mut buffer = [0; 4];
    let bytes = character.encode_utf8(&mut buffer).as_bytes();
    let mut symbols: Vec<u32> = bytes.iter().map(|&byte| byte_ids[usize::from(byte)]).collect();
    let mut latest = 0;
    while symbols.len() > 1 {
        let pairs = symbols.windows(2).enumerate().map(|(at, pair)| (table.rank(pair[0], pair[1]), at));
        let (rank, at) = pairs.min().filter(|&(rank, _)| rank != NONE)?;
        latest = rank.max(latest);
        let used_up = |soonest: &[u32], symbol: u32| soonest[symbol as usize] > latest;
        if at == 0 && !used_up(before, symbols[0]) || at + 2 == symbols.len() && !used_up(behind, symbols[at + 1]) {
            return None;
        }
        symbols[at] = table.merged(rank);
        symbols.remove(at + 1);
    }
    symbols.pop()
}
