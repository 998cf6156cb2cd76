//! Where the words of a text lie that is not normalized yet: what stands between separators, which become spaces.

use crate::simd::{Lanes, Portable, any_of};
use crate::split::masks::WINDOW;

/// How many edges are looked for before any is used.
const BATCH: usize = 64;

/// Words are looked for that far ahead.
pub(super) struct Edges<'a> {
    bytes: &'a [u8],
    separators: &'a [u8],
    /// The window that is next.
    at: usize,
    /// Whether a word goes on there.
    inside: bool,
    /// Where words begin and end, in turn.
    found: [usize; BATCH + 2 * WINDOW],
    count: usize,
}

impl<'a> Edges<'a> {
    pub(super) fn new(text: &'a str, separators: &'a [u8]) -> Self {
        Self { bytes: text.as_bytes(), separators, at: 0, inside: false, found: [0; BATCH + 2 * WINDOW], count: 0 }
    }

    /// The beginnings and ends of the next words; none at the end of the text.
    pub(super) fn next(&mut self) -> &[[usize; 2]] {
        // The beginning of a word whose end was not found yet.
        let begun = if self.inside { self.found.get(self.count.wrapping_sub(1)).copied() } else { None };
        self.count = 0;
        if let Some(begin) = begun {
            self.found[0] = begin;
            self.count = 1;
        }
        while self.count < BATCH && self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            let mut padded = [0; WINDOW];
            let window = rest.first_chunk().unwrap_or_else(|| {
                padded[..rest.len()].copy_from_slice(rest);
                // What is behind the text ends its last word.
                padded[rest.len()..].fill(self.separators[0]);
                &padded
            });
            let words = !any_of(window, self.separators);
            let edges = words ^ (words << 1 | u64::from(self.inside));
            if let Some(room) = self.found[self.count..].first_chunk_mut() {
                Portable::places(edges, self.at, room);
            }
            self.count += edges.count_ones() as usize;
            self.inside = words >> (WINDOW - 1) == 1;
            self.at += WINDOW;
            if self.at >= self.bytes.len() && self.inside {
                self.found[self.count] = self.bytes.len();
                self.count += 1;
                self.inside = false;
            }
        }
        self.found[..self.count].as_chunks().0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_what_lies_between_separators(text in "([ab ]{0,9}|[ \n]{0,99}|[c\n\u{e9}]{0,99}){0,9}") {
            let mut edges = Edges::new(&text, b" \n");
            let mut found = Vec::new();
            loop {
                let words = edges.next();
                if words.is_empty() {
                    break;
                }
                found.extend(words.iter().map(|&[start, end]| &text[start..end]));
            }
            let expected: Vec<&str> = text.split([' ', '\n']).filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
