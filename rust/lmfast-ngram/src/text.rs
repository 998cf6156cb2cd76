//! Text to word ids: white space found many bytes at a time, frequent words found in memory that is near.

use crate::vocabulary::Lookup;
use crate::words::Recent;

/// Bytes that are looked at in one go.
const WINDOW: usize = 64;

/// Calls `take` with the place of each word. Words are separated as by [`crate::words::split`].
pub(crate) fn for_each_word(text: &[u8], mut take: impl FnMut(usize, usize)) {
    let (mut start, mut inside) = (0, false);
    let (windows, rest) = text.as_chunks::<WINDOW>();
    let mut last = [b' '; WINDOW];
    last[..rest.len()].copy_from_slice(rest);
    let mut before = 0;
    for (window, number) in windows.iter().chain((!rest.is_empty()).then_some(&last)).zip(0..) {
        let words = !white(window);
        // A word begins or ends where a byte differs in kind from the one before.
        let mut edges = words ^ (words << 1 | before);
        before = words >> 63;
        while edges != 0 {
            let at = number * WINDOW + edges.trailing_zeros() as usize;
            if inside {
                take(start, at);
            }
            start = at;
            inside = !inside;
            edges &= edges - 1;
        }
    }
    if inside {
        take(start, text.len());
    }
}

/// Which bytes are NUL, tab, line feed, carriage return or space.
#[cfg(target_arch = "x86_64")]
#[inline]
fn white(window: &[u8; WINDOW]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8};
    let mut mask = 0;
    for (bytes, number) in window.as_chunks::<16>().0.iter().zip(0..) {
        let [low, high] = [0, 8].map(|at| i64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte])));
        #[expect(unsafe_code, reason = "vector instructions")]
        // SAFETY: SSE2 belongs to every x86-64.
        let white = unsafe {
            let bytes = _mm_set_epi64x(high, low);
            let is = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
            let any = _mm_or_si128(_mm_or_si128(is(b' '), is(b'\n')), _mm_or_si128(is(b'\t'), is(b'\r')));
            _mm_movemask_epi8(_mm_or_si128(any, is(0))) as u16
        };
        mask |= u64::from(white) << (16 * number);
    }
    mask
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn white(window: &[u8; WINDOW]) -> u64 {
    let is_white = |byte: u8| matches!(byte, b'\0' | b'\t' | b'\n' | b'\r' | b' ');
    window.iter().zip(0..).map(|(&byte, at)| u64::from(is_white(byte)) << at).sum()
}

/// Finds the words of many texts.
pub(crate) struct Finder<'a> {
    lookup: Lookup<'a>,
    recent: Recent,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, recent: Recent::default() }
    }

    /// Appends the ids of a text's words.
    pub(crate) fn append(&mut self, text: &str, ids: &mut Vec<u32>) {
        let bytes = text.as_bytes();
        for_each_word(bytes, |start, end| {
            let Some(packed) = Recent::pack_at(bytes, start, end) else {
                ids.push(self.lookup.id(&bytes[start..end]));
                return;
            };
            let slot = self.recent.slot(packed);
            if slot.0 != packed {
                *slot = (packed, self.lookup.id(&bytes[start..end]));
            }
            ids.push(slot.1);
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vocabulary::Builder;
    use crate::words::split;

    proptest! {
        #[test]
        fn words_and_ids_are_those_found_one_by_one(
            pieces in proptest::collection::vec("(a|bb|\u{e9}t\u{e9}|[c-e]{13,18}|[f-z]{60,70}|<unk>|</s>)?[ \t\r\n\0]{0,3}", 0..40),
        ) {
            let text = pieces.concat();
            let mut found = Vec::new();
            for_each_word(text.as_bytes(), |start, end| found.push(&text[start..end]));
            prop_assert_eq!(&found, &split(&text).collect::<Vec<_>>());
            let mut builder = Builder::new();
            found.iter().step_by(2).filter(|word| **word != "<unk>").for_each(|word| {
                builder.find_or_append(word);
            });
            let vocabulary = builder.finish();
            let (mut finder, mut ids) = (Finder::new(vocabulary.lookup()), Vec::new());
            finder.append(&text, &mut ids);
            finder.append(&text, &mut ids);
            let expected: Vec<u32> = found.iter().map(|word| vocabulary.lookup().id(word.as_bytes())).collect();
            prop_assert_eq!(ids, [&expected[..], &expected].concat());
        }
    }
}
