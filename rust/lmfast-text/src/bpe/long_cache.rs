//! The ids of longer pieces met before: words of other scripts, identifiers, indentations.
//!
//! Pieces and their ids lie one behind the other; a table of hashes points at them. When there is no more room all is
//! forgotten, so that the memory is bounded by [`BYTES`].

use rustc_hash::FxHasher;
use std::hash::Hasher;

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 96;

const SLOTS: usize = 1 << 16;
/// Room for pieces, in bytes, and for as many bytes of ids.
const ROOM: usize = 1 << 20;

/// Memory of the cache once it is in use.
pub(crate) const BYTES: usize = SLOTS * size_of::<Slot>() + ROOM * 2;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u64,
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
    slots: Vec<Slot>,
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

impl LongCache {
    #[inline]
    fn slot(&self, piece: &[u8], hash: u64) -> Option<&Slot> {
        let slot = self.slots.get((hash >> 48) as usize)?;
        let (start, length) = (slot.piece as usize, usize::from(slot.length));
        (slot.hash == hash && slot.count > 0 && self.pieces.get(start..start + length) == Some(piece)).then_some(slot)
    }

    /// Appends the ids of a piece, if they are known.
    #[inline]
    pub(crate) fn append(&self, piece: &[u8], hash: u64, ids: &mut Vec<u32>) -> bool {
        let Some(slot) = self.slot(piece, hash) else { return false };
        let start = slot.ids as usize;
        ids.extend_from_slice(&self.ids[start..start + usize::from(slot.count)]);
        true
    }

    /// Keeps the ids of a piece of at most [`LONGEST`] bytes, in place of another with the same slot.
    pub(crate) fn keep(&mut self, piece: &[u8], hash: u64, ids: &[u32]) {
        if self.slots.is_empty() || self.pieces.len() + piece.len() > ROOM || self.ids.len() + ids.len() > ROOM / 4 {
            self.slots.clear();
            self.slots.resize(SLOTS, Slot::default());
            self.pieces.clear();
            self.ids.clear();
        }
        self.slots[(hash >> 48) as usize] = Slot {
            hash,
            piece: self.pieces.len() as u32,
            ids: self.ids.len() as u32,
            length: piece.len() as u16,
            count: ids.len() as u16,
        };
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
        let pieces: Vec<String> = (0..40_000).map(|number| format!("a rather long piece of text {number}")).collect();
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
        assert!((1000..40_000).contains(&count), "{count}");
    }
}
