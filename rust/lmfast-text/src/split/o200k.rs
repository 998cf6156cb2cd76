//! The pattern of o200k (GPT-4o, Phi-4-mini) and Llama 4, and that of Mistral's Tekken, scanned by hand.
//!
//! At each place the first alternative that matches wins, as in [`PATTERN`]:
//! 1. a word that ends in lower case, `upper* lower+`, with one character before it that is no letter, number or line
//!    end, and a contraction behind it (not Tekken);
//! 2. a word in upper case, `upper+ lower*`, likewise;
//! 3. up to three numbers (Tekken: one);
//! 4. a run of anything else that is no white space, with one U+0020 before it and line ends and slashes behind it;
//! 5. white space as [`cl100k`](super::cl100k) has it.
//!
//! Letters without case and marks are both upper and lower.

use super::cl100k::{lines_or_white_space_end, number_starts, numbers_end, others_end, white_starts};
use super::classes::{Class, Classes, Set};
use super::window::{Beyond, Scheme, Window, contraction, reached};

/// What the scanner stands for.
pub const PATTERN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What it stands for without contractions and with numbers of one digit, as Tekken has them.
pub const TEKKEN_PATTERN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const UPPER: Set = Set::of(&[Class::Upper, Class::Letter, Class::Mark]);
const LOWER: Set = Set::of(&[Class::Lower, Class::Letter, Class::Mark]);

/// The scanner.
#[derive(Debug, Clone, Copy)]
pub struct O200k {
    /// Whether a contraction belongs to the word before it.
    pub contractions: bool,
    /// The longest number.
    pub digits: usize,
}

impl Scheme for O200k {
    const BEYOND_ASCII: Beyond = Beyond::Words;

    fn piece_end(&self, classes: &Classes, text: &str, start: usize) -> usize {
        let (class, length) = classes.at(text, start);
        if class == Class::Number {
            return numbers_end(classes, text, start, self.digits);
        }
        let may_be_prefix = !Set::LETTERS.has(class) && !matches!(text.as_bytes()[start], b'\r' | b'\n');
        let prefixed = may_be_prefix.then_some(start + length);
        let word = prefixed
            .and_then(|begin| lower_word_end(classes, text, begin))
            .or_else(|| lower_word_end(classes, text, start))
            .or_else(|| prefixed.and_then(|begin| upper_word_end(classes, text, begin)))
            .or_else(|| upper_word_end(classes, text, start));
        if let Some(end) = word {
            return end + if self.contractions { contraction_length(&text.as_bytes()[end..]) } else { 0 };
        }
        others_end(classes, text, start, b"\r\n/").unwrap_or_else(|| lines_or_white_space_end(classes, text, start))
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as in the driver")]
    fn starts(&self, window: &Window<'_>) -> u64 {
        let masks = &window.masks;
        let other = window.inside() & !(masks.letters | masks.digits | masks.white);
        let tail = masks.newline | masks.slash;
        let absorbed = reached(tail, other << 1 & masks.newline);
        let other = other & !absorbed;
        let (white, last_blank) = white_starts(window, masks.white & !absorbed);
        let attached = (last_blank & masks.space) << 1;
        let other_starts = other & !(other << 1) & !attached;
        let prefixed = last_blank << 1 | window.behind(other_starts);
        let lower = masks.letters & !masks.upper;
        let words = masks.letters & !(masks.letters << 1) & !prefixed | masks.upper & lower << 1;
        let mut starts = white | last_blank | other_starts | words | number_starts(masks.digits, self.digits);
        let mut quotes = if self.contractions { masks.apostrophe & masks.letters << 1 } else { 0 };
        let mut behind_contraction = 0;
        while quotes != 0 {
            let at = quotes.trailing_zeros() as usize;
            let length = contraction(window.bytes.get(at + 1..).unwrap_or_default());
            if length > 0 && at != behind_contraction {
                behind_contraction = at + 1 + length;
                let inside = (2 << length) - 1;
                starts = starts & !(inside << at) | 1_u64.checked_shl(behind_contraction as u32).unwrap_or(0);
            }
            quotes &= quotes - 1;
        }
        starts
    }
}

/// The length of a contraction with its apostrophe, 0 for none.
fn contraction_length(rest: &[u8]) -> usize {
    match rest.split_first() {
        Some((b'\'', letters)) if contraction(letters) > 0 => 1 + contraction(letters),
        _ => 0,
    }
}

/// The end of `UPPER* LOWER+`, if it matches. What is both is upper first; if nothing lower follows, the last that is
/// both is given back, and the word ends with it.
fn lower_word_end(classes: &Classes, text: &str, begin: usize) -> Option<usize> {
    let (mut end, mut behind_last_of_both) = (begin, None);
    while let Some((class, length)) = classes.next(text, end) {
        if !UPPER.has(class) {
            if class == Class::Lower {
                return Some(classes.run(text, end, LOWER));
            }
            break;
        }
        end += length;
        if class != Class::Upper {
            behind_last_of_both = Some(end);
        }
    }
    behind_last_of_both
}

/// The end of `UPPER+ LOWER*`, if it matches where [`lower_word_end`] does not: nothing lower follows then.
fn upper_word_end(classes: &Classes, text: &str, begin: usize) -> Option<usize> {
    let end = classes.run(text, begin, UPPER);
    (end > begin).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::assert_equals_pattern;
    use super::super::{pieces_of, strategies};
    use super::*;
    use proptest::prelude::*;

    const O200K: O200k = O200k { contractions: true, digits: 3 };
    const TEKKEN: O200k = O200k { contractions: false, digits: 1 };

    #[test]
    fn every_character_is_classed_as_the_pattern_classes_it() {
        for text in strategies::every_character() {
            assert_equals_pattern(&O200K, PATTERN, &text);
            assert_equals_pattern(&TEKKEN, TEKKEN_PATTERN, &text);
        }
    }

    #[test]
    fn words_end_where_the_case_rises() {
        assert_eq!(
            pieces_of(&O200K, "camelCase HTTPServer's don't'd \u{4E2D}A \u{4E2D}Ab !\n/x").expect("scans"),
            ["camel", "Case", " HTTPServer's", " don't", "'d", " \u{4E2D}", "A", " \u{4E2D}Ab", " !\n/", "x"]
        );
        assert_eq!(pieces_of(&TEKKEN, "I'd'veX 12").expect("scans"), ["I", "'d", "'ve", "X", " ", "1", "2"]);
    }

    proptest! {
        #[test]
        fn scanner_equals_pattern(text in strategies::text(), ascii in strategies::ascii()) {
            for text in [text, ascii] {
                assert_equals_pattern(&O200K, PATTERN, &text);
                assert_equals_pattern(&TEKKEN, TEKKEN_PATTERN, &text);
            }
        }
    }
}
