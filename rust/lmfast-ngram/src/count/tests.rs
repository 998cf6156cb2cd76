use std::collections::BTreeMap;

use lmfast_base::Control;
use proptest::prelude::*;

use super::count_wide;
use super::trie::Counted;
use crate::corpus::{BEGIN, Corpus, END};

/// How often each n-gram of an order occurs.
fn expected(sentences: &[Vec<u32>], order: usize) -> BTreeMap<Vec<u32>, u32> {
    let mut grams = BTreeMap::new();
    for window in sentences.iter().flat_map(|sentence| sentence.windows(order)) {
        *grams.entry(window.to_vec()).or_default() += 1;
    }
    grams
}

/// The words of every n-gram, by order and number.
fn spelled(counted: &Counted) -> Vec<Vec<Vec<u32>>> {
    let mut levels = vec![Vec::new(); counted.sizes.len()];
    for part in &counted.parts {
        let mut below: Vec<Vec<u32>> = part.first_words.clone().map(|word| vec![word]).collect();
        for level in 1..levels.len() {
            let mut grams = Vec::new();
            for (context, children) in below.iter().zip(part.levels[level - 1].children.windows(2)) {
                for &word in &part.levels[level].words[children[0] as usize..children[1] as usize] {
                    grams.push([context.as_slice(), &[word]].concat());
                }
            }
            levels[level - 1].append(&mut below);
            below = grams;
        }
        levels[counted.sizes.len() - 1].append(&mut below);
    }
    levels
}

proptest! {
    #[test]
    fn the_trie_holds_what_a_map_does(
        sentences in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0_u32), 3_u32..7], 0..9), 1..20),
        order in 1..15_usize,
        wide in prop::sample::select(vec![7, 1000, 1_000_000, 2_000_000_000]),
        all in any::<bool>(),
    ) {
        let sentences: Vec<Vec<u32>> =
            sentences.iter().map(|words| [&[BEGIN], words.as_slice(), &[END]].concat()).collect();
        let corpus = Corpus::from_sentences(&sentences.concat(), 7)?;
        let bits = (u32::BITS - u32::leading_zeros(wide)) as usize;
        let counted = match (order - 1) * bits {
            0..=96 => count_wide::<1>(&corpus, order, bits, all, &Control::default())?,
            _ => count_wide::<5>(&corpus, order, bits, all, &Control::default())?,
        };
        let found = spelled(&counted);
        for (level, found) in found.iter().enumerate() {
            let expected = expected(&sentences, level + 1);
            let unigrams: Vec<Vec<u32>> = (0..7).map(|word| vec![word]).collect();
            let words = if level == 0 { unigrams } else { expected.keys().cloned().collect() };
            prop_assert_eq!(found, &words);
            prop_assert_eq!(found.len(), counted.sizes[level]);
            for (number, words) in (0..).zip(found) {
                prop_assert_eq!(counted.find(words), Some(number));
            }
        }
        prop_assert_eq!(counted.find(&[3, BEGIN][..order.min(2)]), (order == 1).then_some(3));
        let (part, ranges) = &counted.begin;
        for (level, found) in found.iter().enumerate() {
            let base = counted.parts[*part].bases[level] as usize;
            let begin = base + ranges[level].start..base + ranges[level].end;
            prop_assert!((0..).zip(found).all(|(number, words)| begin.contains(&number) == (words[0] == BEGIN)));
        }
        for part in &counted.parts {
            for (level, tokens) in part.levels.iter().map(|level| &level.tokens).enumerate() {
                if level == 0 || level == order - 1 || all || part.first_words.contains(&BEGIN) {
                    prop_assert_eq!(tokens.len(), part.size(level));
                    let grams = &found[level][part.bases[level] as usize..][..tokens.len()];
                    let expected = expected(&sentences, level + 1);
                    for (words, tokens) in grams.iter().zip(tokens).filter(|(words, _)| *words != &[BEGIN]) {
                        prop_assert_eq!(*tokens, expected.get(words).copied().unwrap_or_default());
                    }
                }
                if level > 0 {
                    let grams = &found[level][part.bases[level] as usize..][..part.size(level)];
                    for (words, &suffix) in grams.iter().zip(part.levels[level].suffixes()) {
                        prop_assert_eq!(&found[level - 1][suffix as usize], &words[1..]);
                    }
                }
            }
        }
    }
}
