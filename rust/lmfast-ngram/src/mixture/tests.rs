use std::collections::HashSet;

use lmfast_base::{Control, Result};
use proptest::prelude::*;

use super::interpolate;
use crate::corpus::{BEGIN, END};
use crate::model::Model;
use crate::naive::{corpora, smoothed_model, smoothed_words};
use crate::naive_table::Table;
use crate::smoothing::Smoothing;

/// The mixture by its definition; `ids` gives each model's words of the mixture, 0 for those it does not know.
fn mix(models: &[Table], weights: &[f64], ids: &[Vec<u32>]) -> Table {
    let words = ids[0].len() as u32;
    let mut grams: HashSet<Vec<u32>> = HashSet::new();
    for (table, ids) in models.iter().zip(ids) {
        let back =
            |word: &u32| if *word < 3 { *word } else { ids.iter().position(|id| id == word).unwrap_or(0) as u32 };
        grams.extend(table.probabilities.keys().map(|gram| gram.iter().map(back).collect::<Vec<u32>>()));
    }
    let order = models.iter().map(|table| table.order).max().unwrap_or(1);
    let mut table = Table {
        order,
        words,
        probabilities: std::collections::HashMap::new(),
        weights: std::collections::HashMap::new(),
    };
    let grams: Vec<Vec<u32>> = grams.into_iter().collect();
    for gram in &grams {
        let probability = models.iter().zip(weights).zip(ids).map(|((model, weight), ids)| {
            let own: Vec<u32> = gram.iter().map(|&word| ids[word as usize]).collect();
            let (&word, context) = own.split_last().unwrap_or((&0, &[]));
            let sharing = if word == 0 { ids.iter().filter(|&&id| id == 0).count() as f64 } else { 1.0 };
            weight * model.probability(context, word) / sharing
        });
        table.probabilities.insert(gram.clone(), probability.sum());
    }
    table.normalize();
    table
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn the_mixture_is_that_of_the_definition(
        first in corpora(),
        second in corpora(),
        orders in (1..5_usize, 1..5_usize),
        shift in 0..6_u32,
        weight in 0.0..=1.0_f64,
        histories in prop::collection::vec(prop::collection::vec(prop_oneof![8 => 3_u32..10, 1 => 0_u32..1], 0..6), 8),
    ) {
        let models = [
            smoothed_words(&first, orders.0, 3, Smoothing::ModifiedKneserNey)?,
            smoothed_words(&second, orders.1, 3 + shift, Smoothing::WittenBell)?,
        ];
        let weights = [weight, 1.0 - weight];
        let found = interpolate(&[&models[0], &models[1]], &weights, &Control::default())?;
        let size = 8 + shift.min(5);
        prop_assert_eq!(found.vocabulary().len() as u32, size);
        let ids = |model: &Model| -> Vec<u32> {
            (0..size).map(|word| if word < 3 { word } else { model.vocabulary().lookup().id(found.vocabulary().word(word).as_bytes()) }).collect()
        };
        let expected = mix(&[Table::of(&models[0]), Table::of(&models[1])], &weights, &[ids(&models[0]), ids(&models[1])]);
        prop_assert_eq!(found.counts().iter().sum::<u64>() as usize, expected.probabilities.len());
        for history in &histories {
            let history: Vec<u32> = history.iter().map(|word| word % size).map(|word| if word == BEGIN || word == END { 0 } else { word }).collect();
            let (found, expected) = (found.next_distribution(&history), expected.distribution(&history));
            let sum: f64 = found.iter().copied().map(f64::from).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{history:?} sums to {sum}");
            for (word, (found, expected)) in found.iter().zip(&expected).enumerate() {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{history:?} {word}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn a_model_mixed_with_itself_is_itself(sentences in corpora(), order in 1..5_usize) {
        let (model, _) = smoothed_model(&sentences, order, vec![0], 8, Smoothing::WittenBell)?;
        let found = interpolate(&[&model, &model], &[0.3, 0.7], &Control::default())?;
        prop_assert_eq!(found.counts(), model.counts());
        for sentence in &sentences {
            let (before, after) = (model.next_distribution(&sentence[1..]), found.next_distribution(&sentence[1..]));
            prop_assert!(before.iter().zip(&after).all(|(before, after)| (before - after).abs() < 1e-5));
        }
    }
}

#[test]
fn what_cannot_be_mixed() -> Result<()> {
    let sentences = [vec![BEGIN, 3, 4, END], vec![BEGIN, 3, END]];
    let words = smoothed_words(&sentences, 2, 3, Smoothing::WittenBell)?;
    let scores = smoothed_words(&sentences, 2, 3, Smoothing::StupidBackoff(0.4))?;
    let tokens = smoothed_model(&sentences, 2, vec![0], 8, Smoothing::WittenBell)?.0;
    let fewer = smoothed_model(&sentences, 2, vec![0], 7, Smoothing::WittenBell)?.0;
    for (models, weights, what) in [
        (vec![], vec![], "at least one"),
        (vec![&words, &words], vec![1.0], "weights"),
        (vec![&words, &words], vec![0.5, 0.6], "sum"),
        (vec![&words, &words], vec![-0.5, 1.5], "weights"),
        (vec![&words, &tokens], vec![0.5, 0.5], "words"),
        (vec![&fewer, &tokens], vec![0.5, 0.5], "tokenizer"),
        (vec![&words, &scores], vec![0.5, 0.5], "stupid_backoff"),
    ] {
        let outcome = interpolate(&models, &weights, &Control::default());
        assert!(outcome.is_err_and(|error| error.to_string().contains(what)), "{what}");
    }
    Ok(())
}
