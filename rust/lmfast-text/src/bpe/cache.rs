//! The ids of short pieces met before.
//!
//! Natural text repeats few pieces over and over. A line, as long as the processor's cache lines, has room for two pieces
//! of up to 15 bytes, exactly, with up to four ids each; the first is looked at before the second, so a piece that is
//! found second changes places with it. The bound is therefore fixed. Of a piece with more ids it is kept where they lie
//! in the [`LongCache`](super::long_cache::LongCache).

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
    pub(crate) fn has(&self, key: u128) -> bool {
        let different = self.key ^ key;
        different as u64 | ((different >> 64) as u64) << COUNT_BITS == 0
    }

    /// Whether it is the entry of a piece.
    #[inline]
    fn is_of(&self, key: u128) -> bool {
        self.key & KEY == key
    }

    /// Where in the [`LongCache`](super::long_cache::LongCache) the ids of a piece lie, if they do.
    #[inline]
    pub(crate) fn elsewhere(&self, key: u128) -> Option<Place> {
        let [start, count, round, _] = self.ids;
        (self.key == key | ELSEWHERE).then_some(Place { start, count, round })
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

    /// What is known of a piece that is not the first of its line, and becomes it by this.
    pub(crate) fn second(&mut self, key: u128, hash: u64) -> Option<&Entry> {
        let entries = &mut self.lines.get_mut(place(hash))?.entries;
        if !entries[1].is_of(key) {
            return None;
        }
        entries.swap(0, 1);
        Some(&entries[0])
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
        entries[usize::from(entries[0].key != 0 && !entries[0].is_of(key))] = entry;
    }
}

/// The lines of a cache.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    lines: &'a [Line],
}

impl<'a> View<'a> {
    /// The first piece of the line in which a piece may lie.
    #[inline]
    pub(crate) fn first(self, hash: u64) -> Option<&'a Entry> {
        self.lines.get(place(hash)).map(|line| &line.entries[0])
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
    fn find(cache: &mut PieceCache, key: u128) -> Option<Vec<u32>> {
        let ids = |entry: &Entry| match entry.elsewhere(key) {
            Some(place) => Some(vec![place.start]),
            None => entry.has(key).then(|| entry.room()[..entry.count()].to_vec()),
        };
        let first = cache.view().first(hash(key)).and_then(ids);
        first.or_else(|| cache.second(key, hash(key)).and_then(ids))
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut cache = PieceCache::default();
        let pieces: Vec<(u128, Vec<u32>)> = (0..300_000_u32)
            .map(|number| (key(format!("{number}").as_bytes()).expect("short"), (0..=number % 5).collect()))
            .collect();
        for (key, ids) in &pieces {
            assert_eq!(find(&mut cache, *key), None);
            if ids.len() > MOST_IDS {
                cache.keep_elsewhere(*key, hash(*key), Place { start: 7, count: 5, round: 0 });
            } else {
                cache.keep(*key, hash(*key), ids);
            }
            // Found first or second, the piece is first after that.
            for _ in 0..2 {
                let expected = if ids.len() > MOST_IDS { &[7] } else { ids.as_slice() };
                assert_eq!(find(&mut cache, *key).as_deref(), Some(expected));
            }
        }
        let kept = pieces.iter().filter(|(key, _)| find(&mut cache, *key).is_some()).count();
        assert!((100_000..300_000).contains(&kept), "{kept}");
        assert_eq!(BYTES, 8 << 20);
    }
}
