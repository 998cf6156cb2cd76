//! The stages in a row, order by order.
//!
//! All is in memory: for each token 10 bytes while windows are sorted, 12 more while their ends are looked up, and 16 for
//! the windows of the words being sorted; for each n-gram up to 12 in the trie, 8 more for the orders at work, and the model
//! itself. 38 million tokens at order 5, 64 million n-grams, took 2.3 GB with the writing of ARPA (2026-11, Linux, 2 threads).

use lmfast_base::{Control, Error, Recycling, Result};

use crate::adjust::{Last, adjust};
use crate::assemble::Nodes;
use crate::compact::Recipe;
use crate::corpus::{Corpus, SPECIALS};
use crate::count::{MOST_ORDERS, count};
use crate::discount::Discount;
use crate::interpolate::{interpolate, unigrams};
use crate::model::{Kind, Model};
use crate::prune::{Kept, thresholds};
use crate::smoothing::{Smoothing, estimate_from_counts, unseen_without_probability};
use crate::vocabulary::Vocabulary;

/// How a model is estimated.
#[derive(Debug, Clone)]
pub struct Options {
    /// The length of the longest n-grams, from 1 to 20.
    pub order: usize,
    /// N-grams that occur no more often than this are pruned, by order from 1 up; the last threshold goes on for the orders
    /// behind it. None prunes nothing.
    pub prune: Vec<u64>,
    /// N-grams with any other word than these are pruned.
    pub vocabulary: Option<Vec<String>>,
    /// The discounts of orders whose counts give none; nothing makes them an error.
    pub discount_fallback: Option<[f32; 3]>,
    /// Whether unigrams are interpolated with the uniform distribution.
    pub interpolate_unigrams: bool,
    /// The uniform distribution is over at least this many words.
    pub vocab_pad: u64,
    /// What makes probabilities of counts.
    pub smoothing: Smoothing,
}

/// What an estimation came by.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The discounts of each order, from 1 up.
    pub discounts: Vec<Discount>,
}

/// Estimates a model. Uses the current pool of threads, on which the
/// outcome does not depend.
///
/// # Errors
/// [`Error::Invalid`] for options out of range, and for counts that give no discounts if there is no fallback.
pub fn estimate(
    corpus: Corpus,
    vocabulary: Vocabulary,
    kind: Kind,
    options: &Options,
    control: &Control,
) -> Result<(Model, Report)> {
    let _recycling = Recycling::new();
    let thresholds = check(corpus.vocabulary_size(), &vocabulary, kind, options)?;
    let (order, fallback) = (options.order, options.discount_fallback);
    let allowed = options.vocabulary.as_ref().map(|words| allowed(&vocabulary, words));
    if !options.smoothing.is_kneser_ney() {
        let pruning = (thresholds.as_slice(), allowed.as_deref());
        let (mut model, report) = estimate_from_counts(corpus, vocabulary, kind, options, pruning, control)?;
        model.set_method(options.smoothing.description());
        return Ok((model, report));
    }
    let prunes = allowed.is_some() || thresholds.iter().any(|&threshold| threshold > 0);
    let mut counted = count(&corpus, order, prunes, control)?;
    let last = Last::new(&corpus, &counted);
    drop(corpus);

    control.begin("estimating", order as u64);
    let kept = Kept::new(&counted, &thresholds, allowed.as_deref(), control)?;
    let mut nodes = Nodes::new(&counted, &kept)?;
    let mut report = Report::default();
    let adjusted = adjust(&counted, 0, &last, control)?;
    let discount = options.smoothing.discount(1, &adjusted.statistics.with_count, fallback)?;
    report.discounts.push(discount);
    check_unigrams(counted.parts.iter().flat_map(|part| adjusted.of(part)).copied(), options)?;
    let words = u64::from(kept.number(0, counted.sizes[0] as u32) - 1).max(options.vocab_pad);
    let uniform = (1.0 / f64::from(words as f32)) as f32;
    let mut probabilities = unigrams(&counted, &kept, &adjusted, &discount, uniform, options.interpolate_unigrams);
    control.advance(1);

    for level in 1..order {
        let adjusted = adjust(&counted, level, &last, control)?;
        let discount = options.smoothing.discount(level + 1, &adjusted.statistics.with_count, fallback)?;
        report.discounts.push(discount);
        let found = interpolate(&counted, &kept, level, &adjusted, &discount, &probabilities, control)?;
        nodes.fill(&counted, &kept, level - 1, &probabilities, &found.backoffs, control)?;
        counted.forget(level - 1);
        probabilities = found.probabilities;
        control.advance(1);
    }
    nodes.fill(&counted, &kept, order - 1, &probabilities, &[], control)?;
    let recipe = (order > 1 && kept.is_all()).then(|| recipe(&report, uniform, options));
    let vocabulary = if kept.is_all() { vocabulary } else { vocabulary.keep(|word| kept.keeps(0, word)) };
    let mut model = nodes.finish(vocabulary, kind).with_recipe(recipe);
    model.set_method(options.smoothing.description());
    Ok((model, report))
}

/// Refuses adjusted counts of words that the options leave without a probability.
pub(crate) fn check_unigrams(counts: impl Iterator<Item = u32>, options: &Options) -> Result<()> {
    if options.interpolate_unigrams || !counts.skip(SPECIALS as usize).any(|count| count == 0) {
        return Ok(());
    }
    Err(unseen_without_probability())
}

/// What a model was estimated with.
pub(crate) fn recipe(report: &Report, uniform: f32, options: &Options) -> Recipe {
    let discounts = report.discounts.iter().map(|discount| discount.amounts).collect();
    Recipe { discounts, uniform, interpolate_unigrams: options.interpolate_unigrams }
}

/// Which words of a vocabulary are among these.
pub(crate) fn allowed(vocabulary: &Vocabulary, words: &[String]) -> Vec<bool> {
    let (lookup, mut allowed) = (vocabulary.lookup(), vec![false; vocabulary.len()]);
    for word in words {
        if let Some(id) = lookup.find(word.as_bytes()) {
            allowed[id as usize] = true;
        }
    }
    allowed
}

/// Refuses an order out of range.
pub(crate) fn check_order(order: usize) -> Result<()> {
    if (1..=MOST_ORDERS).contains(&order) {
        return Ok(());
    }
    Err(Error::invalid(format!("order={order}: orders 1 to {MOST_ORDERS} are possible")))
}

/// Checks the options; gives the pruning threshold of each order.
pub(crate) fn check(vocabulary_size: u32, vocabulary: &Vocabulary, kind: Kind, options: &Options) -> Result<Vec<u64>> {
    check_order(options.order)?;
    if vocabulary.len() != vocabulary_size as usize {
        let (words, ids) = (vocabulary.len(), vocabulary_size);
        return Err(Error::invalid(format!("the vocabulary spells {words} words, the text's ids are of {ids}")));
    }
    let thresholds = thresholds(&options.prune, options.order)?;
    options.smoothing.check(options, &thresholds)?;
    if kind == Kind::Tokens && (thresholds[0] > 0 || options.vocabulary.is_some()) {
        return Err(Error::invalid(
            "every token of the vocabulary belongs to a model of tokens: the threshold of prune for order 1 must be 0, and \
             vocabulary is for models of words",
        ));
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
    Ok(thresholds)
}
