//! Stage 1: where every n-gram ends, sorted.
//!
//! Input: the corpus. Output: the positions of all tokens but `<s>`, in suffix order of the n-gram that ends there. That
//! n-gram has as many words as the order, or fewer, down to the `<s>` of its sentence; each beginning of the list of its
//! words read backwards is an n-gram of a lower order. So equal n-grams of *every* order are neighbours, and one sort
//! serves all orders.
//!
//! Positions are first put into buckets by their last word; then each bucket is sorted with keys that hold the words
//! before it, packed into as many 64-bit limbs as they need and dropped when the bucket is done.

use std::ops::Range;

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use crate::corpus::{BEGIN, Corpus};

/// The highest order that can be estimated.
pub(crate) const MOST_ORDERS: usize = 20;

/// The list is cut into about this many chunks, the units of parallel work.
const CHUNKS: usize = 256;

/// How an n-gram relates to the one before it in the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// How many last words both have in common.
    pub(crate) shared: u8,
    /// How many words it has: the order, or as many as reach to `<s>`.
    pub(crate) length: u8,
}

/// N-grams in suffix order.
pub(crate) struct Sorted {
    /// Where in the corpus each ends.
    pub(crate) ends: Vec<u32>,
    /// Parallel to `ends`.
    pub(crate) shapes: Vec<Shape>,
    /// Ranges of the list that share no word with each other.
    pub(crate) chunks: Vec<Range<usize>>,
}

/// Some n-grams of one order that are the same, seen in suffix order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gram {
    /// The place in the list of the first.
    pub(crate) first: usize,
    /// How often the n-gram occurs.
    pub(crate) tokens: u32,
    /// How many different words precede it, `<s>` among them; 0 if it begins with `<s>` or is of the highest order.
    pub(crate) extensions: u32,
    /// Which n-gram of the order below is its end, counted from the beginning of the chunk.
    pub(crate) suffix: usize,
}

impl Sorted {
    /// The different n-grams of an order in one chunk.
    pub(crate) fn grams(&self, chunk: &Range<usize>, order: usize) -> impl Iterator<Item = Gram> {
        let shapes = self.shapes.get(chunk.clone()).unwrap_or_default();
        let (order, start) = (order as u8, chunk.start);
        let (mut at, mut suffixes) = (0, 0_usize);
        std::iter::from_fn(move || {
            while let Some(shape) = shapes.get(at) {
                suffixes += usize::from(order > 1 && shape.shared + 1 < order && shape.length + 1 >= order);
                if shape.length >= order && shape.shared < order {
                    break;
                }
                at += 1;
            }
            let length = shapes.get(at)?.length;
            let mut gram = Gram { first: start + at, tokens: 1, extensions: 1, suffix: suffixes.saturating_sub(1) };
            at += 1;
            while let Some(shape) = shapes.get(at).filter(|shape| shape.shared >= order) {
                gram.tokens += 1;
                gram.extensions += u32::from(shape.shared == order);
                at += 1;
            }
            if length == order {
                gram.extensions = 0;
            }
            Some(gram)
        })
    }
}

/// Sorts the corpus, for every order up to `order` at once. Uses the current pool of threads.
pub(crate) fn sort(corpus: &Corpus, order: usize, control: &Control) -> Result<Sorted> {
    let bits = (u32::BITS - corpus.vocabulary_size().leading_zeros()) as usize;
    match (order - 1).div_ceil(64 / bits) {
        0 | 1 => sort_wide::<1>(corpus, order, bits, control),
        2 => sort_wide::<2>(corpus, order, bits, control),
        3 => sort_wide::<3>(corpus, order, bits, control),
        4 | 5 => sort_wide::<5>(corpus, order, bits, control),
        6..=10 => sort_wide::<10>(corpus, order, bits, control),
        limbs => Err(Error::invalid(format!("order={order}: n-grams of {limbs} 64-bit limbs are not supported"))),
    }
}

fn sort_wide<const LIMBS: usize>(corpus: &Corpus, order: usize, bits: usize, control: &Control) -> Result<Sorted> {
    let (mut ends, sizes) = buckets(corpus);
    let mut shapes = vec![Shape::default(); ends.len()];
    control.begin("sorting n-grams", ends.len() as u64);
    let (mut chunks, mut work) = (Vec::new(), Vec::new());
    let (mut ends_left, mut shapes_left) = (ends.as_mut_slice(), shapes.as_mut_slice());
    let mut sizes = sizes.into_iter().filter(|&size| size > 0).peekable();
    let mut start = 0;
    while sizes.peek().is_some() {
        let (mut size, mut buckets) = (0, Vec::new());
        while size < shapes_left.len().div_ceil(CHUNKS).max(1) {
            let Some(bucket) = sizes.next() else { break };
            size += bucket;
            buckets.push(bucket);
        }
        let (chunk_ends, chunk_shapes);
        (chunk_ends, ends_left) = ends_left.split_at_mut(size);
        (chunk_shapes, shapes_left) = shapes_left.split_at_mut(size);
        work.push((chunk_ends, chunk_shapes, buckets));
        chunks.push(start..start + size);
        start += size;
    }
    work.into_par_iter().try_for_each(|(mut ends, mut shapes, buckets)| {
        for size in buckets {
            let (bucket_ends, bucket_shapes);
            (bucket_ends, ends) = ends.split_at_mut(size);
            (bucket_shapes, shapes) = shapes.split_at_mut(size);
            control.check()?;
            sort_bucket::<LIMBS>(corpus, order, bits, bucket_ends, bucket_shapes);
            control.advance(size as u64);
        }
        Ok(())
    })?;
    Ok(Sorted { ends, shapes, chunks })
}

/// The positions of all tokens but `<s>` by their word, and how many each word has.
fn buckets(corpus: &Corpus) -> (Vec<u32>, Vec<usize>) {
    let mut sizes = vec![0; corpus.vocabulary_size() as usize];
    for &id in corpus.ids() {
        sizes[id as usize] += 1;
    }
    sizes[BEGIN as usize] = 0;
    let mut next = Vec::with_capacity(sizes.len());
    let mut total = 0;
    for &size in &sizes {
        next.push(total);
        total += size;
    }
    let mut ends = vec![0; total];
    for (&id, position) in corpus.ids().iter().zip(0..) {
        if id != BEGIN {
            let at = &mut next[id as usize];
            ends[*at] = position;
            *at += 1;
        }
    }
    (ends, sizes)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Record<const LIMBS: usize> {
    /// The words before the last, the nearest in the highest bits; 0 before `<s>`.
    key: [u64; LIMBS],
    end: u32,
    length: u32,
}

impl<const LIMBS: usize> Record<LIMBS> {
    fn new(ids: &[u32], end: u32, order: usize, bits: usize) -> Self {
        let per_limb = 64 / bits;
        let (mut key, mut length) = ([0; LIMBS], 1);
        for (&id, depth) in ids[..end as usize].iter().rev().take(order - 1).zip(0..) {
            key[depth / per_limb] |= u64::from(id) << (bits * (per_limb - 1 - depth % per_limb));
            length += 1;
            if id == BEGIN {
                break;
            }
        }
        Self { key, end, length }
    }

    /// How many words, the last included, this has in common with another n-gram of the bucket.
    fn shared(&self, other: &Self, bits: usize) -> u8 {
        let per_limb = 64 / bits;
        let words = self.key.iter().zip(&other.key).zip(0..).find(|((mine, theirs), _)| mine != theirs).map(
            |((mine, theirs), limb)| {
                let unused = 64 - per_limb * bits;
                limb * per_limb + ((mine ^ theirs).leading_zeros() as usize - unused) / bits
            },
        );
        words.map_or(self.length, |words| words as u32 + 1) as u8
    }
}

fn sort_bucket<const LIMBS: usize>(corpus: &Corpus, order: usize, bits: usize, ends: &mut [u32], shapes: &mut [Shape]) {
    let record = |&end: &u32| Record::<LIMBS>::new(corpus.ids(), end, order, bits);
    let mut records: Vec<_> =
        if ends.len() < 1 << 15 { ends.iter().map(record).collect() } else { ends.par_iter().map(record).collect() };
    records.par_sort_unstable();
    let mut before: Option<&Record<LIMBS>> = None;
    for ((record, end), shape) in records.iter().zip(ends).zip(shapes) {
        *end = record.end;
        *shape = Shape { shared: before.map_or(0, |before| record.shared(before, bits)), length: record.length as u8 };
        before = Some(record);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The n-grams of an order, words reversed, with how often they occur and how many words precede them.
    fn expected(sentences: &[Vec<u32>], order: usize) -> BTreeMap<Vec<u32>, (u32, BTreeMap<u32, u32>)> {
        let mut grams: BTreeMap<Vec<u32>, (u32, BTreeMap<u32, u32>)> = BTreeMap::new();
        for sentence in sentences {
            for end in 1..sentence.len() {
                if let Some(start) = (end + 1).checked_sub(order) {
                    let words = sentence[start..=end].iter().rev().copied().collect();
                    let gram = grams.entry(words).or_default();
                    gram.0 += 1;
                    if let Some(before) = start.checked_sub(1) {
                        *gram.1.entry(sentence[before]).or_default() += 1;
                    }
                }
            }
        }
        grams
    }

    proptest! {
        #[test]
        fn grams_equal_those_of_a_map(
            sentences in prop::collection::vec(prop::collection::vec(2_u32..7, 0..9), 1..20),
            order in 1..8_usize,
            wide in prop::sample::select(vec![7, 1000, 1_000_000, 2_000_000_000]),
        ) {
            let sentences: Vec<Vec<u32>> =
                sentences.iter().map(|words| [&[BEGIN], words.as_slice(), &[2]].concat()).collect();
            let corpus = Corpus::from_sentences(sentences.concat(), 7)?;
            let bits = (u32::BITS - u32::leading_zeros(wide)) as usize;
            let sorted = match (order - 1).div_ceil(64 / bits) {
                0 | 1 => sort_wide::<1>(&corpus, order, bits, &Control::default())?,
                _ => sort_wide::<5>(&corpus, order, bits, &Control::default())?,
            };
            let mut below: Vec<Vec<u32>> = Vec::new();
            for low in 1..=order {
                let mut found = Vec::new();
                let mut names = Vec::new();
                let mut before = 0;
                for chunk in &sorted.chunks {
                    for gram in sorted.grams(chunk, low) {
                        let end = sorted.ends[gram.first] as usize;
                        let words: Vec<u32> = corpus.ids()[end + 1 - low..=end].iter().rev().copied().collect();
                        if low > 1 {
                            prop_assert_eq!(&below[before + gram.suffix], &words[..low - 1]);
                        }
                        found.push((words.clone(), gram.tokens, gram.extensions));
                        names.push(words);
                    }
                    before += if low > 1 { sorted.grams(chunk, low - 1).count() } else { 0 };
                }
                let expected: Vec<_> = expected(&sentences, low)
                    .into_iter()
                    .map(|(words, (tokens, before))| {
                        (words, tokens, if low < order { before.len() as u32 } else { 0 })
                    })
                    .collect();
                prop_assert_eq!(found, expected);
                below = names;
            }
        }
    }
}
