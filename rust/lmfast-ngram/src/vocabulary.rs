//! Words and their ids: one layout, whether it grows in memory or is mapped from a file.
//!
//! `text` holds the words one behind the other, `ends[id]` where word `id` ends. `slots` is a hash table with linear
//! probing whose size is a power of two: 0 is an empty slot, any other holds the upper half of the word's `XXH3` hash
//! above its id. The search starts at the hash modulo the size. The unknown word is in no slot: whatever is not found is unknown.

use std::ops::Range;

use lmfast_base::prefetch;
use xxhash_rust::xxh3::xxh3_64;

use crate::corpus::UNKNOWN;
use crate::model::Column;

/// The words of a model, by id.
#[derive(Debug, Default)]
pub struct Vocabulary {
    pub(crate) text: Column<u8>,
    pub(crate) ends: Column<u64>,
    pub(crate) slots: Column<u64>,
}

impl Vocabulary {
    /// The special words, and behind them the tokens of a tokenizer by id.
    pub fn of_tokens(tokens: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut builder = Builder::new();
        for token in tokens {
            builder.append(token.as_ref());
        }
        builder.finish()
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.ends.as_slice().len()
    }

    /// How many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.text.as_slice().len() + size_of_val(self.ends.as_slice()) + size_of_val(self.slots.as_slice())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spelling of a word.
    pub fn word(&self, id: u32) -> &str {
        std::str::from_utf8(word_bytes(self.text.as_slice(), self.ends.as_slice(), id)).unwrap_or_default()
    }

    /// The special words and those of the others that are kept, which move up.
    pub(crate) fn keep(&self, keeps: impl Fn(u32) -> bool) -> Self {
        let mut builder = Builder::new();
        for id in (builder.len() as u32..self.len() as u32).filter(|&id| keeps(id)) {
            builder.append(self.word(id));
        }
        builder.finish()
    }

    /// The hash table, as small as it can be and be quick: at most three quarters are taken.
    pub(crate) fn packed_slots(&self) -> Vec<u64> {
        let mut ids: Vec<u32> =
            self.slots.as_slice().iter().filter(|&&slot| slot != 0).map(|&slot| slot as u32).collect();
        ids.sort_unstable();
        let mut slots = vec![0; (ids.len() * 4 / 3 + 1).next_power_of_two()];
        for id in ids {
            insert(&mut slots, xxh3_64(word_bytes(self.text.as_slice(), self.ends.as_slice(), id)), id);
        }
        slots
    }

    /// A view for many look-ups.
    pub fn lookup(&self) -> Lookup<'_> {
        Lookup { text: self.text.as_slice(), ends: self.ends.as_slice(), slots: self.slots.as_slice() }
    }
}

/// Finds words by their spelling.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    text: &'a [u8],
    ends: &'a [u64],
    slots: &'a [u64],
}

impl Lookup<'_> {
    /// The id of a word, unless it is unknown.
    pub fn find(&self, word: &[u8]) -> Option<u32> {
        self.find_hashed(word, Self::hash(word))
    }

    pub(crate) fn hash(word: &[u8]) -> u64 {
        xxh3_64(word)
    }

    /// The slots in which a word may lie that has a hash, up to the first that is empty.
    fn slots(&self, hash: u64) -> impl Iterator<Item = u64> {
        let mask = self.slots.len().wrapping_sub(1);
        let slot = move |step| self.slots.get((hash as usize).wrapping_add(step) & mask).copied().unwrap_or(0);
        (0..self.slots.len()).map(slot).take_while(|&slot| slot != 0)
    }

    /// The id of a word whose hash is known.
    pub(crate) fn find_hashed(&self, word: &[u8], hash: u64) -> Option<u32> {
        let is_it = |&slot: &u64| slot >> 32 == hash >> 32 && self.word(slot as u32) == word;
        self.slots(hash).find(is_it).map(|slot| slot as u32)
    }

    /// Asks for the memory that [`likely`](Self::likely) reads.
    pub(crate) fn prepare(&self, hash: u64) {
        prefetch(self.slots, hash as usize & self.slots.len().wrapping_sub(1));
    }

    /// The first word whose hash is the same as far as that is kept, else the unknown one; asks for its end.
    pub(crate) fn likely(&self, hash: u64) -> u32 {
        let likely = self.slots(hash).find(|slot| slot >> 32 == hash >> 32).map_or(UNKNOWN, |slot| slot as u32);
        prefetch(self.ends, (likely as usize).saturating_sub(1));
        likely
    }

    /// Asks for the spelling of a word.
    pub(crate) fn prepare_word(&self, id: u32) {
        prefetch(self.text, word_place(self.ends, id).start);
    }

    /// The spelling of a word.
    pub(crate) fn word(&self, id: u32) -> &[u8] {
        word_bytes(self.text, self.ends, id)
    }

    /// The id of a word, or that of the unknown word.
    pub fn id(&self, word: &[u8]) -> u32 {
        self.find(word).unwrap_or(UNKNOWN)
    }
}

/// Where the spelling of a word lies.
fn word_place(ends: &[u64], id: u32) -> Range<usize> {
    let end = ends.get(id as usize).map_or(0, |&end| end as usize);
    let start = (id as usize).checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |&start| start as usize);
    start..end
}

fn word_bytes<'a>(text: &'a [u8], ends: &[u64], id: u32) -> &'a [u8] {
    text.get(word_place(ends, id)).unwrap_or_default()
}

/// Gives a word the next slot that is empty; there must be one.
fn insert(slots: &mut [u64], hash: u64, id: u32) {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    while slots[at] != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = hash >> 32 << 32 | u64::from(id);
}

/// A vocabulary that grows.
#[derive(Debug)]
pub(crate) struct Builder {
    text: Vec<u8>,
    ends: Vec<u64>,
    slots: Vec<u64>,
}

impl Builder {
    /// Holds `<unk>`, `<s>` and `</s>`.
    pub(crate) fn new() -> Self {
        let mut builder = Self { text: Vec::new(), ends: Vec::new(), slots: vec![0; 1 << 10] };
        for word in ["<unk>", "<s>", "</s>"] {
            builder.append(word);
        }
        builder
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup { text: &self.text, ends: &self.ends, slots: &self.slots }
    }

    /// The id of a word, which is new if the word is.
    pub(crate) fn find_or_append(&mut self, word: &str) -> u32 {
        self.lookup().find(word.as_bytes()).unwrap_or_else(|| self.append(word))
    }

    /// Gives the next id to a word. A word that is there already keeps being found under its first id.
    pub(crate) fn append(&mut self, word: &str) -> u32 {
        let id = self.ends.len() as u32;
        let new = self.lookup().find(word.as_bytes()).is_none();
        self.text.extend_from_slice(word.as_bytes());
        self.ends.push(self.text.len() as u64);
        if id != UNKNOWN && new {
            if 2 * self.ends.len() > self.slots.len() {
                self.grow();
            }
            insert(&mut self.slots, xxh3_64(word.as_bytes()), id);
        }
        id
    }

    /// Doubles the table. Words go in by id, so that the table depends on the words alone.
    fn grow(&mut self) {
        let mut ids: Vec<u32> = self.slots.iter().filter(|&&slot| slot != 0).map(|&slot| slot as u32).collect();
        ids.sort_unstable();
        self.slots = vec![0; 2 * self.slots.len()];
        for id in ids {
            insert(&mut self.slots, xxh3_64(word_bytes(&self.text, &self.ends, id)), id);
        }
    }

    /// The same words but one, whose followers move up.
    pub(crate) fn without(&self, left_out: u32) -> Self {
        let mut builder = Self::new();
        for id in builder.len() as u32..self.len() as u32 {
            if id != left_out {
                let word = word_bytes(&self.text, &self.ends, id);
                builder.append(std::str::from_utf8(word).unwrap_or_default());
            }
        }
        builder
    }

    pub(crate) fn finish(self) -> Vocabulary {
        Vocabulary { text: self.text.into(), ends: self.ends.into(), slots: self.slots.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_under_its_first_id() {
        let mut builder = Builder::new();
        let words: Vec<String> = (0..5000).map(|number| format!("w{}", number * 7919 % 3000)).collect();
        let ids: Vec<u32> = words.iter().map(|word| builder.find_or_append(word)).collect();
        let vocabulary = builder.finish();
        assert_eq!(vocabulary.len(), 3003);
        for (word, id) in words.iter().zip(ids) {
            assert_eq!(vocabulary.lookup().find(word.as_bytes()), Some(id));
            assert_eq!(vocabulary.word(id), word);
        }
        assert_eq!(vocabulary.lookup().id(b"w3000"), UNKNOWN);
        assert_eq!(vocabulary.lookup().find(b"<unk>"), None);
        assert_eq!(vocabulary.lookup().find(b"</s>"), Some(2));
    }
}
