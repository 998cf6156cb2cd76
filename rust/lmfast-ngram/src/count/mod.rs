//! Stage 1: every n-gram that occurs, as a trie.
//!
//! Input: the corpus. Output: the n-grams of all orders in *lexicographic order* of word ids, first word first, so that the
//! successors of a context lie together; and of each n-gram how often it occurs and which n-gram of the order below is its
//! end.
//!
//! At every token but `</s>` begins a window of as many words as the order, or fewer, up to the `</s>` of its sentence. Each
//! beginning of a window is an n-gram of a lower order, so one sort of the windows gives the n-grams of *every* order.
//! Windows are first put into `buckets` by their first word; then those of each bucket are sorted by the words behind it,
//! packed into 128-bit limbs together with the window's place (`windows`), and a `walk` along them writes the `trie` down.
//!
//! The end of an n-gram is what lies one token further on in the corpus. So each window writes the numbers of its n-grams
//! down at its place, a few orders at a time, and each new n-gram reads its end there (`suffixes`).

mod buckets;
mod suffixes;
#[cfg(test)]
mod tests;
mod trie;
mod walk;
mod windows;

use lmfast_base::{Control, Error, Pages, Result, prefetch};
use rayon::prelude::*;

pub(crate) use buckets::{bucket_size, buckets};
pub(crate) use trie::{Counted, Part};
pub(crate) use windows::{Packing, Record};

use crate::corpus::{BEGIN, Corpus};
use buckets::{occurrences, parts};
use suffixes::find_suffixes;
use trie::Level;
use walk::{Levels, Shape};

/// The highest order that can be estimated.
pub(crate) const MOST_ORDERS: usize = 20;

/// How many windows ahead memory is asked for.
const AHEAD: usize = 16;

/// Counts the n-grams of every order up to `order`. `all` asks for how often those of every order occur. Uses the current
/// pool of threads.
///
/// # Errors
/// [`Error::Invalid`] for 2^32 n-grams of one order or more.
pub(crate) fn count(corpus: &Corpus, order: usize, all: bool, control: &Control) -> Result<Counted> {
    let bits = Packing::bits(corpus.vocabulary_size());
    match Packing::new(order, bits).limbs() {
        1 => count_wide::<1>(corpus, order, bits, all, control),
        2 => count_wide::<2>(corpus, order, bits, all, control),
        3 => count_wide::<3>(corpus, order, bits, all, control),
        _ => count_wide::<5>(corpus, order, bits, all, control),
    }
}

fn count_wide<const LIMBS: usize>(
    corpus: &Corpus,
    order: usize,
    bits: usize,
    all: bool,
    control: &Control,
) -> Result<Counted> {
    let mut tokens = occurrences(corpus);
    if order == 1 {
        // `<s>` is only ever a context.
        tokens[BEGIN as usize] = 0;
        let levels = vec![Level { tokens, ..Level::default() }];
        let size = corpus.vocabulary_size();
        let part = Part { first_words: 0..size, levels, bases: vec![0] };
        return Ok(Counted::new(vec![part], vec![size as usize]));
    }
    let packing = Packing::new(order, bits);
    let mut places = buckets(corpus.ids(), 0..corpus.ids().len(), &tokens, control)?;
    let mut shapes = Pages::<Shape>::zeroed(places.len());
    control.begin("counting n-grams", places.len() as u64);
    let work = parts(&tokens, &mut places, &mut shapes);
    let counted = work.into_par_iter().map_init(Vec::new, |records, (first_words, places, shapes)| {
        let lowest_counted = if all || first_words.contains(&BEGIN) { 1 } else { order - 1 };
        let mut levels = Levels::new(order, lowest_counted);
        let (mut places, mut shapes) = (places, shapes);
        for word in first_words.clone() {
            let size = bucket_size(&tokens, word);
            let (bucket_places, bucket_shapes);
            (bucket_places, places) = places.split_at_mut(size);
            (bucket_shapes, shapes) = shapes.split_at_mut(size);
            levels.unigram(tokens[word as usize]);
            control.check()?;
            let ids = corpus.ids();
            records.clear();
            records.extend(bucket_places.iter().enumerate().map(|(number, &place)| {
                if let Some(&ahead) = bucket_places.get(number + AHEAD) {
                    prefetch(ids, ahead as usize + 1);
                }
                Record::<LIMBS>::new(ids, place, packing)
            }));
            Record::sort(records);
            levels.walk(records, packing, bucket_places, bucket_shapes);
            control.advance(size as u64);
        }
        Ok(Part { first_words, levels: levels.finish(), bases: Vec::new() })
    });
    let mut parts: Vec<Part> = counted.collect::<Result<_>>()?;
    let mut sizes = vec![0; order];
    for part in &mut parts {
        part.bases = sizes.iter().map(|&size| size as u32).collect();
        for (level, size) in sizes.iter_mut().enumerate() {
            *size += part.size(level);
        }
    }
    if let Some(level) = sizes.iter().position(|&size| size >= u32::MAX as usize) {
        let order = level + 1;
        return Err(Error::invalid(format!("more than {} {order}-grams: train on a part of the text", u32::MAX)));
    }
    find_suffixes(corpus.ids().len(), order, &mut parts, &places, &shapes, control)?;
    Ok(Counted::new(parts, sizes))
}
