//! Stage 2: the ends of n-grams, and adjusted counts.
//!
//! The end of an n-gram is the n-gram without its first word. Of the successors of a context the ends are successors of the
//! context's end, in the same order; so they are found there, given the ends of the order below. How many ends are the same
//! n-gram is its adjusted count, as in [`adjust`](crate::adjust). The order below is gone through in ranges of contexts whose
//! successors fit in memory, and for each range all n-grams are.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use lmfast_base::{Control, Pages, Result, Sink, Spill, Stream, prefetch};
use rayon::prelude::*;

use super::Budget;
use super::trie::{Part, Trie};
use crate::adjust::Statistics;
use crate::corpus::BEGIN;

/// How many contexts ahead memory is asked for, first for where their successors lie, then for these.
const FAR: usize = 24;
const NEAR: usize = 8;

/// How many words ahead, for the counts of unigrams.
const AHEAD: usize = 32;

/// The adjusted counts of one order.
pub(super) struct Adjusted {
    /// By the numbers of the n-grams; nothing for the highest order, whose counts are those of the trie.
    pub(super) counts: Option<Spill<u32>>,
    pub(super) statistics: Statistics,
}

/// The counts of the highest order.
pub(super) fn highest(trie: &Trie, budget: &Budget, control: &Control) -> Result<Adjusted> {
    let level = trie.sizes.len() - 1;
    let statistics = trie.parts.par_iter().map(|part| {
        let (mut statistics, mut tokens) = (Statistics::default(), trie.tokens(level, part, budget.values(1)));
        for number in 0..part.sizes[level] {
            if number % (1 << 16) == 0 {
                control.check()?;
            }
            statistics.add(tokens.read()?);
        }
        Ok(statistics)
    });
    let statistics = statistics.try_reduce(Statistics::default, |sum, more| Ok(sum.sum(more)))?;
    Ok(Adjusted { counts: None, statistics })
}

/// The counts of unigrams, by id: how many bigrams end with each.
pub(super) fn of_unigrams(trie: &Trie, budget: &Budget, control: &Control) -> Result<Pages<u32>> {
    let mut counts = Pages::<u32>::zeroed(trie.sizes[0] as usize);
    let shared = counts.as_atomic();
    trie.parts.par_iter().try_for_each(|part| {
        let mut words = trie.words(1, part, budget.values(1));
        for number in 0..part.sizes[1] {
            if number % (1 << 16) == 0 {
                control.check()?;
            }
            if let Some(ahead) = words.peek(AHEAD) {
                prefetch(shared, ahead as usize);
            }
            shared[words.read()? as usize].fetch_add(1, Relaxed);
        }
        Ok(())
    })?;
    Ok(counts)
}

/// How often the counts come, where one n-gram, the last of the corpus in suffix order, enters with its `tokens`: so it does
/// in `KenLM`, `adjust_counts.cc`, where the stream of n-grams ends before it is adjusted.
fn with_last(mut statistics: Statistics, count: u32, tokens: u64) -> Statistics {
    if let Some(with_count) = statistics.with_count.get_mut(count as usize) {
        *with_count -= 1;
    }
    statistics.add(u32::try_from(tokens).unwrap_or(u32::MAX));
    statistics
}

/// How often each count of unigrams comes; `last` is the number and the tokens of the last unigram of the corpus.
pub(super) fn statistics(counts: &[u32], last: Option<(u32, u64)>) -> Statistics {
    let sum = |counts: &[u32]| {
        let mut statistics = Statistics::default();
        for &count in counts {
            statistics.add(count);
        }
        statistics
    };
    let all = counts.par_chunks(1 << 16).map(sum).reduce(Statistics::default, Statistics::sum);
    match last {
        Some((number, tokens)) => with_last(all, counts[number as usize], tokens),
        None => all,
    }
}

/// Finds the ends of the n-grams of `level` + 1 words, at least 3; by these the counts of the order below are adjusted.
/// `below` is the ends of that order, nothing for bigrams, whose ends are their last words. `last` is the number and the
/// tokens of the last n-gram of the order below in the corpus.
pub(super) fn link(
    trie: &Trie,
    level: usize,
    below: Option<&Spill<u32>>,
    last: Option<(u32, u64)>,
    budget: &Budget,
    control: &Control,
) -> Result<(Spill<u32>, Adjusted)> {
    let ends = Spill::create(&budget.folder)?;
    let adjusted = Spill::create(&budget.folder)?;
    let mut sums = Statistics::default();
    let (mut start, last_context) = (0, trie.sizes[level - 2]);
    while start < last_context {
        let end = range_end(trie, level, start, budget)?;
        let targets = trie.child(level - 2, start)?..trie.child(level - 2, end)?;
        let first = targets.start;
        let mut counts = Pages::<u32>::zeroed(targets.len());
        let range = Targets {
            start,
            end,
            first,
            children: &trie.load_children(level - 2, start..end)?,
            words: &trie.load_words(level - 1, targets.clone())?,
            counts: counts.as_atomic(),
            is_whole: start == 0 && end == last_context,
        };
        trie.parts.par_iter().try_for_each(|part| range.link(trie, level, part, below, &ends, budget, control))?;
        copy_tokens(trie, level - 1, first, &mut counts, budget)?;
        let mine = last.filter(|(number, _)| targets.contains(number));
        sums = sums.sum(statistics(&counts, mine.map(|(number, tokens)| (number - first, tokens))));
        adjusted.write(first.into(), &counts)?;
        start = end;
    }
    Ok((ends, Adjusted { counts: Some(adjusted), statistics: sums }))
}

/// Where a range of contexts ends that begins with this one, so that they and their successors fit in memory.
fn range_end(trie: &Trie, level: usize, start: u32, budget: &Budget) -> Result<u32> {
    let room = (budget.bytes / 2) as u64;
    let first = trie.child(level - 2, start)?;
    let fits = |end: u32| -> Result<bool> {
        let successors = u64::from(trie.child(level - 2, end)? - first);
        Ok(4 * u64::from(end - start) + 8 * successors <= room)
    };
    let (mut most, mut least) = (trie.sizes[level - 2], start + 1);
    if fits(most)? {
        return Ok(most);
    }
    // The first that does not fit lies above `least` and not above `most`.
    while least + 1 < most {
        let middle = least + (most - least) / 2;
        if fits(middle)? { least = middle } else { most = middle }
    }
    Ok(least)
}

/// N-grams that begin with `<s>` keep their tokens for counts.
fn copy_tokens(trie: &Trie, level: usize, first: u32, counts: &mut [u32], budget: &Budget) -> Result<()> {
    let Some(part) = trie.parts.iter().find(|part| part.first_words.contains(&BEGIN)) else { return Ok(()) };
    let (numbers, end) = (part.numbers(level), u64::from(first) + counts.len() as u64);
    let mine = numbers.start.max(first.into())..numbers.end.min(end);
    if mine.is_empty() {
        return Ok(());
    }
    let mut tokens = trie.tokens(level, part, budget.values(1));
    tokens.skip(mine.start - numbers.start);
    let slots = &mut counts[(mine.start - u64::from(first)) as usize..(mine.end - u64::from(first)) as usize];
    slots.iter_mut().try_for_each(|slot| {
        *slot = tokens.read()?;
        Ok(())
    })
}

/// A range of contexts, and their successors, among which ends are found.
struct Targets<'a> {
    start: u32,
    end: u32,
    /// The number of the first successor.
    first: u32,
    /// For each context the number of its first successor, and where those of the last end.
    children: &'a [u32],
    /// Of each successor the last word, and how many n-grams it is the end of.
    words: &'a [u32],
    counts: &'a [AtomicU32],
    /// Whether these are all there are.
    is_whole: bool,
}

impl Targets<'_> {
    /// Finds the ends of a part's n-grams that are in the range.
    #[expect(clippy::too_many_arguments, reason = "what the ends are found from, and where they go")]
    fn link(
        &self,
        trie: &Trie,
        level: usize,
        part: &Part,
        below: Option<&Spill<u32>>,
        ends: &Spill<u32>,
        budget: &Budget,
        control: &Control,
    ) -> Result<()> {
        let capacity = budget.values(5);
        let mut contexts = match below {
            Some(ends) => Stream::new(ends, part.numbers(level - 1), capacity),
            None => trie.words(level - 1, part, capacity),
        };
        let mut children = trie.children(level - 1, part, capacity);
        let mut words = trie.words(level, part, capacity);
        let mut found_before = Stream::new(ends, part.numbers(level), if self.is_whole { 1 } else { capacity });
        let mut sink = Sink::new(ends, part.numbers(level).start, capacity);
        let mut begin = children.read()?;
        for number in 0..part.sizes[level - 1] {
            if number % (1 << 14) == 0 {
                control.check()?;
            }
            self.ask(&contexts);
            let context = contexts.read()?;
            let end = children.read()?;
            let successors = end - begin;
            begin = end;
            if !(self.start..self.end).contains(&context) {
                words.skip(successors.into());
                for _ in 0..successors {
                    sink.push(found_before.read()?)?;
                }
                continue;
            }
            let at = (context - self.start) as usize;
            let range = (self.children[at] - self.first) as usize..(self.children[at + 1] - self.first) as usize;
            let (mut left, base) = (&self.words[range.clone()], range.start);
            let mut passed = base;
            for _ in 0..successors {
                let place = find(left, words.read()?);
                left = left.get(place..).unwrap_or_default();
                passed += place;
                if !self.is_whole {
                    found_before.read()?;
                }
                self.counts[passed].fetch_add(1, Relaxed);
                sink.push(self.first + passed as u32)?;
            }
        }
        sink.flush()
    }

    /// Asks for the memory of contexts that come.
    #[inline]
    fn ask(&self, contexts: &Stream<'_, u32>) {
        if let Some(far) = contexts.peek(FAR) {
            prefetch(self.children, far.wrapping_sub(self.start) as usize);
        }
        if let Some(near) = contexts.peek(NEAR)
            && let Some(&child) = self.children.get(near.wrapping_sub(self.start) as usize)
        {
            let at = child.wrapping_sub(self.first) as usize;
            prefetch(self.words, at);
            prefetch(self.counts, at);
        }
    }
}

/// The place of the first word that is not below this one.
#[inline]
fn find(words: &[u32], word: u32) -> usize {
    let mut step = 1;
    while step < words.len() && words[step] < word {
        step *= 2;
    }
    let start = step / 2;
    let near = &words[start..words.len().min(step + 1)];
    start + near.partition_point(|&other| other < word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_found(words in prop::collection::btree_set(0_u32..100, 0..40), word in 0_u32..101) {
            let words: Vec<u32> = words.into_iter().collect();
            prop_assert_eq!(super::find(&words, word), words.partition_point(|&other| other < word));
        }
    }
}
