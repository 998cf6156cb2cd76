//! How often each n-gram of one order occurs, within a budget of memory but for the outcome.

use lmfast_base::{Control, Result};
use rayon::prelude::*;

use super::Budget;
use super::PARTS;
use super::last::Last;
use super::merge::Merge;
use super::runs::{self, Runs};
use super::spool::Spool;
use crate::corpus::{BEGIN, END, SPECIALS};
use crate::grams::Grams;
use crate::pipeline::check_order;

/// [`count_ngrams`](crate::count_ngrams) within a budget, which the outcome comes on top of.
///
/// # Errors
/// As there, and [`Error::Io`](lmfast_base::Error::Io) naming the folder if the disk is full.
pub fn count_ngrams_within(corpus: Spool, order: usize, budget: &Budget, control: &Control) -> Result<Grams> {
    check_order(order)?;
    let mut grams = Grams::default();
    if order == 1 {
        for (&tokens, word) in corpus.tokens.iter().zip(0..) {
            if tokens > 0 && word != BEGIN && word != END {
                grams.words.push(u32::saturating_sub(word, SPECIALS));
                grams.counts.push(tokens);
            }
        }
        return Ok(grams);
    }
    let budget = &budget.without(corpus.tokens.len() * size_of::<u64>());
    let parts = runs::parts(&corpus.tokens, PARTS);
    let mut last = Last::new(order, &corpus.tokens);
    let runs = Runs::new(&corpus, order, &parts, budget, &mut last, control)?;
    drop(corpus);
    let bytes = budget.buffer_bytes(runs.len());
    let merged = parts.into_par_iter().enumerate().map(|(number, first_words)| {
        let mut grams = Grams::default();
        if first_words.contains(&BEGIN) {
            return Ok(grams); // `<s>` is alone in its part
        }
        let (mut merge, mut words) = (Merge::new(runs.readers(number, bytes), order)?, Vec::new());
        while let Some((_, count)) = merge.next(&mut words)? {
            if grams.counts.len() % (1 << 14) == 0 {
                control.check()?;
            }
            if words.len() == order && words[order - 1] != END {
                grams.words.extend(words.iter().map(|word| word.saturating_sub(SPECIALS)));
                grams.counts.push(count);
            }
        }
        Ok(grams)
    });
    for mut part in merged.collect::<Result<Vec<_>>>()? {
        grams.words.append(&mut part.words);
        grams.counts.append(&mut part.counts);
    }
    Ok(grams)
}
