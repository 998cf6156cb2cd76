//! The ids of short pieces met before.
//!
//! Natural text repeats few pieces over and over. A slot of 32 bytes holds a piece of up to 15 bytes exactly, with its
//! length, and up to four ids; two slots are a cache line, and a piece may lie in either of two lines. The bound is
//! therefore fixed. Pieces that are one token are [known](super::known) and not kept here.

use bytemuck::{Pod, Zeroable};
use lmfast_base::Pages;

use crate::simd::prefetch;

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 15;

/// The most ids that are kept for a piece.
pub(crate) const MOST_IDS: usize = 4;

/// Memory of the cache once it is in use.
pub(crate) const BYTES: usize = PLACES * size_of::<[Slot; 2]>();

const PLACES: usize = 1 << 16;

/// Fills up the ids of a slot; no id has this value.
const NO_ID: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Slot {
    /// The bytes, zeros, and the length as the last byte; 0 in an empty slot.
    key: u128,
    ids: [u32; MOST_IDS],
}

/// The cache; it takes no memory until the first piece is kept.
#[derive(Debug, Default)]
pub(crate) struct PieceCache {
    places: Pages<[Slot; 2]>,
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
        if let Some(slots) = self.places.get(places(hash)[0]) {
            prefetch(slots);
        }
    }

    /// Appends the ids of a piece, if they are known.
    #[inline]
    pub(crate) fn append(&self, key: u128, hash: u64, ids: &mut Vec<u32>) -> bool {
        let table = &*self.places;
        if table.is_empty() {
            return false;
        }
        let [one, other] = places(hash);
        let Some(slot) = table[one].iter().chain(&table[other]).find(|slot| slot.key == key) else { return false };
        // All four are written, in one go, and what is too much is taken back.
        let count = slot.ids.iter().filter(|&&id| id != NO_ID).count();
        ids.extend_from_slice(&slot.ids);
        ids.truncate(ids.len() - (MOST_IDS - count));
        true
    }

    /// Keeps the ids of a piece, of which there are at most [`MOST_IDS`].
    pub(crate) fn keep(&mut self, key: u128, hash: u64, ids: &[u32]) {
        if self.places.is_empty() {
            self.places = Pages::zeroed(PLACES);
        }
        let mut slot = Slot { key, ids: [NO_ID; MOST_IDS] };
        for (to, &id) in slot.ids.iter_mut().zip(ids) {
            *to = id;
        }
        let table = &mut *self.places;
        let [one, other] = places(hash);
        for line in [one, other] {
            if let Some(empty) = table[line].iter_mut().find(|slot| slot.key == 0) {
                *empty = slot;
                return;
            }
        }
        // The newer of two stays.
        let [first, second] = &mut table[one];
        *first = *second;
        *second = slot;
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
        let (one, two) = (key(b"one").expect("short"), key(b"two").expect("short"));
        cache.keep(one, hash(one), &[5]);
        let mut ids = vec![9];
        assert!(cache.append(one, hash(one), &mut ids) && !cache.append(two, hash(two), &mut ids));
        assert_eq!(ids, [9, 5]);
        assert_eq!(BYTES, 4 << 20);
    }
}
