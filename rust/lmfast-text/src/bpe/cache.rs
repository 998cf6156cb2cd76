//! The ids of short pieces met before.
//!
//! Natural text repeats few pieces over and over. A line, as long as the processor's cache lines, has room for two pieces
//! of up to 15 bytes, exactly, with up to four ids each. Both are looked at before either is taken, without a branch
//! between them, which no processor could foresee. The bound is fixed. Of a piece with more ids it is kept where they
//! lie in the [`LongCache`](super::long_cache::LongCache).

use std::hint::select_unpredictable;

use bytemuck::{Pod, Zeroable};
use lmfast_base::{Pages, prefetch, prefetch_far};

use super::long_cache::Place;

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 15;

/// The most ids that are kept for a piece.
pub(crate) const MOST_IDS: usize = 4;

/// Memory of the cache once it is in use.
pub(crate) const BYTES: usize = LINES * size_of::<Line>();

const LINES: usize = 1 << 17;

/// The bits of an entry's key that count its ids; a piece's own key has none of them.
const COUNT_BITS: u32 = 3;

/// Where those bits begin.
const COUNT_SHIFT: u32 = u128::BITS - COUNT_BITS;

/// The bit of an entry's key that says its ids lie elsewhere; nor has a piece's key this one.
const ELSEWHERE: u128 = 1 << (COUNT_SHIFT - 1);

/// The bits of an entry's key that are the piece's own.
const KEY: u128 = ELSEWHERE - 1;

/// A piece with its ids.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Entry {
    /// The [`key`] of the piece, and how many ids it has; 0 for none.
    key: u128,
    ids: [u32; MOST_IDS],
}

impl Entry {
    /// Whether it is the entry of a piece, with its ids.
    #[inline]
    fn has(&self, low: u64, high: u64) -> bool {
        (self.key as u64 ^ low) | (((self.key >> 64) as u64 ^ high) << COUNT_BITS) == 0
    }

    /// Whether it is the entry of a piece.
    #[inline]
    fn is_of(&self, key: u128) -> bool {
        self.key & KEY == key
    }

    /// How many of the ids count.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        (self.key >> COUNT_SHIFT) as usize
    }

    /// The ids, and what is left of the room for them.
    #[inline]
    pub(crate) fn room(&self) -> &[u32; MOST_IDS] {
        &self.ids
    }
}

/// Two pieces that share a cache line.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line {
    entries: [Entry; 2],
}

/// The cache; it takes no memory until it is [used](Self::lines).
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

#[inline]
fn place(hash: u64) -> usize {
    hash as usize % LINES
}

impl PieceCache {
    /// Takes its memory, if that has not happened.
    pub(crate) fn begin(&mut self) {
        if self.lines.is_empty() {
            self.lines = Pages::zeroed(LINES);
        }
    }

    /// What pieces are looked up in, once it has [begun](Self::begin).
    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        View { lines: &self.lines }
    }

    /// Keeps the ids of a piece, of which there are at most [`MOST_IDS`], in place of another one's if need be.
    pub(crate) fn keep(&mut self, key: u128, hash: u64, ids: &[u32]) {
        let mut room = [0; MOST_IDS];
        room[..ids.len()].copy_from_slice(ids);
        self.put(hash, Entry { key: key | (ids.len() as u128) << COUNT_SHIFT, ids: room });
    }

    /// Keeps where the ids of a piece lie.
    pub(crate) fn keep_elsewhere(&mut self, key: u128, hash: u64, place: Place) {
        self.put(hash, Entry { key: key | ELSEWHERE, ids: [place.start, place.count, place.round, 0] });
    }

    fn put(&mut self, hash: u64, entry: Entry) {
        self.begin();
        let entries = &mut self.lines[place(hash)].entries;
        let key = entry.key & KEY;
        let free = entries.iter().position(|known| known.is_of(key)).or(entries.iter().position(|known| known.key == 0));
        // Of two others, either has to go, by a bit that says nothing else.
        entries[free.unwrap_or((hash >> 63) as usize)] = entry;
    }
}

/// The lines of a cache.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    lines: &'a [Line],
}

impl<'a> View<'a> {
    /// The entry of a piece with its ids, by the halves of its key.
    #[inline]
    pub(crate) fn get(self, low: u64, high: u64, hash: u64) -> Option<&'a Entry> {
        let [one, other] = &self.lines.get(place(hash))?.entries;
        let (is_one, is_other) = (one.has(low, high), other.has(low, high));
        (is_one | is_other).then_some(select_unpredictable(is_one, one, other))
    }

    /// Where in the [`LongCache`](super::long_cache::LongCache) the ids of a piece lie, if they do.
    pub(crate) fn elsewhere(self, key: u128, hash: u64) -> Option<Place> {
        let entry = self.lines.get(place(hash))?.entries.iter().find(|entry| entry.key == key | ELSEWHERE)?;
        let [start, count, round, _] = entry.ids;
        Some(Place { start, count, round })
    }

    /// Says that a piece will be looked up.
    #[inline]
    pub(crate) fn prepare(self, hash: u64) {
        prefetch_far(self.lines, place(hash));
    }

    /// Says that a piece will be looked up very soon.
    #[inline]
    pub(crate) fn prepare_now(self, hash: u64) {
        prefetch(self.lines, place(hash));
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
            assert!(key(piece).is_some_and(|key| key & KEY == key));
        }
    }

    /// The ids of a piece, or where they lie, as [`Place::start`].
    fn find(cache: &PieceCache, key: u128) -> Option<Vec<u32>> {
        let (view, hash) = (cache.view(), hash(key));
        let elsewhere = view.elsewhere(key, hash).map(|place| vec![place.start]);
        let here = view.get(key as u64, (key >> 64) as u64, hash).map(|entry| entry.room()[..entry.count()].to_vec());
        assert!(elsewhere.is_none() || here.is_none());
        elsewhere.or(here)
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut cache = PieceCache::default();
        let pieces: Vec<(u128, Vec<u32>)> = (0..300_000_u32)
            .map(|number| (key(format!("{number}").as_bytes()).expect("short"), (0..=number % 5).collect()))
            .collect();
        for (key, ids) in &pieces {
            assert_eq!(find(&cache, *key), None);
            if ids.len() > MOST_IDS {
                cache.keep_elsewhere(*key, hash(*key), Place { start: 7, count: 5, round: 0 });
            } else {
                cache.keep(*key, hash(*key), ids);
            }
            let expected = if ids.len() > MOST_IDS { &[7] } else { ids.as_slice() };
            assert_eq!(find(&cache, *key).as_deref(), Some(expected));
        }
        let kept = pieces.iter().filter(|(key, _)| find(&cache, *key).is_some()).count();
        assert!((100_000..300_000).contains(&kept), "{kept}");
        assert_eq!(BYTES, 8 << 20);
    }
}
