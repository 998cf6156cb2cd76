//! The ids of short pieces met before.
//!
//! Natural text repeats few pieces over and over. A slot of 32 bytes holds a piece of up to 15 bytes exactly, with its
//! length, and up to four ids; two slots, one cache line, share a place, and the newer stays in front. The bound is
//! therefore fixed: [`BYTES`] for each thread that encodes.

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 15;

/// The most ids that are kept for a piece.
pub(crate) const MOST_IDS: usize = 4;

/// Memory of one cache once it is in use: 4 MiB.
pub const BYTES: usize = PLACES * size_of::<[Slot; 2]>();

const PLACES: usize = 1 << 16;

/// Fills up the ids of a slot; no id has this value.
const NO_ID: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The bytes, zeros, and the length as the last byte; 0 in an empty slot.
    key: u128,
    ids: [u32; MOST_IDS],
}

/// The cache; it takes no memory until the first piece is kept.
#[derive(Debug, Default)]
pub(crate) struct PieceCache {
    places: Vec<[Slot; 2]>,
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

/// Spreads the bits of a [`key`].
#[inline]
fn hash(key: u128) -> u64 {
    let low = (key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let high = ((key >> 64) as u64 ^ low.rotate_left(29)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    high ^ high >> 32
}

#[inline]
fn place(key: u128) -> usize {
    hash(key) as usize & (PLACES - 1)
}

impl PieceCache {
    /// Appends the ids of a piece, if they are known.
    #[inline]
    pub(crate) fn append(&self, key: u128, ids: &mut Vec<u32>) -> bool {
        let Some([first, second]) = self.places.get(place(key)) else { return false };
        let slot = if first.key == key {
            first
        } else if second.key == key {
            second
        } else {
            return false;
        };
        let count = slot.ids.iter().position(|&id| id == NO_ID).unwrap_or(MOST_IDS);
        ids.extend_from_slice(&slot.ids[..count]);
        true
    }

    /// Keeps the ids of a piece, if they are not too many.
    pub(crate) fn keep(&mut self, key: u128, ids: &[u32]) {
        if ids.len() > MOST_IDS {
            return;
        }
        if self.places.is_empty() {
            self.places = vec![[Slot { key: 0, ids: [0; MOST_IDS] }; 2]; PLACES];
        }
        let mut slot = Slot { key, ids: [NO_ID; MOST_IDS] };
        slot.ids[..ids.len()].copy_from_slice(ids);
        let [first, second] = &mut self.places[place(key)];
        *second = *first;
        *first = slot;
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
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut cache = PieceCache::default();
        let (one, two) = (key(b"one").expect("short"), key(b"two").expect("short"));
        cache.keep(one, &[5]);
        cache.keep(two, &[1, 2, 3, 4, 5]);
        let mut ids = vec![9];
        assert!(cache.append(one, &mut ids) && !cache.append(two, &mut ids));
        assert_eq!(ids, [9, 5]);
        assert_eq!(BYTES, 4 << 20);
    }
}
