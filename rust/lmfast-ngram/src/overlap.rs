//! Which documents of one corpus hold an n-gram of another: what training text and a test set share.
//!
//! Brown et al. 2020 (appendix C) call a test document dirty that has a 13-gram in common with the training text, words
//! being lower-cased, without punctuation. The reference is held in memory, with 21 to 37 bytes a word; the other corpus is
//! read once and may be of any size. Equal hashes are told apart by the words themselves.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lmfast_base::source::Documents;
use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;
use rustc_hash::FxHasher;

use crate::corpus::{TokenId, documents};
use crate::words::split;

/// Stands for a word that the reference does not have, and so for the end of every n-gram that could be found.
const ABSENT: u32 = u32::MAX;

/// The longest n-grams that are looked for.
const MOST_WORDS: usize = 1000;

/// What two corpora share.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// The documents that hold an n-gram of the reference, by number, and how many of their n-grams are.
    pub found: Vec<(u64, u64)>,
    /// How many documents there are, and how many n-grams, each as often as it occurs.
    pub documents: u64,
    /// See `documents`.
    pub ngrams: u64,
    /// Of each document of the reference how many n-grams it has, and how many of them were found.
    pub reference: Vec<(u64, u64)>,
}

/// The n-grams of a reference.
struct Index {
    order: usize,
    ids: Vec<u32>,
    /// Where each document begins, and where the last ends.
    offsets: Vec<usize>,
    /// Open addressing; 0 is empty, else the upper half of the hash, and the place of the first such n-gram plus 1.
    slots: Vec<u64>,
    /// Of each place whether the n-gram that begins there was found.
    hits: Vec<AtomicBool>,
}

impl Index {
    fn new(ids: Vec<u32>, offsets: Vec<usize>, order: usize, control: &Control) -> Result<Self> {
        if !(1..=MOST_WORDS).contains(&order) {
            return Err(Error::invalid(format!("order={order}: n-grams of 1 to {MOST_WORDS} words can be looked for")));
        }
        if ids.len() >= u32::MAX as usize {
            return Err(Error::invalid(format!(
                "the reference has {} words and can have at most {}: give it in parts",
                ids.len(),
                u32::MAX - 1
            )));
        }
        let total: usize = offsets.windows(2).map(|pair| (pair[1] - pair[0] + 1).saturating_sub(order)).sum();
        if total == 0 {
            return Err(Error::invalid(format!(
                "no document of the reference has {order} words, so there is no {order}-gram to look for: choose a lower order"
            )));
        }
        let hits = (0..ids.len()).map(|_| AtomicBool::new(false)).collect();
        let mut index = Self { order, ids, offsets, slots: vec![0; (2 * total).next_power_of_two()], hits };
        let mut slots = std::mem::take(&mut index.slots);
        for range in index.offsets.windows(2) {
            for (place, hash) in grams(&index.ids[range[0]..range[1]], order) {
                check_now_and_then(place, control)?;
                let (slot, found) = index.search(&slots, hash, &index.ids[range[0] + place..][..order]);
                if found.is_none() {
                    slots[slot] = hash >> 32 << 32 | (range[0] + place + 1) as u64;
                }
            }
        }
        index.slots = slots;
        Ok(index)
    }

    /// Where an n-gram is or would be in the table, and its first place in the reference.
    fn search(&self, slots: &[u64], hash: u64, gram: &[u32]) -> (usize, Option<usize>) {
        let mask = slots.len() - 1;
        let mut at = hash as usize & mask;
        while slots[at] != 0 {
            let place = slots[at] as u32 as usize - 1;
            if slots[at] >> 32 == hash >> 32 && self.ids[place..place + gram.len()] == *gram {
                return (at, Some(place));
            }
            at = (at + 1) & mask;
        }
        (at, None)
    }

    /// How many n-grams a document has that the reference holds, and how many it has.
    fn count(&self, ids: &[u32], control: &Control) -> Result<(u64, u64)> {
        let mut found = 0;
        for (place, hash) in grams(ids, self.order) {
            check_now_and_then(place, control)?;
            if let (_, Some(first)) = self.search(&self.slots, hash, &ids[place..place + self.order]) {
                self.hits[first].store(true, Relaxed);
                found += 1;
            }
        }
        Ok((found, (ids.len() + 1).saturating_sub(self.order) as u64))
    }

    /// Puts the outcome together, given that of each document.
    fn finish(self, counts: impl IntoIterator<Item = (u64, u64)>) -> Overlap {
        let mut overlap = Overlap::default();
        for (found, ngrams) in counts {
            if found > 0 {
                overlap.found.push((overlap.documents, found));
            }
            overlap.documents += 1;
            overlap.ngrams += ngrams;
        }
        overlap.reference = self
            .offsets
            .par_windows(2)
            .map(|range| {
                let ids = &self.ids[range[0]..range[1]];
                let is_hit = |(place, hash): &(usize, u64)| {
                    let first = self.search(&self.slots, *hash, &ids[*place..place + self.order]).1;
                    first.is_some_and(|first| self.hits[first].load(Relaxed))
                };
                let found = grams(ids, self.order).filter(is_hit).count() as u64;
                ((ids.len() + 1).saturating_sub(self.order) as u64, found)
            })
            .collect();
        overlap
    }
}

/// The n-grams of a document that have no absent word: place and hash. Hashes roll on from word to word.
fn grams(ids: &[u32], order: usize) -> impl Iterator<Item = (usize, u64)> + '_ {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let scatter = |id: u32| (u64::from(id) + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let highest = (1..order).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let (mut hash, mut known) = (0_u64, 0);
    ids.iter().enumerate().filter_map(move |(at, &id)| {
        if id == ABSENT {
            (hash, known) = (0, 0);
            return None;
        }
        if known == order {
            hash = hash.wrapping_sub(scatter(ids[at - order]).wrapping_mul(highest));
            known -= 1;
        }
        hash = hash.wrapping_mul(BASE).wrapping_add(scatter(id));
        known += 1;
        let mixed = (hash ^ hash >> 32).wrapping_mul(BASE);
        (known == order).then(|| (at + 1 - order, mixed ^ mixed >> 29))
    })
}

/// Looks at the control at some of the words.
fn check_now_and_then(number: usize, control: &Control) -> Result<()> {
    if number.is_multiple_of(1 << 14) { control.check() } else { Ok(()) }
}

/// The words of the reference.
#[derive(Default)]
struct Words {
    ids: HashMap<Box<str>, u32, BuildHasherDefault<FxHasher>>,
    ignores_case: bool,
}

impl Words {
    /// Calls `each` with every word of a text, as it is compared.
    fn each(ignores_case: bool, text: &str, control: &Control, mut each: impl FnMut(&str)) -> Result<()> {
        let mut buffer = String::new();
        for (number, word) in split(text).enumerate() {
            check_now_and_then(number, control)?;
            if !ignores_case {
                each(word);
                continue;
            }
            buffer.clear();
            buffer.extend(word.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase));
            if !buffer.is_empty() {
                each(&buffer);
            }
        }
        Ok(())
    }

    fn learn(&mut self, text: &str, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        let known = &mut self.ids;
        Self::each(self.ignores_case, text, control, |word| {
            let id = known.get(word).copied().unwrap_or_else(|| {
                let id = known.len() as u32;
                known.insert(word.into(), id);
                id
            });
            ids.push(id);
        })
    }

    fn find(&self, text: &str, control: &Control) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 5);
        Self::each(self.ignores_case, text, control, |word| ids.push(self.ids.get(word).copied().unwrap_or(ABSENT)))?;
        Ok(ids)
    }
}

/// Which documents of text hold an n-gram of the documents of a reference, words being separated by white space, line ends
/// among it. `ignores_case` compares words in lower case and by their letters and digits alone. Uses the current pool of
/// threads.
///
/// # Errors
/// [`Error::Invalid`] for an order out of range, or a reference without any n-gram.
pub fn overlap_of_text(
    source: impl Iterator<Item = Result<Documents>> + Send,
    reference: impl Iterator<Item = Result<Documents>>,
    order: usize,
    ignores_case: bool,
    control: &Control,
) -> Result<Overlap> {
    let mut words = Words { ignores_case, ..Words::default() };
    let (mut ids, mut offsets) = (Vec::new(), vec![0]);
    for batch in reference {
        let batch = batch?;
        for text in batch.iter() {
            words.learn(text, &mut ids, control)?;
            offsets.push(ids.len());
        }
    }
    let index = Index::new(ids, offsets, order, control)?;
    let (mut source, mut counts) = (source, Vec::new());
    let mut take = || source.by_ref().take(4 * rayon::current_num_threads()).collect::<Result<Vec<_>>>();
    let mut group = take()?;
    while !group.is_empty() {
        let work = || {
            let batches = group.par_iter().map(|batch| {
                let counts = batch.iter().map(|text| {
                    control.check()?;
                    index.count(&words.find(text, control)?, control)
                });
                let counts = counts.collect::<Result<Vec<_>>>();
                control.advance(batch.source_bytes);
                counts
            });
            batches.collect::<Result<Vec<_>>>()
        };
        let (found, next) = rayon::join(work, &mut take);
        found?.into_iter().for_each(|mut batch| counts.append(&mut batch));
        group = next?;
    }
    Ok(index.finish(counts))
}

/// Which documents of tokens hold an n-gram of the documents of a reference. Uses the current pool of threads.
///
/// # Errors
/// As [`overlap_of_text`]; and for offsets that do not fit.
pub fn overlap_of_tokens<T: TokenId, U: TokenId>(
    source: (&[T], &[u64]),
    reference: (&[U], &[u64]),
    order: usize,
    control: &Control,
) -> Result<Overlap> {
    let _ = documents(reference.0, reference.1)?;
    let ids = reference.0.iter().map(|token| token.widen().unwrap_or(ABSENT)).collect();
    let index = Index::new(ids, reference.1.iter().map(|&end| end as usize).collect(), order, control)?;
    let documents: Vec<&[T]> = documents(source.0, source.1)?.collect();
    control.begin("comparing", source.0.len() as u64);
    let counts = documents.par_iter().map(|document| {
        control.check()?;
        let ids: Vec<u32> = document.iter().map(|token| token.widen().unwrap_or(ABSENT)).collect();
        control.advance(document.len() as u64);
        index.count(&ids, control)
    });
    let counts = counts.collect::<Result<Vec<_>>>()?;
    Ok(index.finish(counts))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn offsets(documents: &[Vec<u32>]) -> Vec<u64> {
        let mut end = 0;
        let ends = documents.iter().map(|document| {
            end += document.len() as u64;
            end
        });
        [0].into_iter().chain(ends).collect()
    }

    fn batches(texts: &[String]) -> Vec<Result<Documents>> {
        texts.chunks(2).map(|chunk| Ok(chunk.iter().map(String::as_str).collect())).collect()
    }

    proptest! {
        #[test]
        fn documents_are_those_of_sets(
            source in prop::collection::vec(prop::collection::vec(0_u32..6, 0..20), 1..20),
            reference in prop::collection::vec(prop::collection::vec(0_u32..5, 0..20), 1..6),
            order in 1..5_usize,
        ) {
            let grams: HashSet<&[u32]> = reference.iter().flat_map(|document| document.windows(order)).collect();
            let theirs: HashSet<&[u32]> = source.iter().flat_map(|document| document.windows(order)).collect();
            let shared = |document: &Vec<u32>, set: &HashSet<&[u32]>| document.windows(order).filter(|gram| set.contains(gram)).count() as u64;
            let windows = |document: &Vec<u32>| document.windows(order).count() as u64;
            let found = source.iter().enumerate().map(|(number, document)| (number as u64, shared(document, &grams)));
            let expected = Overlap {
                found: found.filter(|&(_, shared)| shared > 0).collect(),
                documents: source.len() as u64,
                ngrams: source.iter().map(windows).sum(),
                reference: reference.iter().map(|document| (windows(document), shared(document, &theirs))).collect(),
            };
            let control = Control::default();
            let (ids, others) = (source.concat(), reference.concat());
            let tokens = overlap_of_tokens((&ids, &offsets(&source)), (&others, &offsets(&reference)), order, &control);
            let spelled = |documents: &[Vec<u32>], words: [&str; 6]| -> Vec<String> {
                documents.iter().map(|document| document.iter().map(|&id| words[id as usize]).collect::<Vec<_>>().join(" \n")).collect()
            };
            let plain = ["A", "b", "C.", "d-", "\u{e9}", "9"];
            let texts = overlap_of_text(
                batches(&spelled(&source, plain)).into_iter(), batches(&spelled(&reference, plain)).into_iter(), order, false, &control,
            );
            let loose = ["a", "(B)", "c -", "D", "\u{c9}!", "9"];
            let normalized = overlap_of_text(
                batches(&spelled(&source, plain)).into_iter(), batches(&spelled(&reference, loose)).into_iter(), order, true, &control,
            );
            if grams.is_empty() {
                prop_assert!(tokens.is_err() && texts.is_err() && normalized.is_err());
            } else {
                prop_assert_eq!(&tokens?, &expected);
                prop_assert_eq!(&texts?, &expected);
                prop_assert_eq!(&normalized?, &expected);
            }
        }
    }

    #[test]
    fn orders_out_of_range() {
        for order in [0, MOST_WORDS + 1] {
            let found = overlap_of_tokens((&[1_u16], &[0, 1]), (&[1_u16], &[0, 1]), order, &Control::default());
            assert!(found.is_err_and(|error| error.to_string().contains("order=")), "{order}");
        }
    }
}
