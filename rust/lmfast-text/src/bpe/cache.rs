//! The ids of short pieces met before.
//!
//! Natural text repeats few pieces over and over. A line, as long as the processor's cache lines, holds two pieces of up
//! to 15 bytes exactly, with up to four ids each, or one with up to eight; a piece may lie in either of two lines. The
//! bound is therefore fixed. Pieces that are one token are [known](super::known) and not kept here.

use bytemuck::{Pod, Zeroable};
use lmfast_base::Pages;

use crate::simd::prefetch;

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 15;

/// The most ids that are kept for a piece.
pub(crate) const MOST_IDS: usize = 8;

/// The ids of a piece that shares its line.
const HALF: usize = MOST_IDS / 2;

/// Memory of the cache once it is in use.
pub(crate) const BYTES: usize = PLACES * size_of::<Line>();

const PLACES: usize = 1 << 17;

/// Fills up the ids of a piece; no id has this value.
const NO_ID: u32 = u32::MAX;

/// As the second key of a line: the first piece has it for itself.
const TAKEN: u128 = u128::MAX;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line {
    /// The bytes of each piece, zeros, and the length as the last byte; 0 for none.
    keys: [u128; 2],
    ids: [u32; MOST_IDS],
}

/// The cache; it takes no memory until the first piece is kept.
#[derive(Debug, Default)]
pub(crate) struct PieceCache {
    lines: Pages<Line>,
}

/// A piece as a number, different for different pieces.
#[inline]
pub(crate) fn key(piece: &[u8]) -> Option<u128> {
    if piece.len() > LONGEST {
        return None;
    }
    let mut bytes = [0; 16];
    bytes[..piece.len()].copy_from_slice(piece);
    bytes[LONGEST] = piece.len() as u8;
    Some(u128::from_le_bytes(bytes))
}

/// For each length the bytes it has, and the length as the last byte.
const MASKS: [(u128, u128); 16] = {
    let mut masks = [(0, 0); 16];
    let mut length = 1;
    while length <= LONGEST {
        masks[length] = (u128::MAX >> (128 - 8 * length), (length as u128) << (8 * LONGEST));
        length += 1;
    }
    masks
};

/// The key of a piece that 16 bytes of text can be read from, the piece first.
#[inline]
pub(crate) fn key_of_start(start: &[u8; 16], length: usize) -> u128 {
    debug_assert!((1..=LONGEST).contains(&length));
    let (mask, length) = MASKS[length % 16];
    u128::from_le_bytes(*start) & mask | length
}

/// Spreads the bits of a [`key`]: a product of its halves, mixed with a constant, folded.
#[inline]
pub(crate) fn hash(key: u128) -> u64 {
    let low = u128::from(key as u64 ^ 0x9E37_79B9_7F4A_7C15);
    let high = u128::from((key >> 64) as u64 ^ 0xD6E8_FEB8_6659_FD93);
    let product = low * high;
    product as u64 ^ (product >> 64) as u64
}

/// The two lines in which a piece may lie.
#[inline]
fn places(hash: u64) -> [usize; 2] {
    [hash as usize & (PLACES - 1), (hash >> 20) as usize & (PLACES - 1)]
}

impl PieceCache {
    /// Says that a piece will be looked up soon.
    #[inline]
    pub(crate) fn prepare(&self, hash: u64) {
        if let Some(line) = self.lines.get(places(hash)[0]) {
            prefetch(line);
        }
    }

    /// Appends the ids of a piece, if they are known.
    #[inline]
    pub(crate) fn append(&self, key: u128, hash: u64, ids: &mut Vec<u32>) -> bool {
        let lines = &*self.lines;
        if lines.is_empty() {
            return false;
        }
        for place in places(hash) {
            let line = &lines[place];
            // All that may be are written, in one go, and what is too much is taken back.
            if line.keys[0] == key {
                let room = if line.keys[1] == TAKEN { MOST_IDS } else { HALF };
                let count = line.ids[..room].iter().filter(|&&id| id != NO_ID).count();
                ids.extend_from_slice(&line.ids);
                ids.truncate(ids.len() - (MOST_IDS - count));
                return true;
            }
            if line.keys[1] == key {
                let count = line.ids[HALF..].iter().filter(|&&id| id != NO_ID).count();
                ids.extend_from_slice(&line.ids[HALF..]);
                ids.truncate(ids.len() - (HALF - count));
                return true;
            }
        }
        false
    }

    /// Keeps the ids of a piece, of which there are at most [`MOST_IDS`], in place of older ones if need be.
    pub(crate) fn keep(&mut self, key: u128, hash: u64, ids: &[u32]) {
        if self.lines.is_empty() {
            self.lines = Pages::zeroed(PLACES);
        }
        let lines = &mut *self.lines;
        let [one, other] = places(hash);
        if ids.len() > HALF {
            let place = if lines[one].keys[0] != 0 && lines[other].keys[0] == 0 { other } else { one };
            let mut line = Line { keys: [key, TAKEN], ids: [NO_ID; MOST_IDS] };
            line.ids[..ids.len().min(MOST_IDS)].copy_from_slice(&ids[..ids.len().min(MOST_IDS)]);
            lines[place] = line;
            return;
        }
        let place = if lines[one].keys[1] != 0 && lines[other].keys[1] == 0 { other } else { one };
        let line = &mut lines[place];
        if line.keys[1] == TAKEN {
            *line = Line { keys: [0; 2], ids: [NO_ID; MOST_IDS] };
        } else if line.keys[0] != 0 {
            // The newer of two stays.
            line.keys[1] = line.keys[0];
            line.ids.copy_within(..HALF, HALF);
        }
        line.keys[0] = key;
        line.ids[..HALF].fill(NO_ID);
        line.ids[..ids.len()].copy_from_slice(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_pieces_apart() {
        let pieces: [&[u8]; 5] = [b"a", b"a\0", b"\0a", b"aaaaaaaaaaaaaaa", b"aaaaaaaaaaaaaa\x0f"];
        for (index, one) in pieces.iter().enumerate() {
            for other in &pieces[..index] {
                assert_ne!(key(one), key(other));
            }
        }
        assert_eq!(key(b"aaaaaaaaaaaaaaaa"), None);
        for piece in pieces {
            let mut start = [0xFF; 16];
            start[..piece.len()].copy_from_slice(piece);
            assert_eq!(Some(key_of_start(&start, piece.len())), key(piece));
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut cache = PieceCache::default();
        let pieces: Vec<(u128, Vec<u32>)> = (0..300_000_u32)
            .map(|number| (key(format!("{number}").as_bytes()).expect("short"), (0..=number % 8).collect()))
            .collect();
        for (key, ids) in &pieces {
            let mut found = vec![9];
            assert!(!cache.append(*key, hash(*key), &mut found) && found == [9]);
            cache.keep(*key, hash(*key), ids);
            assert!(cache.append(*key, hash(*key), &mut found) && found[1..] == *ids);
        }
        let (mut kept, mut found) = (0, Vec::new());
        for (key, ids) in &pieces {
            found.clear();
            if cache.append(*key, hash(*key), &mut found) {
                assert_eq!(found, *ids);
                kept += 1;
            }
        }
        assert!((100_000..300_000).contains(&kept), "{kept}");
        assert_eq!(BYTES, 8 << 20);
    }
}
