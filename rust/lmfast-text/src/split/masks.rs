//! Which bytes of a window of text are of which kind, a bit each.
//!
//! [`Masks::of`] looks at 64 bytes at once with AVX2 where the processor has it, and else eight bytes at a time in plain
//! integers (the byte-parallel tricks of Hacker's Delight, section 6-1); both give the same bits.

use super::classes::KIND_BITS;

/// The bytes of a window.
pub(crate) const WINDOW: usize = 64;

/// A bit for each byte of a window, the first byte's the lowest. Beyond ASCII only
/// [`non_ascii`](Self::non_ascii) and [`continued`](Self::continued) count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) non_ascii: u64,
    /// Bytes that continue a character.
    pub(crate) continued: u64,
    pub(crate) letters: u64,
    pub(crate) upper: u64,
    pub(crate) digits: u64,
    /// Tab to carriage return, and the space.
    pub(crate) white: u64,
    /// Line feed and carriage return.
    pub(crate) newline: u64,
    /// U+0020 alone.
    pub(crate) space: u64,
    pub(crate) apostrophe: u64,
    pub(crate) slash: u64,
}

impl Masks {
    /// The masks of a window.
    #[inline]
    pub(crate) fn of(window: &[u8; WINDOW]) -> Self {
        crate::simd::masks(window)
    }

    pub(crate) fn portable(window: &[u8; WINDOW]) -> Self {
        let mut masks = Self::default();
        for (index, word) in window.chunks_exact(8).enumerate() {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            let low = word & !HIGH;
            let lower = low | (0x20 * ONES);
            let set = |mask: &mut u64, bytes: u64| *mask |= gather(bytes) << (8 * index);
            set(&mut masks.non_ascii, word & HIGH);
            set(&mut masks.continued, word & HIGH & !(word << 1));
            set(&mut masks.letters, between(lower, b'a', b'z'));
            set(&mut masks.upper, between(low, b'A', b'Z'));
            set(&mut masks.digits, between(low, b'0', b'9'));
            set(&mut masks.white, between(low, b'\t', b'\r') | between(low, b' ', b' '));
            set(&mut masks.newline, between(low, b'\n', b'\n') | between(low, b'\r', b'\r'));
            set(&mut masks.space, between(low, b' ', b' '));
            set(&mut masks.apostrophe, between(low, b'\'', b'\''));
            set(&mut masks.slash, between(low, b'/', b'/'));
        }
        masks.ascii_only()
    }

    /// For each of the lowest bits which bytes have it.
    pub(crate) fn bits(bytes: &[u8; WINDOW]) -> [u64; KIND_BITS] {
        let mut all = [0; KIND_BITS];
        for (index, word) in bytes.chunks_exact(8).enumerate() {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            for (bit, bits) in all.iter_mut().enumerate() {
                *bits |= gather(word << (7 - bit) & HIGH) << (8 * index);
            }
        }
        all
    }

    /// For each byte whether it is one of some ASCII characters.
    #[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "what tests compare vectors with"))]
    pub(crate) fn any_of(window: &[u8; WINDOW], characters: &[u8]) -> u64 {
        let mut found = 0;
        for (index, word) in window.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let equal = |&byte: &u8| between(word & !HIGH, byte, byte);
            let any = characters.iter().map(equal).fold(0, |one, other| one | other);
            found |= gather(any & !word) << (8 * index);
        }
        found
    }

    /// Clears the bits of bytes that are not ASCII in all other masks.
    #[inline]
    pub(crate) fn ascii_only(self) -> Self {
        let ascii = !self.non_ascii;
        Self {
            non_ascii: self.non_ascii,
            continued: self.continued,
            letters: self.letters & ascii,
            upper: self.upper & ascii,
            digits: self.digits & ascii,
            white: self.white & ascii,
            newline: self.newline & ascii,
            space: self.space & ascii,
            apostrophe: self.apostrophe & ascii,
            slash: self.slash & ascii,
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// The high bit of each byte that lies between two, for bytes below 128.
const fn between(bytes: u64, low: u8, high: u8) -> u64 {
    (bytes + (0x80 - low as u64) * ONES) & !(bytes + (0x7F - high as u64) * ONES) & HIGH
}

/// The high bits of eight bytes, side by side.
const fn gather(bytes: u64) -> u64 {
    ((bytes >> 7).wrapping_mul(0x0102_0408_1020_4080)) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(window: &[u8; WINDOW]) -> Masks {
        let mask = |is: &dyn Fn(u8) -> bool| {
            window.iter().enumerate().map(|(index, &byte)| u64::from(is(byte)) << index).fold(0, |all, bit| all | bit)
        };
        Masks {
            non_ascii: mask(&|byte| !byte.is_ascii()),
            continued: mask(&|byte| byte & 0xC0 == 0x80),
            letters: mask(&|byte| byte.is_ascii_alphabetic()),
            upper: mask(&|byte| byte.is_ascii_uppercase()),
            digits: mask(&|byte| byte.is_ascii_digit()),
            white: mask(&|byte| char::from(byte).is_whitespace() && byte.is_ascii()),
            newline: mask(&|byte| matches!(byte, b'\n' | b'\r')),
            space: mask(&|byte| byte == b' '),
            apostrophe: mask(&|byte| byte == b'\''),
            slash: mask(&|byte| byte == b'/'),
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255_u8 {
            for place in 0..WINDOW {
                let mut window = [b'a'; WINDOW];
                window[place] = byte;
                assert_eq!(Masks::of(&window), naive(&window), "{byte} at {place}");
                assert_eq!(Masks::portable(&window), naive(&window), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn some_characters_among_all_bytes() {
        for byte in 0..=255_u8 {
            for place in 0..WINDOW {
                let mut window = [b'a'; WINDOW];
                window[place] = byte;
                for characters in [&[0, 0x7F][..], b" ", b"\t\n\r ", b""] {
                    let expected = u64::from(characters.contains(&byte)) << place;
                    assert_eq!(Masks::any_of(&window, characters), expected, "{byte} at {place}");
                    assert_eq!(crate::simd::any_of(&window, characters), expected, "{byte} at {place}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), WINDOW)) {
            let window: [u8; WINDOW] = bytes.try_into().expect("has the size of a window");
            prop_assert_eq!(Masks::of(&window), naive(&window));
            prop_assert_eq!(Masks::portable(&window), naive(&window));
        }
    }
}
