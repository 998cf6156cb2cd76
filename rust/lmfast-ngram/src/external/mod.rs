//! Estimation within a budget of memory.
//!
//! The stages of [`pipeline`](crate::pipeline), and the same float32 arithmetic to the bit, over working files that no name
//! leads to:
//!
//! | stage | file | what is in memory |
//! |---|---|---|
//! | 0 | [`spool`] | some text |
//! | 1a | [`runs`] | a block of the corpus whose windows are sorted, then written as a run |
//! | 1b | [`merge`], [`trie`] | some bytes of every run, of which the windows are merged, part by part |
//! | 2 | [`ends`], [`last`] | the n-grams of one order among which those of the order above look for their ends |
//! | 3 to 6 | [`interpolate`] | the probabilities of one order, of which those of the order above are made |
//!
//! [`grams`] counts the n-grams of one order with the first of these. Everything else streams. Where what is looked up does not fit in memory, it is taken range by range, and what looks is
//! gone through once for each range. The vocabulary, and some numbers for each of its words, are always in memory.

mod ends;
mod grams;
mod interpolate;
mod last;
mod merge;
mod runs;
mod spool;
#[cfg(test)]
mod tests;
mod trie;

use std::path::PathBuf;

use lmfast_base::{Control, Pages, Recycling, Result, memory};

use crate::corpus::BEGIN;
use crate::interpolate::unigram_probabilities;
use crate::model::{Kind, Model};
use crate::pipeline::{Options, Report, allowed, check, check_unigrams, recipe};
use crate::vocabulary::Vocabulary;
pub use grams::count_ngrams_within;
use interpolate::{Interpolated, Nodes};
use last::Last;
use runs::Runs;
pub use spool::Spool;
use trie::{Pruning, Trie};

/// The trie is cut into about this many parts, the units of parallel work.
const PARTS: usize = 256;

/// How much memory to use, and where working files may lie.
#[derive(Debug, Clone)]
pub struct Budget {
    /// What all arrays and buffers of a call take together.
    pub bytes: usize,
    /// Where files without a name are made.
    pub folder: PathBuf,
}

impl Budget {
    /// A budget below this one is taken for this one: buffers have a least size.
    pub const LEAST_BYTES: usize = 16 << 20;

    /// The bytes of a buffer, of which each thread has so many.
    pub(crate) fn buffer_bytes(&self, number: usize) -> usize {
        (self.bytes / 8 / rayon::current_num_threads() / number.max(1)).clamp(64, 1 << 16)
    }

    /// The 32-bit values of a buffer, of which each thread has so many.
    pub(crate) fn values(&self, number: usize) -> usize {
        self.buffer_bytes(number) / 4
    }

    /// What is left beside some bytes.
    fn without(&self, bytes: usize) -> Self {
        Self { bytes: self.bytes.saturating_sub(bytes).max(self.bytes / 8), folder: self.folder.clone() }
    }
}

/// [`estimate`](crate::estimate) within a budget: the same model, which lies in working files. Uses the current pool of
/// threads, on which the outcome does not depend, nor does it on the budget.
///
/// Reads and writes about 150 bytes for each n-gram, and again 20 for each time that those of one order are more than the
/// budget holds at 16 bytes each.
///
/// # Errors
/// As there, and [`Error::Io`](lmfast_base::Error::Io) naming the folder if the disk is full.
pub fn estimate_within(
    corpus: Spool,
    vocabulary: Vocabulary,
    kind: Kind,
    options: &Options,
    budget: &Budget,
    control: &Control,
) -> Result<(Model, Report)> {
    let _recycling = Recycling::new();
    let thresholds = check(corpus.vocabulary_size(), &vocabulary, kind, options)?;
    let (order, fallback) = (options.order, options.discount_fallback);
    let allowed = options.vocabulary.as_ref().map(|words| allowed(&vocabulary, words));
    let pruning = Pruning { thresholds: &thresholds, allowed: allowed.as_deref() };
    let whole = budget;
    let budget = &budget.without(vocabulary.bytes() + corpus.tokens.len() * size_of::<u64>());

    let mut last = Last::new(order, &corpus.tokens);
    let parts = runs::parts(&corpus.tokens, PARTS);
    let runs = if order == 1 {
        Runs::none(parts.len(), budget)?
    } else {
        Runs::new(&corpus, order, &parts, budget, &mut last, control)?
    };
    memory::give_back();
    let trie = Trie::new(&corpus, order, parts, &runs, &pruning, budget, control)?;
    drop(runs);
    let mut tokens = corpus.tokens;
    drop(corpus.ids);
    let mut last_ends = Vec::new();
    for (words, tokens) in last.ends().take(order - 1) {
        last_ends.extend(trie.find(&words)?.map(|number| (number, tokens)));
    }
    let last = |level: usize| last_ends.get(level).copied();

    control.begin("estimating", order as u64);
    let nodes = Nodes::new(&trie, budget)?;
    let mut report = Report::default();
    let counts: Vec<u32> = if order == 1 {
        tokens[BEGIN as usize] = 0; // which is only ever a context
        tokens.iter().map(|&tokens| u32::try_from(tokens).unwrap_or(u32::MAX)).collect()
    } else {
        ends::of_unigrams(&trie, budget, control)?.to_vec()
    };
    drop(tokens);
    let discount = options.smoothing.discount(1, &ends::statistics(&counts, last(0)).with_count, fallback)?;
    report.discounts.push(discount);
    check_unigrams(counts.iter().copied(), options)?;
    let uniform = (1.0 / f64::from(u64::from(trie.kept_sizes[0] - 1).max(options.vocab_pad) as f32)) as f32;
    let kept = if trie.prunes { trie.load_kept(0, 0..trie.sizes[0])? } else { Pages::default() };
    let keeps = |word: usize| {
        let next = kept.get(word + 1).copied().unwrap_or(trie.kept_sizes[0]);
        kept.get(word).is_none_or(|&before| before < next)
    };
    let flagged = counts.iter().enumerate().map(|(word, &count)| (count, keeps(word)));
    let unigrams = unigram_probabilities(flagged, &discount, uniform, options.interpolate_unigrams);
    let mut found = Interpolated::unigrams(&unigrams, budget)?;
    drop((unigrams, counts));
    control.advance(1);

    let (mut ends_below, mut ends) = (None, None);
    for level in 1..order {
        let (ends_above, adjusted) = if level + 1 < order {
            let (ends, adjusted) = ends::link(&trie, level + 1, ends.as_ref(), last(level), budget, control)?;
            (Some(ends), adjusted)
        } else {
            (None, ends::highest(&trie, budget, control)?)
        };
        let discount = options.smoothing.discount(level + 1, &adjusted.statistics.with_count, fallback)?;
        report.discounts.push(discount);
        let next =
            interpolate::interpolate(&trie, level, &adjusted, &discount, ends.as_ref(), &found, budget, control)?;
        nodes.fill(&trie, level - 1, ends_below.as_ref(), &found, next.backoffs.as_ref(), budget, control)?;
        found = next;
        (ends_below, ends) = (ends, ends_above);
        control.advance(1);
    }
    nodes.fill(&trie, order - 1, ends_below.as_ref(), &found, None, budget, control)?;
    let vocabulary = if trie.prunes { vocabulary.keep(|word| keeps(word as usize)) } else { vocabulary };
    memory::give_back();
    let recipe = (order > 1 && !trie.prunes).then(|| recipe(&report, uniform, options));
    let mut model = nodes.finish(vocabulary, kind, whole)?.with_recipe(recipe);
    model.set_method(options.smoothing.description());
    Ok((model, report))
}
