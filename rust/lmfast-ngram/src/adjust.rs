//! Stage 2: adjusted counts.
//!
//! Input: the trie of what occurs. Output: one count for each n-gram of an order. It is how often the n-gram occurs, for the
//! highest order and for n-grams that begin with `<s>`; and for the others how many different words precede it, `<s>` among
//! them: of how many n-grams of the order above it is the end. (Kneser and Ney 1995; Heafield et al. 2013, section 3.2.)

use lmfast_base::{Control, Pages, Result, prefetch};
use rayon::prelude::*;

use crate::corpus::{BEGIN, Corpus};
use crate::count::{Counted, Part};

/// How many n-grams ahead memory is asked for.
const AHEAD: usize = 32;

/// How many n-grams of an order have each adjusted count: what discounts are computed from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// `with_count[c]` n-grams have count c, for c from 1 to 4.
    pub(crate) with_count: [u64; 5],
}

impl Statistics {
    pub(crate) fn add(&mut self, count: u32) {
        if let Some(number) = self.with_count.get_mut(count as usize) {
            *number += 1;
        }
    }

    pub(crate) fn sum(mut self, other: Self) -> Self {
        for (mine, theirs) in self.with_count.iter_mut().zip(other.with_count) {
            *mine += theirs;
        }
        self
    }
}

/// The adjusted counts of the n-grams of one order, by their numbers.
pub(crate) struct Adjusted {
    /// Nothing for the highest order, whose counts are those of the trie.
    counts: Pages<u32>,
    level: usize,
    pub(crate) statistics: Statistics,
}

impl Adjusted {
    /// The counts of a part.
    pub(crate) fn of<'a>(&'a self, part: &'a Part) -> &'a [u32] {
        if self.counts.is_empty() {
            return &part.levels[self.level].tokens;
        }
        let start = part.bases[self.level] as usize;
        &self.counts[start..start + part.size(self.level)]
    }
}

/// Adjusts the counts of the n-grams of `level` + 1 words. `last` is the last n-gram of the corpus in suffix order.
pub(crate) fn adjust(counted: &Counted, level: usize, last: &Last, control: &Control) -> Result<Adjusted> {
    let mut counts = Pages::zeroed(if level + 1 < counted.sizes.len() { counted.sizes[level] } else { 0 });
    extensions(counted, level, &mut counts, control)?;
    if level > 0 && !counts.is_empty() {
        let (part, range) = (&counted.parts[counted.begin.0], counted.begin.1[level].clone());
        let base = part.bases[level] as usize;
        counts[base + range.start..base + range.end].copy_from_slice(&part.levels[level].tokens[range]);
    }
    let mut adjusted = Adjusted { counts, level, statistics: Statistics::default() };
    let statistics = counted.parts.par_iter().map(|part| {
        let mut statistics = Statistics::default();
        adjusted.of(part).iter().for_each(|&count| statistics.add(count));
        statistics
    });
    adjusted.statistics = statistics.reduce(Statistics::default, Statistics::sum);
    // The last n-gram of every order but the highest enters the statistics with its actual count: so it does in KenLM,
    // adjust_counts.cc, where the stream of n-grams ends before it is adjusted.
    if let Some(&End { number, tokens }) = last.ends.get(level).filter(|_| !adjusted.counts.is_empty()) {
        let count = adjusted.counts[number as usize];
        if let Some(with_count) = adjusted.statistics.with_count.get_mut(count as usize) {
            *with_count -= 1;
        }
        adjusted.statistics.add(tokens);
    }
    Ok(adjusted)
}

/// Counts of how many n-grams of the order above each n-gram is the end.
fn extensions(counted: &Counted, level: usize, counts: &mut [u32], control: &Control) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    // Every thread goes through all n-grams and counts those whose ends are its own.
    let share = counts.len().div_ceil(rayon::current_num_threads());
    counts.par_chunks_mut(share).enumerate().try_for_each(|(number, mine)| {
        let start = number * share;
        for part in &counted.parts {
            control.check()?;
            let suffixes = part.levels[level + 1].suffixes();
            for (number, &suffix) in suffixes.iter().enumerate() {
                if let Some(&ahead) = suffixes.get(number + AHEAD) {
                    prefetch(mine, (ahead as usize).wrapping_sub(start));
                }
                let at = (suffix as usize).wrapping_sub(start);
                let is_mine = at < mine.len();
                mine[if is_mine { at } else { 0 }] += u32::from(is_mine);
            }
        }
        Ok(())
    })
}

/// The n-gram of the corpus that is last in suffix order, which compares the last word first, then the one before it.
pub(crate) struct Last {
    /// Its ends, from one word up.
    ends: Vec<End>,
}

struct End {
    number: u32,
    /// How often it occurs.
    tokens: u32,
}

impl Last {
    /// Finds it among n-grams of the highest order, or fewer words behind `<s>`.
    pub(crate) fn new(corpus: &Corpus, counted: &Counted) -> Self {
        let (ids, order) = (corpus.ids(), counted.sizes.len());
        let backwards = |end: usize| {
            let words = ids[..=end].iter().rev().take(order);
            let to_begin = words.clone().position(|&word| word == BEGIN).map_or(order, |place| place + 1);
            words.take(to_begin)
        };
        let word = ids.iter().filter(|&&id| id != BEGIN).max();
        let places = || (0..ids.len()).filter(|&end| Some(&ids[end]) == word);
        let last = places().max_by(|&a, &b| backwards(a).cmp(backwards(b)));
        let mut words: Vec<u32> = last.map_or(Vec::new(), |end| backwards(end).copied().collect());
        let mut tokens = vec![0; words.len()];
        for end in places() {
            let shared = backwards(end).zip(&words).take_while(|(a, b)| a == b).count();
            tokens[..shared].iter_mut().for_each(|tokens| *tokens += 1);
        }
        words.reverse();
        let end = |(start, tokens)| Some(End { number: counted.find(&words[start..])?, tokens });
        Self { ends: (0..words.len()).rev().zip(tokens).map_while(end).collect() }
    }
}
