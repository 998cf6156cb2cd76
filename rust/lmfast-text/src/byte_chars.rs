//! The byte alphabet of GPT-2: 256 printable characters that stand for the 256 bytes.
//!
//! Printable Latin-1 bytes stand for themselves, the others, in order, for the characters from U+0100 on
//! (`bytes_to_unicode` in `OpenAI`'s `encoder.py`). Vocabulary files spell byte-level tokens in it.

use std::sync::LazyLock;

/// The character of each byte.
static CHARACTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100_u32;
    std::array::from_fn(|byte| {
        if matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) {
            char::from(byte as u8)
        } else {
            next += 1;
            char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    })
});

/// The byte of each character below U+0144, where the alphabet ends.
static BYTES: LazyLock<[Option<u8>; 0x144]> = LazyLock::new(|| {
    let mut bytes = [None; 0x144];
    for byte in 0..=255 {
        bytes[to_char(byte) as usize] = Some(byte);
    }
    bytes
});

/// The character that stands for a byte.
///
/// ```
/// assert_eq!(lmfast_text::byte_chars::to_char(b' '), '\u{120}');
/// ```
pub fn to_char(byte: u8) -> char {
    CHARACTERS[usize::from(byte)]
}

/// The byte that a character stands for, if it is in the alphabet.
pub fn to_byte(character: char) -> Option<u8> {
    BYTES.get(character as usize).copied().flatten()
}

/// Spells bytes in the alphabet.
///
/// ```
/// assert_eq!(lmfast_text::byte_chars::spell(" caf\u{e9}".as_bytes()), "\u{120}caf\u{c3}\u{a9}");
/// ```
pub fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| to_char(byte)).collect()
}

/// The bytes that a token spells, or nothing if it has a character outside of the alphabet.
pub fn bytes(token: &str) -> Option<Vec<u8>> {
    token.chars().map(to_byte).collect()
}

/// The bytes in the order of their characters: the order of ids in a trained alphabet.
pub fn alphabet() -> [u8; 256] {
    let mut bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    bytes.sort_by_key(|&byte| to_char(byte));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        for byte in 0..=255 {
            assert_eq!(to_byte(to_char(byte)), Some(byte));
        }
        assert_eq!((to_byte('\u{144}'), to_byte('\u{10FFFF}'), to_byte(' ')), (None, None, None));
        assert_eq!((to_char(0), to_char(b'\n'), to_char(0xAD)), ('\u{100}', '\u{10A}', '\u{143}'));
    }
}
