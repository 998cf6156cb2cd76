//! The pieces that are one token: most of all pieces of a text.
//!
//! A table shared by all threads, made once. A line, as long as the processor's cache lines, holds three pieces of up to
//! 15 bytes exactly, and their ids; the next line goes on where one is full.

use super::cache::{hash, key};
use crate::simd::prefetch;

/// Pieces in a line.
const WIDTH: usize = 3;

#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    /// 0 is no piece.
    keys: [u128; WIDTH],
    ids: [u32; WIDTH],
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Known {
    lines: Vec<Line>,
    shift: u32,
}

impl Known {
    /// A table of pieces with their ids; a piece that is too long is left out.
    pub(crate) fn new<'a>(pieces: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let entries: Vec<(u128, u32)> = pieces.filter_map(|(piece, id)| Some((key(piece)?, id))).collect();
        let bits = (entries.len() / 2 + 1).next_power_of_two().trailing_zeros().max(1);
        let mut table = Self { lines: vec![Line::default(); 1 << bits], shift: 64 - bits };
        for (key, id) in entries {
            let mut line = table.line(hash(key));
            let place = loop {
                if let Some(place) = table.lines[line].keys.iter().position(|&known| known == 0 || known == key) {
                    break place;
                }
                line = (line + 1) & (table.lines.len() - 1);
            };
            table.lines[line].keys[place] = key;
            table.lines[line].ids[place] = id;
        }
        table
    }

    #[inline]
    fn line(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// Says that a piece will be looked up soon.
    #[inline]
    pub(crate) fn prepare(&self, hash: u64) {
        if let Some(line) = self.lines.get(self.line(hash)) {
            prefetch(line);
        }
    }

    /// The id of a piece that is one token.
    #[inline]
    pub(crate) fn get(&self, key: u128, hash: u64) -> Option<u32> {
        let mut at = self.line(hash);
        loop {
            let line = self.lines.get(at)?;
            for place in 0..WIDTH {
                if line.keys[place] == key {
                    return Some(line.ids[place]);
                }
            }
            if line.keys[WIDTH - 1] == 0 {
                return None;
            }
            at = (at + 1) & (self.lines.len() - 1);
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
        let get = |piece: &str| key(piece.as_bytes()).and_then(|key| known.get(key, hash(key)));
        for (id, piece) in (0..).zip(&pieces) {
            assert_eq!(get(piece), Some(id));
        }
        assert_eq!((get("piece 2000"), get("piece"), get("a piece of 20 bytes.")), (None, None, None));
        assert_eq!(Known::default().get(1, 1), None);
    }
}
