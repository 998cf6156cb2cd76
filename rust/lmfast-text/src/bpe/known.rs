//! The pieces that are one token: most of all pieces of a text.
//!
//! A table shared by all threads, made once. A line, as long as the processor's cache lines, holds three pieces of up to
//! 15 bytes exactly, and their ids; the next line goes on where one is full.

use bytemuck::{Pod, Zeroable};
use lmfast_base::{Pages, prefetch};

use super::cache::{hash, key};

/// In place of the id of a piece that is not known; no token has it.
pub(crate) const NO_ID: u32 = u32::MAX;

/// Pieces in a line.
const WIDTH: usize = 3;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line {
    /// 0 is no piece.
    keys: [u128; WIDTH],
    ids: [u32; WIDTH],
    /// 1 if a piece that belongs here lies in the next line, for want of room.
    overflows: u32,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Known {
    lines: Pages<Line>,
    shift: u32,
}

impl Known {
    /// A table of pieces with their ids; a piece that is too long is left out.
    pub(crate) fn new<'a>(pieces: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let entries: Vec<(u128, u32)> = pieces.filter_map(|(piece, id)| Some((key(piece)?, id))).collect();
        let bits = (entries.len() / 2 + 1).next_power_of_two().trailing_zeros().max(1);
        let mut table = Self { lines: Pages::zeroed(1 << bits), shift: 64 - bits };
        let shift = table.shift;
        let lines = &mut *table.lines;
        for (key, id) in entries {
            let mut line = (hash(key) >> shift) as usize;
            let place = loop {
                if let Some(place) = lines[line].keys.iter().position(|&known| known == 0 || known == key) {
                    break place;
                }
                lines[line].overflows = 1;
                line = (line + 1) & (lines.len() - 1);
            };
            lines[line].keys[place] = key;
            lines[line].ids[place] = id;
        }
        table
    }

    /// Says that a piece may be looked up soon.
    #[inline]
    pub(crate) fn prepare(&self, hash: u64) {
        prefetch(&self.lines, (hash >> self.shift) as usize);
    }

    /// The id of a piece that is one token, else [`NO_ID`].
    #[inline]
    pub(crate) fn get(&self, key: u128, hash: u64) -> u32 {
        let lines = &*self.lines;
        let mut at = (hash >> self.shift) as usize;
        loop {
            let Some(line) = lines.get(at) else { return NO_ID };
            for place in 0..WIDTH {
                if line.keys[place] == key {
                    return line.ids[place];
                }
            }
            if line.overflows == 0 {
                return NO_ID;
            }
            at = (at + 1) & (lines.len() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_found_and_no_other() {
        let pieces: Vec<String> = (0..2000_u32).map(|number| format!("piece {number}")).collect();
        let known = Known::new(pieces.iter().map(String::as_bytes).zip(0..));
        let get = |piece: &str| key(piece.as_bytes()).map_or(NO_ID, |key| known.get(key, hash(key)));
        for (id, piece) in (0..).zip(&pieces) {
            assert_eq!(get(piece), id);
        }
        assert_eq!((get("piece 2000"), get("piece"), get("a piece of 20 bytes.")), (NO_ID, NO_ID, NO_ID));
        assert_eq!(Known::default().get(1, 1), NO_ID);
    }
}
