//! Vocabularies from text.
//!
//! Input: batches of documents. The pieces of all documents are [counted](count) on every core; then byte pairs are
//! [merged](bpe), or the most frequent pieces are [taken as they are](words). Output: a [`Tokenizer`] that depends on
//! the text and the settings alone, and equals that of `tokenizers` for the same text and settings.

mod bpe;
mod count;
mod merge;
mod neighbours;
mod pairs;
mod queue;
mod sequences;
mod table;
mod unigram;
mod wordpiece;
mod words;

use lmfast_base::source::Documents;
use lmfast_base::{Control, Error, Result, threads};

use crate::Tokenizer;
use crate::added::AddedToken;
use crate::cut::Cut;
use crate::format::components::{Behavior, Decoder, PreTokenizer, SplitPattern};
use crate::format::{BpeSettings, Definition, Model};
use crate::split::{self, gpt2};
use crate::vocabulary::Vocabulary;

/// What kind of vocabulary is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Byte-level byte pair encoding.
    #[default]
    Bpe,
    /// The words between white space.
    Word,
    /// The characters.
    Char,
}

/// The settings of a training.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is made.
    pub kind: Kind,
    /// The number of tokens wanted, special ones included. Text that does not support so many gives fewer.
    pub vocab_size: usize,
    /// For [`Kind::Bpe`]: a name that [`split::named`] knows, or a regular expression.
    pub pattern: String,
    /// They come first. For words and characters the first stands for what is unknown.
    pub special_tokens: Vec<String>,
    /// Pairs, words or characters that occur less often are left out.
    pub min_frequency: u64,
    /// Threads that count; see [`lmfast_base::threads::count`].
    pub threads: Option<usize>,
}

impl Default for Config {
    /// GPT-2's settings, with a vocabulary of 32,768.
    fn default() -> Self {
        Self {
            kind: Kind::Bpe,
            vocab_size: 1 << 15,
            pattern: "gpt2".to_owned(),
            special_tokens: vec!["<|endoftext|>".to_owned()],
            min_frequency: 2,
            threads: None,
        }
    }
}

/// Makes a vocabulary from documents, whose `source_bytes` add up to `source_bytes` (0: unknown).
///
/// # Errors
/// Those of the documents; [`Error::Invalid`] for a setting that cannot be used.
pub fn train(
    documents: impl Iterator<Item = Result<Documents>> + Send,
    source_bytes: u64,
    config: &Config,
    control: &Control,
) -> Result<Tokenizer> {
    if config.special_tokens.iter().any(String::is_empty) {
        return Err(Error::invalid("special_tokens: an empty token cannot be found in a text"));
    }
    let (least, what) = match config.kind {
        Kind::Bpe => (256 + distinct(config), "256 bytes and"),
        Kind::Word | Kind::Char => (distinct(config) + 1, "one token and"),
    };
    if config.vocab_size < least {
        return Err(Error::invalid(format!(
            "vocab_size={}: at least {least} is needed, for {what} {} special tokens",
            config.vocab_size,
            distinct(config)
        )));
    }
    if config.vocab_size > 1 << 30 {
        return Err(Error::invalid(format!("vocab_size={}: at most 2**30 is possible", config.vocab_size)));
    }
    let pre_tokenizer = pre_tokenizer(config);
    let split = Cut::new(Some(&pre_tokenizer)).map_err(Error::invalid)?.split;
    let pool = threads::pool(config.threads)?;
    let counts = count::count(documents, source_bytes, split.as_ref(), &pool, control)?;
    if counts.is_empty() {
        return Err(Error::invalid("the text is empty: there is nothing to make a vocabulary from"));
    }
    let (tokens, model, decoder) = match config.kind {
        Kind::Bpe => {
            let (tokens, merges) = pool.install(|| bpe::train(counts, config, control))?;
            let decoder = Decoder::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true };
            (tokens, Model::Bpe(BpeSettings { merges, ..BpeSettings::default() }), Some(decoder))
        }
        Kind::Word | Kind::Char => {
            let unk_token = config.special_tokens.first().cloned().unwrap_or_default();
            let decoder = (config.kind == Kind::Char).then_some(Decoder::Fuse {});
            (words::train(&counts, config), Model::WordLevel { unk_token }, decoder)
        }
    };
    let entries = tokens.into_iter().enumerate().map(|(id, token)| (token, id as u32)).collect();
    let vocabulary = Vocabulary::new(entries).map_err(Error::invalid)?;
    let special = |token: &String| vocabulary.id(token).map(|id| AddedToken::special(id, token));
    let mut added_tokens: Vec<AddedToken> = config.special_tokens.iter().filter_map(special).collect();
    added_tokens.sort_by_key(|token| token.id);
    added_tokens.dedup();
    let definition = Definition {
        added_tokens,
        normalizer: None,
        pre_tokenizer: Some(pre_tokenizer),
        post_processor: None,
        decoder,
        vocabulary,
        model,
    };
    Tokenizer::new(definition).map_err(Error::invalid)
}

/// The number of different special tokens.
fn distinct(config: &Config) -> usize {
    let mut tokens: Vec<&String> = config.special_tokens.iter().collect();
    tokens.sort();
    tokens.dedup();
    tokens.len()
}

fn pre_tokenizer(config: &Config) -> PreTokenizer {
    let byte_level = |use_regex| PreTokenizer::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex };
    let isolated = |pattern: &str| PreTokenizer::Split {
        pattern: SplitPattern::Regex(pattern.to_owned()),
        behavior: Behavior::Isolated,
        invert: false,
    };
    match config.kind {
        Kind::Word => PreTokenizer::WhitespaceSplit {},
        Kind::Char => isolated(r"[\s\S]"),
        Kind::Bpe => match split::named(&config.pattern).unwrap_or(&config.pattern) {
            gpt2::PATTERN => byte_level(true),
            pattern => PreTokenizer::Sequence { pretokenizers: vec![isolated(pattern), byte_level(false)] },
        },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Options;

    pub(crate) fn tokenizer_of(documents: &[String], config: &Config) -> Tokenizer {
        train([Ok(documents.iter().collect())].into_iter(), 0, config, &Control::default()).expect("trains")
    }

    fn documents(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_come_by_count_then_by_spelling() {
        let config = Config {
            kind: Kind::Word,
            vocab_size: 6,
            special_tokens: vec!["<unk>".to_owned(), "<eos>".to_owned()],
            min_frequency: 1,
            ..Config::default()
        };
        let tokenizer = tokenizer_of(&documents(&["b a c c <unk>\n<unk> <unk>", "c d"]), &config);
        let vocabulary: Vec<&str> = tokenizer.vocab().into_iter().map(|(token, _)| token).collect();
        assert_eq!(vocabulary, ["<unk>", "<eos>", "c", "a", "b", "d"]);
        let ids = tokenizer.encode(" c  zebra\nd<eos>", Options::default()).expect("encodes");
        assert_eq!(ids, [2, 0, 5, 1]);
        assert_eq!(tokenizer.decode(&ids, false).expect("decodes"), "c <unk> d <eos>");
        assert_eq!(tokenizer.decode(&ids, true).expect("decodes"), "c d");
    }

    #[test]
    fn characters_are_one_id_each() {
        let config = Config {
            kind: Kind::Char,
            vocab_size: 9,
            special_tokens: Vec::new(),
            min_frequency: 1,
            ..Config::default()
        };
        let tokenizer = tokenizer_of(&documents(&["ab\r\n\u{e9}b"]), &config);
        let ids = tokenizer.encode("b\u{e9}\na", Options::default()).expect("encodes");
        assert_eq!(ids.len(), 4);
        assert_eq!(tokenizer.decode(&ids, false).expect("decodes"), "b\u{e9}\na");
        let error = tokenizer.encode("bz", Options::default()).expect_err("z was never seen");
        assert!(error.to_string().contains("\"z\"") && error.to_string().contains("<unk>"), "{error}");
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        let fails = |config: &Config| {
            let texts = documents(&["text"]);
            train([Ok(texts.iter().collect())].into_iter(), 0, config, &Control::default())
                .expect_err("fails")
                .to_string()
        };
        assert!(fails(&Config { vocab_size: 256, ..Config::default() }).contains("vocab_size=256"));
        assert!(fails(&Config { pattern: "(".to_owned(), ..Config::default() }).contains("pattern"));
        assert!(fails(&Config { special_tokens: vec![String::new()], ..Config::default() }).contains("special_tokens"));
        assert!(fails(&Config { threads: Some(0), ..Config::default() }).contains("threads"));
    }
}
