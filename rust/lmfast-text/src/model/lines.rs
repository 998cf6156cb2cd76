//! What became of short words met before, each in one of the processor's cache lines: faster than
//! [`WordCache`](super::cache::WordCache), and for fewer ids.

use bytemuck::{Pod, Zeroable};
use lmfast_base::{Pages, prefetch};

/// The longest word that is kept, in bytes.
pub(crate) const LONGEST: usize = 23;

/// The most ids that are kept for a word.
pub(crate) const MOST_IDS: usize = 7;

const PLACES: usize = 1 << 17;

/// A word as numbers: its bytes, zeros, and the length as the last byte; never all 0.
pub(crate) type Key = [u64; 3];

/// For each length the bytes it has.
const MASKS: [Key; 24] = {
    let mut masks = [[0; 3]; 24];
    let mut length: usize = 1;
    while length < 24 {
        let mut part = 0;
        while part < 3 {
            let bytes = length.saturating_sub(8 * part);
            masks[length][part] = if bytes >= 8 { u64::MAX } else { (1 << (8 * bytes)) - 1 };
            part += 1;
        }
        length += 1;
    }
    masks
};

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line {
    key: Key,
    /// What goes with the ids.
    pub(crate) bound: f32,
    count: u32,
    ids: [u32; MOST_IDS],
    unused: u32,
}

impl Line {
    pub(crate) fn ids(&self) -> &[u32] {
        self.ids.get(..self.count as usize).unwrap_or_default()
    }
}

/// The cache; it takes no memory until the first word is kept, and then 8 MiB.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Pages<Line>,
}

/// The key of a word of 1 to [`LONGEST`] bytes that stands at a place of a text.
#[inline]
pub(crate) fn key(text: &[u8], start: usize, length: usize) -> Key {
    debug_assert!((1..=LONGEST).contains(&length));
    let mut padded = [0; 24];
    let bytes = if let Some(bytes) = text[start..].first_chunk::<24>() {
        bytes
    } else {
        padded[..text.len() - start].copy_from_slice(&text[start..]);
        &padded
    };
    let masks = &MASKS[length % 24];
    let part = |at: usize| bytes[8 * at..].first_chunk().map_or(0, |part| u64::from_le_bytes(*part)) & masks[at];
    [part(0), part(1), part(2) | (length as u64) << 56]
}

#[inline]
fn place(key: &Key) -> usize {
    let low = u128::from(key[0] ^ 0x9E37_79B9_7F4A_7C15);
    let high = u128::from(key[1].rotate_left(29) ^ key[2] ^ 0xD6E8_FEB8_6659_FD93);
    let product = low * high;
    (product as u64 ^ (product >> 64) as u64) as usize & (PLACES - 1)
}

impl Lines {
    /// Asks for the memory of a word that is soon to be looked up.
    #[inline]
    pub(crate) fn prepare(&self, key: &Key) {
        prefetch(&self.lines, place(key));
    }

    /// What is kept for a word.
    #[inline]
    pub(crate) fn get(&self, key: &Key) -> Option<&Line> {
        self.lines.get(place(key)).filter(|line| line.key == *key)
    }

    /// Keeps the ids of a word, if they are few, in place of others.
    pub(crate) fn keep(&mut self, key: &Key, bound: f32, ids: &[u32]) {
        if ids.len() > MOST_IDS {
            return;
        }
        if self.lines.is_empty() {
            self.lines = Pages::zeroed(PLACES);
        }
        let mut line = Line { key: *key, bound, count: ids.len() as u32, ids: [0; MOST_IDS], unused: 0 };
        line.ids[..ids.len()].copy_from_slice(ids);
        self.lines[place(key)] = line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let text: Vec<u8> = (0..400_u32).flat_map(|number| format!("{number}\u{2581}").into_bytes()).collect();
        let mut lines = Lines::default();
        for start in 0..text.len() {
            for length in (1..=LONGEST).filter(|length| start + length <= text.len()) {
                let here = key(&text, start, length);
                assert_eq!(here, key(&text[start..start + length], 0, length));
                assert_ne!(here, key(&[&text[start..start + length - 1], &[0]].concat(), 0, length));
                lines.keep(&here, length as f32, &[start as u32, length as u32]);
                let line = lines.get(&here).expect("was kept last");
                assert_eq!((line.ids(), line.bound), (&[start as u32, length as u32][..], length as f32));
            }
        }
        assert_eq!(size_of::<Line>() * PLACES, 8 << 20);
    }
}
