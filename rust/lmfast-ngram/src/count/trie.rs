//! The trie that counting makes: parts, and in each the n-grams of every order.

use std::ops::Range;

use rayon::prelude::*;

use crate::corpus::BEGIN;

/// The n-grams of one order in a part of the trie.
#[derive(Debug, Default)]
pub(crate) struct Level {
    /// The last word of each; for unigrams, which are numbered by their ids, nothing.
    pub(crate) words: Vec<u32>,
    /// How often each occurs; nothing for the orders between the lowest and the highest, unless asked for.
    pub(crate) tokens: Vec<u32>,
    /// For each the first of its successors in the part's next level, and behind the last how many that level has; nothing
    /// for the highest order.
    pub(crate) children: Vec<u32>,
    /// For each the number of the n-gram without its first word among all of the order below; nothing for unigrams, and for
    /// bigrams, whose end is their last word.
    pub(super) suffixes: Vec<u32>,
}

impl Level {
    /// For each n-gram from bigrams up, its end.
    pub(crate) fn suffixes(&self) -> &[u32] {
        if self.suffixes.is_empty() { &self.words } else { &self.suffixes }
    }
}

/// The n-grams that begin with one of some consecutive words.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) first_words: Range<u32>,
    /// One for each order from 1 up.
    pub(crate) levels: Vec<Level>,
    /// How many n-grams of each order lie in the parts before this one.
    pub(crate) bases: Vec<u32>,
}

impl Part {
    /// How many n-grams a level has.
    pub(crate) fn size(&self, level: usize) -> usize {
        if level == 0 { self.first_words.len() } else { self.levels[level].words.len() }
    }
}

/// The trie.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) parts: Vec<Part>,
    /// How many n-grams there are of each order.
    pub(crate) sizes: Vec<usize>,
    /// The part that has the n-grams that begin with `<s>`, and which of its n-grams of each order these are.
    pub(crate) begin: (usize, Vec<Range<usize>>),
}

impl Counted {
    pub(super) fn new(parts: Vec<Part>, sizes: Vec<usize>) -> Self {
        let index = parts.partition_point(|part| part.first_words.end <= BEGIN);
        let part = &parts[index];
        let place = (BEGIN - part.first_words.start) as usize;
        let mut ranges = Vec::with_capacity(sizes.len());
        ranges.push(place..place + 1);
        for level in 1..sizes.len() {
            let (children, below) = (&part.levels[level - 1].children, &ranges[level - 1]);
            ranges.push(children[below.start] as usize..children[below.end] as usize);
        }
        Self { parts, sizes, begin: (index, ranges) }
    }

    /// Gives the memory of a level back that is no longer needed.
    pub(crate) fn forget(&mut self, level: usize) {
        self.parts.par_iter_mut().for_each(|part| part.levels[level] = Level::default());
    }

    /// The number of an n-gram among those of its order, if it is there.
    pub(crate) fn find(&self, words: &[u32]) -> Option<u32> {
        let (&first, rest) = words.split_first()?;
        let part = &self.parts[self.parts.partition_point(|part| part.first_words.end <= first)];
        let mut at = (first - part.first_words.start) as usize;
        for (word, levels) in rest.iter().zip(part.levels.windows(2)) {
            let children = levels[0].children[at] as usize..levels[0].children[at + 1] as usize;
            at = children.start + levels[1].words[children.clone()].binary_search(word).ok()?;
        }
        Some(part.bases[rest.len()] + at as u32)
    }
}
