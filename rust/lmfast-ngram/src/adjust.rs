//! Stage 2: adjusted counts.
//!
//! Input: n-grams in suffix order. Output: one count for each different n-gram of an order, in suffix order. It is how
//! often the n-gram occurs, for the highest order and for n-grams that begin with `<s>`; and for the others how many
//! different words precede it, `<s>` among them. (Kneser and Ney 1995; Heafield et al. 2013, section 3.2.)

use lmfast_base::{Control, Result};
use rayon::prelude::*;

use crate::corpus::Corpus;
use crate::count::{Gram, Sorted};

/// How many n-grams of an order have each adjusted count: what discounts are computed from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// `with_count[c]` n-grams have count c, for c from 1 to 4.
    pub(crate) with_count: [u64; 5],
}

impl Statistics {
    fn add(&mut self, count: u32) {
        if let Some(number) = self.with_count.get_mut(count as usize) {
            *number += 1;
        }
    }

    fn sum(mut self, other: Self) -> Self {
        for (mine, theirs) in self.with_count.iter_mut().zip(other.with_count) {
            *mine += theirs;
        }
        self
    }
}

/// The adjusted counts of one order.
pub(crate) struct Adjusted {
    /// By unigram id for order 1, else in suffix order.
    pub(crate) counts: Vec<u32>,
    /// How many n-grams each chunk has; not filled for order 1.
    pub(crate) sizes: Vec<usize>,
    pub(crate) statistics: Statistics,
}

/// Adjusts the counts of one order.
pub(crate) fn adjust(
    corpus: &Corpus,
    sorted: &Sorted,
    order: usize,
    highest: bool,
    control: &Control,
) -> Result<Adjusted> {
    let parts: Vec<(Vec<u32>, Vec<u32>, Statistics)> = sorted
        .chunks
        .par_iter()
        .map(|chunk| {
            control.check()?;
            let (mut counts, mut words, mut statistics) = (Vec::new(), Vec::new(), Statistics::default());
            for gram in sorted.grams(chunk, order) {
                counts.push(adjusted_count(gram));
                if order == 1 {
                    words.push(corpus.ids()[sorted.ends[gram.first] as usize]);
                }
                let open_at_end = !highest && gram.first + gram.tokens as usize == sorted.shapes.len();
                statistics.add(if open_at_end { gram.tokens } else { adjusted_count(gram) });
            }
            Ok((counts, words, statistics))
        })
        .collect::<Result<_>>()?;
    let statistics = parts.iter().fold(Statistics::default(), |sum, part| sum.sum(part.2));
    if order == 1 {
        let mut counts = vec![0; corpus.vocabulary_size() as usize];
        for (part, words, _) in parts {
            for (count, word) in part.into_iter().zip(words) {
                counts[word as usize] = count;
            }
        }
        return Ok(Adjusted { counts, sizes: Vec::new(), statistics });
    }
    let sizes = parts.iter().map(|part| part.0.len()).collect();
    let parts: Vec<Vec<u32>> = parts.into_iter().map(|part| part.0).collect();
    Ok(Adjusted { counts: parts.concat(), sizes, statistics })
}

fn adjusted_count(gram: Gram) -> u32 {
    if gram.extensions == 0 { gram.tokens } else { gram.extensions }
}
