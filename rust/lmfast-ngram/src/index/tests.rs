//! The index against the trie it was made of.

use lmfast_base::{Control, Result, threads};
use proptest::prelude::*;

use super::{Index, Piece};
use crate::corpus::Corpus;
use crate::model::{Kind, Model, ROOT};
use crate::pipeline::{Options, estimate};
use crate::vocabulary::Vocabulary;

fn model(sentences: &[Vec<u32>], vocab_size: u32, order: usize, prune: &[u64]) -> Result<Model> {
    let tokens: Vec<u32> = sentences.concat();
    let mut offsets = vec![0];
    for sentence in sentences {
        offsets.push(offsets[offsets.len() - 1] + sentence.len() as u64);
    }
    let control = Control::default();
    let corpus = Corpus::from_tokens(&tokens, &offsets, vocab_size, &control)?;
    let options = Options {
        order,
        prune: prune.to_vec(),
        vocabulary: None,
        discount_fallback: Some([0.5, 1.0, 1.5]),
        smoothing: crate::Smoothing::ModifiedKneserNey,
        interpolate_unigrams: true,
        vocab_pad: 0,
    };
    let words = (0..vocab_size).map(|word| word.to_string());
    Ok(estimate(corpus, Vocabulary::of_tokens(words), Kind::Tokens, &options, &control)?.0)
}

/// Log10 probabilities and matched orders, step by step through the trie.
fn stepped(model: &Model, words: &[u32], begins: bool) -> Vec<(u32, u8)> {
    let view = model.view();
    let mut state = if begins { view.begin() } else { ROOT };
    let step = |&word: &u32| {
        let (log10_prob, node, next) = view.step(state, word);
        state = next;
        (log10_prob.to_bits(), view.order_of(node))
    };
    words.iter().map(step).collect()
}

/// The same by the index.
fn walked(model: &Model, index: &Index, sentences: &[Vec<u32>], begins: bool) -> Vec<(u32, u8)> {
    let words = sentences.concat();
    let mut scores = vec![(0, 0); words.len()];
    let mut end = 0;
    let pieces = sentences.iter().flat_map(|sentence| {
        end += sentence.len();
        let start = end - sentence.len();
        Piece::of_sentence(start, start, end, begins, model.order())
    });
    index.walk(&words, pieces, |at, log10_prob, matched| {
        assert_eq!(scores[at].1, 0, "scored once");
        scores[at] = (log10_prob.to_bits(), matched);
    });
    scores
}

fn check(model: &Model, sentences: &[Vec<u32>]) -> Result<()> {
    let index = Index::build(model.view(), &Control::default())?.ok_or(lmfast_base::Error::Interrupted)?;
    for begins in [false, true] {
        let expected = sentences.iter().flat_map(|sentence| stepped(model, sentence, begins));
        assert_eq!(walked(model, &index, sentences, begins), expected.collect::<Vec<_>>());
    }
    Ok(())
}

fn sentences(vocab_size: u32) -> impl Strategy<Value = Vec<Vec<u32>>> {
    proptest::collection::vec(proptest::collection::vec(0..vocab_size, 0..12), 1..40)
}

proptest! {
    #[test]
    fn walks_as_the_trie_steps(
        training in sentences(9),
        queries in proptest::collection::vec(proptest::collection::vec(0_u32..14, 0..30), 1..60),
        order in 1_usize..7,
        prune in prop_oneof![Just(vec![0]), Just(vec![0, 1]), Just(vec![0, 0, 2]), Just(vec![1])],
    ) {
        let model = model(&training, 9, order, &prune[..prune.len().min(order)]);
        // Some small corpora give no model.
        if let Ok(model) = model {
            prop_assert!(check(&model, &queries).is_ok());
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter(training in sentences(40)) {
        let build = || -> Result<Index> {
            let model = model(&training, 40, 4, &[0])?;
            Index::build(model.view(), &Control::default())?.ok_or(lmfast_base::Error::Interrupted)
        };
        let of = |number| threads::pool(Some(number)).and_then(|pool| pool.install(build));
        if let (Ok(one), Ok(other)) = (of(1), of(3)) {
            prop_assert_eq!(one.middle.as_slice(), other.middle.as_slice());
            prop_assert_eq!(one.highest.as_slice(), other.highest.as_slice());
        }
    }
}

/// Words in an order without pattern.
fn drawn(count: usize, vocab_size: u32, seed: u64) -> Vec<u32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Low numbers are frequent.
        let [a, b] = [state >> 33, state >> 45].map(|bits| (bits % u64::from(vocab_size)) as u32);
        a.min(b)
    };
    (0..count).map(next).collect()
}

#[test]
fn long_sentences_and_many_n_grams() -> Result<()> {
    let training: Vec<Vec<u32>> = (0..300).map(|seed| drawn(200, 800, seed)).collect();
    let queries: Vec<Vec<u32>> =
        [0, 1, 3, 511, 512, 513, 3000, 20_000].map(|count| drawn(count, 810, count as u64 % 7)).to_vec();
    for order in [2, 3, 5] {
        check(&model(&training, 800, order, &[0])?, &queries)?;
    }
    Ok(())
}

/// An ARPA file without some of the n-grams that no longer one begins with, though longer ones may end with them.
fn thinned(arpa: &str, keep: impl Fn(usize) -> bool) -> String {
    let mut sections: Vec<Vec<&str>> = arpa
        .split("-grams:\n")
        .skip(1)
        .map(|section| section.lines().take_while(|line| !line.is_empty()).collect())
        .collect();
    for order in (1..sections.len().saturating_sub(1)).rev() {
        let words = |line: &&str| line.split('\t').nth(1).unwrap_or_default().to_owned();
        let contexts: std::collections::HashSet<String> = sections[order + 1]
            .iter()
            .map(|line| words(line).rsplit_once(' ').map_or(String::new(), |(context, _)| context.to_owned()))
            .collect();
        let mut number = 0;
        sections[order].retain(|line| {
            number += 1;
            contexts.contains(&words(line)) || keep(number)
        });
    }
    let counts = sections.iter().zip(1..).map(|(section, order)| format!("ngram {order}={}\n", section.len()));
    let sections =
        sections.iter().zip(1..).map(|(section, order)| format!("\n\\{order}-grams:\n{}\n", section.join("\n")));
    format!("\\data\\\n{}{}\n\\end\\\n", counts.collect::<String>(), sections.collect::<String>())
}

#[test]
fn models_without_some_ends() -> Result<()> {
    let folder = tempfile::tempdir().map_err(lmfast_base::Error::io("a temporary folder"))?;
    let (path, control) = (folder.path().join("m.arpa"), Control::default());
    let mut open = 0;
    for seed in 0..20_u64 {
        let training: Vec<Vec<u32>> = (0..20).map(|line| drawn(12, 9, 100 * seed + line)).collect();
        model(&training, 9, 3 + seed as usize % 3, &[0])?.save_arpa(&path, &control)?;
        let arpa = std::fs::read_to_string(&path).map_err(lmfast_base::Error::io(&path))?;
        let thin = thinned(&arpa, |number| number as u64 % 3 == seed % 3);
        std::fs::write(&path, thin).map_err(lmfast_base::Error::io(&path))?;
        let thin = Model::load(&path, &control)?;
        let queries: Vec<Vec<u32>> = (0..40).map(|line| drawn(15, 13, 7 * seed + line)).collect();
        check(&thin, &queries)?;
        let index = Index::build(thin.view(), &control)?;
        open += usize::from(index.is_some_and(|index| index.shape.closed == 0));
    }
    assert!(open > 5, "{open} models lack an end");
    Ok(())
}
