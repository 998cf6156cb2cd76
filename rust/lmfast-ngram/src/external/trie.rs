//! Stage 1b: the n-grams of all orders as a trie in working files.
//!
//! As in [`count`](crate::count) it is in lexicographic order and cut into parts by first words, each of which the windows
//! of that part, merged from all runs, write down in one walk. Numbers within a part are of that part alone; what lies
//! before it is added when they are read. Each part has room in the files for as many n-grams of an order as it has windows,
//! so that parts are written at once without knowing of each other; what stays empty takes no room on disk.

use std::cmp::Ordering;
use std::ops::Range;

use lmfast_base::{Control, Error, Pages, Result, Sink, Spill, Stream};
use rayon::prelude::*;

use super::Budget;
use super::merge::Merge;
use super::runs::Runs;
use super::spool::Spool;
use crate::corpus::{BEGIN, SPECIALS};
use crate::count::MOST_ORDERS;

/// Which n-grams are kept: those above a threshold for each order, of allowed words.
pub(super) struct Pruning<'a> {
    pub(super) thresholds: &'a [u64],
    pub(super) allowed: Option<&'a [bool]>,
}

impl Pruning<'_> {
    /// Whether everything is kept.
    pub(super) fn is_idle(&self) -> bool {
        self.allowed.is_none() && self.thresholds.iter().all(|&threshold| threshold == 0)
    }

    fn allows(&self, word: u32) -> bool {
        word < SPECIALS || self.allowed.is_none_or(|allowed| allowed[word as usize])
    }

    /// Whether an n-gram of allowed words occurs often enough. Words of a closed vocabulary may not occur at all.
    fn suffices(&self, level: usize, tokens: u64) -> bool {
        self.thresholds[level] == 0 || tokens > self.thresholds[level]
    }

    fn keeps_word(&self, word: u32, tokens: u64) -> bool {
        word < SPECIALS || (self.suffices(0, tokens) && self.allows(word))
    }
}

/// The n-grams that begin with one of some consecutive words.
pub(super) struct Part {
    pub(super) first_words: Range<u32>,
    /// Where the part begins in the files of a level.
    region: u64,
    /// By level, how many n-grams there are, and how many in the parts before.
    pub(super) sizes: Vec<u32>,
    pub(super) bases: Vec<u32>,
    /// The same of those that are kept.
    kept_sizes: Vec<u32>,
    pub(super) kept_bases: Vec<u32>,
}

impl Part {
    /// The numbers of its n-grams.
    pub(super) fn numbers(&self, level: usize) -> Range<u64> {
        let base = u64::from(self.bases[level]);
        base..base + u64::from(self.sizes[level])
    }
}

/// What is known of the n-grams of one order.
struct Level {
    /// The last word of each; nothing for unigrams.
    words: Spill<u32>,
    /// For each the first of its successors in the part, and behind the last how many there are; nothing for the highest
    /// order.
    children: Spill<u32>,
    /// How often each occurs; for the orders below the highest of those alone that begin with `<s>`.
    tokens: Spill<u32>,
    /// For each how many before it in the part are kept, and behind the last how many are; nothing if all are.
    kept: Spill<u32>,
}

/// The trie.
pub(super) struct Trie {
    pub(super) parts: Vec<Part>,
    /// How many n-grams there are of each order.
    pub(super) sizes: Vec<u32>,
    /// How many of them are kept.
    pub(super) kept_sizes: Vec<u32>,
    levels: Vec<Level>,
    /// Whether some are not kept.
    pub(super) prunes: bool,
}

impl Trie {
    /// Merges the runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 2^32 n-grams of one order or more, or an n-gram that occurs so often; [`Error::Io`] for a full
    /// disk.
    pub(super) fn new(
        corpus: &Spool,
        order: usize,
        part_words: Vec<Range<u32>>,
        runs: &Runs,
        pruning: &Pruning<'_>,
        budget: &Budget,
        control: &Control,
    ) -> Result<Self> {
        let level = |_| {
            let new = || Spill::create(&budget.folder);
            Ok(Level { words: new()?, children: new()?, tokens: new()?, kept: new()? })
        };
        let levels = (0..order).map(level).collect::<Result<Vec<_>>>()?;
        let mut region = 0;
        let begun: Vec<(Range<u32>, u64)> = part_words
            .into_iter()
            .zip(&runs.windows)
            .map(|(words, &windows)| {
                let start = region;
                region += windows.max(words.len() as u64) + 1;
                (words, start)
            })
            .collect();
        control.begin("merging n-grams", runs.windows.iter().sum());
        let reader_bytes = budget.buffer_bytes(runs.len());
        let parts = begun.into_par_iter().enumerate().map(|(number, (first_words, region))| {
            let mut growing = Growing::new(&levels, pruning, region, first_words.contains(&BEGIN), budget);
            let mut merge = Merge::new(runs.readers(number, reader_bytes), order)?;
            let (mut words, mut length, mut steps) = (Vec::new(), 0, 0_u64);
            let mut next_first = first_words.start;
            while let Some((shared, count)) = merge.next(&mut words)? {
                growing.close(shared.max(1)..length)?;
                if shared == 0 {
                    for first in next_first..=words[0] {
                        growing.first(first, corpus.tokens[first as usize])?;
                    }
                    next_first = words[0] + 1;
                }
                growing.open(shared.max(1), &words)?;
                growing.total += count;
                length = words.len();
                steps += 1;
                if steps % (1 << 14) == 0 {
                    control.check()?;
                    control.advance(1 << 14);
                }
            }
            growing.close(1..length)?;
            for first in next_first..first_words.end {
                growing.first(first, corpus.tokens[first as usize])?;
            }
            let (sizes, kept_sizes) = growing.finish()?;
            Ok(Part { first_words, region, sizes, bases: Vec::new(), kept_sizes, kept_bases: Vec::new() })
        });
        let mut parts = parts.collect::<Result<Vec<Part>>>()?;
        let sizes = number(&mut parts, order, |part| &part.sizes, |part, bases| part.bases = bases)?;
        let kept_sizes = number(&mut parts, order, |part| &part.kept_sizes, |part, bases| part.kept_bases = bases)?;
        Ok(Self { parts, sizes, kept_sizes, levels, prunes: !pruning.is_idle() })
    }

    /// The part that an n-gram belongs to.
    fn part_of(&self, level: usize, number: u32) -> &Part {
        &self.parts[self.parts.partition_point(|part| part.numbers(level).end <= u64::from(number))]
    }

    /// Reads the last words of a part from bigrams up.
    pub(super) fn words(&self, level: usize, part: &Part, capacity: usize) -> Stream<'_, u32> {
        let end = part.region + u64::from(part.sizes[level]);
        Stream::new(&self.levels[level].words, part.region..end, capacity)
    }

    /// Reads how often the n-grams of a part occur.
    pub(super) fn tokens(&self, level: usize, part: &Part, capacity: usize) -> Stream<'_, u32> {
        let end = part.region + u64::from(part.sizes[level]);
        Stream::new(&self.levels[level].tokens, part.region..end, capacity)
    }

    /// Reads for each n-gram of a part where in the part its successors begin, and where those of the last end.
    pub(super) fn children(&self, level: usize, part: &Part, capacity: usize) -> Stream<'_, u32> {
        let end = part.region + u64::from(part.sizes[level]) + 1;
        Stream::new(&self.levels[level].children, part.region..end, capacity)
    }

    /// Reads for each n-gram of a part how many before it in the part are kept, and how many are in all.
    pub(super) fn kept(&self, level: usize, part: &Part, capacity: usize) -> Stream<'_, u32> {
        let end = part.region + u64::from(part.sizes[level]) + 1;
        Stream::new(&self.levels[level].kept, part.region..end, capacity)
    }

    /// The number of the first successor of an n-gram, or how many there are for the number behind the last.
    pub(super) fn child(&self, level: usize, number: u32) -> Result<u32> {
        if number == self.sizes[level] {
            return Ok(self.sizes[level + 1]);
        }
        let part = self.part_of(level, number);
        let mut child = [0];
        self.levels[level].children.read(part.region + u64::from(number - part.bases[level]), &mut child)?;
        Ok(part.bases[level + 1] + child[0])
    }

    /// The last words of a range of n-grams, in memory.
    pub(super) fn load_words(&self, level: usize, range: Range<u32>) -> Result<Pages<u32>> {
        if level == 0 {
            let mut table = Pages::zeroed(range.len());
            table.iter_mut().zip(range).for_each(|(slot, word)| *slot = word);
            return Ok(table);
        }
        self.load(level, range, &self.levels[level].words, |_| 0)
    }

    /// [`child`](Self::child) for a range of n-grams and the one behind it, in memory.
    pub(super) fn load_children(&self, level: usize, range: Range<u32>) -> Result<Pages<u32>> {
        let end = self.child(level, range.end)?;
        let mut table = Pages::zeroed(range.len() + 1);
        let (inner, last) = table.split_at_mut(range.len());
        self.fill(level, range, &self.levels[level].children, |part| part.bases[level + 1], inner)?;
        last.fill(end);
        Ok(table)
    }

    /// For a range of n-grams, in memory, their numbers among those that are kept.
    pub(super) fn load_kept(&self, level: usize, range: Range<u32>) -> Result<Pages<u32>> {
        self.load(level, range, &self.levels[level].kept, |part| part.kept_bases[level])
    }

    fn load(
        &self,
        level: usize,
        range: Range<u32>,
        spill: &Spill<u32>,
        base: impl Fn(&Part) -> u32 + Sync,
    ) -> Result<Pages<u32>> {
        let mut table = Pages::zeroed(range.len());
        self.fill(level, range, spill, base, &mut table)?;
        Ok(table)
    }

    fn fill(
        &self,
        level: usize,
        range: Range<u32>,
        spill: &Spill<u32>,
        base: impl Fn(&Part) -> u32 + Sync,
        table: &mut [u32],
    ) -> Result<()> {
        let (start, end) = (u64::from(range.start), u64::from(range.end));
        let mut left = table;
        let mut work = Vec::new();
        for part in &self.parts {
            let numbers = part.numbers(level);
            let mine = start.max(numbers.start)..end.min(numbers.end);
            if !mine.is_empty() {
                let slots;
                (slots, left) = left.split_at_mut((mine.end - mine.start) as usize);
                work.push((part, part.region + mine.start - numbers.start, slots));
            }
        }
        work.into_par_iter().try_for_each(|(part, at, slots)| {
            spill.load(at, slots)?;
            let base = base(part);
            for slot in slots {
                *slot += base;
            }
            Ok(())
        })
    }

    /// The number of an n-gram among those of its order, if it is there.
    pub(super) fn find(&self, words: &[u32]) -> Result<Option<u32>> {
        let Some((&first, rest)) = words.split_first() else { return Ok(None) };
        let mut number = first;
        for (level, &word) in rest.iter().enumerate() {
            let mut children = self.child(level, number)?..self.child(level, number + 1)?;
            let mut found = None;
            while found.is_none() && !children.is_empty() {
                let middle = children.start + (children.end - children.start) / 2;
                match self.load_words(level + 1, middle..middle + 1)?[0].cmp(&word) {
                    Ordering::Less => children.start = middle + 1,
                    Ordering::Greater => children.end = middle,
                    Ordering::Equal => found = Some(middle),
                }
            }
            match found {
                Some(child) => number = child,
                None => return Ok(None),
            }
        }
        Ok(Some(number))
    }
}

/// Numbers the n-grams of all parts; tells how many there are of each order.
fn number(
    parts: &mut [Part],
    order: usize,
    sizes: impl Fn(&Part) -> &[u32],
    set: impl Fn(&mut Part, Vec<u32>),
) -> Result<Vec<u32>> {
    let mut total = vec![0_u32; order];
    for part in parts {
        let bases = total.clone();
        for (level, (total, &size)) in total.iter_mut().zip(sizes(part)).enumerate() {
            let sum = total.checked_add(size).filter(|&sum| sum < u32::MAX);
            *total = sum.ok_or_else(|| too_many(level))?;
        }
        set(part, bases);
    }
    Ok(total)
}

fn too_many(level: usize) -> Error {
    Error::invalid(format!("more than {} {}-grams: train on a part of the text", u32::MAX, level + 1))
}

/// A part while it is written.
struct Growing<'a> {
    words: Vec<Sink<'a, u32>>,
    children: Vec<Sink<'a, u32>>,
    tokens: Vec<Sink<'a, u32>>,
    kept: Vec<Sink<'a, u32>>,
    pruning: &'a Pruning<'a>,
    begins: bool,
    sizes: [u32; MOST_ORDERS + 1],
    kept_sizes: [u32; MOST_ORDERS],
    /// How many windows came before the present one, those that are the same counted each.
    total: u64,
    /// By level, `total` when the n-gram began that the walk is inside of, and whether its words are all allowed.
    begun: [u64; MOST_ORDERS],
    allowed: [bool; MOST_ORDERS],
}

impl<'a> Growing<'a> {
    fn new(levels: &'a [Level], pruning: &'a Pruning<'a>, region: u64, begins: bool, budget: &Budget) -> Self {
        let capacity = budget.buffer_bytes(4 * levels.len()) / size_of::<u32>();
        let sinks = |spill: fn(&Level) -> &Spill<u32>| {
            levels.iter().map(|level| Sink::new(spill(level), region, capacity)).collect()
        };
        Self {
            words: sinks(|level| &level.words),
            children: sinks(|level| &level.children),
            tokens: sinks(|level| &level.tokens),
            kept: sinks(|level| &level.kept),
            pruning,
            begins,
            sizes: [0; MOST_ORDERS + 1],
            kept_sizes: [0; MOST_ORDERS],
            total: 0,
            begun: [0; MOST_ORDERS],
            allowed: [true; MOST_ORDERS],
        }
    }

    fn order(&self) -> usize {
        self.words.len()
    }

    /// Begins the n-grams of a first word.
    fn first(&mut self, word: u32, tokens: u64) -> Result<()> {
        if self.order() > 1 {
            self.children[0].push(self.sizes[1])?;
        }
        if !self.pruning.is_idle() {
            self.kept[0].push(self.kept_sizes[0])?;
        }
        self.allowed[0] = self.pruning.allows(word);
        self.sizes[0] += 1;
        self.kept_sizes[0] += u32::from(self.pruning.keeps_word(word, tokens));
        Ok(())
    }

    /// Begins the n-grams of a window from a level up.
    #[inline]
    fn open(&mut self, level: usize, words: &[u32]) -> Result<()> {
        for (level, &word) in words.iter().enumerate().skip(level) {
            self.words[level].push(word)?;
            if level + 1 < self.order() {
                self.children[level].push(self.sizes[level + 1])?;
            }
            self.sizes[level] = self.sizes[level].checked_add(1).ok_or_else(|| too_many(level))?;
            self.begun[level] = self.total;
            self.allowed[level] = self.allowed[level - 1] && self.pruning.allows(word);
        }
        Ok(())
    }

    /// Ends the n-grams of some levels.
    #[inline]
    fn close(&mut self, levels: Range<usize>) -> Result<()> {
        let (top, prunes) = (self.order() - 1, !self.pruning.is_idle());
        for level in levels {
            let tokens = self.total - self.begun[level];
            if level == top || self.begins {
                let tokens = u32::try_from(tokens).map_err(|_| {
                    Error::invalid(format!(
                        "one {}-gram occurs more than {} times: train on a part of the text",
                        level + 1,
                        u32::MAX
                    ))
                })?;
                self.tokens[level].push(tokens)?;
            }
            if prunes {
                self.kept[level].push(self.kept_sizes[level])?;
            }
            let keeps = self.allowed[level] && self.pruning.suffices(level, tokens);
            self.kept_sizes[level] += u32::from(keeps);
        }
        Ok(())
    }

    /// How many n-grams there are of each order, and how many are kept.
    fn finish(mut self) -> Result<(Vec<u32>, Vec<u32>)> {
        let order = self.order();
        for level in 0..order {
            if level + 1 < order {
                self.children[level].push(self.sizes[level + 1])?;
            }
            if !self.pruning.is_idle() {
                self.kept[level].push(self.kept_sizes[level])?;
            }
        }
        let sinks = [&mut self.words, &mut self.children, &mut self.tokens, &mut self.kept];
        sinks.into_iter().flatten().try_for_each(Sink::flush)?;
        Ok((self.sizes[..order].to_vec(), self.kept_sizes[..order].to_vec()))
    }
}
