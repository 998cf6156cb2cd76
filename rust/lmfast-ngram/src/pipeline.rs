//! The stages in a row, order by order.
//!
//! All is in memory: 14 bytes a token throughout with the corpus, up to 24 for the tokens of the words being sorted, and
//! for the order at work about 40 for each different n-gram, on top of the model itself (20 bytes an n-gram, 12 for one of
//! the highest order). 7.0 million tokens at order 5, 15 million n-grams, took 1.3 GB (2026-11, Linux, 2 threads).

use std::sync::atomic::{AtomicU32, Ordering};

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use crate::adjust::adjust;
use crate::corpus::{Corpus, SPECIALS};
use crate::count::{MOST_ORDERS, Sorted, sort};
use crate::discount::Discount;
use crate::initial::{contexts, empty_context};
use crate::interpolate::{Level, Lower, entries, log10_probability, ranges, unigrams};
use crate::model::{Builder, Kind, Model};
use crate::vocabulary::Vocabulary;

/// How a model is estimated.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The length of the longest n-grams, from 1 to 20.
    pub order: usize,
    /// The discounts of orders whose counts give none; nothing makes them an error.
    pub discount_fallback: Option<[f32; 3]>,
    /// Whether unigrams are interpolated with the uniform distribution.
    pub interpolate_unigrams: bool,
    /// The uniform distribution is over at least this many words.
    pub vocab_pad: u64,
}

/// What an estimation came by.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The discounts of each order, from 1 up.
    pub discounts: Vec<Discount>,
}

/// Estimates a model by interpolated modified Kneser-Ney smoothing. Uses the current pool of threads, on which the
/// outcome does not depend.
///
/// # Errors
/// [`Error::Invalid`] for options out of range, and for counts that give no discounts if there is no fallback.
pub fn estimate(
    corpus: &Corpus,
    vocabulary: Vocabulary,
    kind: Kind,
    options: &Options,
    control: &Control,
) -> Result<(Model, Report)> {
    check(corpus, &vocabulary, options)?;
    let order = options.order;
    let mut report = Report::default();
    let sorted = sort(corpus, order, control)?;

    control.begin("estimating", order as u64);
    let mut adjusted = adjust(corpus, &sorted, 1, order == 1, control)?;
    let mut discount = Discount::estimate(1, &adjusted.statistics, options.discount_fallback)?;
    report.discounts.push(discount);
    if !options.interpolate_unigrams && adjusted.counts.iter().skip(SPECIALS as usize).any(|&count| count == 0) {
        return Err(Error::invalid(
            "interpolate_unigrams=False leaves no probability to tokens of the vocabulary that do not occur: \
             train with interpolate_unigrams=True",
        ));
    }
    let words = u64::from(corpus.vocabulary_size() - 1).max(options.vocab_pad);
    let uniform = (1.0 / f64::from(words as f32)) as f32;
    let context = empty_context(&adjusted.counts, &discount);
    let mut probabilities = unigrams(&adjusted.counts, &context, &discount, uniform, options.interpolate_unigrams);
    let mut builder = Builder::new(order, probabilities.iter().copied().map(log10_probability));
    // Of the order below, in suffix order: the node of each n-gram, and how many n-grams each chunk has.
    let mut nodes: Vec<u32> = (1..=corpus.vocabulary_size()).collect();
    let mut sizes = None;
    // By position in the corpus: which node of the order below ends there, counted from its first.
    let below: Vec<AtomicU32> = corpus.ids().par_iter().map(|&id| AtomicU32::new(id)).collect();
    control.advance(1);

    for level in 2..=order {
        adjusted = adjust(corpus, &sorted, level, level == order, control)?;
        discount = Discount::estimate(level, &adjusted.statistics, options.discount_fallback)?;
        report.discounts.push(discount);
        let context_of = contexts_of(&sorted, level, &below, control)?;
        let table = contexts(&adjusted.counts, &context_of, nodes.len(), &discount, control)?;
        let placed = builder.place(&table, &context_of, control)?;
        let entries = entries(
            corpus,
            &sorted,
            &Level {
                order: level,
                counts: &adjusted.counts,
                sizes: &adjusted.sizes,
                contexts: &context_of,
                table: &table,
                discount,
            },
            &Lower { probabilities: &probabilities, nodes: &nodes, sizes: sizes.as_deref() },
            control,
        )?;
        drop((context_of, table));
        let first = builder.append(&entries, &placed, control)?;
        if level < order {
            let places = inverse(&placed);
            set_places(&sorted, level, &adjusted.sizes, &places, &below, control)?;
            nodes = places.into_par_iter().map(|place| first + place.into_inner()).collect();
            probabilities = entries.par_iter().map(|entry| entry.probability).collect();
            sizes = Some(adjusted.sizes);
        }
        control.advance(1);
    }
    Ok((builder.finish(vocabulary, kind), report))
}

fn check(corpus: &Corpus, vocabulary: &Vocabulary, options: &Options) -> Result<()> {
    if !(1..=MOST_ORDERS).contains(&options.order) {
        return Err(Error::invalid(format!(
            "order={}: models of order 1 to {MOST_ORDERS} are estimated",
            options.order
        )));
    }
    if vocabulary.len() != corpus.vocabulary_size() as usize {
        let (words, ids) = (vocabulary.len(), corpus.vocabulary_size());
        return Err(Error::invalid(format!("the vocabulary spells {words} words, the text's ids are of {ids}")));
    }
    if options.vocab_pad > 0 && !options.interpolate_unigrams {
        return Err(Error::invalid("vocab_pad has no effect with interpolate_unigrams=False"));
    }
    for amount in options.discount_fallback.iter().flatten() {
        if !(amount.is_finite() && *amount >= 0.0) {
            return Err(Error::invalid(format!("discount_fallback={amount}: a discount is at least 0")));
        }
    }
    let [one, two, more] = options.discount_fallback.unwrap_or_default();
    if one > 1.0 || two > 2.0 || more > 3.0 {
        return Err(Error::invalid(format!(
            "discount_fallback=({one}, {two}, {more}): at most 1, 2 and 3 can be taken from counts of 1, 2 and 3"
        )));
    }
    Ok(())
}

/// For each n-gram in suffix order: its context, by its place in the order below, which `below` holds.
fn contexts_of(sorted: &Sorted, order: usize, below: &[AtomicU32], control: &Control) -> Result<Vec<u32>> {
    let parts = sorted.chunks.par_iter().map(|chunk| {
        control.check()?;
        let context = |gram: crate::count::Gram| below[sorted.ends[gram.first] as usize - 1].load(Ordering::Relaxed);
        Ok(sorted.grams(chunk, order).map(context).collect::<Vec<_>>())
    });
    Ok(parts.collect::<Result<Vec<_>>>()?.concat())
}

/// Writes down at each position of the corpus the place of the n-gram that ends there.
fn set_places(
    sorted: &Sorted,
    order: usize,
    sizes: &[usize],
    places: &[AtomicU32],
    below: &[AtomicU32],
    control: &Control,
) -> Result<()> {
    let ranges = ranges(sizes);
    sorted.chunks.par_iter().zip(ranges).try_for_each(|(chunk, range)| {
        control.check()?;
        for (gram, place) in sorted.grams(chunk, order).zip(&places[range]) {
            let place = place.load(Ordering::Relaxed);
            for &end in &sorted.ends[gram.first..gram.first + gram.tokens as usize] {
                below[end as usize].store(place, Ordering::Relaxed);
            }
        }
        Ok(())
    })
}

/// The permutation that undoes another.
fn inverse(permutation: &[u32]) -> Vec<AtomicU32> {
    let inverse: Vec<AtomicU32> = permutation.par_iter().map(|_| AtomicU32::new(0)).collect();
    permutation.par_iter().zip(0..permutation.len() as u32).for_each(|(&from, to)| {
        inverse[from as usize].store(to, Ordering::Relaxed);
    });
    inverse
}
