//! Vocabularies from text.
//!
//! Input: batches of documents. They are cut into [pieces], which are [counted](count) on every core; then byte pairs
//! are merged ([bpe]), or characters ([wordpiece]), or too many tokens are thinned out ([unigram]), or the most frequent
//! pieces are taken as they are ([words]). Output: a [`Tokenizer`] that depends on the text and the settings alone, and
//! for BPE equals that of `tokenizers` for the same text and settings.

mod bpe;
mod config;
mod count;
mod definition;
mod merge;
mod neighbours;
mod pairs;
mod pieces;
mod queue;
mod sequences;
mod table;
mod unigram;
mod wordpiece;
mod words;

use lmfast_base::source::Documents;
use lmfast_base::{Control, Error, Result, memory, threads};

use crate::Tokenizer;
use definition::Made;
use pieces::Pieces;

pub use config::{Config, Kind, TieOrder};

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
    config.check()?;
    let (normalizer, pre_tokenizer) = definition::steps(config);
    let pieces = Pieces::new(normalizer.as_ref(), pre_tokenizer.as_ref()).map_err(Error::invalid)?;
    let pool = threads::pool(config.threads)?;
    let counts = count::count(documents, source_bytes, &pieces, &pool, control)?;
    if counts.is_empty() {
        return Err(Error::invalid("the text is empty: there is nothing to make a vocabulary from"));
    }
    memory::give_back();
    pool.install(|| {
        let made = match config.kind {
            Kind::Bpe => bpe::train(counts, config, &pool, control)?,
            Kind::WordPiece => wordpiece::train(counts, config, &pool, control).map(Made::tokens)?,
            Kind::Unigram => unigram(&counts, config, control)?,
            Kind::Word | Kind::Char => Made::tokens(words::train(&counts, config)),
        };
        let definition = definition::define(config, made, normalizer, pre_tokenizer).map_err(Error::invalid)?;
        memory::give_back();
        Tokenizer::new(definition).map_err(Error::invalid)
    })
}

/// Special tokens and, where wanted, bytes come before what is trained, with the score 0.
fn unigram(counts: &count::Counts, config: &Config, control: &Control) -> Result<Made> {
    let mut words: Vec<(&str, u64)> = Vec::with_capacity(counts.len());
    for (word, count) in counts.iter().filter(|&(_, count)| count >= config.min_frequency) {
        let word =
            std::str::from_utf8(word).map_err(|error| Error::invalid(format!("a piece is not text: {error}")))?;
        words.push((word, count));
    }
    words.sort_unstable();
    let mut tokens = config.different_special_tokens();
    if config.byte_fallback == Some(true) {
        tokens.extend((0..=u8::MAX).map(crate::model::byte_token));
    }
    let size = config.vocab_size.saturating_sub(tokens.len());
    let longest = config.max_token_length.unwrap_or(16);
    let found = unigram::train(&words, size, longest, &config.initial_alphabet, control)?;
    let mut scores = vec![0.0; tokens.len()];
    for piece in found.into_iter().filter(|piece| !tokens[..scores.len()].contains(&piece.text)).collect::<Vec<_>>() {
        tokens.push(piece.text);
        scores.push(piece.score);
    }
    Ok(Made { tokens: tokens.into_iter().map(Some).collect(), scores, merges: Vec::new() })
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
    fn wordpiece_has_its_template_and_decodes_to_words() {
        let special = ["[UNK]", "[CLS]", "[SEP]"].map(str::to_owned).to_vec();
        let config = Config {
            kind: Kind::WordPiece,
            vocab_size: 60,
            special_tokens: special,
            min_frequency: 1,
            ..Config::default()
        };
        let text = documents(&["Walking and talking, WALKED and talked!"; 3]);
        let tokenizer = tokenizer_of(&text, &config);
        let ids = tokenizer.encode("walked talking", Options::default()).expect("encodes");
        assert_eq!((ids[0], ids.last()), (1, Some(&2)));
        assert_eq!(tokenizer.decode(&ids, true).expect("decodes"), "walked talking");
        assert!(tokenizer.token_to_id("##ing").is_some() || tokenizer.token_to_id("##king").is_some());
        let limited = Config { limit_alphabet: Some(5), initial_alphabet: vec!['\u{e9}'], ..config };
        let limited = tokenizer_of(&text, &limited);
        let letters = limited.vocab().into_iter().filter(|(token, _)| token.chars().count() == 1).count();
        assert_eq!(letters, 5);
        assert!(limited.token_to_id("\u{e9}").is_some());
    }

    #[test]
    fn unigram_gives_the_text_back() {
        let config = Config {
            kind: Kind::Unigram,
            vocab_size: 330,
            special_tokens: vec!["<unk>".to_owned()],
            min_frequency: 1,
            byte_fallback: Some(true),
            ..Config::default()
        };
        let text = documents(&["walking and talking, walked and talked!"; 3]);
        let tokenizer = tokenizer_of(&text, &config);
        for text in ["walked talking", "\u{e9} and"] {
            let ids = tokenizer.encode(text, Options::default()).expect("encodes");
            assert_eq!(tokenizer.decode(&ids, false).expect("decodes"), text);
            assert!(!ids.contains(&0));
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        let fails = |config: &Config| {
            let texts = documents(&["text"]);
            train([Ok(texts.iter().collect())].into_iter(), 0, config, &Control::default())
                .expect_err("fails")
                .to_string()
        };
        let of = |kind| Config { kind, ..Config::default() };
        assert!(fails(&Config { vocab_size: 256, ..Config::default() }).contains("vocab_size=256"));
        assert!(fails(&Config { pattern: Some("(".to_owned()), ..Config::default() }).contains("pattern"));
        assert!(fails(&Config { special_tokens: vec![String::new()], ..Config::default() }).contains("special_tokens"));
        assert!(fails(&Config { threads: Some(0), ..Config::default() }).contains("threads"));
        assert!(fails(&Config { pattern: Some("gpt2".to_owned()), ..of(Kind::Word) }).contains("pattern"));
        assert!(fails(&Config { limit_alphabet: Some(9), ..Config::default() }).contains("limit_alphabet"));
        assert!(fails(&Config { initial_alphabet: vec!['a'], ..Config::default() }).contains("initial_alphabet"));
        assert!(fails(&Config { tie_order: Some(TieOrder::Bytes), ..of(Kind::Unigram) }).contains("tie_order"));
        assert!(fails(&Config { max_token_length: Some(0), ..Config::default() }).contains("max_token_length"));
        assert!(fails(&Config { max_token_length: Some(9999), ..of(Kind::Unigram) }).contains("max_token_length"));
        assert!(fails(&Config { lowercase: Some(true), ..of(Kind::Char) }).contains("lowercase"));
        assert!(fails(&Config { byte_fallback: Some(true), ..of(Kind::WordPiece) }).contains("byte_fallback"));
    }
}
