//! Lists of tokens: `vocab.txt` of BERT, and `vocab.json` beside `merges.txt` of GPT-2.
//!
//! What they do not say is as `transformers` has it: BERT's text is lower-cased, and `tokenizer_config.json` beside
//! may say otherwise.

use std::collections::BTreeMap;
use std::path::Path;

use lmfast_base::{Error, Result};
use serde::Deserialize;

use super::components::{Decoder, Normalizer, PostProcessor, PreTokenizer, TemplatePiece, TemplateText, TemplateToken};
use super::{Definition, Model, json};
use crate::added::AddedToken;
use crate::vocabulary::Vocabulary;

const BERT_SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const GPT2_SPECIAL: [&str; 6] = ["<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>"];

/// What `tokenizer_config.json` says that matters here.
#[derive(Debug, Default, Deserialize)]
struct Config {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    add_prefix_space: Option<bool>,
}

impl Config {
    fn beside(path: &Path) -> Result<Self> {
        let path = path.with_file_name("tokenizer_config.json");
        if !path.is_file() {
            return Ok(Self::default());
        }
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::format(&path, format!("not a tokenizer's settings: {error}")))
    }
}

/// Reads a `vocab.txt`: a token a line, its id the number of lines before.
pub(crate) fn word_piece(path: &Path, bytes: &[u8]) -> Result<Definition> {
    let config = Config::beside(path)?;
    let mut entries = Vec::new();
    for (id, line) in (0..).zip(bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&byte| byte == b'\n')) {
        let token = std::str::from_utf8(line).map_err(|error| {
            Error::format(path, format!("line {}: not UTF-8 ({error}); save the list as UTF-8", u64::from(id) + 1))
        })?;
        entries.push((token.trim_end().to_owned(), id));
    }
    if bytes.is_empty() {
        return Err(Error::format(path, "it has no token: one a line is wanted"));
    }
    let vocabulary = Vocabulary::new(entries).map_err(|what| Error::format(path, what))?;
    Ok(Definition {
        added_tokens: special(&BERT_SPECIAL, &vocabulary),
        normalizer: Some(Normalizer::BertNormalizer {
            clean_text: true,
            handle_chinese_chars: config.tokenize_chinese_chars.unwrap_or(true),
            strip_accents: config.strip_accents,
            lowercase: config.do_lower_case.unwrap_or(true),
        }),
        pre_tokenizer: Some(PreTokenizer::BertPreTokenizer {}),
        post_processor: bert_template(&vocabulary),
        decoder: Some(Decoder::WordPiece { prefix: "##".to_owned(), cleanup: true }),
        model: Model::WordPiece {
            unk_token: "[UNK]".to_owned(),
            continuing_subword_prefix: "##".to_owned(),
            max_input_chars_per_word: 100,
        },
        vocabulary,
    })
}

/// Reads a `vocab.json` and the `merges.txt` beside it.
pub(crate) fn byte_level(path: &Path) -> Result<Definition> {
    let config = Config::beside(path)?;
    let text = |path: &Path| -> Result<String> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        String::from_utf8(bytes).map_err(|error| Error::format(path, format!("not UTF-8: {}", error.utf8_error())))
    };
    let (vocabulary_path, merges_path) = (path.with_file_name("vocab.json"), path.with_file_name("merges.txt"));
    for (path, other) in [(&vocabulary_path, &merges_path), (&merges_path, &vocabulary_path)] {
        if !path.is_file() {
            return Err(Error::format(other, format!("{} is wanted beside it, and is not there", path.display())));
        }
    }
    let vocabulary = json::token_map(&text(&vocabulary_path)?).map_err(|what| Error::format(&vocabulary_path, what))?;
    let merges =
        json::merge_lines(&text(&merges_path)?, &vocabulary).map_err(|what| Error::format(&merges_path, what))?;
    Ok(Definition {
        added_tokens: special(&GPT2_SPECIAL, &vocabulary),
        normalizer: None,
        pre_tokenizer: Some(PreTokenizer::ByteLevel {
            add_prefix_space: config.add_prefix_space.unwrap_or(false),
            trim_offsets: true,
            use_regex: true,
        }),
        post_processor: Some(PostProcessor::ByteLevel { add_prefix_space: true, trim_offsets: false, use_regex: true }),
        decoder: Some(Decoder::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true }),
        vocabulary,
        model: Model::Bpe(super::BpeSettings { merges, ..super::BpeSettings::default() }),
    })
}

/// Those of the names that the vocabulary has, as special tokens in the order of their ids.
fn special(names: &[&str], vocabulary: &Vocabulary) -> Vec<AddedToken> {
    let mut tokens: Vec<AddedToken> =
        names.iter().filter_map(|name| Some(AddedToken::special(vocabulary.id(name)?, name))).collect();
    tokens.sort_by_key(|token| token.id);
    tokens
}

/// `[CLS]` before, `[SEP]` behind each text, if the vocabulary has both.
fn bert_template(vocabulary: &Vocabulary) -> Option<PostProcessor> {
    let token = |name: &str| {
        let ids = vec![vocabulary.id(name)?];
        Some((name.to_owned(), TemplateToken { id: name.to_owned(), ids, tokens: vec![name.to_owned()] }))
    };
    let special_tokens: BTreeMap<String, TemplateToken> = [token("[CLS]")?, token("[SEP]")?].into();
    let special = |id: &str, type_id| TemplatePiece::SpecialToken { id: id.to_owned(), type_id };
    let text = |id, type_id| TemplatePiece::Sequence { id, type_id };
    let single = vec![special("[CLS]", 0), text(TemplateText::A, 0), special("[SEP]", 0)];
    let pair = [single.clone(), vec![text(TemplateText::B, 1), special("[SEP]", 1)]].concat();
    Some(PostProcessor::TemplateProcessing { single, pair, special_tokens })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_bert_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vocab.txt");
        let list = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\r\n";
        let definition = word_piece(&path, list.as_bytes()).expect("is well-formed");
        assert_eq!(definition.vocabulary.id("##b"), Some(5));
        assert_eq!(definition.added_tokens.len(), 4);
        assert!(definition.post_processor.is_some());
        assert!(matches!(definition.normalizer, Some(Normalizer::BertNormalizer { lowercase: true, .. })));
        std::fs::write(path.with_file_name("tokenizer_config.json"), r#"{"do_lower_case": false, "x": 1}"#)
            .expect("writes");
        let cased = word_piece(&path, list.as_bytes()).expect("is well-formed");
        assert!(matches!(cased.normalizer, Some(Normalizer::BertNormalizer { lowercase: false, .. })));
        std::fs::write(path.with_file_name("tokenizer_config.json"), "[").expect("writes");
        let wrong = |bytes: &[u8]| word_piece(&path, bytes).expect_err("is wrong").to_string();
        assert!(wrong(b"a\n").contains("tokenizer_config.json"));
        std::fs::remove_file(path.with_file_name("tokenizer_config.json")).expect("removes");
        assert!(wrong(b"a\nb\na\n").contains("twice"));
        assert!(wrong(b"a\ncaf\xE9\n").contains("line 2"));
        assert!(wrong(b"").contains("no token"));
    }
}
