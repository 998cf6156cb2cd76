//! The driver of the hand-written scanners: 64 bytes at a time where text is ASCII, else piece by piece.
//!
//! A window begins where a piece begins. From the [`Masks`] of its bytes a scheme computes, with a few dozen operations
//! on 64-bit words, a bit for every byte at which a piece starts, as if nothing stood before the window; the driver
//! takes those that no byte behind the window, or behind its first byte that is not ASCII, could change. Where it gets
//! none that way, [`Scheme::piece_end`] finds the end of one piece, character by character.

use std::ops::Range;

use lmfast_base::Result;

use super::classes::Classes;
use super::masks::{Masks, WINDOW};
use super::{BATCH, Split};

/// A pattern that is scanned by hand.
pub(crate) trait Scheme: Send + Sync + std::fmt::Debug {
    /// The end of the piece that starts at byte `start`, on a boundary below the length: the pattern's own meaning.
    fn piece_end(&self, classes: &Classes, text: &str, start: usize) -> usize;

    /// A bit for each byte of the window at which a piece starts, if one starts at its first byte. Only the lowest
    /// `window.length` bits count, and of those [`Window::certain`] says which.
    fn starts(&self, window: &Window<'_>) -> u64;
}

/// What a scheme sees of the text.
pub(crate) struct Window<'a> {
    pub(crate) masks: Masks,
    /// The bytes from the window's first on, at least [`length`](Self::length).
    pub(crate) bytes: &'a [u8],
    /// How many of the bytes are in play: all are ASCII.
    pub(crate) length: usize,
    /// The text ends behind them.
    pub(crate) is_last: bool,
}

/// How many bytes behind the start of a piece can say that it is none: an apostrophe and two letters.
const LOOKAHEAD: usize = 3;

impl Window<'_> {
    /// Bits below the length.
    #[inline]
    pub(crate) fn inside(&self) -> u64 {
        low_bits(self.length)
    }

    /// The last byte of each run of `white`, except at the end of the text: `\s+(?!\S)` leaves it to the next piece.
    #[inline]
    pub(crate) fn last_white(&self, white: u64) -> u64 {
        white & !((white | !self.inside()) >> 1 | u64::from(self.length == WINDOW) << 63)
    }

    /// Which bits of the result no byte behind the window can change: a run of white space is known once its end is.
    #[inline]
    fn certain(&self) -> u64 {
        if self.is_last {
            return self.inside();
        }
        let known = low_bits(self.length.saturating_sub(LOOKAHEAD));
        let white = self.masks.white | !self.inside();
        let open = if white == u64::MAX { 0 } else { 64 - white.leading_ones() };
        known & low_bits(open as usize + 1)
    }
}

/// The lowest bits.
#[inline]
pub(crate) fn low_bits(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// The bits of `runs` that lie in one of its runs from a bit of `seeds` on, upwards; `seeds` lies within `runs`.
#[inline]
pub(crate) fn reached(runs: u64, seeds: u64) -> u64 {
    ((seeds.wrapping_add(runs) ^ runs) | seeds) & runs
}

/// The letters of a contraction behind its apostrophe, in any case: how many, 0 for none.
#[inline]
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

    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let (classes, bytes) = (Classes::get(), text.as_bytes());
        while from < bytes.len() && pieces.len() < BATCH {
            let rest = &bytes[from..];
            let base = from;
            if rest[0].is_ascii() && rest.get(1).is_none_or(u8::is_ascii) {
                let window = window(rest);
                let mut starts = self.starts(&window) & window.certain() & !1;
                while starts != 0 {
                    let end = base + starts.trailing_zeros() as usize;
                    pieces.push(from..end);
                    from = end;
                    starts &= starts - 1;
                }
                if window.is_last {
                    pieces.push(from..bytes.len());
                    from = bytes.len();
                }
            }
            if from == base {
                from = self.piece_end(classes, text, from);
                pieces.push(base..from);
            }
        }
        Ok(from)
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the scanners lose a tenth of their speed without")]
fn window(rest: &[u8]) -> Window<'_> {
    let masks = if let Some(window) = rest.first_chunk::<WINDOW>() {
        Masks::of(window)
    } else {
        let mut window = [0; WINDOW];
        window[..rest.len()].copy_from_slice(rest);
        Masks::of(&window)
    };
    let within = rest.len().min(WINDOW);
    let length = within.min(masks.non_ascii.trailing_zeros() as usize);
    Window { masks, bytes: rest, length, is_last: length == rest.len() }
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
