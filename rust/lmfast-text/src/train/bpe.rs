//! Training of byte pair encoding.
//!
//! The words become bytes, spelled in the byte alphabet, and are [merged](super::merge).

use lmfast_base::{Control, Result};

use super::Config;
use super::count::Counts;
use super::merge::{Rules, Tokens, merge};
use super::sequences::Sequences;
use crate::byte_chars;

/// Tokens in the order of their ids, and merges (left, right, merged) by rank.
pub(super) type Trained = (Vec<String>, Vec<(u32, u32, u32)>);

/// Makes merges of counted pieces, which it takes to free their memory.
pub(super) fn train(counts: Counts, config: &Config, control: &Control) -> Result<Trained> {
    let mut tokens = Tokens::default();
    for token in &config.special_tokens {
        tokens.id(token.clone());
    }
    let mut byte_ids = [0; 256];
    for byte in byte_chars::alphabet() {
        byte_ids[usize::from(byte)] = tokens.id(byte_chars::to_char(byte).to_string());
    }
    let lengths = vec![1; tokens.len()];
    let mut words = Sequences::default();
    for part in counts.into_parts() {
        control.check()?;
        for (piece, count) in part.iter() {
            words.push(count, piece.iter().map(|&byte| byte_ids[usize::from(byte)]))?;
        }
    }
    let rules =
        Rules { vocab_size: config.vocab_size, min_frequency: config.min_frequency, max_length: u64::MAX, prefix: "" };
    let merges = merge(&mut tokens, lengths, words, rules, control)?;
    Ok((tokens.into_spelled(), merges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Kind, tests::tokenizer_of};
    use proptest::prelude::*;
    use std::cmp::Reverse;

    /// Counts all pairs of all words anew before each merge.
    fn naive(words: &[(&str, u64)], merges: usize, min_frequency: u64) -> Vec<(String, String)> {
        let mut words: Vec<(Vec<String>, u64)> = words
            .iter()
            .map(|(word, count)| (word.bytes().map(|byte| byte_chars::to_char(byte).to_string()).collect(), *count))
            .collect();
        let mut ids: Vec<String> =
            byte_chars::alphabet().iter().map(|&byte| byte_chars::to_char(byte).to_string()).collect();
        let mut found = Vec::new();
        while ids.len() < 256 + merges {
            let mut counts = std::collections::BTreeMap::<(usize, usize), u64>::new();
            let id = |token: &String| ids.iter().position(|known| known == token).expect("is a token");
            for (word, count) in &words {
                for pair in word.windows(2) {
                    *counts.entry((id(&pair[0]), id(&pair[1]))).or_default() += count;
                }
            }
            let Some((&(left, right), &count)) = counts.iter().max_by_key(|&(pair, count)| (count, Reverse(pair)))
            else {
                break;
            };
            if count < min_frequency.max(1) {
                break;
            }
            let merged = [ids[left].clone(), ids[right].clone()].concat();
            found.push((ids[left].clone(), ids[right].clone()));
            for (word, _) in &mut words {
                let mut at = 0;
                while at + 1 < word.len() {
                    if word[at] == ids[left] && word[at + 1] == ids[right] {
                        word.splice(at..at + 2, [merged.clone()]);
                    }
                    at += 1;
                }
            }
            if !ids.contains(&merged) {
                ids.push(merged);
            }
        }
        found
    }

    proptest! {
        #[test]
        fn equals_counting_anew(
            words in prop::collection::btree_map("[ab]{1,7}|[a-d]{1,5}", 1..5_u64, 1..12), merges in 1..20_usize, min_frequency in 0..4_u64
        ) {
            let words: Vec<(&str, u64)> = words.iter().map(|(word, &count)| (word.as_str(), count)).collect();
            let text: Vec<String> = words.iter().map(|(word, count)| format!("{word}\n").repeat(*count as usize)).collect();
            let expected = naive(&words, merges, min_frequency);
            let config = Config {
                vocab_size: 256 + merges, pattern: r"\n".to_owned(), special_tokens: Vec::new(), min_frequency, threads: Some(1), kind: Kind::Bpe,
            };
            let tokenizer = tokenizer_of(&text, &config);
            let json: serde_json::Value = serde_json::from_str(&tokenizer.to_json().expect("writes")).expect("is JSON");
            let found: Vec<(String, String)> = serde_json::from_value(json["model"]["merges"].clone()).expect("are pairs");
            // When a merge spells a token that is there, counts go their own way from then on, as in tokenizers.
            let distinct: std::collections::BTreeSet<String> = expected.iter().map(|(left, right)| [left.as_str(), right].concat()).collect();
            if distinct.len() == expected.len() {
                prop_assert_eq!(found, expected);
            }
        }
    }
}
