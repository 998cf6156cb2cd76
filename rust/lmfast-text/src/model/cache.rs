//! What became of short words met before: any small numbers under a byte string, with a number of its own.
//!
//! Two slots share a place, and the newer stays in front. Keys and values lie in two stores of a fixed size; when one
//! is full, all is forgotten.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use lmfast_base::Pages;

/// The longest word that is kept, in bytes.
pub(crate) const LONGEST: usize = 64;

const PLACES: usize = 1 << 16;
const MOST_KEY_BYTES: usize = 4 << 20;
const MOST_VALUES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Slot {
    /// Of the word and its number; 0 in an empty slot.
    hash: u64,
    key: u32,
    value: u32,
    key_length: u16,
    value_length: u16,
    number: u16,
    unused: u16,
}

/// The cache; it takes no memory until the first word is kept, and then at most 12 MiB.
#[derive(Debug, Default)]
pub(crate) struct WordCache {
    places: Pages<[Slot; 2]>,
    keys: Vec<u8>,
    values: Vec<u32>,
}

/// A word's hash, never 0.
#[inline]
pub(crate) fn hash(word: &[u8], number: u16) -> u64 {
    const ONE: u64 = 0x9E37_79B9_7F4A_7C15;
    const TWO: u64 = 0xD6E8_FEB8_6659_FD93;
    let length = word.len();
    let (low, high) = if let (Some(first), Some(last)) = (word.first_chunk::<8>(), word.last_chunk::<8>()) {
        let mut low = u64::from_le_bytes(*first);
        if length > 16 {
            for chunk in word[8..length - 8].chunks(8) {
                let mut bytes = [0; 8];
                bytes[..chunk.len()].copy_from_slice(chunk);
                low = fold(low ^ ONE, u64::from_le_bytes(bytes) ^ TWO);
            }
        }
        (low, u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
    } else if let [first, .., last] = word {
        (u64::from(*first), u64::from(*last) << 8 | u64::from(word[length / 2]))
    } else {
        (word.first().copied().map_or(0, u64::from), 0)
    };
    fold(low ^ ONE ^ u64::from(number) << 32, high ^ TWO ^ (length as u64) << 56) | 1
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

fn place(hash: u64) -> usize {
    (hash >> 1) as usize & (PLACES - 1)
}

fn range(start: u32, length: u16) -> Range<usize> {
    start as usize..start as usize + usize::from(length)
}

impl WordCache {
    /// What is kept under a word and its number. `hash` is theirs.
    #[inline]
    pub(crate) fn get(&self, word: &[u8], number: u16, hash: u64) -> Option<&[u32]> {
        let slots = self.places.get(place(hash))?;
        let is = |slot: &&Slot| {
            slot.hash == hash && slot.number == number && self.keys.get(range(slot.key, slot.key_length)) == Some(word)
        };
        let slot = slots.iter().find(is)?;
        self.values.get(range(slot.value, slot.value_length))
    }

    /// Keeps values for a word of at most [`LONGEST`] bytes.
    pub(crate) fn keep(&mut self, word: &[u8], number: u16, hash: u64, values: &[u32]) {
        if word.len() > LONGEST || values.len() > 2 * LONGEST {
            return;
        }
        if self.keys.len() + word.len() > MOST_KEY_BYTES || self.values.len() + values.len() > MOST_VALUES {
            self.places = Pages::default();
            self.keys.clear();
            self.values.clear();
        }
        if self.places.is_empty() {
            self.places = Pages::zeroed(PLACES);
        }
        let slot = Slot {
            hash,
            key: self.keys.len() as u32,
            value: self.values.len() as u32,
            key_length: word.len() as u16,
            value_length: values.len() as u16,
            number,
            unused: 0,
        };
        self.keys.extend_from_slice(word);
        self.values.extend_from_slice(values);
        let [first, second] = &mut self.places[place(hash)];
        *second = *first;
        *first = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_until_there_is_no_room() {
        let mut cache = WordCache::default();
        let words: Vec<String> = (0..100_000).map(|at| format!("{at}.").repeat(1 + at % 11)).collect();
        for (at, word) in words.iter().enumerate() {
            let (word, number) = (word.as_bytes(), (at % 3) as u16);
            cache.keep(word, number, hash(word, number), &[at as u32, 7]);
            let found = cache.get(word, number, hash(word, number));
            assert!(word.len() > LONGEST || found == Some(&[at as u32, 7]));
            assert_eq!(cache.get(word, 9, hash(word, 9)), None);
        }
        for (at, word) in words.iter().enumerate() {
            let (word, number) = (word.as_bytes(), (at % 3) as u16);
            let found = cache.get(word, number, hash(word, number));
            assert!(found.is_none_or(|values| values == [at as u32, 7]), "{at}");
        }
        assert!(cache.keys.len() <= MOST_KEY_BYTES && cache.values.len() <= MOST_VALUES);
        assert!(size_of::<[Slot; 2]>() * PLACES + MOST_KEY_BYTES + MOST_VALUES * 4 <= 12 << 20);
    }
}
