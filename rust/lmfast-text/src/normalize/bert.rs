//! What BERT does to text: cleans it, sets ideographs apart, takes accents away and puts it into lower case
//! (`BasicTokenizer` in Google's `tokenization.py`).
//!
//! Characters go through one by one ([`Bert::character`]), ASCII in runs, unless somebody asks where they came from, or
//! the text has a character that canonical order may move and that no step takes away; then the steps run one after the
//! other.

use std::sync::LazyLock;

use unicode_normalization_alignments::UnicodeNormalization;
use unicode_normalization_alignments::char::{canonical_combining_class, decompose_canonical};

use super::alignment::Normalized;
use crate::unicode::{CONTROL, IDEOGRAPH, NONSPACING, PROPERTIES, SPACE};

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the file format, each on its own")]
pub(super) struct Bert {
    pub(super) clean_text: bool,
    pub(super) handle_chinese_chars: bool,
    pub(super) strip_accents: bool,
    pub(super) lowercase: bool,
}

impl Bert {
    pub(super) fn apply(self, text: &mut Normalized<'_>) {
        if self.is_settled(text.text()) {
            return;
        }
        if !text.is_tracked() {
            let mut becomes = String::with_capacity(text.text().len() + text.text().len() / 8);
            if self.characters(text.text(), &mut becomes) {
                text.set_untracked(becomes);
                return;
            }
        }
        self.steps(text);
    }

    /// Whether a text is of ASCII characters that stay as they are.
    fn is_settled(self, text: &str) -> bool {
        text.bytes().all(|byte| match byte {
            b' '..=b'@' | b'['..=b'~' => true,
            b'A'..=b'Z' => !self.lowercase,
            0..=0x7F => !self.clean_text,
            _ => false,
        })
    }

    /// The steps as `tokenizers` runs them.
    fn steps(self, text: &mut Normalized<'_>) {
        if self.clean_text {
            text.filter_map(clean);
        }
        if self.handle_chinese_chars && text.text().chars().any(|character| has(character, IDEOGRAPH)) {
            let old = text.text().to_owned();
            let apart = |character: char| {
                let (before, itself, behind) = if has(character, IDEOGRAPH) {
                    (Some((' ', 0)), (character, 1), Some((' ', 1)))
                } else {
                    (None, (character, 0), None)
                };
                before.into_iter().chain([itself]).chain(behind)
            };
            text.transform(old.chars().flat_map(apart), 0);
        }
        if self.strip_accents && !text.text().is_ascii() {
            let old: Vec<char> = text.text().chars().collect();
            text.transform(old.into_iter().nfd(), 0);
            text.filter_map(|character| (!has(character, NONSPACING)).then_some(character));
        }
        if self.lowercase {
            super::lowercase(text);
        }
    }

    /// Appends what a text becomes; false if only the steps can tell.
    fn characters(self, mut text: &str, becomes: &mut String) -> bool {
        while !text.is_empty() {
            let run = text.bytes().position(|byte| !byte.is_ascii()).unwrap_or(text.len());
            self.ascii(&text[..run], becomes);
            let mut rest = text[run..].chars();
            for character in rest.by_ref() {
                if character.is_ascii() {
                    self.ascii(character.encode_utf8(&mut [0; 4]), becomes);
                    break;
                }
                if !self.character(character, becomes) {
                    return false;
                }
            }
            text = rest.as_str();
        }
        true
    }

    /// Appends what ASCII becomes.
    fn ascii(self, run: &str, becomes: &mut String) {
        let from = becomes.len();
        if self.clean_text && run.bytes().any(|byte| byte < b' ' || byte == 0x7F) {
            becomes.extend(run.chars().filter_map(clean));
        } else {
            becomes.push_str(run);
        }
        if self.lowercase {
            becomes[from..].make_ascii_lowercase();
        }
    }

    /// Appends what a character becomes that is not ASCII; false if only the steps can tell.
    fn character(self, character: char, becomes: &mut String) -> bool {
        if STAYS.has(character) && !has(character, IDEOGRAPH) {
            becomes.push(character);
            return true;
        }
        let cleaned = if self.clean_text { clean(character) } else { Some(character) };
        let Some(character) = cleaned else { return true };
        let apart = self.handle_chinese_chars && has(character, IDEOGRAPH);
        if apart {
            becomes.push(' ');
        }
        let mut alone = true;
        let lower = |becomes: &mut String, character: char| {
            if self.lowercase { becomes.extend(character.to_lowercase()) } else { becomes.push(character) }
        };
        if STAYS.has(character) {
            becomes.push(character);
        } else if self.strip_accents {
            decompose_canonical(character, |part| {
                if !has(part, NONSPACING) {
                    alone &= canonical_combining_class(part) == 0;
                    lower(becomes, part);
                }
            });
        } else {
            lower(becomes, character);
        }
        if apart {
            becomes.push(' ');
        }
        alone
    }
}

/// A set of characters of the basic plane.
struct Set([u64; 1024]);

impl Set {
    #[inline]
    fn has(&self, character: char) -> bool {
        let code = character as usize;
        self.0.get(code / 64).is_some_and(|bits| bits >> (code % 64) & 1 == 1)
    }
}

/// Characters that no step changes or moves, but for the spaces that are put around ideographs.
static STAYS: LazyLock<Set> = LazyLock::new(|| {
    let mut set = Set([0; 1024]);
    for character in '\0'..='\u{FFFF}' {
        let mut parts = 0;
        let mut alone = true;
        decompose_canonical(character, |part| {
            parts += 1;
            alone &= part == character && canonical_combining_class(part) == 0;
        });
        let stays = parts == 1
            && alone
            && !has(character, NONSPACING)
            && clean(character) == Some(character)
            && character.to_lowercase().eq([character]);
        set.0[character as usize / 64] |= u64::from(stays) << (character as usize % 64);
    }
    set
});

fn has(character: char, property: u8) -> bool {
    PROPERTIES.of(character) & property != 0
}

fn clean(character: char) -> Option<char> {
    let properties = PROPERTIES.of(character);
    if matches!(character, '\0' | '\u{FFFD}') || properties & CONTROL != 0 {
        None
    } else if properties & SPACE != 0 {
        Some(' ')
    } else {
        Some(character)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::strategies;
    use proptest::prelude::*;

    fn assert_equal(bert: Bert, text: &str) {
        let mut tracked = Normalized::new(text, 0, true);
        bert.steps(&mut tracked);
        let mut plain = Normalized::new(text, 0, false);
        bert.apply(&mut plain);
        assert_eq!(plain.text(), tracked.text(), "{bert:?} {text:?}");
    }

    #[test]
    fn every_character_becomes_what_the_steps_make_of_it() {
        let bert = Bert { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true };
        for start in (0..0x11_0000).step_by(0x800) {
            let text: String =
                (start..start + 0x800).filter_map(char::from_u32).flat_map(|character| [character, 'A']).collect();
            assert_equal(bert, &text);
        }
        let mut text = Normalized::new("\u{c9}t\u{e9}\t\u{4e2d}\0 \u{1d165}\u{1bf2}", 0, false);
        bert.apply(&mut text);
        assert_eq!(text.text(), "ete  \u{4e2d}  \u{1bf2}\u{1d165}");
    }

    proptest! {
        #[test]
        fn characters_equal_steps(text in strategies::text(), flags in prop::array::uniform4(any::<bool>())) {
            let [clean_text, handle_chinese_chars, strip_accents, lowercase] = flags;
            assert_equal(Bert { clean_text, handle_chinese_chars, strip_accents, lowercase }, &text);
        }
    }
}
