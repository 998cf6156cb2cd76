//! The pattern of GPT-2, scanned by hand.
//!
//! At each place the first alternative that matches wins, as in [`PATTERN`]:
//! 1. a contraction in lower case;
//! 2. a run of letters, of numbers or of anything else that is no white space, with one U+0020 before it if there is
//!    one;
//! 3. white space: up to the end of the text all of it, else all but its last character, which 2. or 4. then takes;
//! 4. a single white-space character.

use super::classes::{Classes, Set};
use super::window::{Beyond, Scheme, Window, contraction};

/// What the scanner stands for.
pub const PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The scanner.
#[derive(Debug, Clone, Copy)]
pub struct Gpt2;

impl Scheme for Gpt2 {
    const BEYOND_ASCII: Beyond = Beyond::Letters;

    fn piece_end(&self, classes: &Classes, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        if bytes[start] == b'\'' && lower_contraction(&bytes[start + 1..]) > 0 {
            return start + 1 + lower_contraction(&bytes[start + 1..]);
        }
        let (mut class, mut length) = classes.at(text, start);
        if Set::SPACES.has(class) {
            match classes.next(text, start + length) {
                Some((next, next_length)) if bytes[start] == b' ' && !Set::SPACES.has(next) => {
                    (class, length) = (next, 1 + next_length);
                }
                _ => return white_space_end(classes, text, start),
            }
        }
        let run = [Set::LETTERS, Set::NUMBERS, Set::OTHERS].into_iter().find(|set| set.has(class));
        classes.run(text, start + length, run.unwrap_or(Set::OTHERS))
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as in the driver")]
    fn starts(&self, window: &Window<'_>) -> u64 {
        let Window { masks, bytes, .. } = window;
        let other = window.inside() & !(masks.letters | masks.digits | masks.white);
        let run_starts = |runs: u64| runs & !(runs << 1);
        let last_white = window.last_white(masks.white);
        let attached = (last_white & masks.space) << 1;
        let words = run_starts(masks.letters) | run_starts(masks.digits) | run_starts(other);
        let mut starts = run_starts(masks.white) | last_white | words & !attached;
        let mut quotes = masks.apostrophe & starts;
        while quotes != 0 {
            let at = quotes.trailing_zeros() as usize;
            let length = lower_contraction(bytes.get(at + 1..).unwrap_or_default());
            if length > 0 {
                starts = starts & !(2 << at) | 2_u64.checked_shl((at + length) as u32).unwrap_or(0);
            }
            quotes &= quotes - 1;
        }
        starts
    }
}

/// The letters of a contraction behind its apostrophe, in lower case: how many, 0 for none.
#[inline]
fn lower_contraction(rest: &[u8]) -> usize {
    let length = contraction(rest);
    if length > 0 && rest[..length].iter().all(u8::is_ascii_lowercase) { length } else { 0 }
}

/// The end of a piece of white space by `\s+(?!\S)|\s+`, which all these patterns end with: all of it at the end of
/// the text, else all but its last character, unless it is the only one.
pub(super) fn white_space_end(classes: &Classes, text: &str, start: usize) -> usize {
    let (mut last, mut end) = (start, start);
    while let Some((class, length)) = classes.next(text, end) {
        if !Set::SPACES.has(class) {
            return if last == start { end } else { last };
        }
        (last, end) = (end, end + length);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::assert_equals_pattern;
    use super::super::{pieces_of, strategies};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_character_is_classed_as_the_pattern_classes_it() {
        for text in strategies::every_character() {
            assert_equals_pattern(&Gpt2, PATTERN, &text);
        }
    }

    #[test]
    fn white_space_gives_back_one_character() {
        assert_eq!(
            pieces_of(&Gpt2, "a  b \n\n c\u{3000}\u{3000}d  ").expect("scans"),
            ["a", " ", " b", " \n\n", " c", "\u{3000}", "\u{3000}", "d", "  "]
        );
        assert_eq!(
            pieces_of(&Gpt2, "I'd've 'LL'll 's").expect("scans"),
            ["I", "'d", "'ve", " '", "LL", "'ll", " '", "s"]
        );
    }

    proptest! {
        #[test]
        fn scanner_equals_pattern(text in strategies::text(), ascii in strategies::ascii()) {
            assert_equals_pattern(&Gpt2, PATTERN, &text);
            assert_equals_pattern(&Gpt2, PATTERN, &ascii);
        }
    }
}
