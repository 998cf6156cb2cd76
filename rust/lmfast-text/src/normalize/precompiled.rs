//! The normalization tables of `SentencePiece`: `precompiled_charsmap`.
//!
//! The bytes are, little-endian: the length in bytes of a double array, the double array itself in units of 32 bits,
//! and the replacements, each ended by a zero byte (`Normalizer::DecodePrecompiledCharsMap` in `SentencePiece`'s
//! `normalizer.cc`; a unit is laid out as in `darts_clone`). A key of the array is a sequence of characters, its value
//! the place of its replacement.
//!
//! `tokenizers` applies the table otherwise than `SentencePiece`: to whole grapheme clusters below 6 bytes, else to
//! single characters, and of the keys that begin there it takes the shortest. [`CharsMap::longest`] is the rule of
//! `SentencePiece`, [`CharsMap::replacement`] that of `tokenizers`.

use unicode_segmentation::UnicodeSegmentation;

/// From this many bytes on a grapheme cluster is looked up by character.
const LONG_CLUSTER: usize = 6;

/// A table made ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharsMap {
    units: Vec<u32>,
    replacements: String,
}

impl CharsMap {
    /// Reads the bytes of a table.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or("it is shorter than 4 bytes")?;
        let size = u32::from_le_bytes(*size) as usize / 4 * 4;
        let (array, replacements) = rest.split_at_checked(size).ok_or_else(|| {
            format!("it begins with an array of {size} bytes, of which only {} are there: is it cut short?", rest.len())
        })?;
        if array.is_empty() {
            return Err("its array is empty".to_owned());
        }
        let units = array.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]));
        let replacements = std::str::from_utf8(replacements)
            .map_err(|error| format!("its replacements are not UTF-8: {error}"))?
            .to_owned();
        Ok(Self { units: units.collect(), replacements })
    }

    /// What the whole of a short cluster or a single character becomes, as in `tokenizers`: by the shortest key that
    /// it begins with.
    pub fn replacement(&self, part: &str) -> Option<&str> {
        self.walk(part.as_bytes(), |_, value| Some(value)).and_then(|value| self.at(value))
    }

    /// The longest key that a text begins with, as in `SentencePiece`: its bytes, and what they become.
    pub fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let mut longest = None;
        self.walk(text.as_bytes(), |length, value| {
            if text.is_char_boundary(length) {
                longest = Some((length, value));
            }
            None::<u32>
        });
        longest.and_then(|(length, value)| Some((length, self.at(value)?)))
    }

    /// Calls `found` with each character that keys have at a place, the number of characters before it, and whether keys
    /// end there and go on there, in no certain order. Gives whether those are all: not if the array is damaged so that
    /// keys have no end.
    pub(crate) fn characters(&self, mut found: impl FnMut(char, usize, bool, bool)) -> bool {
        // The units with a byte for a label, by the place that this byte leads to them from.
        let size = self.units.len().next_multiple_of(256);
        let labelled = || (0..).zip(&self.units).filter(|&(_, unit)| unit >> 31 == 0);
        let from = |place: u32, unit: u32| (place ^ (unit & 0xFF)) as usize;
        let mut ends = vec![0_u32; size + 1];
        labelled().for_each(|(place, &unit)| ends[from(place, unit) + 1] += 1);
        for at in 0..size {
            ends[at + 1] += ends[at];
        }
        let mut units = vec![0_u32; self.units.len()];
        let mut next = ends.clone();
        for (place, &unit) in labelled() {
            let slot = &mut next[from(place, unit)];
            units[*slot as usize] = place;
            *slot += 1;
        }
        let children = |place: u32| {
            let range = ends.get(place as usize..).and_then(|ends| ends.first_chunk::<2>());
            range.map_or(0..0, |&[start, end]| start as usize..end as usize)
        };
        let mut steps = 16 * self.units.len();
        // Places that children are led to from, the characters before them, and the bits of one that has begun with how
        // many bytes it lacks.
        let mut open = vec![(offset(self.units[0]), 0, 0, 0)];
        while let Some((place, before, bits, lacking)) = open.pop() {
            for &child in &units[children(place)] {
                let unit = self.units[child as usize];
                // No byte of a key is 0.
                let label = unit & 0xFF;
                if label == 0 {
                    continue;
                }
                if steps == 0 {
                    return false;
                }
                steps -= 1;
                let (bits, lacking) = match (lacking, label) {
                    (0, ..0x80) => (label, 0),
                    (0, ..0xE0) => (label & 0x1F, 1),
                    (0, ..0xF0) => (label & 0x0F, 2),
                    (0, _) => (label & 0x07, 3),
                    (lacking, _) => (bits << 6 | label & 0x3F, lacking - 1),
                };
                let next = child ^ offset(unit);
                if lacking == 0
                    && let Some(character) = char::from_u32(bits)
                {
                    let goes_on = units[children(next)].iter().any(|&unit| self.units[unit as usize] & 0xFF != 0);
                    found(character, before, unit >> 8 & 1 == 1, goes_on);
                }
                open.push((next, before + usize::from(lacking == 0), bits, lacking));
            }
        }
        true
    }

    /// Calls `found` with the length and the value of each key that `text` begins with, the shortest first, until it
    /// gives something.
    fn walk<T>(&self, text: &[u8], mut found: impl FnMut(usize, u32) -> Option<T>) -> Option<T> {
        let mut place = offset(*self.units.first()?);
        for (index, &byte) in text.iter().enumerate() {
            if byte == 0 {
                return None;
            }
            place ^= u32::from(byte);
            let unit = *self.units.get(place as usize)?;
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                return None;
            }
            place ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let value = *self.units.get(place as usize)? & !(1 << 31);
                if let Some(found) = found(index + 1, value) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// The replacement that begins at a byte.
    fn at(&self, value: u32) -> Option<&str> {
        let rest = self.replacements.get(value as usize..)?;
        Some(&rest[..rest.find('\0').unwrap_or(rest.len())])
    }

    /// Cuts a text into the parts that are looked up, each with what it becomes, if anything.
    pub(super) fn parts<'a>(&'a self, text: &'a str, mut take: impl FnMut(&'a str, Option<&'a str>)) {
        for cluster in text.graphemes(true) {
            let whole = if cluster.len() < LONG_CLUSTER { self.replacement(cluster) } else { None };
            if whole.is_some() {
                take(cluster, whole);
                continue;
            }
            for (at, character) in cluster.char_indices() {
                let part = &cluster[at..at + character.len_utf8()];
                take(part, self.replacement(part));
            }
        }
    }
}

/// How far the children of a unit lie from it.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A table of one key, `from`, an ASCII character.
    pub(crate) fn one_key(from: u8, to: &str) -> Vec<u8> {
        table(&[(std::str::from_utf8(&[from]).expect("is ASCII"), to)])
    }

    /// A table of keys and what they become. Every node has 256 units for its children.
    pub(crate) fn table(keys: &[(&str, &str)]) -> Vec<u8> {
        let mut units = vec![0_u32; 512];
        units[0] = 256 << 10;
        let mut replacements = String::from("x\0");
        for (key, becomes) in keys {
            let mut base = 256;
            for (at, byte) in key.bytes().enumerate() {
                let child = base ^ usize::from(byte);
                if units[child] == 0 {
                    units[child] = u32::from(byte) | ((child ^ units.len()) as u32) << 10;
                    units.resize(units.len() + 256, 0);
                }
                base = child ^ (units[child] >> 10) as usize;
                if at + 1 == key.len() {
                    units[child] |= 1 << 8;
                    units[base] = 1 << 31 | replacements.len() as u32;
                }
            }
            replacements.push_str(becomes);
            replacements.push('\0');
        }
        let mut bytes = (units.len() as u32 * 4).to_le_bytes().to_vec();
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(replacements.into_bytes());
        bytes
    }

    #[test]
    fn a_key_is_replaced_by_its_string() {
        let map = CharsMap::new(&one_key(b'a', "bc")).expect("is well-formed");
        assert_eq!((map.replacement("a"), map.replacement("b"), map.replacement("\0")), (Some("bc"), None, None));
        assert_eq!((map.longest("ab"), map.longest("")), (Some((1, "bc")), None));
        let mut all = String::new();
        map.parts("xa\u{301}", |part, becomes| all.push_str(becomes.unwrap_or(part)));
        assert_eq!(all, "xbc");
    }

    #[test]
    fn the_characters_of_keys_are_listed() {
        let map = CharsMap::new(&one_key(b'a', "bc")).expect("is well-formed");
        let mut found = Vec::new();
        assert!(map.characters(|character, before, ends, goes_on| found.push((character, before, ends, goes_on))));
        assert_eq!(found, [('a', 0, true, false)]);
        // The child leads back to itself.
        let mut endless = vec![0_u32; 1024];
        endless[0] = 256 << 10;
        let child = 256 ^ u32::from(b'a');
        endless[child as usize] = u32::from(b'a') | 1 << 8 | u32::from(b'a') << 10;
        let mut bytes = 4096_u32.to_le_bytes().to_vec();
        bytes.extend(endless.iter().flat_map(|unit| unit.to_le_bytes()));
        assert!(!CharsMap::new(&bytes).expect("has an array").characters(|_, _, _, _| {}));
    }

    #[test]
    fn damaged_tables_are_errors_or_harmless() {
        for (bytes, what) in [
            (vec![1, 2], "4 bytes"),
            (vec![8, 0, 0, 0, 1], "cut short"),
            (vec![0; 4], "empty"),
            (vec![4, 0, 0, 0, 1, 1, 1, 1, 0xFF], "UTF-8"),
        ] {
            assert!(CharsMap::new(&bytes).is_err_and(|error| error.contains(what)), "{what}");
        }
        let mut bytes = one_key(b'a', "bc");
        for at in 4..bytes.len() - 5 {
            bytes[at] ^= 0xFF;
            if let Ok(map) = CharsMap::new(&bytes) {
                let _ = (map.replacement("abc"), map.longest("abc"), map.characters(|_, _, _, _| {}));
            }
            bytes[at] ^= 0xFF;
        }
    }
}
