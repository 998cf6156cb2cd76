//! Tables from pieces to counts.
//!
//! A piece of up to 15 bytes is a number, its [`key`], and lies in the table itself; longer ones lie one behind the
//! other in one string of bytes. Both tables are open addressing with linear probing, at most three quarters full.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

/// The longest piece that is a key, in bytes.
const LONGEST: usize = 15;

/// The piece `text[start..end]` as a number, different for different pieces: its bytes, little-endian, and its length
/// as the last byte.
#[inline]
pub(super) fn key(text: &[u8], start: usize, end: usize) -> Option<u128> {
    let length = end - start;
    if length > LONGEST {
        return None;
    }
    let bytes = if let Some(bytes) = text[start..].first_chunk::<16>() {
        u128::from_le_bytes(*bytes) & !(u128::MAX << (8 * length))
    } else {
        let mut bytes = [0; 16];
        bytes[..length].copy_from_slice(&text[start..end]);
        u128::from_le_bytes(bytes)
    };
    Some(bytes | (length as u128) << 120)
}

/// Spreads the bits of a [`key`]; the high ones are the best.
#[inline]
pub(super) fn hash(key: u128) -> u64 {
    let low = (key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let high = ((key >> 64) as u64 ^ low.rotate_left(29)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    high ^ high >> 32
}

/// Spreads the bits of a longer piece.
pub(super) fn hash_bytes(piece: &[u8]) -> u64 {
    FxBuildHasher.hash_one(piece)
}

/// Keys with their counts.
#[derive(Debug, Default)]
pub(super) struct ShortTable {
    slots: Vec<Slot>,
    used: usize,
}

/// A count of 0 is an empty slot.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: [u8; 16],
    count: u64,
}

const EMPTY: Slot = Slot { key: [0; 16], count: 0 };

impl ShortTable {
    /// Adds to the count of a key, whose [`hash`] the caller has.
    #[inline]
    pub(super) fn add(&mut self, key: u128, hash: u64, count: u64) {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let at = self.find(key, hash);
        let slot = &mut self.slots[at];
        self.used += usize::from(slot.count == 0);
        slot.key = key.to_le_bytes();
        slot.count += count;
    }

    #[inline]
    fn find(&self, key: u128, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].count != 0 && u128::from_le_bytes(self.slots[at].key) != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let room = (self.slots.len() * 2).max(1 << 6);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; room]);
        for slot in old {
            if slot.count != 0 {
                let key = u128::from_le_bytes(slot.key);
                let at = self.find(key, hash(key));
                self.slots[at] = slot;
            }
        }
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Every piece with its count, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let filled = self.slots.iter().filter(|slot| slot.count != 0);
        filled.map(|slot| (&slot.key[..usize::from(slot.key[LONGEST]).min(LONGEST)], slot.count))
    }
}

/// Longer pieces with their counts.
#[derive(Debug, Default)]
pub(super) struct LongTable {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The number of an entry plus one, or 0.
    slots: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    end: usize,
    count: u64,
    hash: u32,
}

impl LongTable {
    /// Adds to the count of a piece, whose [`hash_bytes`] the caller has.
    pub(super) fn add(&mut self, piece: &[u8], hash: u64, count: u64) {
        if self.entries.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != 0 {
            let number = self.slots[at] as usize - 1;
            if self.entries[number].hash == hash as u32 && self.piece(number) == piece {
                self.entries[number].count += count;
                return;
            }
            at = (at + 1) & mask;
        }
        self.bytes.extend_from_slice(piece);
        self.entries.push(Entry { end: self.bytes.len(), count, hash: hash as u32 });
        self.slots[at] = self.entries.len() as u32;
    }

    fn piece(&self, number: usize) -> &[u8] {
        let start = if number == 0 { 0 } else { self.entries[number - 1].end };
        &self.bytes[start..self.entries[number].end]
    }

    fn grow(&mut self) {
        let room = (self.slots.len() * 2).max(1 << 4);
        self.slots.clear();
        self.slots.resize(room, 0);
        for (number, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & (room - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (room - 1);
            }
            self.slots[at] = number as u32 + 1;
        }
    }

    /// Forgets all pieces and keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.slots.fill(0);
    }

    /// The number of pieces.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The bytes of all pieces.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Every piece with its count.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.entries.iter().enumerate().map(|(number, entry)| (self.piece(number), entry.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn tables_count_as_a_map_does(pieces in prop::collection::vec("[ab\0]{0,15}|[abc]{16,40}", 0..300)) {
            let text = pieces.concat();
            let (mut short, mut long, mut expected, mut start) =
                (ShortTable::default(), LongTable::default(), BTreeMap::<&[u8], u64>::new(), 0);
            for (number, piece) in pieces.iter().enumerate() {
                let (end, count) = (start + piece.len(), number as u64 % 3 + 1);
                match key(text.as_bytes(), start, end) {
                    Some(key) => short.add(key, hash(key), count),
                    None => long.add(piece.as_bytes(), hash_bytes(piece.as_bytes()), count),
                }
                *expected.entry(piece.as_bytes()).or_default() += count;
                start = end;
            }
            let found: BTreeMap<&[u8], u64> = short.iter().chain(long.iter()).collect();
            prop_assert_eq!(found.len(), short.len() + long.len());
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn counts_pass_32_bits() {
        let mut table = ShortTable::default();
        let one = key(b"one", 0, 3).expect("is short");
        table.add(one, hash(one), u64::from(u32::MAX));
        table.add(one, hash(one), 2);
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&b"one"[..], u64::from(u32::MAX) + 2)]);
    }
}
