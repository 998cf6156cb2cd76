//! The words of a text as tokens, one behind the other in one array.
//!
//! A word is a header of three numbers, its length and the low and the high half of its count, and its tokens. It is
//! known by its *place*, the index of its header. When two of its tokens merge it shrinks where it lies.

use lmfast_base::{Control, Error, Result};
use rayon::ThreadPool;

const HEADER: usize = 3;

/// How many words are visited between two looks at the [`Control`].
const CHECKED: usize = 1 << 12;

/// Room for so many changes is kept from one merge to the next.
const KEPT: usize = 1 << 11;

/// Words as tokens.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    numbers: Vec<u32>,
}

/// A merge put a new token beside `neighbour` in the word at `place`, which occurs `count` times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) neighbour: u32,
    pub(super) place: u32,
    pub(super) count: u64,
}

/// The changes by a merge: the new token's left neighbours, and its right ones.
pub(super) type Changes = [Vec<Change>; 2];

impl Sequences {
    /// Room for so many words of so many tokens together.
    pub(super) fn with_capacity(words: usize, tokens: usize) -> Self {
        Self { numbers: Vec::with_capacity(words * HEADER + tokens) }
    }

    /// Adds a word.
    ///
    /// # Errors
    /// [`Error::Invalid`] if places no longer fit in 32 bits.
    pub(super) fn push(&mut self, count: u64, tokens: impl Iterator<Item = u32>) -> Result<()> {
        let place = self.numbers.len();
        self.numbers.extend([0, count as u32, (count >> 32) as u32]);
        self.numbers.extend(tokens);
        let length = self.numbers.len() - place - HEADER;
        if length < 2 {
            self.numbers.truncate(place); // nothing to merge
        } else if u32::try_from(self.numbers.len()).is_err() {
            return Err(Error::invalid(
                "the text has too many different pieces to merge (more than 16 GB of them): train on a part of it, or with a pattern that cuts it into smaller pieces",
            ));
        } else {
            self.numbers[place] = length as u32;
        }
        Ok(())
    }

    /// Every word before the first merge: its place, count and tokens.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u64, &[u32])> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let header = self.numbers.get(place..place + HEADER)?;
            let start = place + HEADER;
            let tokens = &self.numbers[start..start + header[0] as usize];
            let found = (place as u32, count(header), tokens);
            place = start + tokens.len();
            Some(found)
        })
    }

    /// Merges a pair in the words at `places`, which ascend, on all threads of a pool if one is given.
    ///
    /// Gives the changes in the order of places, in parts.
    pub(super) fn merge(
        &mut self,
        places: &[u32],
        merge: (u32, u32, u32),
        pool: Option<&ThreadPool>,
        changes: &mut Vec<Changes>,
        control: &Control,
    ) -> Result<()> {
        let threads = pool.map_or(1, ThreadPool::current_num_threads);
        changes.resize_with(threads, Changes::default);
        for side in changes.iter_mut().flatten() {
            side.clear();
            side.shrink_to(KEPT); // the first merges change far more than the many that follow
        }
        let mut parts = Vec::with_capacity(threads);
        let (mut rest, mut base) = (self.numbers.as_mut_slice(), 0);
        let mut chunks = places.chunks(places.len().div_ceil(threads).max(1)).peekable();
        while let Some(chunk) = chunks.next() {
            let end = chunks.peek().map_or(base + rest.len(), |next| next[0] as usize);
            let (part, behind) = rest.split_at_mut(end - base);
            parts.push((part, base, chunk));
            (rest, base) = (behind, end);
        }
        let Some(pool) = pool else {
            let Some((part, base, chunk)) = parts.pop() else { return Ok(()) };
            return merge_part(part, base, chunk, merge, &mut changes[0], control);
        };
        let work = parts.into_iter().zip(changes);
        let mut outcomes = Vec::new();
        pool.scope(|scope| {
            outcomes.resize_with(threads, || Ok(()));
            for (((part, base, chunk), changes), outcome) in work.zip(&mut outcomes) {
                scope.spawn(move |_| *outcome = merge_part(part, base, chunk, merge, changes, control));
            }
        });
        outcomes.into_iter().collect()
    }
}

fn count(header: &[u32]) -> u64 {
    u64::from(header[1]) | u64::from(header[2]) << 32
}

/// Merges in a part of all numbers that begins at `base`.
fn merge_part(
    part: &mut [u32],
    base: usize,
    places: &[u32],
    merge: (u32, u32, u32),
    changes: &mut Changes,
    control: &Control,
) -> Result<()> {
    for places in places.chunks(CHECKED) {
        control.check()?;
        for &place in places {
            let (header, rest) = part[place as usize - base..].split_at_mut(HEADER);
            let tokens = &mut rest[..header[0] as usize];
            header[0] = merge_word(tokens, merge, (place, count(header)), changes) as u32;
        }
    }
    Ok(())
}

/// Merges a pair in a word from left to right, notes the neighbours, and gives the new length.
fn merge_word(
    tokens: &mut [u32],
    (left, right, merged): (u32, u32, u32),
    (place, count): (u32, u64),
    [before, after]: &mut Changes,
) -> usize {
    let (mut read, mut write) = (0, 0);
    while read < tokens.len() {
        let token = tokens[read];
        if token == left && tokens.get(read + 1) == Some(&right) {
            if write > 0 {
                before.push(Change { neighbour: tokens[write - 1], place, count });
            }
            if let Some(&neighbour) = tokens.get(read + 2) {
                after.push(Change { neighbour, place, count });
            }
            tokens[write] = merged;
            read += 2;
        } else {
            tokens[write] = token;
            read += 1;
        }
        write += 1;
    }
    write
}

#[cfg(test)]
mod tests {
    use super::*;
    use lmfast_base::threads;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_thread_number_merges_alike(texts in prop::collection::vec((prop::collection::vec(0..3_u32, 0..9), 1..u64::MAX), 1..30)) {
            let merged = |threads| {
                let pool = threads::pool(Some(threads)).expect("starts");
                let (mut words, mut changes) = (Sequences::with_capacity(0, 0), Vec::new());
                for (tokens, count) in &texts {
                    words.push(*count, tokens.iter().copied()).expect("has room");
                }
                let places: Vec<u32> = words.iter().map(|(place, ..)| place).collect();
                let pool = (threads > 1).then_some(&pool);
                words.merge(&places, (0, 1, 3), pool, &mut changes, &Control::default()).expect("merges");
                let sides: [Vec<(u32, u32, u64)>; 2] = std::array::from_fn(|side| {
                    let all = changes.iter().flat_map(|changes| &changes[side]);
                    all.map(|change| (change.neighbour, change.place, change.count)).collect()
                });
                (words.numbers, sides)
            };
            let (numbers, sides) = merged(1);
            prop_assert_eq!((&numbers, &sides), (&merged(3).0, &merged(3).1));
            // Nothing that would merge is left, and every merge has been told to both sides.
            let mut expected = [0, 0];
            let mut place = 0;
            for (tokens, count) in texts.iter().filter(|(tokens, _)| tokens.len() > 1) {
                prop_assert_eq!(super::count(&numbers[place..place + HEADER]), *count);
                let found = &numbers[place + HEADER..][..numbers[place] as usize];
                prop_assert!(!found.windows(2).any(|pair| pair == [0, 1]));
                prop_assert_eq!(found.iter().flat_map(|&token| if token == 3 { vec![0, 1] } else { vec![token] }).collect::<Vec<u32>>(), tokens.clone());
                expected[0] += found.iter().skip(1).filter(|&&token| token == 3).count();
                expected[1] += found.iter().rev().skip(1).filter(|&&token| token == 3).count();
                place += HEADER + tokens.len();
            }
            prop_assert_eq!([sides[0].len(), sides[1].len()], expected);
        }
    }
}
