//! What became of short words met before, each in one or two of the processor's cache lines: faster than
//! [`WordCache`](super::cache::WordCache), and for fewer ids.

use bytemuck::cast_slice;
use lmfast_base::{Pages, prefetch};

/// The cache of words of up to 23 bytes, with up to 8 ids: 8 MiB.
pub(crate) type ShortLines = Lines<3, 8, { 1 << 17 }>;

/// The cache of words of up to 55 bytes, with up to 16 ids: 4 MiB.
pub(crate) type LongLines = Lines<7, 16, { 1 << 15 }>;

/// A word as numbers: its bytes, zeros, and the length as the last byte; never all 0.
pub(crate) type Key<const PARTS: usize> = [u64; PARTS];

/// What the count of a line is whose word has more ids than fit, or such as need more than themselves.
const ELSEWHERE: u32 = u32::MAX;

/// For each length the bytes it has.
const MASKS: [[u64; 7]; 56] = {
    let mut masks = [[0; 7]; 56];
    let mut length: usize = 1;
    while length < masks.len() {
        let mut part = 0;
        while part < 7 {
            let bytes = length.saturating_sub(8 * part);
            masks[length][part] = if bytes >= 8 { u64::MAX } else { (1 << (8 * bytes)) - 1 };
            part += 1;
        }
        length += 1;
    }
    masks
};

/// The cache; it takes no memory until the first word is kept. A line is the key, a number that goes with the ids, their
/// count, and the ids.
#[derive(Debug, Default)]
pub(crate) struct Lines<const PARTS: usize, const SIZE: usize, const PLACES: usize> {
    lines: Pages<[u64; SIZE]>,
}

/// What is kept for a word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// What goes with the ids.
    pub(crate) bound: f32,
    count: u32,
    /// The ids, and behind them what they were padded with.
    pub(crate) padded: &'a [u32],
}

impl Line<'_> {
    /// The number of ids; nothing if they are kept elsewhere.
    #[inline]
    pub(crate) fn count(&self) -> Option<usize> {
        (self.count != ELSEWHERE).then_some(self.count as usize)
    }
}

impl<const PARTS: usize, const SIZE: usize, const PLACES: usize> Lines<PARTS, SIZE, PLACES> {
    /// The longest word that is kept, in bytes.
    pub(crate) const LONGEST: usize = 8 * PARTS - 1;

    /// The most ids that are kept for a word.
    pub(crate) const MOST_IDS: usize = 2 * (SIZE - PARTS - 1);

    /// The key of a word of 1 to [`LONGEST`](Self::LONGEST) bytes that stands at a place of a text.
    #[inline]
    pub(crate) fn key(text: &[u8], start: usize, length: usize) -> Key<PARTS> {
        debug_assert!((1..=Self::LONGEST).contains(&length));
        let mut padded = [0; 56];
        let bytes = if let Some(bytes) = text.get(start..start + 8 * PARTS) {
            bytes
        } else {
            let rest = &text[start..];
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        };
        let masks = &MASKS[length % MASKS.len()];
        let part = |at: usize| bytes[8 * at..].first_chunk().map_or(0, |part| u64::from_le_bytes(*part)) & masks[at];
        let mut key = std::array::from_fn(part);
        key[PARTS - 1] |= (length as u64) << 56;
        key
    }

    /// Where a word has its line, or in the one beside it.
    #[inline]
    pub(crate) fn place(key: &Key<PARTS>) -> usize {
        let mut low = key[0] ^ 0x9E37_79B9_7F4A_7C15;
        let mut high = key[1].rotate_left(29) ^ key[2] ^ 0xD6E8_FEB8_6659_FD93;
        for pair in key[3..].chunks_exact(2) {
            low = fold(low, high) ^ pair[0];
            high = pair[1] ^ 0xD6E8_FEB8_6659_FD93;
        }
        fold(low, high) as usize % PLACES
    }

    /// Asks for the memory of a word that is soon to be looked up.
    #[inline]
    pub(crate) fn prepare(&self, place: usize) {
        for part in (0..2 * SIZE).step_by(8) {
            prefetch(self.lines.as_flattened(), (place & !1) * SIZE + part);
        }
    }

    /// What is kept for a word. `place` is its own.
    #[inline]
    pub(crate) fn get(&self, key: &Key<PARTS>, place: usize) -> Option<Line<'_>> {
        let is = |line: &[u64; SIZE]| (0..PARTS).fold(0, |other, part| other | (line[part] ^ key[part])) == 0;
        let line = self.lines.get(place).filter(|line| is(line));
        let line = line.or_else(|| self.lines.get(place ^ 1).filter(|line| is(line)))?;
        Some(Line {
            bound: f32::from_bits(line[PARTS] as u32),
            count: (line[PARTS] >> 32) as u32,
            padded: cast_slice(&line[PARTS + 1..]),
        })
    }

    /// Keeps the ids of a word, or that they are kept elsewhere; in place of others, if there is no free line beside.
    pub(crate) fn keep(&mut self, key: &Key<PARTS>, bound: f32, ids: Option<&[u32]>, padding: u32) {
        if self.lines.is_empty() {
            self.lines = Pages::zeroed(PLACES);
        }
        let place = Self::place(key);
        let is_free = |line: &[u64; SIZE]| line[PARTS - 1] == 0 || line[..PARTS] == *key;
        let is_beside = !is_free(&self.lines[place]) && is_free(&self.lines[place ^ 1]);
        let line = &mut self.lines[place ^ usize::from(is_beside)];
        line[..PARTS].copy_from_slice(key);
        let ids = ids.filter(|ids| ids.len() <= Self::MOST_IDS);
        let count = ids.map_or(ELSEWHERE, |ids| ids.len() as u32);
        line[PARTS] = u64::from(bound.to_bits()) | u64::from(count) << 32;
        let id = |at: usize| u64::from(ids.unwrap_or_default().get(at).copied().unwrap_or(padding));
        for (at, pair) in line[PARTS + 1..].iter_mut().enumerate() {
            // As the bytes of two ids lie one behind the other.
            let [low, high] = [id(2 * at), id(2 * at + 1)];
            *pair = if cfg!(target_endian = "little") { low | high << 32 } else { high | low << 32 };
        }
    }
}

#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what_is_kept_comes_back<const PARTS: usize, const SIZE: usize, const PLACES: usize>() {
        let text: Vec<u8> = (0..400_u32).flat_map(|number| format!("{number}\u{2581}").into_bytes()).collect();
        let mut lines = Lines::<PARTS, SIZE, PLACES>::default();
        let longest = Lines::<PARTS, SIZE, PLACES>::LONGEST;
        let key = Lines::<PARTS, SIZE, PLACES>::key;
        for start in 0..text.len() {
            for length in (1..=longest).filter(|length| start + length <= text.len()) {
                let here = key(&text, start, length);
                assert_eq!(here, key(&text[start..start + length], 0, length));
                if length < longest {
                    assert_ne!(here, key(&[&text[start..start + length], &[0]].concat(), 0, length + 1));
                }
                let ids = &[start as u32, 5, 6, 7, 8, length as u32][..length % 7];
                lines.keep(&here, length as f32, Some(ids), 9);
                let line = lines.get(&here, Lines::<PARTS, SIZE, PLACES>::place(&here)).expect("was kept last");
                assert_eq!((line.bound, line.count()), (length as f32, Some(ids.len())));
                assert_eq!(&line.padded[..ids.len()], ids);
                assert_eq!(line.padded.len(), Lines::<PARTS, SIZE, PLACES>::MOST_IDS);
                assert!(line.padded[ids.len()..].iter().all(|&id| id == 9));
            }
        }
        let here = key(&text, 0, 3);
        for ids in [None, Some(&[1; 17][..])] {
            lines.keep(&here, 1.0, ids, 9);
            let line = lines.get(&here, Lines::<PARTS, SIZE, PLACES>::place(&here));
            assert_eq!(line.expect("was kept last").count(), None);
        }
    }

    #[test]
    fn short_and_long_words() {
        what_is_kept_comes_back::<3, 8, { 1 << 17 }>();
        what_is_kept_comes_back::<7, 16, { 1 << 15 }>();
    }
}
