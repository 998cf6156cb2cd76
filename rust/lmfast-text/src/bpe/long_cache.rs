//! The ids of pieces met before that are long or make many tokens: words of other scripts, identifiers.
//!
//! Pieces and their ids lie one behind the other; a table of hashes points at them. When there is no more room all is
//! forgotten, so that the memory is bounded by [`BYTES`].

use std::hash::Hasher;

use bytemuck::{Pod, Zeroable};
use lmfast_base::Pages;
use rustc_hash::FxHasher;

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 96;

const PLACES: usize = 1 << 15;
/// Slots in a place, which is a cache line.
const WIDTH: usize = 4;
/// Room for pieces, in bytes, and for as many bytes of ids.
const ROOM: usize = 1 << 22;

/// Memory of the cache once it is in use.
pub(crate) const BYTES: usize = PLACES * size_of::<[Slot; WIDTH]>() + ROOM * 2;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Slot {
    hash: u32,
    /// Where piece and ids begin.
    piece: u32,
    ids: u32,
    length: u16,
    /// 0 in an empty slot.
    count: u16,
}

/// The cache; it takes no memory until the first piece is kept.
#[derive(Debug, Default)]
pub(crate) struct LongCache {
    places: Pages<[Slot; WIDTH]>,
    pieces: Vec<u8>,
    ids: Vec<u32>,
}

/// Spreads the bits of a piece.
#[inline]
pub(crate) fn hash(piece: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(piece);
    hasher.finish()
}

#[inline]
fn place(hash: u64) -> usize {
    (hash >> (64 - PLACES.trailing_zeros())) as usize
}

impl LongCache {
    /// Appends the ids of a piece, if they are known.
    #[inline]
    pub(crate) fn append(&self, piece: &[u8], hash: u64, ids: &mut Vec<u32>) -> bool {
        let Some(slots) = self.places.get(place(hash)) else { return false };
        for slot in slots.iter().filter(|slot| slot.hash == hash as u32 && slot.count > 0) {
            let (start, length) = (slot.piece as usize, usize::from(slot.length));
            if self.pieces.get(start..start + length) == Some(piece) {
                let start = slot.ids as usize;
                ids.extend_from_slice(&self.ids[start..start + usize::from(slot.count)]);
                return true;
            }
        }
        false
    }

    /// Keeps the ids of a piece of at most [`LONGEST`] bytes, in place of the oldest with the same place.
    pub(crate) fn keep(&mut self, piece: &[u8], hash: u64, ids: &[u32]) {
        let is_full = self.pieces.len() + piece.len() > ROOM || self.ids.len() + ids.len() > ROOM / 4;
        if self.places.is_empty() || is_full {
            self.places = Pages::zeroed(PLACES);
            self.pieces.clear();
            self.ids.clear();
        }
        let slot = Slot {
            hash: hash as u32,
            piece: self.pieces.len() as u32,
            ids: self.ids.len() as u32,
            length: piece.len() as u16,
            count: ids.len() as u16,
        };
        let slots = &mut self.places[place(hash)];
        slots.rotate_right(1);
        slots[0] = slot;
        self.pieces.extend_from_slice(piece);
        self.ids.extend_from_slice(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_or_is_forgotten() {
        let mut cache = LongCache::default();
        let pieces: Vec<String> = (0..200_000).map(|number| format!("a rather long piece of text {number}")).collect();
        let mut ids = Vec::new();
        assert!(!cache.append(pieces[0].as_bytes(), hash(pieces[0].as_bytes()), &mut ids));
        for (number, piece) in (0..).zip(&pieces) {
            let piece = piece.as_bytes();
            cache.keep(piece, hash(piece), &[number, 1]);
            ids.clear();
            assert!(cache.append(piece, hash(piece), &mut ids) && ids == [number, 1]);
        }
        assert!(cache.pieces.len() <= ROOM && cache.ids.len() <= ROOM / 4);
        let known = |piece: &&String| cache.append(piece.as_bytes(), hash(piece.as_bytes()), &mut Vec::new());
        let count = pieces.iter().filter(known).count();
        assert!((1000..200_000).contains(&count), "{count}");
    }
}
