//! Models estimated within a budget are those estimated in memory.

use std::path::Path;

use lmfast_base::{Control, Error, Result};
use proptest::prelude::*;

use super::{Budget, Spool, count_ngrams_within, estimate_within};
use crate::corpus::{BEGIN, Corpus, END, SPECIALS};
use crate::discount::DEFAULT_FALLBACK;
use crate::grams::count_ngrams;
use crate::model::{Kind, Model};
use crate::pipeline::{Options, Report, estimate};
use crate::vocabulary::Vocabulary;

/// Sentences over 9 words of which the last never occurs.
fn corpora() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let word = prop_oneof![4 => 3_u32..5, 2 => 3_u32..8, 1 => Just(0_u32)];
    let sentence = prop::collection::vec(word, 0..12).prop_map(|words| [&[BEGIN], words.as_slice(), &[END]].concat());
    prop::collection::vec(sentence, 1..60)
}

fn options() -> impl Strategy<Value = Options> {
    let order = prop_oneof![8 => 1..7_usize, 1 => Just(20)];
    let prune = prop::collection::vec(0_u64..2, 0..5);
    let vocabulary = prop::option::of(prop::collection::vec((3_u32..9).prop_map(|id| format!("w{id}")), 0..6));
    let fallback = prop_oneof![4 => Just(Some(DEFAULT_FALLBACK)), 1 => Just(None)];
    (order, prune, vocabulary, fallback, any::<bool>(), prop_oneof![Just(0), Just(1000)]).prop_map(
        |(order, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad)| {
            let prune = prune.into_iter().take(order);
            let prune = prune.scan(0, |sum, more| Some(std::mem::replace(sum, *sum + more) + more)).collect();
            let smoothing = crate::Smoothing::ModifiedKneserNey;
            Options { order, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, smoothing }
        },
    )
}

fn words() -> Vocabulary {
    Vocabulary::of_tokens((SPECIALS..9).map(|id| format!("w{id}")))
}

/// What is compared.
struct Files {
    arpa: Vec<u8>,
    lmn: Vec<u8>,
    discounts: Vec<[f32; 4]>,
}

/// The bytes of the model's ARPA and `.lmn` files, and what its estimation came by.
fn files(estimated: Result<(Model, Report)>, folder: &Path) -> Result<Files> {
    let (model, report) = estimated?;
    let read = |name: &str, save: &dyn Fn(&Path) -> Result<()>| {
        let path = folder.join(name);
        save(&path)?;
        std::fs::read(&path).map_err(Error::io(&path))
    };
    let control = Control::default();
    let arpa = read("m.arpa", &|path| model.save_arpa(path, &control))?;
    let lmn = read("m.lmn", &|path| model.save_lmn(path, &control))?;
    Ok(Files { arpa, lmn, discounts: report.discounts.iter().map(|discount| discount.amounts).collect() })
}

proptest! {
    #[test]
    fn any_budget_gives_the_same_counts(
        sentences in corpora(),
        order in 1..8_usize,
        bytes in prop_oneof![1_usize..5000, Just(1 << 24)],
    ) {
        let (working, control) = (tempfile::tempdir()?, Control::default());
        let ids = sentences.concat();
        let budget = Budget { bytes, folder: working.path().to_owned() };
        let mut spool = Spool::create(&budget.folder)?;
        spool.push(&ids)?;
        let found = count_ngrams_within(spool.closed(9)?, order, &budget, &control)?;
        prop_assert_eq!(found, count_ngrams(&Corpus::from_sentences(&ids, 9)?, order, &control)?);
    }

    #[test]
    fn any_budget_gives_the_same_model(
        sentences in corpora(),
        options in options(),
        bytes in prop_oneof![1_usize..5000, Just(1 << 16), Just(1 << 24)],
        threads in 1..4_usize,
    ) {
        let (folder, control) = (tempfile::tempdir()?, Control::default());
        let ids = sentences.concat();
        let expected = estimate(Corpus::from_sentences(&ids, 9)?, words(), Kind::Words, &options, &control);
        let expected = files(expected, folder.path());
        let working = tempfile::tempdir()?;
        let budget = Budget { bytes, folder: working.path().to_owned() };
        let pool = lmfast_base::threads::pool(Some(threads))?;
        let found = pool.install(|| {
            let mut spool = Spool::create(&budget.folder)?;
            for ids in ids.chunks(7) {
                spool.push(ids)?;
            }
            estimate_within(spool.closed(9)?, words(), Kind::Words, &options, &budget, &control)
        });
        let found = pool.install(|| files(found, folder.path()));
        let message = |files: &Result<Files>| files.as_ref().err().map(ToString::to_string);
        prop_assert_eq!(message(&found), message(&expected));
        if let (Ok(found), Ok(expected)) = (found, expected) {
            prop_assert_eq!(String::from_utf8_lossy(&found.arpa), String::from_utf8_lossy(&expected.arpa));
            prop_assert!(found.lmn == expected.lmn, "the .lmn files differ");
            prop_assert_eq!(found.discounts, expected.discounts);
        }
        prop_assert_eq!(std::fs::read_dir(working.path())?.count(), 0);
    }
}
