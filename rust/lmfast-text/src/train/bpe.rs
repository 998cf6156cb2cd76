//! Training of byte pair encoding.
//!
//! The words become bytes, spelled in the byte alphabet, and are [merged](super::merge). A training that goes on from
//! a tokenizer begins with the tokens that this makes of the words.

use lmfast_base::{Control, Error, Result};
use rayon::ThreadPool;

use super::count::Counts;
use super::definition::Made;
use super::merge::{Rules, Tokens, merge};
use super::sequences::Sequences;
use super::{Config, TieOrder};
use crate::format::Model;
use crate::model::Scratch;
use crate::{Tokenizer, byte_chars};

/// Makes merges of counted pieces, which it takes to free their memory.
pub(super) fn train(counts: Counts, config: &Config, pool: &ThreadPool, control: &Control) -> Result<Made> {
    let mut tokens = Tokens::default();
    let mut words = Sequences::with_capacity(counts.len(), counts.iter().map(|(piece, _)| piece.len()).sum());
    let mut merges = if let Some(tokenizer) = &config.continue_from {
        go_on(tokenizer, counts, config, &mut tokens, &mut words, control)?
    } else {
        begin(counts, config, &mut tokens, &mut words, control)?;
        Vec::new()
    };
    let lengths = tokens.lengths();
    let rules = Rules {
        vocab_size: config.vocab_size,
        min_frequency: config.min_frequency,
        max_length: config.max_token_length.map_or(u64::MAX, |length| length as u64),
        prefix: "",
    };
    merges.extend(merge(&mut tokens, lengths, words, rules, pool, control)?);
    Ok(Made { tokens: tokens.into_spelled(), merges, scores: Vec::new() })
}

/// Special tokens and bytes.
fn begin(counts: Counts, config: &Config, tokens: &mut Tokens, words: &mut Sequences, control: &Control) -> Result<()> {
    for token in &config.special_tokens {
        tokens.id(token.clone());
    }
    let alphabet = match config.tie_order.unwrap_or_default() {
        TieOrder::Characters => byte_chars::alphabet(),
        TieOrder::Bytes => std::array::from_fn(|byte| byte as u8),
    };
    let mut byte_ids = [0; 256];
    for byte in alphabet {
        byte_ids[usize::from(byte)] = tokens.id(byte_chars::to_char(byte).to_string());
    }
    for part in counts.into_parts() {
        control.check()?;
        for (piece, count) in part.iter() {
            words.push(count, piece.iter().map(|&byte| byte_ids[usize::from(byte)]))?;
        }
    }
    Ok(())
}

/// The tokens of a tokenizer, then new special ones; gives its merges.
fn go_on(
    tokenizer: &Tokenizer,
    counts: Counts,
    config: &Config,
    tokens: &mut Tokens,
    words: &mut Sequences,
    control: &Control,
) -> Result<Vec<(u32, u32, u32)>> {
    let definition = tokenizer.definition();
    let Model::Bpe(settings) = &definition.model else {
        return Err(Error::invalid("continue_from: a byte-level BPE is wanted, and this is a model of another type"));
    };
    if !tokenizer.cut.byte_level {
        return Err(Error::invalid("continue_from: a byte-level BPE is wanted, and this one merges characters"));
    }
    for (token, id) in tokenizer.vocab() {
        tokens.skip_to(id);
        tokens.id(token.to_owned());
    }
    for token in &config.special_tokens {
        tokens.id(token.clone());
    }
    let (mut scratch, mut ids) = (Scratch::default(), Vec::new());
    for part in counts.into_parts() {
        for (index, (piece, count)) in part.iter().enumerate() {
            if index % 256 == 0 {
                control.check()?;
            }
            let piece =
                std::str::from_utf8(piece).map_err(|error| Error::invalid(format!("a piece is not text: {error}")))?;
            ids.clear();
            tokenizer.encoder.encode(piece, &mut scratch, &mut ids, None, control)?;
            words.push(count, ids.iter().copied())?;
        }
    }
    Ok(settings.merges.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::tokenizer_of;
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
                vocab_size: 256 + merges, pattern: Some(r"\n".to_owned()), special_tokens: Vec::new(), min_frequency,
                threads: Some(1), ..Config::default()
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

    /// Texts of a few letters, with words that come again.
    fn texts() -> Vec<String> {
        let words = ["walk", "walked", "walking", "talk", "talking", "\u{e9}t\u{e9}", "aaaa", "\u{4e2d}\u{6587}"];
        (0..200).map(|index| format!("{} {} ", words[index % 8], words[index * index % 7])).collect()
    }

    fn config(vocab_size: usize) -> Config {
        Config { vocab_size, min_frequency: 0, ..Config::default() }
    }

    fn file(tokenizer: &Tokenizer) -> String {
        tokenizer.to_json().expect("writes")
    }

    #[test]
    fn going_on_is_as_if_one_had_not_stopped() {
        let whole = tokenizer_of(&texts(), &config(285));
        let begun = tokenizer_of(&texts(), &config(270));
        let on = |special: &[&str], size| Config {
            continue_from: Some(std::sync::Arc::new(tokenizer_of(&texts(), &config(270)))),
            special_tokens: special.iter().map(ToString::to_string).collect(),
            ..config(size)
        };
        assert_eq!(file(&tokenizer_of(&texts(), &on(&["<|endoftext|>"], 285))), file(&whole));
        assert_eq!(file(&tokenizer_of(&texts(), &on(&[], 270))), file(&begun));
        let more = tokenizer_of(&texts(), &on(&["<new>"], 286));
        assert_eq!((more.token_to_id("<new>"), more.special_tokens().count()), (Some(270), 2));
        assert!(begun.vocab().into_iter().all(|(token, id)| more.token_to_id(token) == Some(id)));
    }

    #[test]
    fn bytes_come_in_their_own_order_where_asked() {
        let bytes = Config { tie_order: Some(TieOrder::Bytes), special_tokens: Vec::new(), ..config(270) };
        let tokenizer = tokenizer_of(&texts(), &bytes);
        for byte in 0..=255 {
            let letter = byte_chars::to_char(byte).to_string();
            assert_eq!(tokenizer.token_to_id(&letter), Some(u32::from(byte)));
        }
        assert_ne!(file(&tokenizer), file(&tokenizer_of(&texts(), &Config { tie_order: None, ..bytes })));
    }

    #[test]
    fn merges_stay_below_the_longest_length() {
        let tokenizer = tokenizer_of(&texts(), &Config { max_token_length: Some(4), ..config(280) });
        assert!(tokenizer.vocab_size() > 260);
        let merged = tokenizer.vocab().into_iter().skip(257);
        assert!(merged.map(|(token, _)| token.chars().count()).all(|length| length < 4));
    }
}
