//! The pattern of GPT-2, scanned by hand.
//!
//! At each place the first alternative that matches wins, as in [`PATTERN`]:
//! 1. a contraction in lower case;
//! 2. a run of letters, of numbers or of anything else that is no white space, with one U+0020 before it if there is
//!    one;
//! 3. white space: up to the end of the text all of it, else all but its last character, which 2. or 4. then takes;
//! 4. a single white-space character.

use std::ops::Range;

use lmfast_base::Result;

use super::classes::{Class, Classes};
use super::{BATCH, Split};

/// What the scanner stands for.
pub const PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The scanner.
#[derive(Debug, Clone, Copy)]
pub struct Gpt2;

impl Split for Gpt2 {
    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let classes = Classes::get();
        while from < text.len() && pieces.len() < BATCH {
            let end = piece_end(classes, text, from);
            pieces.push(from..end);
            from = end;
        }
        Ok(from)
    }
}

#[inline]
fn piece_end(classes: &Classes, text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    match bytes[start] {
        b'\'' => {
            if let Some(length) = contraction(&bytes[start + 1..]) {
                return start + 1 + length;
            }
        }
        b' ' if start + 1 < text.len() => {
            let (class, length) = classes.at(text, start + 1);
            if class != Class::Space {
                return classes.run(text, start + 1 + length, class);
            }
        }
        _ => {}
    }
    let (class, length) = classes.at(text, start);
    if class == Class::Space {
        return white_space_end(classes, text, start, start + length);
    }
    classes.run(text, start + length, class)
}

/// The length of what follows the apostrophe of a contraction.
fn contraction(rest: &[u8]) -> Option<usize> {
    match rest {
        [b's' | b't' | b'm' | b'd', ..] => Some(1),
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => Some(2),
        _ => None,
    }
}

/// The end of the piece that begins with the white-space character at `start`, which ends at `end`.
fn white_space_end(classes: &Classes, text: &str, start: usize, mut end: usize) -> usize {
    let mut last = start;
    while end < text.len() {
        let (class, length) = classes.at(text, end);
        if class != Class::Space {
            return if last == start { end } else { last };
        }
        last = end;
        end += length;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::super::regex::Pattern;
    use super::super::{pieces_of, strategies};
    use super::*;
    use proptest::prelude::*;

    fn assert_equals_pattern(text: &str) {
        let pattern = Pattern::new(PATTERN).expect("GPT-2's pattern compiles");
        assert_eq!(pieces_of(&Gpt2, text).expect("scans"), pieces_of(&pattern, text).expect("matches"), "{text:?}");
    }

    #[test]
    fn every_character_is_classed_as_the_pattern_classes_it() {
        let pattern = Pattern::new(PATTERN).expect("compiles");
        let mut text = String::new();
        for (index, character) in ('\0'..=char::MAX).enumerate() {
            text.push(character);
            text.push_str([" ", "a", "7", "!", "  ", "\u{3000} "][index % 6]);
            if text.len() > 60_000 || character == char::MAX {
                assert_eq!(pieces_of(&Gpt2, &text).expect("scans"), pieces_of(&pattern, &text).expect("matches"));
                text.clear();
            }
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
        fn scanner_equals_pattern(text in strategies::text()) {
            assert_equals_pattern(&text);
        }
    }
}
