use lmfast_base::{Control, Result};
use proptest::prelude::*;

use crate::corpus::{BEGIN, END};
use crate::model::Model;
use crate::naive::{corpora, smoothed_words};
use crate::naive_table::Table;
use crate::smoothing::Smoothing;

/// Prunes as the paper defines it, with the distance summed up over all words. Nothing if a threshold is too near.
fn prune(table: &Table, threshold: f64) -> Option<Table> {
    let mut pruned = table.clone();
    for order in (2..=table.order).rev() {
        let grams: Vec<&Vec<u32>> = table.probabilities.keys().filter(|gram| gram.len() == order).collect();
        for gram in grams {
            let is_needed = pruned.probabilities.keys().any(|longer| longer.len() > order && longer.starts_with(gram));
            if is_needed {
                continue;
            }
            let (context, word) = (&gram[..order - 1], gram[order - 1]);
            let mut without = table.clone();
            without.probabilities.remove(gram);
            let others: Vec<u32> = table.seen(context).into_iter().filter(|&other| other != word).collect();
            let left = 1.0 - others.iter().map(|&other| table.probability(context, other)).sum::<f64>();
            let shorter = 1.0 - others.iter().map(|&other| table.probability(&context[1..], other)).sum::<f64>();
            without.weights.insert(context.to_vec(), left / shorter);
            let joint: f64 = (0..context.len())
                .map(|place| match context[place] {
                    BEGIN => table.probability(&[], END),
                    word => table.probability(&context[..place], word),
                })
                .product();
            let distance: f64 = table
                .events()
                .map(|word| (table.probability(context, word), without.probability(context, word)))
                .filter(|&(before, _)| before > 0.0)
                .map(|(before, after)| -joint * before * (after.ln() - before.ln()))
                .sum();
            let rise = distance.exp_m1();
            if (rise / threshold - 1.0).abs() < 0.01 || (rise - threshold).abs() < 1e-6 {
                return None;
            }
            if rise < threshold {
                pruned.probabilities.remove(gram);
            }
        }
    }
    pruned.normalize();
    Some(pruned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_model_is_that_of_the_paper(
        sentences in corpora(),
        order in 1..5_usize,
        threshold in prop::sample::select(vec![3e-5, 3e-4, 3e-3, 3e-2, 0.2]),
        smoothing in prop::sample::select(vec![Smoothing::ModifiedKneserNey, Smoothing::WittenBell, Smoothing::AddK(0.3)]),
        histories in prop::collection::vec(prop::collection::vec(prop_oneof![5 => 3_u32..8, 1 => 0_u32..1], 0..6), 6),
    ) {
        let model = smoothed_words(&sentences, order, 3, smoothing)?;
        let Some(expected) = prune(&Table::of(&model), threshold) else { return Ok(()) };
        let found = model.prune(threshold, &Control::default())?;
        let grams = |table: &Table| {
            let mut grams: Vec<Vec<u32>> = table.probabilities.keys().cloned().collect();
            grams.sort();
            grams
        };
        prop_assert_eq!(grams(&Table::of(&found)), grams(&expected));
        let seen = sentences.iter().map(|sentence| &sentence[1..sentence.len() - 1]);
        for history in histories.iter().map(Vec::as_slice).chain(seen) {
            let (found, expected) = (found.next_distribution(history), expected.distribution(history));
            let sum: f64 = found.iter().copied().map(f64::from).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{history:?} sums to {sum}");
            for (word, (found, expected)) in found.iter().zip(&expected).enumerate() {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{history:?} {word}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn a_threshold_that_nothing_is_below_changes_nothing(sentences in corpora(), order in 1..5_usize) {
        let model = smoothed_words(&sentences, order, 3, Smoothing::ModifiedKneserNey)?;
        let found = model.prune(1e-300, &Control::default())?;
        // An n-gram that the shorter context makes as probable is pruned at any threshold.
        prop_assume!(found.counts() == model.counts());
        for sentence in &sentences {
            let pairs = model.token_scores(sentence, false, true).into_iter().zip(found.token_scores(sentence, false, true));
            for (before, after) in pairs {
                prop_assert!((before.log10_prob - after.log10_prob).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn pruned_models_can_be_pruned(sentences in corpora(), order in 2..5_usize) {
        let model = smoothed_words(&sentences, order, 3, Smoothing::WittenBell)?;
        let mut sizes = vec![model.counts()];
        let mut pruned = model;
        for threshold in [1e-4, 1e-3, 1e-2, 1e9] {
            pruned = pruned.prune(threshold, &Control::default())?;
            sizes.push(pruned.counts());
            let sum: f64 = pruned.next_distribution(&[3]).into_iter().map(f64::from).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{threshold} sums to {sum}");
        }
        prop_assert!(sizes.windows(2).all(|pair| pair[0].iter().zip(&pair[1]).all(|(before, after)| after <= before)));
        prop_assert_eq!(pruned.counts()[1..].iter().sum::<u64>(), 0);
    }
}

#[test]
fn what_cannot_be_pruned() -> Result<()> {
    let sentences = [vec![BEGIN, 3, 4, END], vec![BEGIN, 3, END]];
    let model = |smoothing| smoothed_words(&sentences, 2, 3, smoothing);
    let refused = |model: &Model, threshold, what: &str| {
        let outcome = model.prune(threshold, &Control::default());
        assert!(outcome.is_err_and(|error| error.to_string().contains(what)), "{threshold}");
    };
    for threshold in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(&model(Smoothing::WittenBell)?, threshold, "threshold");
    }
    refused(&model(Smoothing::StupidBackoff(0.4))?, 1e-8, "stupid_backoff");
    Ok(())
}
