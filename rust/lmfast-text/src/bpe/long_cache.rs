//! The ids of pieces met before that are long or make many tokens: words of other scripts, identifiers.
//!
//! Each piece lies behind its ids, in words of 32 bits; a table of hashes points at them. When there is no more room all
//! is forgotten, so that the memory is bounded by [`BYTES`].

use std::hash::Hasher;

use bytemuck::{Pod, Zeroable};
use lmfast_base::{Pages, prefetch};
use rustc_hash::FxHasher;

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 96;

const PLACES: usize = 1 << 16;
/// Slots in a place, which is a cache line.
const WIDTH: usize = 4;
/// Room for ids and pieces, in words.
const ROOM: usize = 1 << 22;

/// Memory of the cache once it is in use.
pub(crate) const BYTES: usize = PLACES * size_of::<[Slot; WIDTH]>() + ROOM * size_of::<u32>();

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Slot {
    hash: u32,
    /// Where the ids begin; the piece follows.
    start: u32,
    /// How many ids there are; 0 in an empty slot.
    count: u32,
    /// The bytes of the piece.
    length: u32,
}

/// The cache; it takes no memory until the first piece is kept.
#[derive(Debug, Default)]
pub(crate) struct LongCache {
    places: Pages<[Slot; WIDTH]>,
    words: Vec<u32>,
    /// How often all was forgotten.
    round: u32,
}

/// Where the ids of a piece lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) start: u32,
    pub(crate) count: u32,
    /// Only while the cache has forgotten nothing since.
    pub(crate) round: u32,
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
    /// Says that a piece will be looked up soon.
    #[inline]
    pub(crate) fn prepare(&self, hash: u64) {
        prefetch(&self.places, place(hash));
    }

    /// The ids of a piece, if they are known.
    #[inline]
    pub(crate) fn get(&self, piece: &[u8], hash: u64) -> Option<&[u32]> {
        let slots = self.places.get(place(hash))?;
        slots.iter().filter(|slot| slot.hash == hash as u32 && slot.count > 0).find_map(|slot| {
            let (found, behind) = self.words[slot.start as usize..].split_at(slot.count as usize);
            let bytes: &[u8] = bytemuck::cast_slice(behind);
            (bytes.get(..slot.length as usize) == Some(piece)).then_some(found)
        })
    }

    /// The ids at a place, if they have not been forgotten since.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> Option<&[u32]> {
        let ids = self.words.get(place.start as usize..)?.get(..place.count as usize)?;
        (place.round == self.round).then_some(ids)
    }

    /// Keeps the ids of a piece of at most [`LONGEST`] bytes, in place of the oldest with the same place.
    pub(crate) fn keep(&mut self, piece: &[u8], hash: u64, ids: &[u32]) -> Place {
        if self.places.is_empty() || self.words.len() + ids.len() + LONGEST > ROOM {
            self.places = Pages::zeroed(PLACES);
            self.words.clear();
            self.round = self.round.wrapping_add(1);
        }
        let (hash_low, start) = (hash as u32, self.words.len() as u32);
        self.words.extend_from_slice(ids);
        self.words.extend(piece.chunks(4).map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_ne_bytes(word)
        }));
        let slots = &mut self.places[place(hash)];
        slots.rotate_right(1);
        slots[0] = Slot { hash: hash_low, start, count: ids.len() as u32, length: piece.len() as u32 };
        Place { start, count: ids.len() as u32, round: self.round }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_or_is_forgotten() {
        let mut cache = LongCache::default();
        let pieces: Vec<String> = (0..500_000).map(|number| format!("a rather long piece of text {number}")).collect();
        assert_eq!(cache.get(pieces[0].as_bytes(), hash(pieces[0].as_bytes())), None);
        let mut first = None;
        for (number, piece) in (0..).zip(&pieces) {
            let piece = piece.as_bytes();
            let place = cache.keep(piece, hash(piece), &[number, 1]);
            assert_eq!(cache.get(piece, hash(piece)), Some(&[number, 1][..]));
            assert_eq!(cache.at(place), Some(&[number, 1][..]));
            first.get_or_insert(place);
        }
        assert!(cache.words.len() <= ROOM);
        assert!(first.is_some_and(|place| cache.at(place).is_none()), "forgotten, and so not found");
        let known = |piece: &&String| cache.get(piece.as_bytes(), hash(piece.as_bytes())).is_some();
        let count = pieces.iter().filter(known).count();
        assert!((1000..500_000).contains(&count), "{count}");
    }
}
