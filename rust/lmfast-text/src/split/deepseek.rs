//! The three patterns of `DeepSeek` V3, each applied to the pieces of the one before, scanned by hand as one.
//!
//! The first makes a piece of up to three numbers, the second of a run of kana and Chinese characters. So the text falls
//! into parts: numbers, runs of those characters, runs of others. The third pattern sees each part alone, and at each
//! place the first alternative that matches wins, as in the last of [`PATTERNS`]:
//! 1. an ASCII punctuation character and the ASCII letters behind it;
//! 2. a run of letters and marks, with one character before it that is no letter, punctuation, symbol or line end;
//! 3. a run of punctuation and symbols, with one U+0020 before it and the line ends behind it;
//! 4. white space up to its last line end;
//! 5. white space as GPT-2 has it, where the end of the part is the end of the text.
//!
//! What none of them takes, control characters mostly, is a piece up to what one takes again.

use super::cl100k::{number_starts, numbers_end, white_starts};
use super::classes::{Class, Classes, Set};
use super::gpt2::white_space_end;
use super::window::{Beyond, Scheme, Window, reached};

/// What the scanner stands for.
pub const PATTERNS: [&str; 3] = [
    r"\p{N}{1,3}",
    "[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];

const WORDS: Set = Set::of(&[Class::Upper, Class::Lower, Class::Letter, Class::Mark]);
const SIGNS: Set = Set::of(&[Class::Punctuation, Class::Symbol]);

/// The scanner.
#[derive(Debug, Clone, Copy)]
pub struct DeepSeek;

impl Scheme for DeepSeek {
    const BEYOND_ASCII: Beyond = Beyond::Nothing;

    fn piece_end(&self, classes: &Classes, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        let (class, length) = classes.at(text, start);
        if class == Class::Number {
            return numbers_end(classes, text, start, 3);
        }
        let part = Part { classes, text, of_cjk: is_cjk(bytes, start) };
        let behind = start + length;
        if WORDS.has(class) {
            return part.run(behind, WORDS);
        }
        if SIGNS.has(class) {
            let letters = bytes[behind..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            return if letters > 0 && bytes[start].is_ascii() { behind + letters } else { part.signs_end(start) };
        }
        let next = part.next(behind).map(|(next, _)| next);
        if !matches!(bytes[start], b'\r' | b'\n') && next.is_some_and(|next| WORDS.has(next)) {
            return part.run(behind, WORDS);
        }
        if bytes[start] == b' ' && next.is_some_and(|next| SIGNS.has(next)) {
            return part.signs_end(behind);
        }
        if class == Class::Space { part.white_space_end(start) } else { part.rest_end(behind) }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as in the driver")]
    fn starts(&self, window: &Window<'_>) -> u64 {
        let masks = &window.masks;
        let others = window.inside() & !(masks.letters | masks.digits | masks.white);
        let rest = controls(window, others);
        let signs = others & !rest;
        let absorbed = reached(masks.newline, signs << 1 & masks.newline);
        let (white, last_blank) = white_starts(window, masks.white & !absorbed);
        let last_blank = last_blank & !(masks.digits >> 1);
        let attached = (last_blank & masks.space) << 1;
        let sign_starts = signs & !(signs << 1) & !attached;
        let rest_prefix = rest & masks.letters >> 1;
        let rest_starts = rest_prefix | rest & !((rest & !rest_prefix) << 1);
        let prefix = last_blank | sign_starts & !(signs >> 1) | rest_prefix;
        let letter_starts = masks.letters & !(masks.letters << 1) & !(prefix << 1);
        white | last_blank | sign_starts | rest_starts | letter_starts | number_starts(masks.digits, 3)
    }
}

/// The control characters among some bytes of a window.
#[inline]
fn controls(window: &Window<'_>, mut among: u64) -> u64 {
    let mut controls = 0;
    while among != 0 {
        let at = among.trailing_zeros();
        controls |= u64::from(window.bytes[at as usize].is_ascii_control()) << at;
        among &= among - 1;
    }
    controls
}

/// Whether a character of the second pattern stands at a byte; in UTF-8 bytes have the order of characters.
#[inline]
fn is_cjk(bytes: &[u8], at: usize) -> bool {
    const KANA: [[u8; 3]; 2] = [[0xE3, 0x81, 0x80], [0xE3, 0x83, 0xBF]];
    const CHINESE: [[u8; 3]; 2] = [[0xE4, 0xB8, 0x80], [0xE9, 0xBE, 0xA5]];
    let is_in = |found: &[u8; 3], [first, last]: &[[u8; 3]; 2]| first <= found && found <= last;
    bytes[at] >= 0xE3 && bytes[at..].first_chunk().is_some_and(|found| is_in(found, &KANA) || is_in(found, &CHINESE))
}

/// The part of a text that the third pattern sees alone.
struct Part<'a> {
    classes: &'a Classes,
    text: &'a str,
    /// Of characters of the second pattern, else of others but numbers.
    of_cjk: bool,
}

impl Part<'_> {
    /// The class and length of the character at a byte, if it belongs to the part.
    #[inline]
    fn next(&self, at: usize) -> Option<(Class, usize)> {
        let (class, length) = self.classes.next(self.text, at)?;
        let belongs = class != Class::Number && is_cjk(self.text.as_bytes(), at) == self.of_cjk;
        belongs.then_some((class, length))
    }

    #[inline]
    fn run(&self, mut from: usize, set: Set) -> usize {
        while let Some((_, length)) = self.next(from).filter(|&(class, _)| set.has(class)) {
            from += length;
        }
        from
    }

    /// The end of `[\p{P}\p{S}]+[\r\n]*`.
    fn signs_end(&self, start: usize) -> usize {
        let end = self.run(start, SIGNS);
        let lines = self.text.as_bytes()[end..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        end + if self.of_cjk { 0 } else { lines.count() }
    }

    /// The end of `\s*[\r\n]+|\s+(?!\S)|\s+`.
    fn white_space_end(&self, start: usize) -> usize {
        let end = self.classes.run(self.text, start, Set::SPACES);
        let line_end = self.text.as_bytes()[start..end].iter().rposition(|byte| matches!(byte, b'\r' | b'\n'));
        match line_end {
            Some(last) => start + last + 1,
            None if self.next(end).is_none() => end,
            None => white_space_end(self.classes, self.text, start),
        }
    }

    /// The end of what no alternative takes.
    fn rest_end(&self, mut end: usize) -> usize {
        while let Some((Class::Other, length)) = self.next(end) {
            if self.next(end + length).is_some_and(|(next, _)| WORDS.has(next)) {
                break;
            }
            end += length;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::super::regex::Pattern;
    use super::super::window::tests::assert_equals;
    use super::super::{Chain, Split, pieces_of, strategies};
    use super::*;
    use proptest::prelude::*;

    fn patterns() -> Chain {
        let step = |pattern| Box::new(Pattern::new(pattern).expect("the pattern compiles")) as Box<dyn Split>;
        Chain { steps: PATTERNS.into_iter().map(step).collect() }
    }

    #[test]
    fn every_character_is_classed_as_the_patterns_class_it() {
        let patterns = patterns();
        for text in strategies::every_character() {
            assert_equals(&DeepSeek, &patterns, &text);
        }
        // Beside characters of the second pattern, of several classes, and what no alternative takes.
        let around = ["\u{3042}", "\u{30FB}", "\u{3040}", "\u{4E2D}\u{309A}", "\0", "7\0", "\u{309B}a"];
        for text in strategies::every_character_beside(&around) {
            assert_equals(&DeepSeek, &patterns, &text);
        }
    }

    #[test]
    fn parts_are_seen_alone() {
        assert_eq!(
            pieces_of(&DeepSeek, "a  1234 !x !!y\n\n \u{4E2D}\u{30FB}\u{3042}!z\u{3000}7\0\x01b\0\0 _c\u{e9}")
                .expect("scans"),
            [
                "a", "  ", "123", "4", " !", "x", " !!", "y", "\n\n", " ", "\u{4E2D}", "\u{30FB}", "\u{3042}", "!z",
                "\u{3000}", "7", "\0", "\x01b", "\0\0", " _", "c\u{e9}",
            ]
        );
    }

    proptest! {
        #[test]
        fn scanner_equals_patterns(text in strategies::text(), ascii in strategies::ascii()) {
            let patterns = patterns();
            assert_equals(&DeepSeek, &patterns, &text);
            assert_equals(&DeepSeek, &patterns, &ascii);
        }

        #[test]
        fn scanner_equals_patterns_where_parts_end(
            text in "([ \t]{0,3}|[a-z]{1,3}|[0-9]{1,4}|\u{663}|[!.,_(]{1,2}|[\r\n]{1,2}|[\0\x01\x7F]{1,2}|\u{ad}|\u{301}|\
                [\u{3040}-\u{30FF}]{1,2}|[\u{4E00}-\u{4E09}\u{9FA4}-\u{9FA7}]{1,2}|\u{3002}|\u{3000}|\u{AC00}){0,80}"
        ) {
            assert_equals(&DeepSeek, &patterns(), &text);
        }
    }
}
