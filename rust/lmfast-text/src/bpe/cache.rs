//! The ids of short pieces met before.
//!
//! Natural text repeats few pieces over and over. A line, as long as the processor's cache lines, has room for two pieces
//! of up to 15 bytes, exactly, with up to four ids each, or seven smaller ones. Both are looked at before either is taken,
//! without a branch between them, which no processor could foresee. The bound is fixed. Of a piece with more ids it is
//! kept where they lie in the [`LongCache`](super::long_cache::LongCache).

use bytemuck::{Pod, Zeroable};
use lmfast_base::Pages;

use super::long_cache::Place;

/// The longest piece that is kept, in bytes.
pub(crate) const LONGEST: usize = 15;

/// The most ids that are kept for a piece as they are.
pub(crate) const MOST_IDS: usize = 4;

/// The most that are kept packed, and the bits of each.
const MOST_PACKED: usize = 7;
const PACKED_BITS: usize = 18;

/// Room for the ids of a piece, and for one that means nothing.
pub(crate) const ROOM: usize = MOST_PACKED + 1;

/// Memory of the cache once it is in use.
pub(crate) const BYTES: usize = LINES * size_of::<Line>();

pub(crate) const LINES: usize = 1 << 17;

/// The bits of an entry's key that count its ids; a piece's own key has none of them.
const COUNT_BITS: u32 = 3;

/// Where those bits begin.
const COUNT_SHIFT: u32 = u128::BITS - COUNT_BITS;

/// The bit of an entry's key that says its ids lie elsewhere; nor has a piece's key this one.
const ELSEWHERE: u128 = 1 << (COUNT_SHIFT - 1);

/// The bits of an entry's key that are the piece's own.
const KEY: u128 = ELSEWHERE - 1;

/// A piece with its ids.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
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

    /// The ids, if there are no more than [`MOST_IDS`], and what is left of the room for them.
    #[inline]
    pub(crate) fn few(&self) -> &[u32; MOST_IDS] {
        &self.ids
    }

    /// The ids, if there are more than [`MOST_IDS`].
    #[inline]
    pub(crate) fn many(&self) -> [u32; ROOM] {
        let packed: u128 = bytemuck::cast(self.ids);
        let mut ids = [0; ROOM];
        for (place, id) in ids[..MOST_PACKED].iter_mut().enumerate() {
            *id = (packed >> (PACKED_BITS * place)) as u32 % (1 << PACKED_BITS);
        }
        ids
    }

    /// The ids, of which [`count`](Self::count) count.
    pub(crate) fn ids(&self) -> [u32; ROOM] {
        if self.count() > MOST_IDS {
            return self.many();
        }
        let mut ids = [0; ROOM];
        ids[..MOST_IDS].copy_from_slice(&self.ids);
        ids
    }
}

/// Two pieces that share a cache line.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line {
    entries: [Entry; 2],
}

/// The cache; it takes no memory until it is [used](Self::lines).
#[derive(Debug, Default)]
pub(crate) struct PieceCache {
    lines: Pages<Line>,
    /// How many pieces there are.
    size: usize,
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

/// The other of the two lines that a piece may lie in, from either. Pieces that share one seldom share the other, so
/// that hardly a piece is lost before the cache is nearly full (Azar et al. 1994, "Balanced allocations").
#[inline]
fn other(at: usize, hash: u64) -> usize {
    (at ^ ((hash >> 32) as usize | 1)) % LINES
}

/// How many pieces move to their other line to make room for one, before one is forgotten.
const MOST_MOVES: usize = 4;

/// With more pieces than that no more than one moves: there is hardly any room to be found.
const NEARLY_FULL: usize = 2 * LINES / 16 * 15;

impl PieceCache {
    /// Takes its memory, if that has not happened.
    pub(crate) fn begin(&mut self) {
        if self.lines.is_empty() {
            self.lines = Pages::zeroed(LINES);
        }
    }

    /// What pieces are looked up in, once it has [begun](Self::begin).
    #[inline]
    pub(crate) fn view(&self) -> Option<View<'_>> {
        (*self.lines).try_into().ok().map(View)
    }

    /// What is known of a piece, in its line or its other one. What is found there moves to the first.
    pub(crate) fn find(&mut self, key: u128, hash: u64) -> Option<Found<'_>> {
        let at = place(hash);
        let is_of = |entry: &Entry| entry.is_of(key);
        let mut slot = self.lines.get(at)?.entries.iter().position(is_of);
        if slot.is_none() {
            let others = &mut self.lines[other(at, hash)].entries;
            let entry = std::mem::take(&mut others[others.iter().position(is_of)?]);
            self.size -= 1;
            slot = Some(self.put(hash, entry));
        }
        let entry = &self.lines[at].entries[slot?];
        let [start, count, round, _] = entry.ids;
        if entry.key == key | ELSEWHERE {
            return Some(Found::Elsewhere(Place { start, count, round }));
        }
        Some(Found::Here(entry))
    }

    /// Keeps the ids of a piece, in place of another one's if need be; gives whether there is room for so many.
    pub(crate) fn keep(&mut self, key: u128, hash: u64, ids: &[u32]) -> bool {
        let mut room = [0; MOST_IDS];
        if let Some(room) = room.get_mut(..ids.len()) {
            room.copy_from_slice(ids);
        } else if ids.len() <= MOST_PACKED && ids.iter().all(|id| id >> PACKED_BITS == 0) {
            let pack = |packed, (place, &id): (usize, &u32)| packed | u128::from(id) << (PACKED_BITS * place);
            room = bytemuck::cast(ids.iter().enumerate().fold(0, pack));
        } else {
            return false;
        }
        self.put(hash, Entry { key: key | (ids.len() as u128) << COUNT_SHIFT, ids: room });
        true
    }

    /// Keeps where the ids of a piece lie.
    pub(crate) fn keep_elsewhere(&mut self, key: u128, hash: u64, place: Place) {
        self.put(hash, Entry { key: key | ELSEWHERE, ids: [place.start, place.count, place.round, 0] });
    }

    /// Puts an entry into the first line of its piece, and gives its place there. Of two others either moves to its other
    /// line, by a bit that says nothing else.
    fn put(&mut self, hash: u64, entry: Entry) -> usize {
        self.begin();
        let (mut at, key) = (place(hash), entry.key & KEY);
        let own = self.lines[at].entries.iter().position(|known| known.is_of(key));
        let slot = own.unwrap_or_else(|| self.lines[at].slot(hash));
        let mut gone = std::mem::replace(&mut self.lines[at].entries[slot], entry);
        let moves = if self.size < NEARLY_FULL { MOST_MOVES } else { 1 };
        for _ in 0..moves {
            if gone.key == 0 || gone.is_of(key) {
                break;
            }
            let hash = self::hash(gone.key & KEY);
            at = other(at, hash);
            let slot = self.lines[at].slot(hash);
            let next = &mut self.lines[at].entries[slot];
            // The new one stays where it is.
            if next.is_of(key) {
                break;
            }
            std::mem::swap(next, &mut gone);
        }
        self.size += usize::from(gone.key == 0);
        slot
    }
}

/// What is known of a piece.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// Its entry.
    Here(&'a Entry),
    /// Where in the [`LongCache`](super::long_cache::LongCache) they lie.
    Elsewhere(Place),
}

/// The lines of a cache.
#[derive(Clone, Copy)]
pub(crate) struct View<'a>(pub(crate) &'a [Line; LINES]);

impl Line {
    /// Where a new entry goes: where none is, or else in place of one of them.
    fn slot(&self, hash: u64) -> usize {
        self.entries.iter().position(|known| known.key == 0).unwrap_or((hash >> 63) as usize)
    }

    /// The entry of a piece with its ids, by the halves of its key.
    #[inline]
    pub(crate) fn get(&self, low: u64, high: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.has(low, high))
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
        let found = match cache.find(key, hash(key))? {
            Found::Here(entry) => entry.ids()[..entry.count()].to_vec(),
            Found::Elsewhere(place) => return Some(vec![place.start]),
        };
        // Where it is found it is found at once after that.
        let View(lines) = cache.view()?;
        let entry = lines[place(hash(key))].get(key as u64, (key >> 64) as u64)?;
        assert_eq!(found, entry.ids()[..entry.count()]);
        Some(found)
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut cache = PieceCache::default();
        let pieces: Vec<(u128, Vec<u32>)> = (0..300_000_u32)
            .map(|number| {
                (
                    key(format!("{number}").as_bytes()).expect("short"),
                    (0..=number % 8).map(|id| id * 30_000 + number % 30_000).collect(),
                )
            })
            .collect();
        for (key, ids) in &pieces {
            assert_eq!(find(&mut cache, *key), None);
            let is_here = cache.keep(*key, hash(*key), ids);
            assert_eq!(is_here, ids.len() <= MOST_PACKED);
            if !is_here {
                cache.keep_elsewhere(*key, hash(*key), Place { start: 7, count: 8, round: 0 });
            }
            let expected = if is_here { ids.as_slice() } else { &[7] };
            assert_eq!(find(&mut cache, *key).as_deref(), Some(expected));
        }
        let kept = pieces.iter().filter(|(key, _)| find(&mut cache, *key).is_some()).count();
        assert!((220_000..300_000).contains(&kept), "{kept}");
        assert_eq!(BYTES, 8 << 20);
    }
}
