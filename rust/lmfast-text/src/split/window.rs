//! The driver of the hand-written scanners: 64 bytes at a time where that can be, else piece by piece.
//!
//! A window begins where a piece begins. From the [`Masks`] of its bytes a scheme computes, with a few dozen operations
//! on 64-bit words, a bit for every byte at which a piece starts, as if nothing stood before the window; the driver
//! takes those that no byte behind the window, or behind the first character that it cannot take, could change. Where it
//! gets none that way, [`Scheme::piece_end`] finds the end of one piece, character by character.
#![expect(
    clippy::inline_always,
    reason = "compiled once for each kind of processor, in one function with its instructions"
)]

use std::ops::Range;

use lmfast_base::Result;

use super::classes::Classes;
use super::ends::Ends;
use super::masks::{Masks, WINDOW};
use super::{BATCH, Split};
use crate::simd::{self, Lanes};

/// A pattern that is scanned by hand.
///
/// It starts a piece at every space behind a character that is not white space.
pub(crate) trait Scheme: Send + Sync + std::fmt::Debug {
    /// What the windows may hold beyond ASCII.
    const BEYOND_ASCII: Beyond;

    /// The end of the piece that starts at byte `start`, on a boundary below the length: the pattern's own meaning.
    fn piece_end(&self, classes: &Classes, text: &str, start: usize) -> usize;

    /// A bit for each byte of the window at which a piece starts, if one starts at its first byte. Only the lowest
    /// `window.length` bits count, and of those [`Window::certain`] says which.
    fn starts(&self, window: &Window<'_>) -> u64;
}

/// Which characters beyond ASCII a scheme takes in its windows; white space and numbers are none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// None.
    Nothing,
    /// Letters, and everything else.
    Letters,
    /// Letters, marks behind them as letters without case, and everything else but marks; no letters in upper case
    /// behind some without case.
    Words,
}

/// What a scheme sees of the text.
pub(crate) struct Window<'a> {
    /// All bytes of a character have its bits.
    pub(crate) masks: Masks,
    /// The bytes from the window's first on, at least [`length`](Self::length).
    pub(crate) bytes: &'a [u8],
    /// How many of the bytes are in play.
    pub(crate) length: usize,
    /// The text ends behind them.
    pub(crate) is_last: bool,
}

/// How many bytes behind the start of a piece can say that it is none: an apostrophe and two letters.
const LOOKAHEAD: usize = 3;

impl Window<'_> {
    /// Bits below the length.
    #[inline(always)]
    pub(crate) fn inside(&self) -> u64 {
        low_bits(self.length)
    }

    /// The first byte behind each character whose first byte is given.
    #[inline(always)]
    pub(crate) fn behind(&self, firsts: u64) -> u64 {
        let rest = self.masks.continued;
        (firsts << 1).wrapping_add(rest) & !rest
    }

    /// The last byte of each run of `white`, except at the end of the text: `\s+(?!\S)` leaves it to the next piece.
    #[inline(always)]
    pub(crate) fn last_white(&self, white: u64) -> u64 {
        white & !((white | !self.inside()) >> 1 | u64::from(self.length == WINDOW) << 63)
    }

    /// Which bits of the result no byte behind the window can change, and the last of them if that is known to be a
    /// start, else 0.
    ///
    /// At a space behind a character that is not white all is decided that stands before it. Without one, a run of
    /// white space is known once its end is.
    #[inline(always)]
    fn certain(&self) -> (u64, usize) {
        let inside = self.inside();
        if self.is_last {
            return (inside, 0);
        }
        let Masks { white, space, .. } = self.masks;
        let borders = space & !(white << 1) & inside & !1;
        if borders != 0 {
            return (u64::MAX >> borders.leading_zeros(), 63 - borders.leading_zeros() as usize);
        }
        let known = low_bits(self.length.saturating_sub(LOOKAHEAD));
        let white = white | !inside;
        let open = if white == u64::MAX { 0 } else { 64 - white.leading_ones() };
        (known & low_bits(open as usize + 1), 0)
    }
}

/// The lowest bits.
#[inline(always)]
pub(crate) fn low_bits(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// The bits of `runs` that lie in one of its runs from a bit of `seeds` on, upwards; `seeds` lies within `runs`.
#[inline(always)]
pub(crate) fn reached(runs: u64, seeds: u64) -> u64 {
    ((seeds.wrapping_add(runs) ^ runs) | seeds) & runs
}

/// The letters of a contraction behind its apostrophe, in any case: how many, 0 for none.
#[inline(always)]
pub(crate) fn contraction(rest: &[u8]) -> usize {
    let lower = |at: usize| rest.get(at).map_or(0, |byte| byte | 0x20);
    match lower(0) {
        b's' | b't' | b'm' | b'd' => 1,
        b'r' | b'v' if lower(1) == b'e' => 2,
        b'l' if lower(1) == b'l' => 2,
        // U+017F, the long s, is an s in any case.
        _ if rest.starts_with("\u{17F}".as_bytes()) => 2,
        _ => 0,
    }
}

impl<S: Scheme> Split for S {
    fn cuts_before_words(&self) -> bool {
        true
    }

    fn ends(&self, text: &str, ends: &mut Ends) -> Option<usize> {
        simd::tile(self, text, ends);
        Some(ends.last())
    }

    fn split(&self, text: &str, from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let mut ends = Ends::default();
        ends.begin(from);
        while ends.last() < text.len() && pieces.len() < BATCH {
            ends.begin(ends.last());
            simd::tile(self, text, &mut ends);
            pieces.extend(ends.borders().windows(2).map(|ends| ends[0]..ends[1]));
        }
        Ok(ends.last())
    }
}

/// Adds the ends of pieces until there are enough of them or the text ends.
#[inline(always)]
pub(crate) fn tile<S: Scheme, L: Lanes>(scheme: &S, text: &str, ends: &mut Ends) {
    let (classes, bytes) = (Classes::get(), text.as_bytes());
    let mut from = ends.last();
    while from < bytes.len() && !ends.is_full() {
        let window = window::<S, L>(classes, &bytes[from..]);
        let (certain, border) = window.certain();
        let starts = scheme.starts(&window) & certain & !1;
        debug_assert!(starts >> border & 1 == 1 || border == 0);
        let base = from;
        if starts != 0
            && let Some(room) = ends.room()
        {
            // The border is known before the other starts are, and with it the next window.
            from += if border > 0 { border } else { 63 - starts.leading_zeros() as usize };
            L::places(starts, base, room);
            ends.add(starts.count_ones() as usize);
        }
        if window.is_last {
            from = bytes.len();
            ends.push(from);
        } else if starts == 0 {
            from = scheme.piece_end(classes, text, from);
            ends.push(from);
        }
    }
}

#[inline(always)]
fn window<'a, S: Scheme, L: Lanes>(classes: &Classes, rest: &'a [u8]) -> Window<'a> {
    let mut masks = if let Some(window) = rest.first_chunk::<WINDOW>() {
        L::masks(window)
    } else {
        let mut window = [0; WINDOW];
        window[..rest.len()].copy_from_slice(rest);
        L::masks(&window)
    };
    let mut length = rest.len().min(WINDOW);
    if masks.non_ascii != 0 {
        if S::BEYOND_ASCII == Beyond::Nothing {
            length = length.min(masks.non_ascii.trailing_zeros() as usize);
        } else {
            let letters = Letters { letters: masks.letters, upper: masks.upper };
            let words = S::BEYOND_ASCII == Beyond::Words;
            let (letters, stop) = letters.beyond_ascii::<L>(classes, rest, masks.non_ascii, masks.continued, words);
            (masks.letters, masks.upper) = (letters.letters, letters.upper);
            length = length.min(stop.trailing_zeros() as usize);
        }
    }
    Window { masks, bytes: rest, length, is_last: length == rest.len() }
}

/// The letters of a window.
#[derive(Clone, Copy)]
struct Letters {
    letters: u64,
    upper: u64,
}

impl Letters {
    /// Adds those beyond ASCII, and gives the characters that the window cannot take.
    #[inline(always)]
    fn beyond_ascii<L: Lanes>(
        self,
        classes: &Classes,
        rest: &[u8],
        non_ascii: u64,
        continued: u64,
        words: bool,
    ) -> (Self, u64) {
        let mut padded = [0; WINDOW + 3];
        let bytes = rest.first_chunk().unwrap_or_else(|| {
            let length = rest.len().min(WINDOW);
            padded[..length].copy_from_slice(&rest[..length]);
            &padded
        });
        let (mut firsts, mut kinds) = (non_ascii & !continued, [0; WINDOW]);
        // Of all characters only the last can reach beyond the window.
        let last = 63 - firsts.leading_zeros() as usize;
        let reaches_beyond = last + length(bytes[last]) > WINDOW;
        while firsts != 0 {
            let at = firsts.trailing_zeros() as usize % WINDOW;
            kinds[at] = classes.kind([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            firsts &= firsts - 1;
        }
        let [letters, upper, caseless, marks, stop] = L::bits(&kinds);
        let mut stop = stop | u64::from(reaches_beyond) << last;
        // Those continued bytes are added that follow one of the first ones without a break.
        let whole = |firsts: u64| firsts | reached(continued, firsts << 1 & continued);
        let (mut letters, upper) = (self.letters | whole(letters), self.upper | whole(upper));
        if words {
            let marks = whole(marks);
            let word = reached(letters | marks, letters);
            stop |= marks & !word | upper & (whole(caseless) | marks & word) << 1;
            letters = word;
        }
        (Self { letters, upper }, stop)
    }
}

/// The bytes of a character beyond ASCII, by its first.
#[inline(always)]
fn length(first: u8) -> usize {
    2 + usize::from(first >= 0xE0) + usize::from(first >= 0xF0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{pieces_of, regex::Pattern};
    use super::*;

    /// Holds a scanner equal to its pattern, and its windows to its meaning piece by piece.
    pub(crate) fn assert_equals_pattern(scheme: &impl Scheme, pattern: &str, text: &str) {
        assert_equals(scheme, &Pattern::new(pattern).expect("the pattern compiles"), text);
    }

    /// [`assert_equals_pattern`] for what a pattern or several were made into.
    pub(crate) fn assert_equals(scheme: &impl Scheme, oracle: &dyn Split, text: &str) {
        let expected = pieces_of(oracle, text).expect("matches");
        assert_eq!(pieces_of(scheme, text).expect("scans"), expected, "{text:?}");
        for borders in simd::tile_by_each(scheme, text) {
            let pieces: Vec<&str> = borders.windows(2).map(|sides| &text[sides[0]..sides[1]]).collect();
            assert_eq!(pieces, expected, "by one kind of processor: {text:?}");
        }
        let (mut singly, mut from) = (Vec::new(), 0);
        while from < text.len() {
            let end = scheme.piece_end(Classes::get(), text, from);
            singly.push(&text[from..end]);
            from = end;
        }
        assert_eq!(singly, expected, "piece by piece: {text:?}");
    }

    #[test]
    fn seeds_reach_the_end_of_their_run() {
        assert_eq!(reached(0b0111_0110, 0b0010_0010), 0b0110_0110);
        assert_eq!(reached(0b1111, 0b0101), 0b1111);
        assert_eq!(reached(u64::MAX, 1 << 40), u64::MAX << 40);
        assert_eq!(reached(0b1111, 0), 0);
    }
}
