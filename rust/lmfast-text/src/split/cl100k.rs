//! The pattern of cl100k (GPT-4), Llama 3 and Qwen 2, scanned by hand.
//!
//! At each place the first alternative that matches wins, as in [`PATTERN`]:
//! 1. a contraction in any case;
//! 2. a run of letters, with one character before it that is no letter, number or line end;
//! 3. up to three numbers (Qwen: one);
//! 4. a run of anything else that is no white space, with one U+0020 before it and the line ends behind it;
//! 5. white space up to its last line end;
//! 6. white space as GPT-2 has it.

use super::classes::{Class, Classes, Set};
use super::gpt2::white_space_end;
use super::window::{Beyond, Scheme, Window, contraction, low_bits, reached};

/// What the scanner stands for with numbers of up to three digits.
pub const PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What it stands for with numbers of one digit, as Qwen has them.
pub const QWEN_PATTERN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The scanner.
#[derive(Debug, Clone, Copy)]
pub struct Cl100k {
    /// The longest number.
    pub digits: usize,
}

impl Scheme for Cl100k {
    const BEYOND_ASCII: Beyond = Beyond::Letters;

    fn piece_end(&self, classes: &Classes, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        if bytes[start] == b'\'' && contraction(&bytes[start + 1..]) > 0 {
            return start + 1 + contraction(&bytes[start + 1..]);
        }
        let (class, length) = classes.at(text, start);
        let behind = start + length;
        if Set::LETTERS.has(class) {
            return classes.run(text, behind, Set::LETTERS);
        }
        if class == Class::Number {
            return numbers_end(classes, text, start, self.digits);
        }
        if !matches!(bytes[start], b'\r' | b'\n')
            && classes.next(text, behind).is_some_and(|(next, _)| Set::LETTERS.has(next))
        {
            return classes.run(text, behind, Set::LETTERS);
        }
        others_end(classes, text, start, b"\r\n").unwrap_or_else(|| lines_or_white_space_end(classes, text, start))
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as in the driver")]
    fn starts(&self, window: &Window<'_>) -> u64 {
        let masks = &window.masks;
        let other = window.inside() & !(masks.letters | masks.digits | masks.white);
        let absorbed = reached(masks.newline, other << 1 & masks.newline);
        let (white, last_blank) = white_starts(window, masks.white & !absorbed);
        let attached = (last_blank & masks.space) << 1;
        let other_starts = other & !(other << 1) & !attached;
        let prefixed = last_blank << 1 | window.behind(other_starts);
        let letter_starts = masks.letters & !(masks.letters << 1) & !prefixed;
        let mut starts = white | last_blank | other_starts | letter_starts | number_starts(masks.digits, self.digits);
        let mut quotes = masks.apostrophe & other_starts;
        while quotes != 0 {
            let at = quotes.trailing_zeros() as usize;
            let length = contraction(window.bytes.get(at + 1..).unwrap_or_default());
            if length > 0 {
                starts = starts & !(2 << at) | 2_u64.checked_shl((at + length) as u32).unwrap_or(0);
            }
            quotes &= quotes - 1;
        }
        starts
    }
}

/// The end of up to `most` numbers.
pub(super) fn numbers_end(classes: &Classes, text: &str, start: usize, most: usize) -> usize {
    let mut end = start;
    for _ in 0..most {
        match classes.next(text, end) {
            Some((Class::Number, length)) => end += length,
            _ => break,
        }
    }
    end
}

/// The end of ` ?[^\s\p{L}\p{N}]+` and of what follows of `tail`, if it matches.
pub(super) fn others_end(classes: &Classes, text: &str, start: usize, tail: &[u8]) -> Option<usize> {
    let bytes = text.as_bytes();
    let begin = start + usize::from(bytes[start] == b' ');
    let end = classes.run(text, begin, Set::OTHERS);
    (end > begin).then(|| end + bytes[end..].iter().take_while(|byte| tail.contains(byte)).count())
}

/// The end of `\s*[\r\n]+|\s+(?!\S)|\s+`; white space stands at `start`.
pub(super) fn lines_or_white_space_end(classes: &Classes, text: &str, start: usize) -> usize {
    let end = classes.run(text, start, Set::SPACES);
    let line_end = text.as_bytes()[start..end].iter().rposition(|byte| matches!(byte, b'\r' | b'\n'));
    line_end.map_or_else(|| white_space_end(classes, text, start), |last| start + last + 1)
}

/// The starts of numbers of up to `most` digits in runs of digits.
#[inline]
pub(super) fn number_starts(digits: u64, most: usize) -> u64 {
    if most == 1 {
        return digits;
    }
    let mut starts = digits & !(digits << 1);
    let mut longer = digits & digits << 1 & digits << 2 & digits << 3 & starts << 3;
    while longer != 0 {
        starts |= longer;
        longer = longer << 3 & digits & digits << 1 & digits << 2;
    }
    starts
}

/// The starts of `\s*[\r\n]+|\s+(?!\S)|\s+` in runs of white space, and of those the ones on the last character of a
/// run that is no line end, which the next piece may take.
#[inline]
pub(super) fn white_starts(window: &Window<'_>, white: u64) -> (u64, u64) {
    let newline = window.masks.newline & white;
    let last_blank = window.last_white(white) & !newline;
    let mut starts = white & !(white << 1);
    let mut behind = newline << 1 & white & !newline;
    while behind != 0 {
        let at = behind.trailing_zeros();
        let rest = low_bits((!(white >> at)).trailing_zeros() as usize) << at;
        if newline & rest == 0 {
            starts |= 1 << at;
        }
        behind &= behind - 1;
    }
    (starts, last_blank)
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
            assert_equals_pattern(&Cl100k { digits: 3 }, PATTERN, &text);
        }
    }

    #[test]
    fn line_ends_belong_to_what_stands_before_them() {
        assert_eq!(
            pieces_of(&Cl100k { digits: 3 }, "a!\n\n  b\n \n\n   c 12345 !x 'Ll's \n").expect("scans"),
            ["a", "!\n\n", " ", " b", "\n \n\n", "  ", " c", " ", "123", "45", " !", "x", " '", "Ll", "'s", " \n"]
        );
    }

    proptest! {
        #[test]
        fn scanner_equals_pattern(text in strategies::text(), ascii in strategies::ascii()) {
            for text in [text, ascii] {
                assert_equals_pattern(&Cl100k { digits: 3 }, PATTERN, &text);
                assert_equals_pattern(&Cl100k { digits: 1 }, QWEN_PATTERN, &text);
            }
        }
    }
}
