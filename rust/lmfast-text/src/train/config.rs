//! The settings of a training.

use std::sync::Arc;

use lmfast_base::{Error, Result};

use super::unigram;
use crate::Tokenizer;

/// What kind of vocabulary is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Byte-level byte pair encoding.
    #[default]
    Bpe,
    /// BERT's: words and their parts.
    WordPiece,
    /// Sentencepiece's: tokens with probabilities.
    Unigram,
    /// The words between white space.
    Word,
    /// The characters.
    Char,
}

impl Kind {
    /// How users spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpe => "bpe",
            Self::WordPiece => "wordpiece",
            Self::Unigram => "unigram",
            Self::Word => "word",
            Self::Char => "char",
        }
    }
}

/// The order of the 256 bytes in a vocabulary, which decides between equally frequent pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TieOrder {
    /// That of the characters that stand for them, as in `tokenizers`.
    #[default]
    Characters,
    /// Their own, as in minbpe and rustbpe.
    Bytes,
}

/// The settings of a training.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is made.
    pub kind: Kind,
    /// The number of tokens wanted, special ones included. Text that does not support so many gives fewer.
    pub vocab_size: usize,
    /// For [`Kind::Bpe`]: a name that [`crate::split::named`] knows, or a regular expression; none: GPT-2's.
    pub pattern: Option<String>,
    /// They come first. But for [`Kind::Bpe`] the first stands for what is unknown.
    pub special_tokens: Vec<String>,
    /// Pairs, words or characters that occur less often are left out.
    pub min_frequency: u64,
    /// For [`Kind::Bpe`]; none: that of `tokenizers`.
    pub tie_order: Option<TieOrder>,
    /// For [`Kind::WordPiece`]: so many characters, the most frequent, become tokens; others are unknown.
    pub limit_alphabet: Option<usize>,
    /// For [`Kind::WordPiece`] and [`Kind::Unigram`]: characters that become tokens whether they occur or not.
    pub initial_alphabet: Vec<char>,
    /// In characters, or bytes for [`Kind::Bpe`]: merges make tokens shorter than that, as in `tokenizers`; those of
    /// [`Kind::Unigram`] are at most as long, 16 if nothing is said.
    pub max_token_length: Option<usize>,
    /// For [`Kind::WordPiece`]: letters become small and lose their accents; none: yes.
    pub lowercase: Option<bool>,
    /// For [`Kind::Unigram`]: 256 tokens for the bytes of unknown characters; none: no.
    pub byte_fallback: Option<bool>,
    /// For [`Kind::Bpe`]: a tokenizer whose ids and merges are kept, and others added.
    pub continue_from: Option<Arc<Tokenizer>>,
    /// Threads that count; see [`lmfast_base::threads::count`].
    pub threads: Option<usize>,
}

impl Default for Config {
    /// GPT-2's settings, with a vocabulary of 32,768.
    fn default() -> Self {
        Self {
            kind: Kind::Bpe,
            vocab_size: 1 << 15,
            pattern: None,
            special_tokens: vec!["<|endoftext|>".to_owned()],
            min_frequency: 2,
            tie_order: None,
            limit_alphabet: None,
            initial_alphabet: Vec::new(),
            max_token_length: None,
            lowercase: None,
            byte_fallback: None,
            continue_from: None,
            threads: None,
        }
    }
}

impl Config {
    /// The special tokens, each once.
    pub(super) fn different_special_tokens(&self) -> Vec<String> {
        let mut tokens: Vec<String> = Vec::new();
        for token in &self.special_tokens {
            if !tokens.contains(token) {
                tokens.push(token.clone());
            }
        }
        tokens
    }

    /// Refuses what cannot be used, by name.
    pub(super) fn check(&self) -> Result<()> {
        if self.special_tokens.iter().any(String::is_empty) {
            return Err(Error::invalid("special_tokens: an empty token cannot be found in a text"));
        }
        self.check_kind()?;
        if self.max_token_length == Some(0) {
            return Err(Error::invalid("max_token_length=0: no token is so short"));
        }
        if self.limit_alphabet == Some(0) {
            return Err(Error::invalid("limit_alphabet=0: without a character there is no token"));
        }
        self.check_size()
    }

    /// Settings that mean nothing for this kind.
    fn check_kind(&self) -> Result<()> {
        use Kind::{Bpe, Unigram, WordPiece};
        let settings: [(&str, bool, &[Kind]); 8] = [
            ("pattern", self.pattern.is_some(), &[Bpe]),
            ("tie_order", self.tie_order.is_some(), &[Bpe]),
            ("limit_alphabet", self.limit_alphabet.is_some(), &[WordPiece]),
            ("initial_alphabet", !self.initial_alphabet.is_empty(), &[WordPiece, Unigram]),
            ("max_token_length", self.max_token_length.is_some(), &[Bpe, WordPiece, Unigram]),
            ("lowercase", self.lowercase.is_some(), &[WordPiece]),
            ("byte_fallback", self.byte_fallback.is_some(), &[Unigram]),
            ("continue_from", self.continue_from.is_some(), &[Bpe]),
        ];
        for (name, is_set, kinds) in settings {
            if is_set && !kinds.contains(&self.kind) {
                let kinds: Vec<String> = kinds.iter().map(|kind| format!("{:?}", kind.name())).collect();
                return Err(Error::invalid(format!(
                    "{name} is a setting of kind={}, not of kind={:?}: leave it out",
                    kinds.join(" and "),
                    self.kind.name()
                )));
            }
        }
        for (name, is_set) in [("pattern", self.pattern.is_some()), ("tie_order", self.tie_order.is_some())] {
            if is_set && self.continue_from.is_some() {
                return Err(Error::invalid(format!("{name}: it is that of continue_from, leave it out")));
            }
        }
        Ok(())
    }

    fn check_size(&self) -> Result<()> {
        let special = self.different_special_tokens();
        let (mut least, mut what) = match self.kind {
            Kind::Bpe => (256, "256 bytes".to_owned()),
            Kind::Unigram if self.byte_fallback == Some(true) => (257, "256 bytes, one token".to_owned()),
            Kind::WordPiece | Kind::Unigram | Kind::Word | Kind::Char => (1, "one token".to_owned()),
        };
        let mut new = special.len();
        if let Some(tokenizer) = &self.continue_from {
            least = tokenizer.vocab_size() as usize;
            what = format!("the {least} tokens of continue_from");
            new = special.iter().filter(|token| tokenizer.token_to_id(token).is_none()).count();
        }
        if self.vocab_size < least + new {
            let size = self.vocab_size;
            return Err(Error::invalid(format!(
                "vocab_size={size}: at least {} is needed, for {what} and {new} special tokens",
                least + new
            )));
        }
        let most = if self.kind == Kind::Unigram { unigram::MOST } else { 1 << 30 };
        if self.vocab_size > most {
            return Err(Error::invalid(format!("vocab_size={}: at most {most} is possible", self.vocab_size)));
        }
        match self.max_token_length {
            Some(length) if self.kind == Kind::Unigram && length > unigram::LONGEST => Err(Error::invalid(format!(
                "max_token_length={length}: at most {} is possible for kind=\"unigram\"",
                unigram::LONGEST
            ))),
            _ => Ok(()),
        }
    }
}
