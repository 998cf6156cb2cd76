//! Properties of characters that the steps around the model ask for.
//!
//! `tokenizers` takes them from tables of different age: punctuation, nonspacing marks and control characters are those
//! of the crate `unicode_categories`, which is Unicode 8 but for a few characters; scripts are those of Unicode 9 but
//! for four; white space and numbers are those of the Rust standard library, and words those of the crate `regex`. The
//! tables here are made from `regex-syntax`, which knows the age of each character, and the exceptions.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// `char::is_ascii_punctuation`, or category P.
pub(crate) const PUNCTUATION: u8 = 1;
/// Category Mn.
pub(crate) const NONSPACING: u8 = 1 << 1;
/// Categories Cc, Cf and Co, but not tab, line feed and carriage return.
pub(crate) const CONTROL: u8 = 1 << 2;
/// `char::is_whitespace`.
pub(crate) const SPACE: u8 = 1 << 3;
/// `char::is_numeric`.
pub(crate) const NUMERIC: u8 = 1 << 4;
/// `\w`.
pub(crate) const WORD: u8 = 1 << 5;
/// The blocks of ideographs that BERT puts spaces around.
pub(crate) const IDEOGRAPH: u8 = 1 << 6;

const BLOCK: usize = 256;
const CHARACTERS: usize = 0x11_0000;

/// A value for each character: equal blocks of 256 are held once.
#[derive(Debug)]
pub(crate) struct Table {
    ascii: [u8; 128],
    index: Vec<u16>,
    blocks: Vec<[u8; BLOCK]>,
}

impl Table {
    fn new(flat: &[u8]) -> Self {
        let mut blocks: Vec<[u8; BLOCK]> = Vec::new();
        let index = flat.chunks_exact(BLOCK).map(|values| {
            let found = blocks.iter().position(|known| known == values).unwrap_or_else(|| {
                blocks.push(std::array::from_fn(|offset| values[offset]));
                blocks.len() - 1
            });
            found as u16
        });
        Self { ascii: std::array::from_fn(|code| flat[code]), index: index.collect(), blocks }
    }

    /// The value of the character at byte `at`, and its length in bytes; `at` is below the length, on a boundary.
    #[inline]
    pub(crate) fn at(&self, text: &str, at: usize) -> (u8, usize) {
        let byte = text.as_bytes()[at];
        if byte < 128 {
            return (self.ascii[usize::from(byte)], 1);
        }
        text[at..].chars().next().map_or((0, 1), |character| (self.of(character), character.len_utf8()))
    }

    /// Where the run ends, from a byte on, of characters that have none of some properties.
    #[inline]
    pub(crate) fn run_without(&self, text: &str, mut from: usize, properties: u8) -> usize {
        while from < text.len() {
            let (value, length) = self.at(text, from);
            if value & properties != 0 {
                break;
            }
            from += length;
        }
        from
    }

    /// The value of a character.
    #[inline]
    pub(crate) fn of(&self, character: char) -> u8 {
        let code = character as usize;
        self.blocks[usize::from(self.index[code / BLOCK])][code % BLOCK]
    }
}

/// The properties of every character.
pub(crate) static PROPERTIES: LazyLock<Table> = LazyLock::new(|| {
    let mut flat = vec![0; CHARACTERS];
    let mut mark = |property: u8, pattern: &str| {
        each_range(pattern, |range| flat[range].iter_mut().for_each(|value| *value |= property));
    };
    mark(PUNCTUATION, r"[[\p{P}&&\p{Age=8.0}]\x{166D}\x{111C9}\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E]");
    mark(NONSPACING, r"[[\p{Mn}&&\p{Age=8.0}--\x{1885}\x{1886}\x{A9BD}\x{111C9}]\x{1734}\x{1171E}]");
    mark(CONTROL, r"[\p{Cc}\p{Cf}\p{Co}&&\p{Age=8.0}--\t\n\r]");
    mark(WORD, r"\w");
    mark(
        IDEOGRAPH,
        r"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}\x{2B920}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]",
    );
    for character in '\0'..=char::MAX {
        let value = &mut flat[character as usize];
        if character.is_whitespace() {
            *value |= SPACE;
        }
        if character.is_numeric() {
            *value |= NUMERIC;
        }
    }
    Table::new(&flat)
});

/// The number of a script in [`SCRIPTS`], 0 for characters without one.
pub(crate) static SCRIPT_OF: LazyLock<Table> = LazyLock::new(|| {
    let mut flat = vec![0; CHARACTERS];
    for (number, name) in SCRIPTS.iter().enumerate().skip(1) {
        each_range(&format!(r"[\p{{Script={name}}}&&\p{{Age=9.0}}]"), |range| flat[range].fill(number as u8));
    }
    let number = |name: &str| SCRIPTS.iter().position(|known| *known == name).unwrap_or_default() as u8;
    flat[0x589] = number("Common");
    flat[0x61C] = number("Common");
    flat[0x953..=0x954].fill(number("Devanagari"));
    // Japanese is one script, and the space has none.
    for name in ["Hiragana", "Katakana"] {
        let (from, to) = (number(name), number("Han"));
        flat.iter_mut().filter(|value| **value == from).for_each(|value| *value = to);
    }
    flat[0x30FC] = number("Han");
    flat[usize::from(b' ')] = 0;
    Table::new(&flat)
});

/// Calls `take` with the ranges of characters of a class, which is written here and thus well-formed.
fn each_range(pattern: &str, mut take: impl FnMut(std::ops::RangeInclusive<usize>)) {
    let parsed = regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind);
    let Ok(HirKind::Class(Class::Unicode(set))) = parsed else { unreachable!("{pattern} is a class of characters") };
    for range in set.ranges() {
        take(range.start() as usize..=range.end() as usize);
    }
}

/// The scripts of Unicode 9, after one for what has none.
#[rustfmt::skip]
const SCRIPTS: [&str; 138] = [
    "Any",
    "Adlam", "Ahom", "AnatolianHieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum", "BassaVah",
    "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid", "CanadianAboriginal",
    "Carian", "CaucasianAlbanian", "Chakma", "Cham", "Cherokee", "Common", "Coptic", "Cuneiform", "Cypriot",
    "Cyrillic", "Deseret", "Devanagari", "Duployan", "EgyptianHieroglyphs", "Elbasan", "Ethiopic", "Georgian",
    "Glagolitic", "Gothic", "Grantha", "Greek", "Gujarati", "Gurmukhi", "Han", "Hangul", "Hanunoo", "Hatran",
    "Hebrew", "Hiragana", "ImperialAramaic", "Inherited", "InscriptionalPahlavi", "InscriptionalParthian",
    "Javanese", "Kaithi", "Kannada", "Katakana", "KayahLi", "Kharoshthi", "Khmer", "Khojki", "Khudawadi", "Lao",
    "Latin", "Lepcha", "Limbu", "LinearA", "LinearB", "Lisu", "Lycian", "Lydian", "Mahajani", "Malayalam", "Mandaic",
    "Manichaean", "Marchen", "MeeteiMayek", "MendeKikakui", "MeroiticCursive", "MeroiticHieroglyphs", "Miao", "Modi",
    "Mongolian", "Mro", "Multani", "Myanmar", "Nabataean", "NewTaiLue", "Newa", "Nko", "Ogham", "OlChiki",
    "OldHungarian", "OldItalic", "OldNorthArabian", "OldPermic", "OldPersian", "OldSouthArabian", "OldTurkic",
    "Oriya", "Osage", "Osmanya", "PahawhHmong", "Palmyrene", "PauCinHau", "PhagsPa", "Phoenician", "PsalterPahlavi",
    "Rejang", "Runic", "Samaritan", "Saurashtra", "Sharada", "Shavian", "Siddham", "SignWriting", "Sinhala",
    "SoraSompeng", "Sundanese", "SylotiNagri", "Syriac", "Tagalog", "Tagbanwa", "TaiLe", "TaiTham", "TaiViet",
    "Takri", "Tamil", "Tangut", "Telugu", "Thaana", "Thai", "Tibetan", "Tifinagh", "Tirhuta", "Ugaritic", "Vai",
    "WarangCiti", "Yi",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_those_of_the_old_tables() {
        for (character, properties) in [
            ('a', WORD),
            ('7', WORD | NUMERIC),
            ('$', PUNCTUATION),
            ('_', PUNCTUATION | WORD),
            ('\t', SPACE),
            ('\u{85}', SPACE | CONTROL),
            ('\u{301}', NONSPACING | WORD),
            ('\u{200B}', CONTROL),
            ('\u{E000}', CONTROL),
            ('\u{378}', 0),
            ('\u{4E2D}', WORD | IDEOGRAPH),
            ('\u{2B820}', WORD),
            ('\u{2E43}', 0),
            ('\u{111C9}', PUNCTUATION | WORD),
            ('\u{1DFB}', WORD),
        ] {
            assert_eq!(PROPERTIES.of(character), properties, "{character:?}");
        }
    }

    #[test]
    fn scripts_are_those_of_unicode_9() {
        let of = |character| SCRIPT_OF.of(character);
        assert_eq!(of('\u{3042}'), of('\u{4E2D}'));
        assert_eq!(of('\u{30FC}'), of('\u{30A2}'));
        assert_eq!((of(' '), of('\u{20BF}'), of('\u{378}')), (0, 0, 0));
        assert_eq!(of('\u{589}'), of('.'));
        assert_ne!(of('a'), of('\u{430}'));
    }
}
