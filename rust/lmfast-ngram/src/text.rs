//! Text to word ids: white space found many bytes at a time, frequent words found in memory that is near.

use lmfast_base::prefetch;

use crate::corpus::UNKNOWN;
use crate::vocabulary::Lookup;
use crate::words::Recent;

/// Bytes that are looked at in one go.
const WINDOW: usize = 64;

/// The places of the words of a text, which white space lies between.
pub(crate) struct Words<'t> {
    text: &'t [u8],
    /// Where the window begins, and where the next one does.
    window: usize,
    next: usize,
    /// Places in the window at which a word begins or ends, that are still to come.
    edges: u64,
    /// Whether the last byte of the window belongs to a word.
    before: u64,
    /// Where the word begins that has not ended.
    start: Option<usize>,
}

impl<'t> Words<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Self { text, window: 0, next: 0, edges: 0, before: 0, start: None }
    }

    /// Goes on to the next window, unless the text is at its end.
    fn advance(&mut self) -> Option<()> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        let words = if let Some(window) = rest.first_chunk() {
            !white(window)
        } else {
            let mut window = [b' '; WINDOW];
            window[..rest.len()].copy_from_slice(rest);
            !white(&window)
        };
        (self.window, self.next) = (self.next, self.next + WINDOW);
        // A word begins or ends where a byte differs in kind from the one before.
        self.edges = words ^ (words << 1 | self.before);
        self.before = words >> 63;
        Some(())
    }
}

impl Iterator for Words<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        loop {
            while self.edges == 0 {
                if self.advance().is_none() {
                    return self.start.take().map(|start| (start, self.text.len()));
                }
            }
            let at = self.window + self.edges.trailing_zeros() as usize;
            self.edges &= self.edges - 1;
            match self.start.take() {
                Some(start) => return Some((start, at)),
                None => self.start = Some(at),
            }
        }
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

/// A word that is not among the recent ones.
struct Missing<'t> {
    word: &'t [u8],
    hash: u64,
    /// Where its id belongs.
    at: usize,
    /// The id of the word it most likely is.
    likely: u32,
}

impl<'a> Finder<'a> {
    /// How many texts ahead memory is asked for.
    const AHEAD: usize = 4;

    pub(crate) fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, recent: Recent::default() }
    }

    /// Appends the ids of the words of texts, and calls `behind` after each text.
    ///
    /// Words that are not recent are found at the end, all together, as that takes some reads all over the vocabulary, one
    /// after the other for a word, but for many words at a time.
    pub(crate) fn append(&mut self, texts: &[&str], ids: &mut Vec<u32>, mut behind: impl FnMut(&mut Vec<u32>)) {
        let mut missing = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            if let Some(next) = texts.get(number + Self::AHEAD) {
                prefetch(next.as_bytes(), 0);
                prefetch(next.as_bytes(), 64);
            }
            let bytes = text.as_bytes();
            for (start, end) in Words::new(bytes) {
                let recent = Recent::pack_at(bytes, start, end).and_then(|packed| self.recent.get(packed));
                if recent.is_none() {
                    missing.push(self.missing(&bytes[start..end], ids.len()));
                }
                ids.push(recent.unwrap_or(UNKNOWN));
            }
            behind(ids);
        }
        self.find(&mut missing, ids);
    }

    fn missing<'t>(&self, word: &'t [u8], at: usize) -> Missing<'t> {
        let hash = Lookup::hash(word);
        self.lookup.prepare(hash);
        Missing { word, hash, at, likely: UNKNOWN }
    }

    fn find(&mut self, missing: &mut [Missing<'_>], ids: &mut [u32]) {
        for word in &mut *missing {
            word.likely = self.lookup.likely(word.hash);
        }
        for word in &*missing {
            self.lookup.prepare_word(word.likely);
        }
        for &mut Missing { word, hash, at, likely } in missing {
            let is_likely = likely != UNKNOWN && self.lookup.word(likely) == word;
            let id = if is_likely { likely } else { self.lookup.find_hashed(word, hash).unwrap_or(UNKNOWN) };
            if let Some(packed) = Recent::pack(word) {
                self.recent.keep(packed, id);
            }
            ids[at] = id;
        }
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
            found.extend(split(&text));
            let words = text.split(['\0', '\t', '\n', '\r', ' ']).filter(|word| !word.is_empty());
            prop_assert_eq!(&found, &words.collect::<Vec<_>>());
            let mut builder = Builder::new();
            found.iter().step_by(2).filter(|word| **word != "<unk>").for_each(|word| {
                builder.find_or_append(word);
            });
            let vocabulary = builder.finish();
            let (mut finder, mut ids) = (Finder::new(vocabulary.lookup()), Vec::new());
            finder.append(&[&text, "", &text], &mut ids, |ids| ids.push(u32::MAX));
            finder.append(&[&text], &mut ids, |ids| ids.push(u32::MAX));
            let expected: Vec<u32> = found.iter().map(|word| vocabulary.lookup().id(word.as_bytes())).collect();
            let expected = [&expected[..], &[u32::MAX]].concat();
            prop_assert_eq!(ids, [&expected[..], &[u32::MAX], &expected, &expected].concat());
        }
    }
}
