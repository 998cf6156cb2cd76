//! How often each n-gram of one order occurs, without sentence marks.

use lmfast_base::{Control, Result};
use rayon::prelude::*;

use crate::corpus::{BEGIN, Corpus, END, SPECIALS};
use crate::count::{Part, count};
use crate::pipeline::check_order;

/// The n-grams of one order in lexicographic order of their words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grams {
    /// The words of one n-gram behind those of the other; a word's id less that of the first word that is not special.
    pub words: Vec<u32>,
    /// How often each n-gram occurs.
    pub counts: Vec<u64>,
}

/// Counts the n-grams of one order that lie within sentences. Uses the current pool of threads.
///
/// # Errors
/// [`Error::Invalid`](lmfast_base::Error::Invalid) for an order out of range.
pub fn count_ngrams(corpus: &Corpus, order: usize, control: &Control) -> Result<Grams> {
    check_order(order)?;
    let counted = count(corpus, order, false, control)?;
    let parts = counted.parts.par_iter().map(|part| {
        control.check()?;
        Ok(within_sentences(part, order))
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let mut grams = Grams::default();
    grams.words.reserve_exact(parts.iter().map(|part| part.words.len()).sum());
    grams.counts.reserve_exact(parts.iter().map(|part| part.counts.len()).sum());
    for mut part in parts {
        grams.words.append(&mut part.words);
        grams.counts.append(&mut part.counts);
    }
    Ok(grams)
}

fn within_sentences(part: &Part, order: usize) -> Grams {
    let mut grams = Grams::default();
    // The n-gram of each level that the walk is inside of.
    let mut at = vec![0; order];
    for (number, &tokens) in part.levels[order - 1].tokens.iter().enumerate() {
        at[order - 1] = number;
        for level in (0..order - 1).rev() {
            let children = &part.levels[level].children;
            while children[at[level] + 1] as usize <= at[level + 1] {
                at[level] += 1;
            }
        }
        let word = |level: usize| match level {
            0 => part.first_words.start + at[0] as u32,
            _ => part.levels[level].words[at[level]],
        };
        if tokens > 0 && word(0) != BEGIN && word(order - 1) != END {
            grams.words.extend((0..order).map(|level| word(level).saturating_sub(SPECIALS)));
            grams.counts.push(tokens.into());
        }
    }
    grams
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_are_those_of_a_map(
            sentences in prop::collection::vec(prop::collection::vec(3_u32..7, 0..9), 1..20),
            order in 1..8_usize,
        ) {
            let framed: Vec<u32> =
                sentences.iter().flat_map(|words| [&[BEGIN], words.as_slice(), &[END]].concat()).collect();
            let corpus = Corpus::from_sentences(&framed, 7)?;
            let mut expected: BTreeMap<&[u32], u64> = BTreeMap::new();
            for window in sentences.iter().flat_map(|sentence| sentence.windows(order)) {
                *expected.entry(window).or_default() += 1;
            }
            let found = count_ngrams(&corpus, order, &Control::default())?;
            let words: Vec<u32> = expected.keys().flat_map(|words| words.iter().map(|word| word - SPECIALS)).collect();
            prop_assert_eq!(found, Grams { words, counts: expected.into_values().collect() });
        }
    }
}
