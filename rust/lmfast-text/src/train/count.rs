//! How often each piece occurs.
//!
//! Every thread takes batches of documents from the one reader. It counts in a small table of its own, which stays in
//! the core's cache and in which frequent pieces stay; what falls out of it, and in the end all of it, is added to
//! tables that all threads share, in parts with a lock each. So the memory is that of the different pieces, once,
//! whatever the number of threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use lmfast_base::source::Documents;
use lmfast_base::{Control, Result};
use rayon::ThreadPool;

use super::pieces::Pieces;
use super::table::{LongTable, ShortTable, hash, hash_bytes, key};

/// Parts of the shared tables: a power of two.
const PARTS: usize = 64;

/// Places of a thread's table, each of two pieces, the more frequent first, in one cache line: 256 KiB in all.
const PLACES: usize = 1 << 12;

/// How many pieces a thread collects for a part before it takes the lock.
const COLLECTED: usize = 64;

/// Bytes of longer pieces that a thread counts before it hands them over.
const LONG_BYTES: usize = 1 << 18;

/// Pieces with their counts.
#[derive(Debug)]
pub(super) struct Counts {
    parts: Vec<Part>,
}

/// The pieces whose hashes begin alike.
#[derive(Debug, Default)]
pub(super) struct Part {
    short: ShortTable,
    long: LongTable,
}

impl Part {
    /// Every piece with its count, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.short.iter().chain(self.long.iter())
    }
}

impl Counts {
    /// Whether there was no piece at all.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of different pieces.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.short.len() + part.long.len()).sum()
    }

    /// Every piece with its count, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.parts.iter().flat_map(Part::iter)
    }

    /// The parts, each of which can be dropped when it has been read.
    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }
}

/// Counts the pieces of documents.
///
/// # Errors
/// Those of the documents and of the cutter; [`Error::Interrupted`](lmfast_base::Error::Interrupted).
pub(super) fn count(
    documents: impl Iterator<Item = Result<Documents>> + Send,
    source_bytes: u64,
    pieces: &Pieces,
    pool: &ThreadPool,
    control: &Control,
) -> Result<Counts> {
    control.begin("counting", source_bytes);
    let shared: Vec<Mutex<Part>> = (0..PARTS).map(|_| Mutex::default()).collect();
    let (reader, failed) = (Mutex::new(documents.fuse()), AtomicBool::new(false));
    let outcomes: Vec<Result<()>> = pool.broadcast(|_| {
        let outcome = count_batches(&reader, pieces, &shared, &failed, control);
        failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
        outcome
    });
    outcomes.into_iter().collect::<Result<()>>()?;
    let parts = shared.into_iter().map(|part| part.into_inner().unwrap_or_else(PoisonError::into_inner));
    Ok(Counts { parts: parts.collect() })
}

/// Counts one batch after the other until there is none, or another thread has failed.
fn count_batches(
    reader: &Mutex<impl Iterator<Item = Result<Documents>>>,
    pieces: &Pieces,
    shared: &[Mutex<Part>],
    failed: &AtomicBool,
    control: &Control,
) -> Result<()> {
    let (mut counter, mut ranges) = (Counter::new(shared), Vec::new());
    while !failed.load(Ordering::Relaxed) {
        control.check()?;
        let next = reader.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(batch) = next else { break };
        let batch = batch?;
        for document in batch.iter() {
            pieces.each(document, &mut ranges, control, &mut |text, range| {
                counter.add(text.as_bytes(), range.start, range.end);
            })?;
        }
        control.advance(batch.source_bytes);
    }
    counter.finish();
    Ok(())
}

/// One thread's counts.
struct Counter<'a> {
    shared: &'a [Mutex<Part>],
    places: Vec<[Slot; 2]>,
    /// What fell out, by part.
    collected: Vec<Vec<(u128, u64)>>,
    long: LongTable,
}

/// A count of 0 is an empty slot.
#[derive(Clone, Copy)]
struct Slot {
    key: u128,
    count: u64,
}

impl<'a> Counter<'a> {
    fn new(shared: &'a [Mutex<Part>]) -> Self {
        Self {
            shared,
            places: vec![[Slot { key: 0, count: 0 }; 2]; PLACES],
            collected: vec![Vec::new(); PARTS],
            long: LongTable::default(),
        }
    }

    /// Counts the piece `text[start..end]`.
    #[inline]
    fn add(&mut self, text: &[u8], start: usize, end: usize) {
        let Some(key) = key(text, start, end) else { return self.add_long(&text[start..end]) };
        let hash = hash(key);
        let [first, second] = &mut self.places[(hash >> 32) as usize & (PLACES - 1)];
        if first.key == key {
            first.count += 1;
        } else if second.key == key {
            second.count += 1;
            if second.count > first.count {
                std::mem::swap(first, second);
            }
        } else {
            let out = std::mem::replace(second, Slot { key, count: 1 });
            if out.count > 0 {
                self.collect(out);
            }
        }
    }

    #[inline(never)]
    fn collect(&mut self, out: Slot) {
        let part = part_of(hash(out.key));
        self.collected[part].push((out.key, out.count));
        if self.collected[part].len() >= COLLECTED {
            self.hand_over(part);
        }
    }

    fn hand_over(&mut self, part: usize) {
        let mut shared = self.shared[part].lock().unwrap_or_else(PoisonError::into_inner);
        for (key, count) in self.collected[part].drain(..) {
            shared.short.add(key, hash(key), count);
        }
    }

    fn add_long(&mut self, piece: &[u8]) {
        self.long.add(piece, hash_bytes(piece), 1);
        if self.long.bytes() >= LONG_BYTES {
            self.hand_over_long();
        }
    }

    fn hand_over_long(&mut self) {
        for (piece, count) in self.long.iter() {
            let hash = hash_bytes(piece);
            self.shared[part_of(hash)].lock().unwrap_or_else(PoisonError::into_inner).long.add(piece, hash, count);
        }
        self.long.clear();
    }

    fn finish(mut self) {
        for slot in std::mem::take(&mut self.places).into_iter().flatten().filter(|slot| slot.count > 0) {
            self.collect(slot);
        }
        (0..PARTS).for_each(|part| self.hand_over(part));
        self.hand_over_long();
    }
}

/// The part of a hash, by bits that place nothing within it.
fn part_of(hash: u64) -> usize {
    (hash >> 58) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::components::PreTokenizer;
    use lmfast_base::{Error, threads};

    fn white_space() -> Pieces {
        Pieces::new(None, Some(&PreTokenizer::WhitespaceSplit {})).expect("is ready")
    }

    #[test]
    fn every_thread_number_counts_alike() {
        let documents = || {
            (0..50).map(|number| {
                Ok((0..100)
                    .map(|word| format!("w{} {} a{}", word % 7, "long".repeat(9), number * 1000 + word))
                    .collect())
            })
        };
        let sorted = |threads| {
            let counts = count(
                documents(),
                0,
                &white_space(),
                &threads::pool(Some(threads)).expect("starts"),
                &Control::default(),
            )
            .expect("counts");
            let mut all: Vec<(Vec<u8>, u64)> = counts.iter().map(|(piece, count)| (piece.to_vec(), count)).collect();
            all.sort();
            assert_eq!(counts.len(), all.len());
            all
        };
        let one = sorted(1);
        assert_eq!(one, sorted(3));
        assert_eq!(one.len(), 7 + 1 + 5000);
        assert!(one.contains(&("long".repeat(9).into_bytes(), 5000)) && one.contains(&(b"a49".to_vec(), 1)));
    }

    #[test]
    fn what_falls_out_of_a_thread_s_table_is_counted() {
        let documents = || (0..8).map(|_| Ok((0..60_000).map(|word| format!("{word} a{}", word * 31)).collect()));
        let counts =
            count(documents(), 0, &white_space(), &threads::pool(Some(2)).expect("starts"), &Control::default())
                .expect("counts");
        assert_eq!(counts.len(), 120_000);
        assert!(counts.iter().all(|(_, count)| count == 8));
    }

    #[test]
    fn the_reader_s_error_comes_back() {
        let documents = [Ok(["a"].into_iter().collect()), Err(Error::invalid("broken"))].into_iter();
        let error = count(documents, 0, &white_space(), &threads::pool(Some(2)).expect("starts"), &Control::default())
            .expect_err("fails");
        assert_eq!(error.to_string(), "broken");
    }
}
