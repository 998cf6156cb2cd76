//! Kneser-Ney smoothing as the textbook has it, over hash maps and in double precision: the oracle.

use std::collections::{HashMap, HashSet};

use lmfast_base::{Control, Result};
use proptest::prelude::*;

use crate::corpus::{BEGIN, Corpus, END, SPECIALS};
use crate::discount::{DEFAULT_FALLBACK, Discount};
use crate::generate::Sampling;
use crate::model::{Kind, Model};
use crate::pipeline::{Options, estimate};
use crate::smoothing::Smoothing;
use crate::vocabulary::Vocabulary;

/// Counts of all orders.
struct Naive {
    order: usize,
    words: u32,
    /// `successors[n][context][word]` is the adjusted count of an n-gram.
    successors: Vec<HashMap<Vec<u32>, HashMap<u32, u64>>>,
    /// N-grams that occur too seldom to be kept.
    pruned: HashSet<Vec<u32>>,
    discounts: Vec<Discount>,
}

impl Naive {
    fn new(sentences: &[Vec<u32>], prune: &[u64], words: u32, discounts: Vec<Discount>) -> Self {
        let (mut successors, mut pruned, order) = (vec![HashMap::new()], HashSet::new(), discounts.len());
        for n in 1..=order {
            let mut raw: HashMap<&[u32], u64> = HashMap::new();
            let mut before: HashMap<&[u32], HashSet<u32>> = HashMap::new();
            for sentence in sentences {
                for start in 0..=sentence.len().saturating_sub(n) {
                    let Some(gram) = sentence.get(start..start + n).filter(|gram| *gram != [BEGIN]) else { continue };
                    *raw.entry(gram).or_default() += 1;
                    if start > 0 {
                        before.entry(gram).or_default().insert(sentence[start - 1]);
                    }
                }
            }
            let mut level: HashMap<Vec<u32>, HashMap<u32, u64>> = HashMap::new();
            #[expect(clippy::iter_over_hash_type, reason = "fills another map")]
            for (gram, count) in raw {
                if count <= prune.get(n - 1).or(prune.last()).copied().unwrap_or_default() {
                    pruned.insert(gram.to_vec());
                }
                let (word, context) = (gram[n - 1], gram[..n - 1].to_vec());
                let is_raw = n == order || gram[0] == BEGIN;
                let count = if is_raw { count } else { before[gram].len() as u64 };
                level.entry(context).or_default().insert(word, count);
            }
            successors.push(level);
        }
        Self { order, words, successors, pruned, discounts }
    }

    fn probability(&self, context: &[u32], word: u32) -> f64 {
        let lower = || match context {
            [] => 1.0 / f64::from(self.words - 1),
            [_, rest @ ..] => self.probability(rest, word),
        };
        let Some(successors) = self.successors[context.len() + 1].get(context) else { return lower() };
        let amounts = self.discounts[context.len()].amounts.map(f64::from);
        let amount = |count: u64| amounts[count.min(3) as usize];
        let total: u64 = successors.values().sum();
        let is_pruned = |word: &u32| self.pruned.contains(&[context, &[*word]].concat());
        let freed = |(word, &count)| if is_pruned(word) { count as f64 } else { amount(count) };
        let freed: f64 = successors.iter().map(freed).sum();
        let own =
            successors.get(&word).filter(|_| !is_pruned(&word)).map_or(0.0, |&count| count as f64 - amount(count));
        own / total as f64 + freed / total as f64 * lower()
    }

    fn distribution(&self, history: &[u32]) -> Vec<f64> {
        let history = [&[BEGIN], history].concat();
        let context = &history[history.len().saturating_sub(self.order - 1)..];
        let probability = |word| if word == BEGIN { 0.0 } else { self.probability(context, word) };
        (0..self.words).map(probability).collect()
    }
}

fn model(sentences: &[Vec<u32>], order: usize, words: u32) -> Result<(Model, Vec<Discount>)> {
    smoothed_model(sentences, order, Vec::new(), words, Smoothing::ModifiedKneserNey)
}

/// A model of five words, whose spellings are numbered from `first` up.
pub(crate) fn smoothed_words(sentences: &[Vec<u32>], order: usize, first: u32, smoothing: Smoothing) -> Result<Model> {
    let corpus = Corpus::from_sentences(&sentences.concat(), 8)?;
    let vocabulary = Vocabulary::of_tokens((0..8 - SPECIALS).map(|number| format!("w{}", first + number)));
    let options = Options {
        order,
        prune: vec![0],
        vocabulary: None,
        discount_fallback: Some(DEFAULT_FALLBACK),
        interpolate_unigrams: true,
        vocab_pad: 0,
        smoothing,
    };
    Ok(estimate(corpus, vocabulary, Kind::Words, &options, &Control::default())?.0)
}

/// A model, and the discounts of each order.
pub(crate) fn smoothed_model(
    sentences: &[Vec<u32>],
    order: usize,
    prune: Vec<u64>,
    words: u32,
    smoothing: Smoothing,
) -> Result<(Model, Vec<Discount>)> {
    let corpus = Corpus::from_sentences(&sentences.concat(), words)?;
    let vocabulary = Vocabulary::of_tokens((SPECIALS..words).map(|id| format!("w{id}")));
    let options = Options {
        order,
        prune,
        vocabulary: None,
        discount_fallback: Some(DEFAULT_FALLBACK),
        interpolate_unigrams: true,
        vocab_pad: 0,
        smoothing,
    };
    let (model, report) = estimate(corpus, vocabulary, Kind::Tokens, &options, &Control::default())?;
    Ok((model, report.discounts))
}

/// Sentences of word ids with their marks, over 8 words of which the last never occurs.
pub(crate) fn corpora() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let word = prop_oneof![4 => 3_u32..5, 1 => 0_u32..7].prop_map(|word| if word == 1 || word == 2 { 6 } else { word });
    let sentence = prop::collection::vec(word, 0..12).prop_map(|words| [&[BEGIN], words.as_slice(), &[END]].concat());
    prop::collection::vec(sentence, 1..40)
}

proptest! {
    #[test]
    fn distributions_are_those_of_the_oracle_and_sum_to_one(
        sentences in corpora(),
        order in prop_oneof![1..7_usize, Just(20)],
        prune in prop::collection::vec(0_u64..2, 0..5),
        histories in prop::collection::vec(prop::collection::vec(prop_oneof![5 => 3_u32..7, 1 => 0_u32..1, 1 => 7_u32..8], 0..8), 8),
        smoothing in prop_oneof![
            2 => Just(Smoothing::ModifiedKneserNey),
            1 => Just(Smoothing::KneserNey(None)),
            1 => (0.1_f32..1.0).prop_map(|discount| Smoothing::KneserNey(Some(discount))),
        ],
    ) {
        let mut prune: Vec<u64> = prune.into_iter().take(order - 1).scan(0, |sum, more| { *sum += more; Some(*sum) }).collect();
        prune.insert(0, 0);
        let (model, discounts) = smoothed_model(&sentences, order, prune.clone(), 8, smoothing)?;
        let naive = Naive::new(&sentences, &prune, 8, discounts);
        let seen = sentences.iter().map(|sentence| &sentence[1..sentence.len() - 1]);
        for history in histories.iter().map(Vec::as_slice).chain(seen) {
            let (found, expected) = (model.next_distribution(history), naive.distribution(history));
            let sum: f64 = found.iter().copied().map(f64::from).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5, "{history:?} sums to {sum}");
            for (word, (found, expected)) in found.iter().zip(&expected).enumerate() {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{history:?} {word}: {found} is not {expected}");
            }
            let scores = model.token_scores(history, true, true);
            for (place, score) in scores.iter().enumerate() {
                let word = history.get(place).copied().unwrap_or(END);
                let expected = naive.distribution(&history[..place])[word as usize];
                prop_assert!((10_f64.powf(score.log10_prob.into()) - expected).abs() < 1e-5, "{history:?} {place}");
            }
            let total: f32 = scores.iter().map(|score| score.log10_prob).sum();
            prop_assert_eq!(model.score(history, true, true).to_bits(), total.to_bits());
        }
    }

    #[test]
    fn saved_models_are_the_same(sentences in corpora(), order in 1..6_usize) {
        let folder = tempfile::tempdir()?;
        let control = Control::default();
        let (model, _) = model(&sentences, order, 8)?;
        let [lmn, arpa, packed, again] = ["a.lmn", "a.arpa", "a.arpa.gz", "b.arpa"].map(|name| folder.path().join(name));
        model.save_lmn(&lmn, &control)?;
        model.save_arpa(&arpa, &control)?;
        model.save_arpa(&packed, &control)?;
        let bytes = std::fs::read(&arpa)?;
        for path in [&lmn, &arpa, &packed] {
            let loaded = Model::load(path, &control)?;
            loaded.verify(&control)?;
            prop_assert_eq!(loaded.counts(), model.counts());
            loaded.save_arpa(&again, &control)?;
            prop_assert_eq!(&std::fs::read(&again)?, &bytes);
            for sentence in &sentences {
                prop_assert_eq!(loaded.token_scores(sentence, false, true), model.token_scores(sentence, false, true));
            }
        }
    }

    /// Files whose checksums fit and whose numbers are anything: whatever is done with them ends, without a panic.
    #[test]
    fn hostile_files(
        sentences in corpora(),
        order in 1..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(u32::MAX), Just(0), 0..300_u32, any::<u32>()]), 1..5),
    ) {
        let folder = tempfile::tempdir()?;
        let control = Control::default();
        let [path, again] = ["a.lmn", "b.arpa"].map(|name| folder.path().join(name));
        let (model, _) = model(&sentences, order, 8)?;
        model.save_lmn(&path, &control)?;
        let mut bytes = std::fs::read(&path)?;
        for (place, value) in changes {
            // Behind the header and the table of thirteen sections.
            let place = 448 + place.index((bytes.len() - 448) / 4) * 4;
            bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        }
        crate::model::fix_checksums(&mut bytes);
        std::fs::write(&path, bytes)?;
        if let Ok(model) = Model::load(&path, &control) {
            for sentence in &sentences {
                let _ = (model.token_scores(sentence, true, true), model.next_distribution(sentence));
            }
            let words = sentences.concat();
            let _ = (model.word_scores(&words, true, &control), model.score_batch(&["w3 w4", ""], true, true, &control));
            let sampling = Sampling { temperature: 1.0, top_k: Some(3), top_p: Some(0.9) };
            let _ = model.generate(&[3], 9, &sampling, 1, &control);
            let _ = (model.word_ids("w3 w4 zz"), model.vocabulary().word(5), model.verify(&control));
            let _ = model.save_arpa(&again, &control);
        }
    }
}

#[test]
fn threads_do_not_matter() -> Result<()> {
    let mut random = 1_u32;
    let mut word = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        3 + (random >> 20) % ((random >> 8) % 60 + 1)
    };
    let sentences: Vec<Vec<u32>> = (0..3000)
        .map(|_| {
            let words: Vec<u32> = (0..word() % 30).map(|_| word()).collect();
            [&[BEGIN], words.as_slice(), &[END]].concat()
        })
        .collect();
    let files: Vec<Vec<u8>> = [1, 2, 7]
        .into_iter()
        .map(|threads| {
            lmfast_base::threads::pool(Some(threads))?.install(|| {
                let path = std::env::temp_dir().join(format!("lmfast-threads-{}-{threads}.lmn", std::process::id()));
                model(&sentences, 4, 70)?.0.save_lmn(&path, &Control::default())?;
                let bytes = std::fs::read(&path).map_err(lmfast_base::Error::io(&path));
                let _ = std::fs::remove_file(&path);
                bytes
            })
        })
        .collect::<Result<_>>()?;
    assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
    Ok(())
}
