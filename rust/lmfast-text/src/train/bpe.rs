//! Training of byte pair encoding.
//!
//! Again and again the most frequent pair of neighbouring tokens becomes a token (Sennrich et al. 2016, algorithm 1), of
//! equally frequent ones the pair of the lowest ids. Kept are, for each pair, its count, and the words where it was
//! when it was last queued; a merge visits only those words, and a queue entry whose count is out of date is queued
//! again with the right one.
//!
//! Everything that decides the result is that of `tokenizers` (`BpeTrainer::do_train`), its corner cases included: a
//! merge that spells a token which is already there takes that token's id; the count of a merged pair itself is not
//! lowered; when such a pair comes up again it is queued with the new words alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lmfast_base::{Control, Result};
use rustc_hash::FxHashMap;

use super::Config;
use super::count::Counts;
use crate::byte_chars;

/// Tokens in the order of their ids, and merges (left, right, merged) by rank.
pub(super) type Trained = (Vec<String>, Vec<(u32, u32, u32)>);

/// Merges until the vocabulary is full, or no pair is frequent enough. Takes the counts, to free their memory.
pub(super) fn train(counts: Counts, config: &Config, control: &Control) -> Result<Trained> {
    let mut tokens = Tokens::default();
    for token in &config.special_tokens {
        tokens.id(token.clone());
    }
    let mut byte_ids = [0; 256];
    for byte in byte_chars::alphabet() {
        byte_ids[usize::from(byte)] = tokens.id(byte_chars::to_char(byte).to_string());
    }
    control.begin("merging", config.vocab_size.saturating_sub(tokens.spelled.len()) as u64);
    let mut words = Words::new(&counts, &byte_ids);
    drop(counts);
    let mut pairs = Pairs::default();
    words.count_pairs(&mut pairs, control)?;
    let mut queue = BinaryHeap::new();
    pairs.queue_changed(&mut queue);

    let mut merges = Vec::new();
    while tokens.spelled.len() < config.vocab_size {
        control.check()?;
        let Some(mut top) = queue.pop() else { break };
        let Reverse(pair) = top.pair;
        let count = pairs.count(pair);
        if top.count != count {
            top.count = count;
            queue.push(top);
            continue;
        }
        if count < config.min_frequency.max(1) {
            break;
        }
        let (left, right) = ((pair >> 32) as u32, pair as u32);
        let before = tokens.spelled.len();
        let merged = tokens.id([tokens.spelled[left as usize].as_str(), &tokens.spelled[right as usize]].concat());
        control.advance((tokens.spelled.len() - before) as u64);
        merges.push((left, right, merged));
        for &word in &top.words {
            words.merge(word, (left, right, merged), &mut pairs);
        }
        pairs.queue_changed(&mut queue);
    }
    Ok((tokens.spelled, merges))
}

/// Tokens by id and ids by token.
#[derive(Default)]
struct Tokens {
    spelled: Vec<String>,
    ids: FxHashMap<String, u32>,
}

impl Tokens {
    /// The id of a token, which is added if it is new.
    fn id(&mut self, token: String) -> u32 {
        *self.ids.entry(token).or_insert_with_key(|token| {
            self.spelled.push(token.clone());
            self.spelled.len() as u32 - 1
        })
    }
}

/// A queued pair; the greatest is the most frequent, of equals the one of the lowest ids.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Queued {
    count: u64,
    pair: Reverse<u64>,
    /// Where it was when it was queued, in ascending order.
    words: Vec<u32>,
}

/// The words of the text as tokens, one behind the other; a word shrinks in its place.
struct Words {
    symbols: Vec<u32>,
    words: Vec<Word>,
}

struct Word {
    start: usize,
    length: usize,
    count: u64,
}

impl Words {
    /// Words of a single byte have no pair and are left out.
    fn new(counts: &Counts, byte_ids: &[u32; 256]) -> Self {
        let mut words = Self { symbols: Vec::new(), words: Vec::new() };
        for (piece, count) in counts.iter().filter(|(piece, _)| piece.len() > 1) {
            words.words.push(Word { start: words.symbols.len(), length: piece.len(), count });
            words.symbols.extend(piece.iter().map(|&byte| byte_ids[usize::from(byte)]));
        }
        words
    }

    fn count_pairs(&self, pairs: &mut Pairs, control: &Control) -> Result<()> {
        for (number, word) in self.words.iter().enumerate() {
            if number % 4096 == 0 {
                control.check()?;
            }
            for window in self.symbols[word.start..word.start + word.length].windows(2) {
                pairs.add(window[0], window[1], word.count, number as u32);
            }
        }
        Ok(())
    }

    /// Merges a pair in a word from left to right, and counts the pairs that this unmakes and makes.
    fn merge(&mut self, number: u32, (left, right, merged): (u32, u32, u32), pairs: &mut Pairs) {
        let word = &mut self.words[number as usize];
        let symbols = &mut self.symbols[word.start..word.start + word.length];
        let (mut read, mut write) = (0, 0);
        while read < symbols.len() {
            let symbol = symbols[read];
            if symbol == left && symbols.get(read + 1) == Some(&right) {
                if write > 0 {
                    let before = symbols[write - 1];
                    pairs.subtract(before, left, word.count);
                    pairs.add(before, merged, word.count, number);
                }
                if let Some(&after) = symbols.get(read + 2) {
                    pairs.subtract(right, after, word.count);
                    pairs.add(merged, after, word.count, number);
                }
                symbols[write] = merged;
                read += 2;
            } else {
                symbols[write] = symbol;
                read += 1;
            }
            write += 1;
        }
        word.length = write;
    }
}

/// The count of every pair met, and the words where pairs came up since they were last queued.
#[derive(Default)]
struct Pairs {
    numbers: FxHashMap<u64, u32>,
    states: Vec<PairState>,
    changed: Vec<u32>,
}

struct PairState {
    pair: u64,
    count: u64,
    words: Vec<u32>,
}

impl Pairs {
    fn count(&self, pair: u64) -> u64 {
        self.numbers.get(&pair).map_or(0, |&number| self.states[number as usize].count)
    }

    fn add(&mut self, left: u32, right: u32, count: u64, word: u32) {
        let pair = pack(left, right);
        let number = *self.numbers.entry(pair).or_insert_with(|| {
            self.states.push(PairState { pair, count: 0, words: Vec::new() });
            self.states.len() as u32 - 1
        });
        let state = &mut self.states[number as usize];
        state.count += count;
        if state.words.is_empty() {
            self.changed.push(number);
        }
        if state.words.last() != Some(&word) {
            state.words.push(word);
        }
    }

    /// Every pair that is unmade has been counted.
    fn subtract(&mut self, left: u32, right: u32, count: u64) {
        if let Some(&number) = self.numbers.get(&pack(left, right)) {
            let state = &mut self.states[number as usize];
            state.count = state.count.saturating_sub(count);
        }
    }

    /// Queues the pairs that came up.
    fn queue_changed(&mut self, queue: &mut BinaryHeap<Queued>) {
        for number in self.changed.drain(..) {
            let state = &mut self.states[number as usize];
            let words = std::mem::take(&mut state.words);
            if state.count > 0 {
                queue.push(Queued { count: state.count, pair: Reverse(state.pair), words });
            }
        }
    }
}

/// Two numbers in one.
fn pack(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Kind, tests::tokenizer_of};
    use proptest::prelude::*;

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
