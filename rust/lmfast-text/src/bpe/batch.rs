//! Looking up some hundred pieces at once.
//!
//! First all keys are made and all lines of the cache asked for, so that the processor fetches many at once; then the
//! ids are written, those of a piece in one go and always [`MOST_IDS`] or [`PIECE_ROOM`] of them: the next piece writes
//! over what is too much.

use std::ops::Range;

use lmfast_base::{prefetch, prefetch_far};

use super::cache::{LINES, LONGEST, MOST_IDS, PieceCache, ROOM as PIECE_ROOM, View, hash, key, key_of_start};
use super::long_cache::{self, LongCache};
use crate::split::Ends;

/// The most pieces.
pub(super) const MOST: usize = Ends::MOST;

/// How many pieces before a look-up its line is asked for again, into the first cache, which is small.
const NEAR: usize = 16;

/// Room for ids: enough for all pieces, were all in the cache.
const ROOM: usize = (MOST * PIECE_ROOM).next_power_of_two();

/// In place of the key of a piece that is too long for one.
pub(super) const TOO_LONG: u128 = u128::MAX;

/// The key of a piece and its hash; or [`TOO_LONG`] and the hash that the cache of long pieces has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Key {
    pub(super) low: u64,
    pub(super) high: u64,
    pub(super) hash: u64,
}

impl Key {
    pub(super) fn of(piece: &[u8]) -> Self {
        match key(piece) {
            Some(key) => Self::short(key),
            None => Self::long(piece),
        }
    }

    #[inline]
    fn short(key: u128) -> Self {
        Self { low: key as u64, high: (key >> 64) as u64, hash: hash(key) }
    }

    fn long(piece: &[u8]) -> Self {
        let hash = long_cache::hash(&piece[..piece.len().min(long_cache::LONGEST)]);
        Self { low: u64::MAX, high: u64::MAX, hash }
    }

    /// Both halves.
    pub(super) fn whole(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

/// The keys and the ids.
#[derive(Debug)]
pub(super) struct Batch {
    /// The last of them, behind those that count, are only asked for.
    keys: Box<[Key; MOST + NEAR]>,
    count: usize,
    ids: Box<[u32; ROOM + PIECE_ROOM]>,
    /// How many ids count.
    end: usize,
}

impl Default for Batch {
    fn default() -> Self {
        #[expect(clippy::large_stack_arrays, reason = "once for each thread, and 16 KiB")]
        let (keys, ids) = (Box::new([Key::default(); MOST + NEAR]), Box::new([0; ROOM + PIECE_ROOM]));
        Self { keys, count: 0, ids, end: 0 }
    }
}

impl Batch {
    /// Takes at most [`MOST`] pieces, of which is given where each begins and ends, in place of those before.
    #[inline(never)]
    pub(super) fn prepare(
        &mut self,
        cache: &PieceCache,
        long_cache: &LongCache,
        bytes: &[u8],
        pieces: impl ExactSizeIterator<Item = (usize, usize)>,
    ) {
        let Some(View(lines)) = cache.view() else { return };
        (self.count, self.end) = (pieces.len().min(MOST), 0);
        for (to, (start, end)) in self.keys[..self.count].iter_mut().zip(pieces) {
            let length = end - start;
            *to = match bytes.get(start..).and_then(<[u8]>::first_chunk) {
                Some(bytes) if length <= LONGEST => {
                    let key = Key::short(key_of_start(bytes, length));
                    prefetch_far(lines, key.hash as usize % LINES);
                    key
                }
                _ => {
                    let key = Key::of(&bytes[start..end]);
                    long_cache.prepare(key.hash);
                    key
                }
            };
        }
    }

    /// Writes the ids of some of the pieces, up to the first that is not in the cache, which it gives with its key.
    #[inline(never)]
    pub(super) fn look_up(&mut self, cache: &PieceCache, pieces: Range<usize>) -> Option<(usize, Key)> {
        let View(lines) = cache.view()?;
        let (mut end, mut found) = (self.end, pieces.start);
        for (&Key { low, high, hash }, near) in self.keys[pieces.clone()].iter().zip(&self.keys[pieces.start + NEAR..])
        {
            prefetch(lines, near.hash as usize % LINES);
            let Some(entry) = lines[hash as usize % LINES].get(low, high) else { break };
            let room: Option<&mut [u32; MOST_IDS]> = self.ids[end % ROOM..].first_chunk_mut();
            if let Some(room) = room {
                *room = *entry.few();
            }
            let count = entry.count();
            if count > MOST_IDS
                && let Some(room) = self.ids[end % ROOM..].first_chunk_mut()
            {
                *room = entry.many();
            }
            end += count;
            found += 1;
        }
        self.end = end;
        self.keys[..pieces.end].get(found).map(|&key| (found, key))
    }

    /// Adds ids of a piece that was not in the cache; gives all up to it to `ids`, if need be.
    #[inline]
    pub(super) fn add(&mut self, new: &[u32], ids: &mut Vec<u32>) {
        if self.end + new.len() + PIECE_ROOM * self.count > ROOM {
            self.give(ids);
        }
        if new.len() > 2 * PIECE_ROOM {
            self.give(ids);
            ids.extend_from_slice(new);
            return;
        }
        for &id in new {
            self.ids[self.end % ROOM] = id;
            self.end += 1;
        }
    }

    /// How many pieces there are.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many ids are written and not given.
    #[inline]
    pub(super) fn written(&self) -> usize {
        self.end
    }

    /// Gives the ids written.
    #[inline]
    pub(super) fn give(&mut self, ids: &mut Vec<u32>) {
        ids.extend_from_slice(&self.ids[..self.end]);
        self.end = 0;
    }
}
