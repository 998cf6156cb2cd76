//! Every smoothing held equal to its definition, over hash maps and in double precision.

use std::collections::HashMap;

use lmfast_base::{Control, Result};
use proptest::prelude::*;

use super::Smoothing;
use crate::corpus::{BEGIN, Corpus, END, SPECIALS, UNKNOWN};
use crate::model::{Kind, Model};
use crate::naive::{corpora, smoothed_model};
use crate::pipeline::{Options, estimate};
use crate::vocabulary::Vocabulary;

const WORDS: u32 = 8;

/// Raw counts of all orders, and the definitions.
struct Naive {
    smoothing: Smoothing,
    order: usize,
    prune: Vec<u64>,
    discounts: Vec<f64>,
    counts: HashMap<Vec<u32>, u64>,
}

impl Naive {
    fn new(sentences: &[Vec<u32>], prune: &[u64], smoothing: Smoothing, order: usize, discounts: Vec<f64>) -> Self {
        let mut counts = HashMap::new();
        for gram in (1..=order).flat_map(|n| sentences.iter().flat_map(move |sentence| sentence.windows(n))) {
            *counts.entry(gram.to_vec()).or_default() += u64::from(gram != [BEGIN]);
        }
        let prune = (0..order).map(|n| prune.get(n).or(prune.last()).copied().unwrap_or(0)).collect();
        Self { smoothing, order, prune, discounts, counts }
    }

    fn count(&self, context: &[u32], word: u32) -> u64 {
        self.counts.get(&[context, &[word]].concat()).copied().unwrap_or(0)
    }

    fn probability(&self, context: &[u32], word: u32) -> f64 {
        let count = |word| self.count(context, word);
        let words = (0..WORDS).filter(|&word| word != BEGIN);
        let total: f64 = words.clone().map(|word| count(word) as f64).sum();
        let types = words.clone().filter(|&word| count(word) > 0).count() as f64;
        let possible = f64::from(WORDS - 1);
        let lower = |word| match context {
            [] => 1.0 / possible,
            [_, rest @ ..] => self.probability(rest, word),
        };
        if total == 0.0 {
            return if let Smoothing::StupidBackoff(alpha) = self.smoothing { alpha } else { 1.0 } * lower(word);
        }
        let is_kept = |word| count(word) > self.prune[context.len()];
        let kept = || words.clone().filter(|&word| is_kept(word));
        let pruned = total - kept().map(|word| count(word) as f64).sum::<f64>();
        let own = if is_kept(word) { count(word) as f64 } else { 0.0 };
        match self.smoothing {
            Smoothing::WittenBell => (own + (types + pruned) * lower(word)) / (total + types),
            Smoothing::AbsoluteDiscounting(_) => {
                let discount = self.discounts[context.len()];
                let freed = discount * kept().count() as f64 + pruned;
                ((own - discount).max(0.0) + freed * lower(word)) / total
            }
            Smoothing::MaximumLikelihood => own / total,
            Smoothing::StupidBackoff(_) if own > 0.0 || context.is_empty() => own / total,
            Smoothing::StupidBackoff(alpha) => alpha * lower(word),
            Smoothing::AddK(k) if own > 0.0 || context.is_empty() => (own + k) / (total + k * possible),
            Smoothing::AddK(k) => {
                let left = 1.0 - kept().map(|word| (count(word) as f64 + k) / (total + k * possible)).sum::<f64>();
                left * lower(word) / words.clone().filter(|&word| !is_kept(word)).map(lower).sum::<f64>()
            }
            Smoothing::ModifiedKneserNey | Smoothing::KneserNey(_) => f64::NAN,
        }
    }

    fn distribution(&self, history: &[u32]) -> Vec<f64> {
        let history = [&[BEGIN], history].concat();
        let context = &history[history.len().saturating_sub(self.order - 1)..];
        (0..WORDS).map(|word| if word == BEGIN { 0.0 } else { self.probability(context, word) }).collect()
    }
}

fn smoothings() -> impl Strategy<Value = Smoothing> {
    prop_oneof![
        Just(Smoothing::WittenBell),
        Just(Smoothing::AbsoluteDiscounting(None)),
        (0.1_f32..=1.0).prop_map(|discount| Smoothing::AbsoluteDiscounting(Some(discount))),
        prop_oneof![Just(1.0), 0.001..5.0].prop_map(Smoothing::AddK),
        prop_oneof![Just(0.4), 0.01..1.0].prop_map(Smoothing::StupidBackoff),
        Just(Smoothing::MaximumLikelihood),
    ]
}

proptest! {
    #[test]
    fn distributions_are_those_of_the_definition(
        sentences in corpora(),
        order in 1..6_usize,
        smoothing in smoothings(),
        prune in prop::collection::vec(0_u64..2, 0..4),
        histories in prop::collection::vec(prop::collection::vec(prop_oneof![5 => 3_u32..7, 1 => 0_u32..1, 1 => 7_u32..8], 0..8), 8),
    ) {
        let mut prune: Vec<u64> = prune.into_iter().take(order - 1).scan(0, |sum, more| { *sum += more; Some(*sum) }).collect();
        prune.insert(0, 0);
        if smoothing == Smoothing::MaximumLikelihood {
            prune = vec![0];
        }
        let (model, discounts) = smoothed_model(&sentences, order, prune.clone(), WORDS, smoothing)?;
        let discounts = discounts.iter().map(|discount| f64::from(discount.amounts[1])).collect();
        let naive = Naive::new(&sentences, &prune, smoothing, order, discounts);
        let seen = sentences.iter().map(|sentence| &sentence[1..sentence.len() - 1]);
        for history in histories.iter().map(Vec::as_slice).chain(seen) {
            let (found, expected) = (model.next_distribution(history), naive.distribution(history));
            for (word, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let (word, found) = (word as u32, f64::from(*found));
                // A context that is not in the trie has no weight there: every word is scored too high alike.
                let expected = match smoothing {
                    Smoothing::StupidBackoff(alpha) => expected / alpha.powi(unseen(&naive, history)),
                    _ => *expected,
                };
                prop_assert!((found - expected).abs() < 1e-5, "{smoothing:?} {history:?} {word}: {found} is not {expected}");
                if word != BEGIN && word != END {
                    let scored = model.token_scores(&[history, &[word]].concat(), true, false)[history.len()].log10_prob;
                    prop_assert!((10_f64.powf(scored.into()) - expected).abs() < 1e-5, "{smoothing:?} {history:?} {word}");
                }
            }
            let sum: f64 = found.iter().copied().map(f64::from).sum();
            prop_assert_eq!(model.is_distribution(), !matches!(smoothing, Smoothing::StupidBackoff(_)));
            prop_assert!(!model.is_distribution() || (sum - 1.0).abs() < 1e-5, "{smoothing:?} {history:?} sums to {sum}");
        }
    }

    #[test]
    fn files_keep_the_method(sentences in corpora(), order in 1..4_usize, smoothing in smoothings()) {
        let folder = tempfile::tempdir()?;
        let control = Control::default();
        let (model, _) = smoothed_model(&sentences, order, vec![0], WORDS, smoothing)?;
        let [lmn, arpa, again] = ["a.lmn", "a.arpa", "b.arpa"].map(|name| folder.path().join(name));
        model.save_lmn(&lmn, &control)?;
        model.save_arpa(&arpa, &control)?;
        for path in [&lmn, &arpa] {
            let loaded = Model::load(path, &control)?;
            loaded.verify(&control)?;
            prop_assert_eq!(loaded.method(), smoothing.description());
            loaded.save_arpa(&again, &control)?;
            prop_assert_eq!(std::fs::read(&again)?, std::fs::read(&arpa)?);
        }
        let loaded = Model::load(&lmn, &control)?;
        for sentence in &sentences {
            prop_assert_eq!(loaded.token_scores(sentence, false, true), model.token_scores(sentence, false, true));
        }
    }
}

/// How many words of a context are before the longest end of it that a trie holds.
fn unseen(naive: &Naive, history: &[u32]) -> i32 {
    let history = [&[BEGIN], history].concat();
    let context = &history[history.len().saturating_sub(naive.order - 1)..];
    let seen = |start: &usize| {
        let end = &context[*start..];
        let is_kept = end.len() < 2 || naive.counts.get(end).copied() > Some(naive.prune[end.len() - 1]);
        is_kept && (0..WORDS).any(|word| naive.count(end, word) > 0)
    };
    (0..=context.len()).find(seen).unwrap_or_default() as i32
}

fn options(smoothing: Smoothing) -> Options {
    Options {
        order: 2,
        prune: vec![0],
        vocabulary: None,
        discount_fallback: None,
        interpolate_unigrams: true,
        vocab_pad: 0,
        smoothing,
    }
}

fn model(options: &Options) -> Result<Model> {
    let vocabulary = Vocabulary::of_tokens(["a", "b"]);
    let corpus = Corpus::from_sentences(&[BEGIN, 3, 4, 3, END, BEGIN, 3, END], SPECIALS + 2)?;
    Ok(estimate(corpus, vocabulary, Kind::Words, options, &Control::default())?.0)
}

#[test]
fn options_that_do_not_go_together() {
    let refused = |options: &Options, what: &str| {
        assert!(model(options).is_err_and(|error| error.to_string().contains(what)), "{options:?} {what}");
    };
    let likelihood = options(Smoothing::MaximumLikelihood);
    refused(&Options { prune: vec![0, 1], ..likelihood.clone() }, "prune");
    refused(&Options { vocabulary: Some(vec!["a".to_owned()]), ..likelihood }, "vocabulary");
    refused(&Options { vocab_pad: 9, ..options(Smoothing::AddK(1.0)) }, "vocab_pad");
    refused(&Options { interpolate_unigrams: false, ..options(Smoothing::StupidBackoff(0.4)) }, "interpolate_unigrams");
    // No trigram occurs twice.
    refused(&Options { order: 3, ..options(Smoothing::AbsoluteDiscounting(None)) }, "discount for 3-grams");
    for (name, parameter) in [("add_k", 0.0), ("add_k", f64::INFINITY), ("stupid_backoff", 1.5), ("kneser_ney", 2.0)] {
        assert!(Smoothing::named(name, Some(parameter)).is_err(), "{name} {parameter}");
    }
    assert!(Smoothing::named("laplace", None).is_err_and(|error| error.to_string().contains("smoothing=\"laplace\"")));
}

#[test]
fn pruned_words_are_unknown_ones() -> Result<()> {
    // a occurs three times, </s> twice, b once.
    for (smoothing, unknown) in [
        (Smoothing::AddK(1.0), (1.0 + 1.0) / (6.0 + 3.0)),
        (Smoothing::StupidBackoff(0.4), 1.0 / 6.0),
        (Smoothing::WittenBell, 4.0 / 9.0 / 3.0),
    ] {
        let model = model(&Options { prune: vec![1], ..options(smoothing) })?;
        assert_eq!(model.counts()[0], 4);
        let found = 10_f64.powf(model.token_scores(&[UNKNOWN], false, false)[0].log10_prob.into());
        assert!((found - unknown).abs() < 1e-6, "{smoothing:?}: {found} is not {unknown}");
        let sum: f64 = model.next_distribution(&[UNKNOWN]).into_iter().map(f64::from).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{smoothing:?} sums to {sum}");
    }
    Ok(())
}

#[test]
fn the_unknown_word_may_have_what_unigrams_leave() -> Result<()> {
    let model = model(&Options { interpolate_unigrams: false, ..options(Smoothing::WittenBell) })?;
    let probability = |word: u32| 10_f64.powf(model.token_scores(&[word], false, false)[0].log10_prob.into());
    assert!((probability(UNKNOWN) - 3.0 / 9.0).abs() < 1e-6 && (probability(3) - 3.0 / 9.0).abs() < 1e-6);
    Ok(())
}
