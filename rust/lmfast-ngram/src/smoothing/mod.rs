//! The ways to smooth, and estimation by those that work on raw counts.
//!
//! With c the count of an n-gram, N the sum of the counts of all words that follow its context, T how many different ones
//! follow, and p' the probability given the shorter context:
//!
//! | smoothing | probability of an n-gram that is kept | weight of the shorter context | source |
//! |---|---|---|---|
//! | absolute discounting | (c - D) / N + weight p' | (D T + pruned) / N | Ney, Essen and Kneser 1994; Chen and Goodman 1998, section 2.6 |
//! | Witten-Bell | c / (N + T) + weight p' | (T + pruned) / (N + T) | Witten and Bell 1991, method C; Chen and Goodman 1998, section 2.5 |
//! | add-k | (c + k) / (N + k V) | what that leaves / what p' leaves | Lidstone 1920; Chen and Goodman 1998, section 2.1 |
//! | stupid backoff | c / N, a score | alpha | Brants et al. 2007, equation 5 |
//! | maximum likelihood | c / N | 0 | |
//!
//! T of the first row counts the kept n-grams; `pruned` is the sum of the counts of the others, which belongs to the
//! shorter context. V is the number of words that can follow: all but `<s>`. Below unigrams lies the uniform distribution
//! over these. Where a context was never seen, all of them are what they are after the longest end of it that was.

mod level;
#[cfg(test)]
mod tests;

use lmfast_base::{Control, Error, Pages, Result};
use rayon::prelude::*;

use crate::assemble::Nodes;
use crate::corpus::{BEGIN, Corpus, SPECIALS};
use crate::count::{Counted, count};
use crate::discount::Discount;
use crate::model::{Kind, Model};
use crate::pipeline::{Options, Report};
use crate::prune::Kept;
use crate::vocabulary::Vocabulary;
use level::{Rule, contexts, unigrams};

/// What makes probabilities of counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Smoothing {
    /// Interpolated, with three discounts an order (Chen and Goodman 1998, section 3).
    ModifiedKneserNey,
    /// Interpolated, with one discount an order: n1 / (n1 + 2 n2) of the adjusted counts, or as given (Kneser and Ney
    /// 1995; Chen and Goodman 1998, section 2.7).
    KneserNey(Option<f32>),
    /// Interpolated, with one discount an order: n1 / (n1 + 2 n2) of the counts, or as given.
    AbsoluteDiscounting(Option<f32>),
    /// Interpolated.
    WittenBell,
    /// `k` is added to every count.
    AddK(f64),
    /// Relative frequencies, a shorter context's times this factor where there is none. These are no probabilities.
    StupidBackoff(f64),
    /// Relative frequencies and nothing else.
    MaximumLikelihood,
}

impl Smoothing {
    /// A smoothing by its name, and k, alpha or the discount, whichever it has.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name, or a parameter out of range.
    pub fn named(name: &str, parameter: Option<f64>) -> Result<Self> {
        let in_range = |what: &str, default: f64, most: f64| match parameter.unwrap_or(default) {
            value if value > 0.0 && value <= most && value.is_finite() => Ok(value),
            value => Err(Error::invalid(format!(
                "{what}={value}: a number above 0{} was expected",
                if most.is_finite() { format!(" and at most {most}") } else { String::new() }
            ))),
        };
        let discount = || parameter.map(|_| in_range("discount", 0.0, 1.0).map(|value| value as f32)).transpose();
        Ok(match name {
            "modified_kneser_ney" => Self::ModifiedKneserNey,
            "kneser_ney" => Self::KneserNey(discount()?),
            "absolute_discounting" => Self::AbsoluteDiscounting(discount()?),
            "witten_bell" => Self::WittenBell,
            "add_k" => Self::AddK(in_range("k", 1.0, f64::INFINITY)?),
            "stupid_backoff" => Self::StupidBackoff(in_range("alpha", 0.4, 1.0)?),
            "maximum_likelihood" => Self::MaximumLikelihood,
            _ => {
                return Err(Error::invalid(format!(
                    "smoothing={name:?}: modified_kneser_ney, kneser_ney, absolute_discounting, witten_bell, add_k, \
                     stupid_backoff or maximum_likelihood was expected"
                )));
            }
        })
    }

    /// How a model notes it: the name, and what was chosen.
    pub fn description(&self) -> String {
        let with_discount = |name: &str, discount: Option<f32>| match discount {
            Some(discount) => format!("{name} discount={discount}"),
            None => name.to_owned(),
        };
        match *self {
            Self::ModifiedKneserNey => "modified_kneser_ney".to_owned(),
            Self::KneserNey(discount) => with_discount("kneser_ney", discount),
            Self::AbsoluteDiscounting(discount) => with_discount("absolute_discounting", discount),
            Self::WittenBell => "witten_bell".to_owned(),
            Self::AddK(k) => format!("add_k k={k}"),
            Self::StupidBackoff(alpha) => format!("stupid_backoff alpha={alpha}"),
            Self::MaximumLikelihood => "maximum_likelihood".to_owned(),
        }
    }

    /// Whether it works on adjusted counts, and not on raw ones.
    pub(crate) fn is_kneser_ney(&self) -> bool {
        matches!(self, Self::ModifiedKneserNey | Self::KneserNey(_))
    }

    /// Whether all it does with shorter contexts is to mix them in.
    fn is_interpolated(&self) -> bool {
        self.is_kneser_ney() || matches!(self, Self::AbsoluteDiscounting(_) | Self::WittenBell)
    }

    /// The discounts of an order, given how many of its n-grams have the counts 1 to 4.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the counts give none and there is no fallback.
    pub(crate) fn discount(&self, order: usize, with_count: &[u64; 5], fallback: Option<[f32; 3]>) -> Result<Discount> {
        let single = |amount, is_fallback| Ok(Discount { amounts: [0.0, amount, amount, amount], is_fallback });
        let (given, [_, ones, twos, ..]) = match self {
            Self::KneserNey(given) | Self::AbsoluteDiscounting(given) => (*given, *with_count),
            _ => return Discount::estimate(order, with_count, fallback),
        };
        match (given, fallback) {
            (Some(amount), _) => single(amount, false),
            _ if ones > 0 && twos > 0 => single((ones as f64 / (ones as f64 + 2.0 * twos as f64)) as f32, false),
            (None, Some([amount, ..])) => single(amount, true),
            (None, None) => Err(Error::invalid(format!(
                "no discount for {order}-grams: {ones} have a count of 1 and {twos} a count of 2, and both must occur; set \
                 one with discount=, or allow a fixed one with discount_fallback='auto'"
            ))),
        }
    }

    /// Refuses options that do not go with it.
    pub(crate) fn check(&self, options: &Options, thresholds: &[u64]) -> Result<()> {
        let name = self.description();
        let name = name.split(' ').next().unwrap_or_default();
        let prunes = options.vocabulary.is_some() || thresholds.iter().any(|&threshold| threshold > 0);
        if prunes && *self == Self::MaximumLikelihood {
            return Err(Error::invalid(
                "prune and vocabulary do not go with smoothing='maximum_likelihood', which has no shorter context to give \
                 the probability of what is left out to: take witten_bell or absolute_discounting",
            ));
        }
        if !self.is_interpolated() && options.vocab_pad > 0 {
            return Err(Error::invalid(format!("vocab_pad has no effect with smoothing='{name}'")));
        }
        if !self.is_interpolated() && !options.interpolate_unigrams {
            return Err(Error::invalid(format!("interpolate_unigrams=False has no effect with smoothing='{name}'")));
        }
        Ok(())
    }
}

/// Estimates a model from raw counts. `thresholds` and `allowed` are those of [`Kept::new`].
pub(crate) fn estimate_from_counts(
    corpus: Corpus,
    vocabulary: Vocabulary,
    kind: Kind,
    options: &Options,
    (thresholds, allowed): (&[u64], Option<&[bool]>),
    control: &Control,
) -> Result<(Model, Report)> {
    let (order, smoothing) = (options.order, options.smoothing);
    let mut counted = count(&corpus, order, true, control)?;
    drop(corpus);
    control.begin("estimating", order as u64);
    let kept = Kept::new(&counted, thresholds, allowed, control)?;
    let mut nodes = Nodes::new(&counted, &kept)?;
    let mut report = Report::default();
    let words = kept.number(0, counted.sizes[0] as u32) - 1;
    let mut rule = |level: usize| -> Result<Rule> {
        Ok(match smoothing {
            Smoothing::WittenBell => Rule::WittenBell,
            Smoothing::AddK(k) => Rule::AddK { k, words: words.into() },
            Smoothing::StupidBackoff(alpha) => Rule::Frequency { backoff: alpha },
            Smoothing::MaximumLikelihood => Rule::Frequency { backoff: 0.0 },
            _ => {
                let counts = counts_of_counts(&counted, level);
                let discount = smoothing.discount(level + 1, &counts, options.discount_fallback)?;
                report.discounts.push(discount);
                Rule::Discounting { discount: discount.amounts[1].into() }
            }
        })
    };
    let rules = (0..order).map(&mut rule).collect::<Result<Vec<_>>>()?;
    let mut seen = counted.parts.iter().flat_map(|part| &part.levels[0].tokens).skip(SPECIALS as usize);
    if !options.interpolate_unigrams && seen.any(|&count| count == 0) {
        return Err(unseen_without_probability());
    }
    let interpolate = options.interpolate_unigrams.then(|| 1.0 / u64::from(words).max(options.vocab_pad) as f64);
    let mut probabilities = unigrams(&counted, &kept, &rules[0], interpolate);
    control.advance(1);
    for (level, rule) in rules.iter().enumerate().skip(1) {
        let (next, backoffs) = contexts(&counted, &kept, level, rule, &probabilities, control)?;
        nodes.fill(&counted, &kept, level - 1, &narrow(&probabilities), &backoffs, control)?;
        counted.forget(level - 1);
        probabilities = next;
        control.advance(1);
    }
    nodes.fill(&counted, &kept, order - 1, &narrow(&probabilities), &[], control)?;
    let vocabulary = if kept.is_all() { vocabulary } else { vocabulary.keep(|word| kept.keeps(0, word)) };
    Ok((nodes.finish(vocabulary, kind), report))
}

/// What to say where words of a closed vocabulary would have no probability.
pub(crate) fn unseen_without_probability() -> Error {
    Error::invalid(
        "interpolate_unigrams=False leaves no probability to tokens of the vocabulary that do not occur: \
         train with interpolate_unigrams=True",
    )
}

/// How many n-grams of a level occur 1 to 4 times.
fn counts_of_counts(counted: &Counted, level: usize) -> [u64; 5] {
    let mut with_count = [0; 5];
    let mut add = |count: u32| {
        if let Some(number) = with_count.get_mut(count as usize) {
            *number += 1;
        }
    };
    for part in &counted.parts {
        let is_begin = |at: usize| level == 0 && part.first_words.start + at as u32 == BEGIN;
        let counts = part.levels[level].tokens.iter().enumerate().filter(|&(at, _)| !is_begin(at));
        counts.for_each(|(_, &count)| add(count));
    }
    with_count
}

fn narrow(numbers: &[f64]) -> Pages<f32> {
    let mut narrowed = Pages::zeroed(numbers.len());
    narrowed.par_iter_mut().zip(numbers).for_each(|(slot, &number)| *slot = number as f32);
    narrowed
}
