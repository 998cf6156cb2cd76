//! How often each piece occurs.
//!
//! Every thread takes batches of documents from the one reader and counts into a table of its own; the tables are then
//! added up. Pieces of up to 15 bytes lie in the table itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use lmfast_base::source::Documents;
use lmfast_base::{Control, Result, threads};
use rustc_hash::FxHashMap;

use crate::bpe::{hash, key};
use crate::split::Split;

/// Pieces with their counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    short: ShortTable,
    long: FxHashMap<Box<[u8]>, u64>,
}

/// Open addressing with linear probing; a key of 0 is an empty slot.
#[derive(Debug, Default)]
struct ShortTable {
    slots: Vec<Slot>,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The bytes of the piece, little-endian, and its length as the last byte.
    key: [u8; 16],
    count: u64,
}

const EMPTY: Slot = Slot { key: [0; 16], count: 0 };

impl ShortTable {
    #[inline]
    fn add(&mut self, key: u128, count: u64) {
        if self.used * 2 >= self.slots.len() {
            self.grow();
        }
        let at = self.find(key);
        let slot = &mut self.slots[at];
        self.used += usize::from(slot.count == 0);
        slot.key = key.to_le_bytes();
        slot.count += count;
    }

    fn find(&self, key: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash(key) as usize & mask;
        while self.slots[at].count != 0 && u128::from_le_bytes(self.slots[at].key) != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let room = (self.slots.len() * 2).max(1 << 12);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; room]);
        for slot in old {
            if slot.count != 0 {
                let at = self.find(u128::from_le_bytes(slot.key));
                self.slots[at] = slot;
            }
        }
    }
}

impl Counts {
    /// Whether there was no piece at all.
    pub(super) fn is_empty(&self) -> bool {
        self.short.used == 0 && self.long.is_empty()
    }

    fn add(&mut self, piece: &[u8], count: u64) {
        if let Some(key) = key(piece) {
            self.short.add(key, count);
        } else if let Some(known) = self.long.get_mut(piece) {
            *known += count;
        } else {
            self.long.insert(piece.into(), count);
        }
    }

    fn merge(&mut self, other: Self) {
        for slot in other.short.slots.iter().filter(|slot| slot.count != 0) {
            self.short.add(u128::from_le_bytes(slot.key), slot.count);
        }
        #[expect(clippy::iter_over_hash_type, reason = "sums do not depend on their order")]
        for (piece, count) in other.long {
            *self.long.entry(piece).or_default() += count;
        }
    }

    /// Every piece with its count, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let short = self.short.slots.iter().filter(|slot| slot.count != 0);
        let short = short.map(|slot| (&slot.key[..usize::from(slot.key[15]).min(15)], slot.count));
        short.chain(self.long.iter().map(|(piece, &count)| (&piece[..], count)))
    }
}

/// Counts the pieces of documents.
///
/// # Errors
/// Those of the documents and of the cutter; [`Error::Interrupted`].
pub(super) fn count(
    documents: impl Iterator<Item = Result<Documents>> + Send,
    source_bytes: u64,
    split: &dyn Split,
    threads: Option<usize>,
    control: &Control,
) -> Result<Counts> {
    control.begin("counting", source_bytes);
    let (reader, failed) = (Mutex::new(documents.fuse()), AtomicBool::new(false));
    let tables: Vec<Result<Counts>> = threads::pool(threads)?.broadcast(|_| {
        let outcome = count_batches(&reader, split, &failed, control);
        failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
        outcome
    });
    let mut sum = Counts::default();
    for table in tables {
        let mut table = table?;
        if sum.short.used < table.short.used {
            std::mem::swap(&mut sum, &mut table);
        }
        sum.merge(table);
    }
    Ok(sum)
}

/// Counts one batch after the other until there is none, or another thread has failed.
fn count_batches(
    reader: &Mutex<impl Iterator<Item = Result<Documents>>>,
    split: &dyn Split,
    failed: &AtomicBool,
    control: &Control,
) -> Result<Counts> {
    let (mut counts, mut pieces) = (Counts::default(), Vec::new());
    while !failed.load(Ordering::Relaxed) {
        control.check()?;
        let next = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
        let Some(batch) = next else { break };
        let batch = batch?;
        for document in batch.iter() {
            let mut from = 0;
            while from < document.len() {
                control.check()?;
                from = split.split(document, from, &mut pieces)?;
                for piece in pieces.drain(..) {
                    counts.add(&document.as_bytes()[piece], 1);
                }
            }
        }
        control.advance(batch.source_bytes);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::WhiteSpace;
    use lmfast_base::Error;

    #[test]
    fn every_thread_number_counts_alike() {
        let documents = || {
            (0..50).map(|number| {
                Ok((0..100).map(|word| format!("w{} {} a{}", word % 7, "long".repeat(9), number)).collect())
            })
        };
        let sorted = |threads| {
            let counts = count(documents(), 0, &WhiteSpace, Some(threads), &Control::default()).expect("counts");
            let mut all: Vec<(Vec<u8>, u64)> = counts.iter().map(|(piece, count)| (piece.to_vec(), count)).collect();
            all.sort();
            all
        };
        let one = sorted(1);
        assert_eq!(one, sorted(3));
        assert_eq!(one.len(), 7 + 1 + 50);
        assert!(one.contains(&("long".repeat(9).into_bytes(), 5000)) && one.contains(&(b"a49".to_vec(), 100)));
    }

    #[test]
    fn the_reader_s_error_comes_back() {
        let documents = [Ok(["a"].into_iter().collect()), Err(Error::invalid("broken"))].into_iter();
        let error = count(documents, 0, &WhiteSpace, Some(2), &Control::default()).expect_err("fails");
        assert_eq!(error.to_string(), "broken");
    }
}
