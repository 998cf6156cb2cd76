//! Stage 1a: the windows of the corpus as sorted runs.
//!
//! A block of the corpus that fits in memory is cut into windows as in [`count`](crate::count), and these are sorted.
//! Windows that are the same become one with a count. What is left goes to a file, as bytes:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | how many first words it has in common with the window before it, times 8; plus the count, or 7 for more than 6 |
//! | 1 to 10 | the count, if it is more than 6 |
//! | 1 to 5 each | its other words, up to the order or up to `</s>` |
//!
//! Numbers have 7 bits a byte, the lowest first, and the highest bit set in all bytes but the last. A run is cut into the
//! same parts of first words as all others; each part begins anew.

use std::ops::Range;

use lmfast_base::{Control, Pages, Result, Spill, prefetch};
use rayon::prelude::*;

use super::Budget;
use super::last::Last;
use super::spool::Spool;
use crate::corpus::{BEGIN, END};
use crate::count::{MOST_ORDERS, Packing, Record, bucket_size, buckets};

/// How many windows ahead memory is asked for.
const AHEAD: usize = 16;

/// Counts from this one on are written behind the first byte.
const MANY: u64 = 7;

/// The longest window takes at most this many bytes.
const LONGEST: usize = 1 + 10 + 5 * MOST_ORDERS;

/// Sorted runs of windows.
pub(super) struct Runs {
    bytes: Spill<u8>,
    /// By run and part, where its bytes lie.
    extents: Vec<Vec<Vec<Range<u64>>>>,
    /// By part, how many windows all runs have.
    pub(super) windows: Vec<u64>,
}

impl Runs {
    /// Sorts the windows of as many words as the order, at least 2. `parts` are ranges of first words.
    ///
    /// # Errors
    /// [`Error::Io`](lmfast_base::Error::Io) for a full disk.
    pub(super) fn new(
        corpus: &Spool,
        order: usize,
        parts: &[Range<u32>],
        budget: &Budget,
        last: &mut Last,
        control: &Control,
    ) -> Result<Self> {
        let packing = Packing::new(order, Packing::bits(corpus.vocabulary_size()));
        match packing.limbs() {
            1 => Self::sort::<1>(corpus, order, packing, parts, budget, last, control),
            2 => Self::sort::<2>(corpus, order, packing, parts, budget, last, control),
            3 => Self::sort::<3>(corpus, order, packing, parts, budget, last, control),
            _ => Self::sort::<5>(corpus, order, packing, parts, budget, last, control),
        }
    }

    fn sort<const LIMBS: usize>(
        corpus: &Spool,
        order: usize,
        packing: Packing,
        parts: &[Range<u32>],
        budget: &Budget,
        last: &mut Last,
        control: &Control,
    ) -> Result<Self> {
        let block = block(corpus, size_of::<Record<LIMBS>>(), budget) as u64;
        control.begin("counting n-grams", corpus.len());
        let mut runs = Self::none(parts.len(), budget)?;
        let margin = order as u64;
        let mut ids = Pages::zeroed(corpus.len().min(block + 2 * margin) as usize);
        let mut tokens = vec![0_u32; corpus.tokens.len()];
        for start in (0..corpus.len()).step_by(block as usize) {
            // The windows of a block reach into the next, and the n-grams that end in it into the one before.
            let end = corpus.len().min(start + block);
            let around = start.saturating_sub(margin)..corpus.len().min(end + margin);
            let ids = &mut ids[..(around.end - around.start) as usize];
            corpus.ids.load(around.start, ids)?;
            let own = (start - around.start) as usize..(end - around.start) as usize;
            tokens.fill(0);
            ids[own.clone()].iter().for_each(|&id| tokens[id as usize] += 1);
            last.add(ids, own.clone());
            let mut places = &*buckets(ids, own, &tokens, control)?;
            let mut shares = Vec::with_capacity(parts.len());
            for words in parts {
                let size = words.clone().map(|word| bucket_size(&tokens, word)).sum();
                let mine;
                (mine, places) = places.split_at(size);
                shares.push((words.clone(), mine));
            }
            let written = shares.into_par_iter().map_init(
                || (Vec::new(), Encoder::new(&runs.bytes, order, budget)),
                |(records, encoder), (words, mut places)| {
                    for word in words {
                        let mine;
                        (mine, places) = places.split_at(bucket_size(&tokens, word));
                        control.check()?;
                        records.clear();
                        records.extend(mine.iter().enumerate().map(|(number, &place)| {
                            if let Some(&ahead) = mine.get(number + AHEAD) {
                                prefetch(ids, ahead as usize + 1);
                            }
                            Record::<LIMBS>::new(ids, place, packing)
                        }));
                        Record::sort(records);
                        encoder.bucket(word, records, packing)?;
                        control.advance(mine.len() as u64);
                    }
                    encoder.finish()
                },
            );
            let written = written.collect::<Result<Vec<_>>>()?;
            let (extents, windows): (Vec<_>, Vec<u64>) = written.into_iter().unzip();
            runs.extents.push(extents);
            runs.windows.iter_mut().zip(windows).for_each(|(sum, more)| *sum += more);
        }
        Ok(runs)
    }

    /// No run, of so many parts.
    pub(super) fn none(parts: usize, budget: &Budget) -> Result<Self> {
        Ok(Self { bytes: Spill::create(&budget.folder)?, extents: Vec::new(), windows: vec![0; parts] })
    }

    /// How many runs there are.
    pub(super) fn len(&self) -> usize {
        self.extents.len()
    }

    /// Reads a part of every run, so many bytes at a time.
    pub(super) fn readers(&self, part: usize, buffer_bytes: usize) -> Vec<Reader<'_>> {
        let runs = self.extents.iter().filter(|run| !run[part].is_empty());
        runs.map(|run| Reader::new(&self.bytes, &run[part], buffer_bytes)).collect()
    }
}

/// How many tokens of the corpus are sorted at once.
///
/// For each token there are its id and the place of its window, and a record while its bucket is sorted; with as many
/// buckets at a time as there are threads, these records are at most those of the most frequent words.
fn block(corpus: &Spool, record_bytes: usize, budget: &Budget) -> usize {
    let mut most: Vec<u64> = corpus.tokens.clone();
    most[END as usize] = 0;
    let threads = rayon::current_num_threads().min(most.len());
    let at = threads - 1;
    most.select_nth_unstable_by(at, |a, b| b.cmp(a));
    // The text of a block may have twice as much of them as all of it has.
    let share = (2 * most[..threads].iter().sum::<u64>()).min(corpus.len()) as f64 / corpus.len() as f64;
    let bytes = 8.0 + share * record_bytes as f64;
    let fixed = corpus.tokens.len() * size_of::<u32>();
    (budget.bytes.saturating_sub(fixed) as f64 * 0.9 / bytes).clamp(1.0, f64::from(u32::MAX / 2)) as usize
}

/// Writes one part of a run.
struct Encoder<'a> {
    bytes: &'a Spill<u8>,
    order: usize,
    capacity: usize,
    buffer: Vec<u8>,
    extents: Vec<Range<u64>>,
    windows: u64,
}

impl<'a> Encoder<'a> {
    fn new(bytes: &'a Spill<u8>, order: usize, budget: &Budget) -> Self {
        let capacity = budget.buffer_bytes(4).clamp(LONGEST, 1 << 20);
        Self { bytes, order, capacity, buffer: Vec::new(), extents: Vec::new(), windows: 0 }
    }

    /// Appends the sorted windows that begin with a word.
    fn bucket<const LIMBS: usize>(&mut self, first: u32, records: &[Record<LIMBS>], packing: Packing) -> Result<()> {
        let mut shared = 0;
        let mut start = 0;
        for number in 1..=records.len() {
            let same = records.get(number).map_or(0, |record| record.shared(&records[start], packing));
            if same == self.order - 1 {
                continue;
            }
            let (record, count) = (&records[start], (number - start) as u64);
            self.window(shared, count, |at| if at == 0 { first } else { record.word(at - 1, packing) })?;
            (shared, start) = (same + 1, number);
        }
        Ok(())
    }

    fn window(&mut self, shared: usize, count: u64, word: impl Fn(usize) -> u32) -> Result<()> {
        if self.buffer.len() + LONGEST > self.capacity {
            self.flush()?;
        }
        self.buffer.push((shared << 3) as u8 | count.min(MANY) as u8);
        if count >= MANY {
            push_number(&mut self.buffer, count);
        }
        for at in shared..self.order {
            let word = word(at);
            push_number(&mut self.buffer, word.into());
            if word == END {
                break;
            }
        }
        self.windows += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            let at = self.bytes.append(&self.buffer)?;
            self.extents.push(at..at + self.buffer.len() as u64);
            self.buffer.clear();
        }
        Ok(())
    }

    /// Where the part lies, and how many windows it has.
    fn finish(&mut self) -> Result<(Vec<Range<u64>>, u64)> {
        self.flush()?;
        Ok((std::mem::take(&mut self.extents), std::mem::take(&mut self.windows)))
    }
}

#[inline]
fn push_number(bytes: &mut Vec<u8>, number: u64) {
    let mut left = number;
    while left >= 1 << 7 {
        bytes.push(left as u8 | 1 << 7);
        left >>= 7;
    }
    bytes.push(left as u8);
}

/// Reads one part of a run.
pub(super) struct Reader<'a> {
    bytes: &'a Spill<u8>,
    extents: std::slice::Iter<'a, Range<u64>>,
    extent: Range<u64>,
    buffer: Vec<u8>,
    at: usize,
    capacity: usize,
    words: [u32; MOST_ORDERS],
    length: usize,
    /// How often the window occurs.
    pub(super) count: u64,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a Spill<u8>, extents: &'a [Range<u64>], buffer_bytes: usize) -> Self {
        Self {
            bytes,
            extents: extents.iter(),
            extent: 0..0,
            buffer: Vec::new(),
            at: 0,
            capacity: buffer_bytes.max(2 * LONGEST),
            words: [0; MOST_ORDERS],
            length: 0,
            count: 0,
        }
    }

    /// The words of the window.
    #[inline]
    pub(super) fn words(&self) -> &[u32] {
        &self.words[..self.length]
    }

    /// Goes on to the next window of at most `order` words; false if there is none.
    #[inline]
    pub(super) fn advance(&mut self, order: usize) -> Result<bool> {
        if self.buffer.len() - self.at < LONGEST {
            self.fill()?;
            if self.at == self.buffer.len() {
                return Ok(false);
            }
        }
        let head = self.byte();
        self.count = u64::from(head & 7);
        if self.count == MANY {
            self.count = self.number();
        }
        self.length = usize::from(head >> 3);
        while self.length < order {
            let word = self.number() as u32;
            self.words[self.length] = word;
            self.length += 1;
            if word == END {
                break;
            }
        }
        Ok(true)
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        let byte = self.buffer[self.at];
        self.at += 1;
        byte
    }

    #[inline]
    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 127) << shift;
            if byte < 1 << 7 {
                return number;
            }
            shift += 7;
        }
    }

    #[cold]
    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        while self.buffer.len() < self.capacity {
            if self.extent.is_empty() {
                match self.extents.next() {
                    Some(extent) => self.extent = extent.clone(),
                    None => break,
                }
            }
            let start = self.buffer.len();
            let more = (self.extent.end - self.extent.start).min((self.capacity - start) as u64);
            self.buffer.resize(start + more as usize, 0);
            self.bytes.read(self.extent.start, &mut self.buffer[start..])?;
            self.extent.start += more;
        }
        Ok(())
    }
}

/// Cuts the words into about so many ranges with as many windows each; `<s>` is alone in its own.
pub(super) fn parts(tokens: &[u64], number: usize) -> Vec<Range<u32>> {
    let share = (tokens.iter().sum::<u64>() / number as u64).max(1);
    let (mut parts, mut first, mut size) = (Vec::new(), 0, 0);
    for word in 0..tokens.len() as u32 {
        size += if word == END { 0 } else { tokens[word as usize] };
        let is_edge = word == BEGIN || word + 1 == BEGIN || word as usize + 1 == tokens.len();
        if size >= share || is_edge {
            parts.push(first..word + 1);
            (first, size) = (word + 1, 0);
        }
    }
    parts
}
