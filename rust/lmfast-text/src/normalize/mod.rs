//! Changes of the text before it is cut.
//!
//! Each works on a [`Normalized`], which keeps where every byte came from if somebody asks, and leaves a text alone, at
//! little cost, that it would not change. The forms of Unicode are those of `unicode-normalization-alignments`, the
//! crate and thus the tables (Unicode 9) of `tokenizers`, which also tells which character replaces which.

mod alignment;
mod bert;
pub(crate) mod precompiled;

use lmfast_base::Result;
use unicode_normalization_alignments::char::is_combining_mark;
use unicode_normalization_alignments::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use crate::byte_chars;
use crate::format::components::Normalizer;
use crate::split::find::Finder;

pub(crate) use alignment::{Normalized, Origin};
use bert::Bert;
pub use precompiled::CharsMap;

/// A normalizer made ready: its steps, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Normalizers {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Lowercase,
    Strip { left: bool, right: bool },
    StripAccents,
    Replace { finder: Finder, content: String },
    Prepend(String),
    Nmt,
    Precompiled(CharsMap),
    Bert(Bert),
    ByteLevel,
}

impl Normalizers {
    /// Makes a normalizer ready.
    ///
    /// # Errors
    /// Says what of it cannot be used.
    pub(crate) fn new(definition: Option<&Normalizer>) -> std::result::Result<Self, String> {
        let mut normalizers = Self::default();
        if let Some(definition) = definition {
            normalizers.add(definition)?;
        }
        Ok(normalizers)
    }

    fn add(&mut self, definition: &Normalizer) -> std::result::Result<(), String> {
        self.steps.push(match definition {
            Normalizer::Sequence { normalizers } => return normalizers.iter().try_for_each(|step| self.add(step)),
            Normalizer::Nfc {} => Step::Nfc,
            Normalizer::Nfd {} => Step::Nfd,
            Normalizer::Nfkc {} => Step::Nfkc,
            Normalizer::Nfkd {} => Step::Nfkd,
            Normalizer::Lowercase {} => Step::Lowercase,
            Normalizer::Strip { strip_left, strip_right } => Step::Strip { left: *strip_left, right: *strip_right },
            Normalizer::StripAccents {} => Step::StripAccents,
            Normalizer::Replace { pattern, content } => {
                Step::Replace { finder: Finder::new(pattern)?, content: content.clone() }
            }
            Normalizer::Prepend { prepend } => Step::Prepend(prepend.clone()),
            Normalizer::Nmt {} => Step::Nmt,
            Normalizer::Precompiled(precompiled) => Step::Precompiled(precompiled.map.clone()),
            Normalizer::BertNormalizer { clean_text, handle_chinese_chars, strip_accents, lowercase } => {
                Step::Bert(Bert {
                    clean_text: *clean_text,
                    handle_chinese_chars: *handle_chinese_chars,
                    strip_accents: strip_accents.unwrap_or(*lowercase),
                    lowercase: *lowercase,
                })
            }
            Normalizer::ByteLevel {} => Step::ByteLevel,
        });
        Ok(())
    }

    /// Changes a text.
    ///
    /// # Errors
    /// A pattern that does not come to an end.
    pub(crate) fn apply(&self, text: &mut Normalized<'_>) -> Result<()> {
        self.steps.iter().try_for_each(|step| step.apply(text))
    }

    /// Whether every text stays as it is.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the parts of a text that is cut before a space between two ASCII letters become what the whole becomes.
    pub(crate) fn work_on_words_apart(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Nfc | Step::Nfd | Step::Nfkc | Step::Nfkd))
    }

    /// What a text becomes.
    pub(crate) fn text(&self, text: &str) -> Result<String> {
        let mut normalized = Normalized::new(text, 0, false);
        self.apply(&mut normalized)?;
        Ok(normalized.text().to_owned())
    }
}

impl Step {
    fn apply(&self, text: &mut Normalized<'_>) -> Result<()> {
        if text.text().is_empty() {
            return Ok(());
        }
        match self {
            Self::Nfc => compose(text, |text| is_nfc_quick(text.chars()), UnicodeNormalization::nfc),
            Self::Nfd => compose(text, |text| is_nfd_quick(text.chars()), UnicodeNormalization::nfd),
            Self::Nfkc => compose(text, |text| is_nfkc_quick(text.chars()), UnicodeNormalization::nfkc),
            Self::Nfkd => compose(text, |text| is_nfkd_quick(text.chars()), UnicodeNormalization::nfkd),
            Self::Lowercase => lowercase(text),
            Self::Strip { left, right } => {
                let all = text.text();
                let rest = if *left { all.trim_start() } else { all };
                let start = all.len() - rest.len();
                let end = start + if *right { rest.trim_end() } else { rest }.len();
                text.keep(start..end);
            }
            Self::StripAccents => text.filter_map(|character| (!is_combining_mark(character)).then_some(character)),
            Self::Replace { finder, content } => {
                let mut matches = Vec::new();
                finder.matches(text.text(), &mut matches)?;
                text.replace(&matches, content);
            }
            Self::Prepend(before) => text.prepend(before),
            Self::Nmt => text.filter_map(nmt),
            Self::Precompiled(map) => precompiled(text, map),
            Self::Bert(bert) => bert.apply(text),
            Self::ByteLevel => to_byte_alphabet(text),
        }
        Ok(())
    }
}

/// Brings a text to a form of Unicode, if it is not known to be in it.
fn compose<I: Iterator<Item = (char, isize)>>(
    text: &mut Normalized<'_>,
    quick: impl Fn(&str) -> IsNormalized,
    form: impl Fn(std::vec::IntoIter<char>) -> I,
) {
    if text.text().is_ascii() || quick(text.text()) == IsNormalized::Yes {
        return;
    }
    let old: Vec<char> = text.text().chars().collect();
    text.transform(form(old.into_iter()), 0);
}

/// Puts every character into lower case by itself.
fn lowercase(text: &mut Normalized<'_>) {
    let is_lower = |character: char| {
        if character.is_ascii() { !character.is_ascii_uppercase() } else { character.to_lowercase().eq([character]) }
    };
    if text.text().chars().all(is_lower) {
        return;
    }
    let old = text.text().to_owned();
    let lower = |character: char| character.to_lowercase().enumerate().map(|(at, lower)| (lower, isize::from(at > 0)));
    text.transform(old.chars().flat_map(lower), 0);
}

/// The rules `nmt` of `SentencePiece` for one character.
fn nmt(character: char) -> Option<char> {
    match character {
        '\u{1}'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}' | '\u{8F}' | '\u{9F}' => None,
        '\t'
        | '\n'
        | '\u{C}'
        | '\r'
        | '\u{1680}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2581}'
        | '\u{FEFF}'
        | '\u{FFFD}' => Some(' '),
        other => Some(other),
    }
}

/// Applies a table of `SentencePiece`. What is removed at the very beginning is, as in `tokenizers`, not noticed by the
/// alignment.
fn precompiled(text: &mut Normalized<'_>, map: &CharsMap) {
    let (mut characters, mut modified) = (Vec::<(char, isize)>::new(), false);
    let old = text.text().to_owned();
    map.parts(&old, |part, becomes| {
        modified |= becomes.is_some();
        let (before, first) = (part.chars().count(), characters.len());
        characters.extend(becomes.unwrap_or(part).chars().map(|character| (character, 0)));
        let after = characters.len() - first;
        if after > before {
            characters[first + before..].iter_mut().for_each(|(_, change)| *change = 1);
        } else if let Some((_, change)) = characters.last_mut() {
            *change -= (before - after) as isize;
        }
    });
    if modified {
        text.transform(characters.into_iter(), 0);
    }
}

/// Spells the bytes of a text in GPT-2's byte alphabet.
pub(crate) fn to_byte_alphabet(text: &mut Normalized<'_>) {
    if text.text().bytes().all(|byte| byte_chars::to_char(byte) == char::from(byte)) && text.text().is_ascii() {
        return;
    }
    let old = text.text().to_owned();
    let spelled = old.bytes().map(|byte| (byte_chars::to_char(byte), isize::from(byte & 0xC0 == 0x80)));
    text.transform(spelled, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(definition: &str, text: &str) -> String {
        let definition: Normalizer = serde_json::from_str(definition).expect("is well-formed");
        let normalizers = Normalizers::new(Some(&definition)).expect("can be used");
        let mut tracked = Normalized::new(text, 0, true);
        normalizers.apply(&mut tracked).expect("comes to an end");
        let plain = normalizers.text(text).expect("comes to an end");
        assert_eq!(tracked.text(), plain);
        plain
    }

    #[test]
    fn each_step_does_what_its_name_says() {
        for (definition, text, expected) in [
            (r#"{"type": "NFC"}"#, "e\u{301}", "\u{e9}"),
            (r#"{"type": "NFD"}"#, "\u{e9}", "e\u{301}"),
            (r#"{"type": "NFKC"}"#, "\u{fb01}x", "fix"),
            (r#"{"type": "NFKD"}"#, "\u{b2}", "2"),
            (r#"{"type": "Lowercase"}"#, "A\u{130}\u{3a3}", "ai\u{307}\u{3c3}"),
            (r#"{"type": "Strip", "strip_left": true, "strip_right": false}"#, "\u{3000} a ", "a "),
            (r#"{"type": "Strip", "strip_left": false, "strip_right": true}"#, " a \n", " a"),
            (r#"{"type": "StripAccents"}"#, "e\u{301}\u{903}", "e"),
            (r#"{"type": "Replace", "pattern": {"String": "aa"}, "content": "b"}"#, "aaa.", "ba."),
            (r#"{"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}"#, "a \n b", "a b"),
            (r#"{"type": "Prepend", "prepend": "_"}"#, "a", "_a"),
            (r#"{"type": "Prepend", "prepend": "_"}"#, "", ""),
            (r#"{"type": "Nmt"}"#, "a\u{1}\tb\u{200b}", "a b "),
            (r#"{"type": "ByteLevel"}"#, "\u{e9} a", "\u{c3}\u{a9}\u{120}a"),
            (r#"{"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}"#, "\u{e9}", "e"),
        ] {
            assert_eq!(normalized(definition, text), expected, "{definition} {text:?}");
        }
    }

    #[test]
    fn a_table_of_sentencepiece_is_applied() {
        let bytes = precompiled::tests::one_key(b'a', "bc");
        let definition = Normalizer::Precompiled(crate::format::components::Precompiled::new(bytes).expect("is read"));
        let text = serde_json::to_string(&definition).expect("is written");
        assert_eq!(normalized(&text, "banana"), "bbcnbcnbc");
        let read: Normalizer = serde_json::from_str(&text).expect("is read back");
        assert_eq!(read, definition);
    }
}
