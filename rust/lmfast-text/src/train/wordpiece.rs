//! Training of `WordPiece`: characters are [merged](super::merge), and those that do not begin a word are tokens of
//! their own, spelled with a prefix, as by the `WordPieceTrainer` of `tokenizers`. There the ids of such characters
//! differ from run to run; here they come in the order of the characters.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use lmfast_base::{Control, Result};
use rayon::ThreadPool;

use super::Config;
use super::count::Counts;
use super::merge::{Rules, Tokens, merge};
use super::sequences::Sequences;

/// What tokens that do not begin a word begin with.
pub(super) const PREFIX: &str = "##";

/// Makes tokens, in the order of their ids, of counted words, which it takes to free their memory.
pub(super) fn train(counts: Counts, config: &Config, pool: &ThreadPool, control: &Control) -> Result<Vec<String>> {
    let (alphabet, behind) = alphabet(&counts, config, control)?;
    let mut tokens = Tokens::default();
    for token in &config.special_tokens {
        tokens.id(token.clone());
    }
    let mut lengths = tokens.lengths();
    let first: BTreeMap<char, u32> =
        alphabet.iter().map(|&character| (character, tokens.id(character.to_string()))).collect();
    let others: BTreeMap<char, u32> =
        behind.iter().map(|&character| (character, tokens.id(format!("{PREFIX}{character}")))).collect();
    lengths.resize(tokens.len(), 1);
    let mut words = Sequences::default();
    for part in counts.into_parts() {
        control.check()?;
        for (word, count) in part.iter() {
            let characters = String::from_utf8_lossy(word);
            let ids = characters
                .chars()
                .enumerate()
                .filter_map(|(index, character)| if index == 0 { &first } else { &others }.get(&character).copied());
            words.push(count, ids)?;
        }
    }
    let rules = Rules {
        vocab_size: config.vocab_size,
        min_frequency: config.min_frequency,
        max_length: config.max_token_length.map_or(u64::MAX, |length| length as u64),
        prefix: PREFIX,
    };
    merge(&mut tokens, lengths, words, rules, pool, control)?;
    Ok(tokens.into_spelled().into_iter().flatten().collect())
}

/// The characters that become tokens, and those of them that occur behind another one.
fn alphabet(counts: &Counts, config: &Config, control: &Control) -> Result<(BTreeSet<char>, BTreeSet<char>)> {
    let (mut often, mut behind) = (BTreeMap::<char, u64>::new(), BTreeSet::new());
    for (index, (word, count)) in counts.iter().enumerate() {
        if index % (1 << 12) == 0 {
            control.check()?;
        }
        for (place, character) in String::from_utf8_lossy(word).chars().enumerate() {
            *often.entry(character).or_default() += count;
            if place > 0 {
                behind.insert(character);
            }
        }
    }
    often.extend(config.initial_alphabet.iter().map(|&character| (character, u64::MAX)));
    let mut kept: Vec<(Reverse<u64>, char)> =
        often.into_iter().map(|(character, count)| (Reverse(count), character)).collect();
    kept.sort_unstable();
    kept.truncate(config.limit_alphabet.unwrap_or(usize::MAX));
    let alphabet: BTreeSet<char> = kept.into_iter().map(|(_, character)| character).collect();
    behind.retain(|character| alphabet.contains(character));
    Ok((alphabet, behind))
}
