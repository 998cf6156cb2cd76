//! The plain form is the oracle: whatever is asked, both give the same bits.

use std::path::Path;

use lmfast_base::{Control, Result};
use proptest::prelude::*;

use crate::corpus::{Corpus, SPECIALS};
use crate::generate::Sampling;
use crate::model::{Kind, Model, State, fix_checksums};
use crate::naive::corpora;
use crate::pipeline::{Options, estimate};
use crate::vocabulary::Vocabulary;

/// Of the vocabulary of [`corpora`].
const WORDS: u32 = 8;

fn train(sentences: &[Vec<u32>], kind: Kind, options: &Options) -> Result<Model> {
    let mut ids = sentences.concat();
    if !options.interpolate_unigrams {
        // Every word must occur.
        ids.push(1);
        ids.extend(SPECIALS..WORDS);
        ids.push(2);
    }
    let corpus = Corpus::from_sentences(&ids, WORDS)?;
    let vocabulary = Vocabulary::of_tokens((SPECIALS..WORDS).map(|id| format!("w{id}")));
    Ok(estimate(corpus, vocabulary, kind, options, &Control::default())?.0)
}

fn options(order: usize) -> Options {
    Options {
        order,
        prune: Vec::new(),
        vocabulary: None,
        discount_fallback: Some([0.5, 1.0, 1.5]),
        smoothing: crate::Smoothing::ModifiedKneserNey,
        interpolate_unigrams: true,
        vocab_pad: 0,
    }
}

fn any_options() -> impl Strategy<Value = (Options, Kind)> {
    let fallback = prop_oneof![
        4 => Just([0.5, 1.0, 1.5]),
        1 => (0.0_f32..1.0, 0.0_f32..2.0, 0.0_f32..3.0).prop_map(|(one, two, more)| [one, two, more]),
    ];
    let kind = prop_oneof![Just(Kind::Tokens), Just(Kind::Words)];
    (
        prop_oneof![9 => 1..7_usize, 1 => Just(20)],
        fallback,
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(0), Just(99)],
        kind,
    )
        .prop_map(|(order, fallback, is_pruned, interpolate_unigrams, vocab_pad, kind)| {
            let prune = if is_pruned && order > 1 { vec![0, 0, 1] } else { Vec::new() };
            let prune = prune.into_iter().take(order).collect();
            let vocab_pad = if interpolate_unigrams { vocab_pad } else { 0 };
            let options =
                Options { prune, interpolate_unigrams, vocab_pad, discount_fallback: Some(fallback), ..options(order) };
            (options, kind)
        })
}

fn histories() -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(prop_oneof![5 => 3_u32..7, 1 => 0_u32..9], 0..9), 12)
}

fn compacted(model: &Model, quantize_bits: Option<u32>, folder: &Path) -> Result<Model> {
    let (path, control) = (folder.join("compact.lmn"), Control::default());
    model.save_compact(&path, quantize_bits, &control)?;
    let loaded = Model::load(&path, &control)?;
    loaded.verify(&control)?;
    Ok(loaded)
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// Whatever can be asked of a model is the same of both; so are the files they are saved to.
fn assert_same(
    model: &Model,
    compact: &Model,
    histories: &[Vec<u32>],
    folder: &Path,
) -> std::result::Result<(), TestCaseError> {
    let control = Control::default();
    prop_assert_eq!((model.order(), model.counts(), model.kind()), (compact.order(), compact.counts(), compact.kind()));
    for words in histories {
        for (begin, end) in [(true, true), (true, false), (false, true), (false, false)] {
            let (expected, found) = (model.token_scores(words, begin, end), compact.token_scores(words, begin, end));
            let shown = |scores: &[crate::TokenScore]| {
                scores
                    .iter()
                    .map(|score| (score.log10_prob.to_bits(), score.matched_order, score.is_unknown))
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(
                shown(&expected),
                shown(&found),
                "{:?} {} {}: {:?} {:?}",
                words,
                begin,
                end,
                expected,
                found
            );
            prop_assert_eq!(model.score(words, begin, end).to_bits(), compact.score(words, begin, end).to_bits());
        }
        let states = |model: &Model| {
            let walk = |begin| {
                let mut state = model.first_state(begin);
                let step = words.iter().map(|&word| {
                    let (score, next) = model.advance(state, word);
                    state = next;
                    (score.log10_prob.to_bits(), score.matched_order, next)
                });
                step.collect::<Vec<_>>()
            };
            [walk(true), walk(false)].concat()
        };
        let (plain, few) = (states(model), states(compact));
        for (expected, found) in plain.iter().zip(&few) {
            prop_assert_eq!((expected.0, expected.1), (found.0, found.1));
            let alike =
                |states: &[(u32, u8, State)], state| states.iter().map(|other| other.2 == state).collect::<Vec<_>>();
            prop_assert_eq!(alike(&plain, expected.2), alike(&few, found.2));
        }
        let known: Vec<u32> = words.iter().copied().filter(|&word| word < WORDS).collect();
        prop_assert_eq!(bits(&model.next_distribution(&known)), bits(&compact.next_distribution(&known)));
        let sampling = Sampling { temperature: 1.0, top_k: None, top_p: None };
        let draw = |model: &Model| model.generate(&known, 9, &sampling, 3, &control);
        prop_assert_eq!(draw(model)?, draw(compact)?);
    }
    let texts: Vec<String> = histories
        .iter()
        .map(|words| words.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" "))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let batch = |model: &Model| model.score_batch(&texts, true, true, &control);
    prop_assert_eq!(bits(&batch(model)?), bits(&batch(compact)?));
    let cost = |model: &Model| model.perplexity(std::iter::once(Ok(texts.iter().copied().collect())), &control);
    prop_assert_eq!(cost(model)?, cost(compact)?);
    let tokens: Vec<u32> = histories.iter().flatten().filter(|&&word| word < WORDS - SPECIALS).copied().collect();
    let offsets = [0, tokens.len() as u64 / 3, tokens.len() as u64 / 3, tokens.len() as u64];
    let documents = |model: &Model| {
        let scores = model.score_documents(&tokens, &offsets, true, false, &control)?;
        Ok::<_, lmfast_base::Error>((
            bits(&scores),
            bits(&model.token_stream_scores(&tokens, &offsets, &control)?),
            model.perplexity_of_tokens(&tokens, &offsets, &control)?,
        ))
    };
    prop_assert_eq!(documents(model)?, documents(compact)?);
    // Where counts do not give the numbers, nothing is kept of where they came from.
    let has_recipe = compact.compact.as_ref().is_some_and(|compact| compact.recipe.is_some());
    let names = if has_recipe || model.recipe.is_none() { &["model.lmn", "model.arpa"][..] } else { &["model.arpa"] };
    for &name in names {
        let files = [(model, "a"), (compact, "b")].map(|(model, prefix)| {
            let path = folder.join(format!("{prefix}{name}"));
            if name.ends_with("arpa") {
                model.save_arpa(&path, &control)?;
            } else {
                model.save_lmn(&path, &control)?;
            }
            std::fs::read(&path).map_err(lmfast_base::Error::io(&path))
        });
        let [expected, found] = files;
        prop_assert!(expected? == found?, "saved as {} they differ", name);
    }
    Ok(())
}

/// Leaves out some bigrams that are no context, so that trigrams lack their ends.
fn without_ends(arpa: &str, keep: u32) -> String {
    let sections: Vec<&str> = arpa.split("\n\n").collect();
    let is_context = |words: &str| {
        sections[3]
            .lines()
            .any(|line| line.split('\t').nth(1).is_some_and(|gram| gram.starts_with(&format!("{words} "))))
    };
    let mut number = 0;
    let lines = sections[2].lines().filter(|line| {
        number += 1;
        let words = line.split('\t').nth(1);
        words.is_none_or(|words| is_context(words) || number % 3 == keep)
    });
    let bigrams: Vec<&str> = lines.collect();
    let header = sections[0].lines().map(|line| {
        if line.starts_with("ngram 2=") { format!("ngram 2={}", bigrams.len() - 1) } else { line.to_owned() }
    });
    let header = header.collect::<Vec<_>>().join("\n");
    let bigrams = bigrams.join("\n");
    [&[header.as_str(), sections[1], bigrams.as_str()], &sections[3..]].concat().join("\n\n")
}

proptest! {
    #[test]
    fn every_bit_is_the_same(sentences in corpora(), (options, kind) in any_options(), histories in histories()) {
        let folder = tempfile::tempdir()?;
        let model = train(&sentences, kind, &options)?;
        let compact = compacted(&model, None, folder.path())?;
        // Little text may have discounts that make a count of 3 no more than one of 2: those counts cannot be told apart.
        let is_apart = |&[_, one, two, more]: &[f32; 4]| one < 0.99 && 2.0 - two > 1.01 - one && 3.0 - more > 2.01 - two;
        if model.recipe.as_ref().is_some_and(|recipe| recipe.discounts.iter().all(is_apart)) {
            prop_assert!(compact.compact.as_ref().is_some_and(|compact| compact.recipe.is_some()), "no counts were found");
        }
        assert_same(&model, &compact, &histories, folder.path())?;
        if compact.compact.as_ref().is_some_and(|compact| compact.recipe.is_some()) || model.recipe.is_none() {
            assert_same(&model, &compacted(&compact, None, folder.path())?, &histories, folder.path())?;
        }
    }

    #[test]
    fn models_of_other_programs(sentences in corpora(), order in 1..5_usize, keep in 0..3_u32, histories in histories()) {
        let (folder, control) = (tempfile::tempdir()?, Control::default());
        let path = folder.path().join("a.arpa");
        train(&sentences, Kind::Words, &options(order))?.save_arpa(&path, &control)?;
        if order == 3 {
            let arpa = std::fs::read_to_string(&path)?;
            std::fs::write(&path, without_ends(&arpa, keep))?;
        }
        let model = Model::load(&path, &control)?;
        assert_same(&model, &compacted(&model, None, folder.path())?, &histories, folder.path())?;
    }

    #[test]
    fn quantized_models_are_near(sentences in corpora(), order in 1..6_usize, bits in 4..17_u32) {
        let folder = tempfile::tempdir()?;
        let model = train(&sentences, Kind::Words, &options(order))?;
        let coarse = compacted(&model, Some(bits), folder.path())?;
        for words in &sentences {
            let (exact, coarse) = (model.token_scores(words, false, true), coarse.token_scores(words, false, true));
            for (exact, coarse) in exact.iter().zip(&coarse) {
                prop_assert_eq!((exact.matched_order, exact.is_unknown), (coarse.matched_order, coarse.is_unknown));
                let tolerance = if bits > 9 { 0.0 } else { 1.0 };
                prop_assert!((exact.log10_prob - coarse.log10_prob).abs() <= tolerance, "{exact:?} became {coarse:?}");
            }
        }
    }

    /// Files whose checksums fit and whose numbers are anything: whatever is done with them ends, without a panic.
    #[test]
    fn hostile_files(
        sentences in corpora(),
        (options, kind) in any_options(),
        quantize_bits in prop_oneof![Just(None), Just(Some(3))],
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(u32::MAX), Just(0), 0..300_u32, any::<u32>()]), 1..5),
    ) {
        let folder = tempfile::tempdir()?;
        let control = Control::default();
        let [path, again] = ["a.lmn", "b.arpa"].map(|name| folder.path().join(name));
        train(&sentences, kind, &options)?.save_compact(&path, quantize_bits, &control)?;
        let mut bytes = std::fs::read(&path)?;
        for (place, value) in changes {
            // Behind the header and the table of ten sections.
            let place = 352 + place.index((bytes.len() - 352) / 4) * 4;
            bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        }
        fix_checksums(&mut bytes);
        std::fs::write(&path, bytes)?;
        if let Ok(model) = Model::load(&path, &control) {
            for sentence in &sentences {
                let _ = (model.token_scores(sentence, true, true), model.next_distribution(sentence));
            }
            let sampling = Sampling { temperature: 1.0, top_k: Some(3), top_p: Some(0.9) };
            let _ = model.generate(&[3], 9, &sampling, 1, &control);
            let _ = (model.word_ids("w3 w4 zz"), model.vocabulary().word(5), model.verify(&control));
            let _ = model.save_arpa(&again, &control);
            let _ = model.save_compact(&again, None, &control);
        }
    }
}

#[test]
fn cut_and_flipped_files_are_refused() -> Result<()> {
    let sentences = vec![vec![1, 3, 4, 5, 2], vec![1, 4, 3, 3, 2], vec![1, 2]];
    let (folder, control) = (tempfile::tempdir().map_err(lmfast_base::Error::io("folder"))?, Control::default());
    let path = folder.path().join("a.lmn");
    train(&sentences, Kind::Words, &options(3))?.save_compact(&path, None, &control)?;
    let bytes = std::fs::read(&path).map_err(lmfast_base::Error::io(&path))?;
    let opens = |bytes: &[u8]| {
        std::fs::write(&path, bytes).map_err(lmfast_base::Error::io(&path))?;
        Model::load(&path, &control)?.verify(&control)
    };
    opens(&bytes)?;
    for length in 0..bytes.len() {
        assert!(opens(&bytes[..length]).is_err(), "cut at {length}");
    }
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 16;
        // Between sections there is nothing to damage.
        assert!(opens(&flipped).is_err() || bytes[place] == 0, "byte {place}");
    }
    let refused = Model::load(&path, &control).and_then(|model| model.save_compact(&path, Some(1), &control));
    assert!(refused.is_err());
    Ok(())
}
