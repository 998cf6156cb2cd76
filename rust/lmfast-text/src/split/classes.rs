//! The classes of characters that the patterns of byte-level vocabularies tell apart.
//!
//! The table is made from the regular expression engine's own Unicode data, so a scanner written by hand and the
//! pattern it stands for cannot disagree about a character.

use std::sync::LazyLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

/// What a character is to a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    /// Everything that is none of the following.
    Other,
    /// `\p{Lu}` and `\p{Lt}`
    Upper,
    /// `\p{Ll}`
    Lower,
    /// `\p{Lm}` and `\p{Lo}`
    Letter,
    /// `\p{M}`
    Mark,
    /// `\p{N}`
    Number,
    /// `\s`
    Space,
    /// `\p{P}`
    Punctuation,
    /// `\p{S}`
    Symbol,
}

/// The patterns of the classes but [`Class::Other`].
const PATTERNS: [(&str, Class); 8] = [
    (r"[\p{Lu}\p{Lt}]", Class::Upper),
    (r"\p{Ll}", Class::Lower),
    (r"[\p{Lm}\p{Lo}]", Class::Letter),
    (r"\p{M}", Class::Mark),
    (r"\p{N}", Class::Number),
    (r"\s", Class::Space),
    (r"\p{P}", Class::Punctuation),
    (r"\p{S}", Class::Symbol),
];

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Set(u16);

impl Set {
    /// `\p{L}`
    pub(crate) const LETTERS: Self = Self::of(&[Class::Upper, Class::Lower, Class::Letter]);
    /// `\p{N}`
    pub(crate) const NUMBERS: Self = Self::of(&[Class::Number]);
    /// `\s`
    pub(crate) const SPACES: Self = Self::of(&[Class::Space]);
    /// `[^\s\p{L}\p{N}]`
    pub(crate) const OTHERS: Self = Self::of(&[Class::Other, Class::Mark, Class::Punctuation, Class::Symbol]);

    /// The set of some classes.
    pub(crate) const fn of(classes: &[Class]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < classes.len() {
            bits |= 1 << classes[index] as u16;
            index += 1;
        }
        Self(bits)
    }

    /// Whether a class belongs to it.
    #[inline]
    pub(crate) const fn has(self, class: Class) -> bool {
        self.0 >> class as u16 & 1 == 1
    }
}

/// How many bits a kind has.
pub(crate) const KIND_BITS: usize = 5;

/// What a class is to a window of a scanner: a bit for each of letters, letters in upper case, letters without case,
/// marks, and what it cannot take.
const KINDS: [u8; 9] = {
    let mut kinds = [0; 9];
    kinds[Class::Upper as usize] = 1 | 2;
    kinds[Class::Lower as usize] = 1;
    kinds[Class::Letter as usize] = 1 | 4;
    kinds[Class::Mark as usize] = 8;
    kinds[Class::Number as usize] = 16;
    kinds[Class::Space as usize] = 16;
    kinds
};

const BLOCK: usize = 256;
const BLOCKS: usize = 0x11_0000 / BLOCK;

/// A table of two stages: equal blocks of 256 characters are held once.
pub(crate) struct Classes {
    ascii: [Class; 128],
    index: Vec<u16>,
    blocks: Vec<[Class; BLOCK]>,
    /// Of each character of the Basic Multilingual Plane.
    kinds: Box<[u8; 1 << 16]>,
}

static CLASSES: LazyLock<Classes> = LazyLock::new(Classes::new);

impl Classes {
    /// The one table.
    pub(crate) fn get() -> &'static Self {
        &CLASSES
    }

    fn new() -> Self {
        let mut flat = vec![Class::Other; BLOCKS * BLOCK];
        for (pattern, class) in PATTERNS {
            let parsed = regex_syntax::parse(pattern).map(regex_syntax::hir::Hir::into_kind);
            let Ok(HirKind::Class(HirClass::Unicode(set))) = parsed else {
                unreachable!("{pattern} is a class of characters");
            };
            for range in set.ranges() {
                flat[range.start() as usize..=range.end() as usize].fill(class);
            }
        }
        let mut blocks: Vec<[Class; BLOCK]> = Vec::new();
        let index = (0..BLOCKS)
            .map(|number| {
                let block: [Class; BLOCK] = std::array::from_fn(|offset| flat[number * BLOCK + offset]);
                let found = blocks.iter().position(|known| *known == block).unwrap_or_else(|| {
                    blocks.push(block);
                    blocks.len() - 1
                });
                found as u16
            })
            .collect();
        #[expect(clippy::large_stack_arrays, reason = "once, and 64 KiB")]
        let mut kinds = Box::new([0; 1 << 16]);
        for (kind, &class) in kinds.iter_mut().zip(&flat) {
            *kind = KINDS[class as usize];
        }
        Self { ascii: std::array::from_fn(|code| flat[code]), index, blocks, kinds }
    }

    /// The class of a code point.
    #[inline]
    fn of(&self, code: usize) -> Class {
        self.blocks[usize::from(self.index[code / BLOCK])][code % BLOCK]
    }

    /// The kind of a character beyond ASCII, of two bytes or more, that is the first of these.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loop that uses it is small")]
    pub(crate) fn kind(&self, bytes: [u8; 4]) -> u8 {
        let [first, second, third, fourth] = bytes.map(usize::from);
        let two = (first & 0x1F) << 6 | second & 0x3F;
        if first < 0xE0 {
            return self.kinds[two];
        }
        let three = (two << 6 | third & 0x3F) & 0xFFFF;
        if first < 0xF0 {
            return self.kinds[three];
        }
        KINDS[self.of((first & 7) << 18 | (second & 0x3F) << 12 | (third & 0x3F) << 6 | fourth & 0x3F) as usize]
    }

    /// The class of the character at byte `at`, and its length in bytes; `at` is below the length, on a boundary.
    #[inline]
    pub(crate) fn at(&self, text: &str, at: usize) -> (Class, usize) {
        self.at_bytes(text.as_bytes(), at)
    }

    /// [`at`](Self::at) for bytes of a text.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the loops that use it are small")]
    pub(crate) fn at_bytes(&self, bytes: &[u8], at: usize) -> (Class, usize) {
        let bytes = &bytes[at..];
        let four = bytes.first_chunk().copied().unwrap_or_else(|| {
            let mut four = [0; 4];
            four[..bytes.len()].copy_from_slice(bytes);
            four
        });
        let low = |index: usize| usize::from(four[index] & 0x3F);
        let first = usize::from(four[0]);
        let (code, length) = match first {
            0..0x80 => return (self.ascii[first], 1),
            0x80..0xE0 => ((first & 0x1F) << 6 | low(1), 2),
            0xE0..0xF0 => ((first & 0xF) << 12 | low(1) << 6 | low(2), 3),
            _ => ((first & 7) << 18 | low(1) << 12 | low(2) << 6 | low(3), 4),
        };
        (self.of(code), length)
    }

    /// The class and length of the character at byte `at`, nothing at the end of the text.
    #[inline]
    pub(crate) fn next(&self, text: &str, at: usize) -> Option<(Class, usize)> {
        (at < text.len()).then(|| self.at(text, at))
    }

    /// Where the run of classes of a set ends that begins at `from`; `from` where there is none.
    #[inline]
    pub(crate) fn run(&self, text: &str, mut from: usize, set: Set) -> usize {
        while from < text.len() {
            let (next, length) = self.at(text, from);
            if !set.has(next) {
                break;
            }
            from += length;
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_unicode() {
        let classes = Classes::get();
        for (character, class) in [
            ('a', Class::Lower),
            ('\u{AA}', Class::Letter),
            ('\u{4E2D}', Class::Letter),
            ('7', Class::Number),
            ('\u{B2}', Class::Number),
            ('\u{2163}', Class::Number),
            (' ', Class::Space),
            ('\u{85}', Class::Space),
            ('\u{3000}', Class::Space),
            ('\u{200B}', Class::Other),
            ('\u{180E}', Class::Other),
            ('\u{301}', Class::Mark),
            ('A', Class::Upper),
            ('\u{1C5}', Class::Upper),
            ('!', Class::Punctuation),
            ('+', Class::Symbol),
            ('\u{10FFFF}', Class::Other),
        ] {
            assert_eq!(classes.of(character as usize), class, "{character:?}");
        }
    }
}
