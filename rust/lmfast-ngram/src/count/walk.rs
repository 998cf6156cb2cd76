//! A walk along the sorted windows of a bucket writes the n-grams of every order down.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use super::MOST_ORDERS;
use super::trie::Level;
use super::windows::{Packing, Record};
use crate::corpus::{BEGIN, END};

/// How a window relates to the one before it in its bucket.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Shape {
    /// How many first words both have in common.
    pub(super) shared: u8,
    /// How many words it has.
    pub(super) length: u8,
}

/// The levels of a part while they grow.
pub(super) struct Levels {
    levels: Vec<Level>,
    lowest_counted: usize,
}

impl Levels {
    pub(super) fn new(order: usize, lowest_counted: usize) -> Self {
        Self { levels: (0..order).map(|_| Level::default()).collect(), lowest_counted }
    }

    /// Begins the bucket of a word.
    pub(super) fn unigram(&mut self, tokens: u32) {
        let children = self.levels[1].words.len() as u32;
        self.levels[0].tokens.push(tokens);
        self.levels[0].children.push(children);
    }

    /// Appends the n-grams of a bucket, whose windows are sorted.
    pub(super) fn walk<const LIMBS: usize>(
        &mut self,
        records: &[Record<LIMBS>],
        packing: Packing,
        places: &mut [u32],
        shapes: &mut [Shape],
    ) {
        let order = packing.order;
        // Where the n-gram of each level that the walk is inside of began.
        let mut begun = [0; MOST_ORDERS];
        let (mut length, mut before) = (1, None::<&Record<LIMBS>>);
        for (((number, record), place), shape) in (0_u32..).zip(records).zip(places).zip(shapes) {
            let words = before.map_or(0, |before| record.shared(before, packing));
            let is_same = before.is_some() && words == order - 1;
            let shared = if is_same { length } else { words + 1 };
            self.close(shared..length, &begun, number);
            if !is_same {
                length = shared;
                let mut word = BEGIN;
                while word != END && length < order {
                    word = record.word(length - 1, packing);
                    let children = self.levels.get(length + 1).map(|above| above.words.len() as u32);
                    self.levels[length].words.push(word);
                    self.levels[length].children.extend(children);
                    begun[length] = number;
                    length += 1;
                }
            }
            *shape = Shape { shared: shared as u8, length: length as u8 };
            *place = record.place();
            before = Some(record);
        }
        self.close(1..length, &begun, records.len() as u32);
    }

    /// Ends the n-grams of some levels, given where each began and where all end.
    fn close(&mut self, levels: Range<usize>, begun: &[u32], end: u32) {
        for level in levels.start.max(self.lowest_counted)..levels.end {
            let begun = begun.get(level).copied().unwrap_or(end);
            self.levels[level].tokens.push(end - begun);
        }
    }

    pub(super) fn finish(mut self) -> Vec<Level> {
        for level in 1..self.levels.len() {
            let children = self.levels[level].words.len() as u32;
            self.levels[level - 1].children.push(children);
        }
        self.levels
    }
}
