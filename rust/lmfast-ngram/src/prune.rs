//! Which n-grams are kept.
//!
//! An n-gram is pruned if it occurs no more often than the threshold of its order, or holds a word that is not allowed; the
//! special words are kept. Thresholds do not fall from order to order, so whatever an n-gram begins or ends with is kept
//! where the n-gram is.

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use crate::corpus::SPECIALS;
use crate::count::{Counted, Part};

/// The n-grams that are kept, by level and number.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// For each n-gram how many before it are kept, and at the end how many are; no level at all if everything is kept.
    before: Vec<Vec<u32>>,
}

/// The threshold of every order, the last one given standing for the orders behind it.
///
/// # Errors
/// [`Error::Invalid`] for more thresholds than orders, and for thresholds that fall.
pub(crate) fn thresholds(given: &[u64], order: usize) -> Result<Vec<u64>> {
    let shown = || format!("prune={given:?}").replace(['[', ']'], "");
    if given.len() > order {
        return Err(Error::invalid(format!("{}: more thresholds than the {order} orders of the model", shown())));
    }
    if !given.is_sorted() {
        return Err(Error::invalid(format!(
            "{}: a threshold is at least that of the order below, for an n-gram cannot stay without its parts",
            shown()
        )));
    }
    let last = given.last().copied().unwrap_or(0);
    Ok(given.iter().copied().chain(std::iter::repeat(last)).take(order).collect())
}

impl Kept {
    /// Decides by thresholds for each order, and by which words are allowed.
    pub(crate) fn new(
        counted: &Counted,
        thresholds: &[u64],
        allowed: Option<&[bool]>,
        control: &Control,
    ) -> Result<Self> {
        if allowed.is_none() && thresholds.iter().all(|&threshold| threshold == 0) {
            return Ok(Self::default());
        }
        let flags: Vec<Vec<Vec<bool>>> = counted
            .parts
            .par_iter()
            .map(|part| {
                control.check()?;
                Ok(flags(part, thresholds, allowed))
            })
            .collect::<Result<_>>()?;
        let before = (0..thresholds.len()).into_par_iter().map(|level| {
            let mut total = 0;
            let mut before = Vec::with_capacity(counted.sizes[level] + 1);
            for &is_kept in flags.iter().filter_map(|part| part.get(level)).flatten() {
                before.push(total);
                total += u32::from(is_kept);
            }
            before.push(total);
            before
        });
        Ok(Self { before: before.collect() })
    }

    /// Whether an n-gram is kept.
    pub(crate) fn keeps(&self, level: usize, number: u32) -> bool {
        self.before.get(level).is_none_or(|before| before[number as usize] < before[number as usize + 1])
    }

    /// The number of an n-gram among those that are kept, or of the next one that is.
    pub(crate) fn number(&self, level: usize, number: u32) -> u32 {
        self.before.get(level).map_or(number, |before| before[number as usize])
    }

    /// Whether everything is kept.
    pub(crate) fn is_all(&self) -> bool {
        self.before.is_empty()
    }
}

fn flags(part: &Part, thresholds: &[u64], allowed: Option<&[bool]>) -> Vec<Vec<bool>> {
    let stays = |tokens: u32, threshold: u64, word: u32| {
        // Words of a closed vocabulary may not occur at all.
        (threshold == 0 || u64::from(tokens) > threshold)
            && (word < SPECIALS || allowed.is_none_or(|allowed| allowed[word as usize]))
    };
    let unigrams = part.first_words.clone().zip(&part.levels[0].tokens);
    let unigrams = unigrams.map(|(word, &tokens)| word < SPECIALS || stays(tokens, thresholds[0], word)).collect();
    let mut flags: Vec<Vec<bool>> = vec![unigrams];
    for (level, &threshold) in thresholds.iter().enumerate().skip(1) {
        let (below, level) = (&part.levels[level - 1], &part.levels[level]);
        let mut mine = Vec::with_capacity(level.words.len());
        for (context, &is_kept) in below.children.windows(2).zip(&flags[flags.len() - 1]) {
            for at in context[0] as usize..context[1] as usize {
                mine.push(is_kept && stays(level.tokens[at], threshold, level.words[at]));
            }
        }
        flags.push(mine);
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::thresholds;

    #[test]
    fn the_last_threshold_goes_on() {
        assert_eq!(thresholds(&[0, 1], 4).ok(), Some(vec![0, 1, 1, 1]));
        assert_eq!(thresholds(&[], 2).ok(), Some(vec![0, 0]));
        assert!(thresholds(&[0, 2, 1], 4).is_err_and(|error| error.to_string().contains("prune=0, 2, 1")));
        assert!(thresholds(&[0, 0, 1], 2).is_err());
    }
}
