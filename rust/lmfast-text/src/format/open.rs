//! Which format a file has.

use std::ffi::OsStr;
use std::path::Path;

use lmfast_base::{Error, Result};
use serde::{Deserialize, Serialize};

use super::tiktoken::{Ranks, is_rank_file};
use super::{Batching, Definition, known, lists, sentencepiece};

/// Patterns and special tokens that a file of ranks does not have.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extra<'a> {
    /// How text is cut: a name of [`crate::split::names`] or a regular expression.
    pub pattern: Option<&'a str>,
    /// Special tokens with their ids, in place of those known for the file.
    pub special_tokens: Option<&'a [(String, u32)]>,
}

/// A tokenizer, and what it was read from where a `tokenizer.json` cannot say it.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) definition: Definition,
    pub(crate) batching: Batching,
    pub(crate) source: Option<Source>,
}

/// What a tokenizer was read from: enough to read it again.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) header: Header,
    pub(crate) bytes: Vec<u8>,
}

/// The format of a [`Source`], and what its file does not say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub(crate) enum Header {
    SentencePiece,
    Tiktoken { pattern: String, special_tokens: Vec<(String, u32)> },
}

impl Read {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] that names the file and what is wrong in it.
    pub(crate) fn open(path: &Path, extra: Extra<'_>) -> Result<Self> {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let ends_with = |extension: &str| Path::new(name).extension().is_some_and(|found| found == extension);
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let wrong = |what: String| Error::format(path, what);
        if ends_with("tiktoken") || is_rank_file(&bytes) {
            return Self::ranks(name, bytes, extra).map_err(wrong);
        }
        for (option, given) in
            [("pattern", extra.pattern.is_some()), ("special_tokens", extra.special_tokens.is_some())]
        {
            if given {
                return Err(Error::invalid(format!(
                    "{option}= is for a rank file of tiktoken, and {} says by itself what is special and how text is cut",
                    path.display()
                )));
            }
        }
        if ends_with("model") {
            return Self::sentencepiece(bytes).map_err(wrong);
        }
        let definition = if name == "vocab.json" || name == "merges.txt" {
            lists::byte_level(path)?
        } else if ends_with("txt") {
            lists::word_piece(path, &bytes)?
        } else {
            let text = String::from_utf8(bytes)
                .map_err(|error| wrong(format!("not a tokenizer.json: {}", error.utf8_error())))?;
            let (definition, batching) = Definition::parse(&text).map_err(wrong)?;
            return Ok(Self { definition, batching, source: None });
        };
        Ok(Self { definition, batching: Batching::default(), source: None })
    }

    fn sentencepiece(bytes: Vec<u8>) -> std::result::Result<Self, String> {
        let definition = sentencepiece::parse(&bytes)?;
        Ok(Self {
            definition,
            batching: Batching::default(),
            source: Some(Source { header: Header::SentencePiece, bytes }),
        })
    }

    fn ranks(name: &str, bytes: Vec<u8>, extra: Extra<'_>) -> std::result::Result<Self, String> {
        let ranks = Ranks::parse(&bytes)?;
        let known = known::find(&ranks, name);
        let pattern = extra.pattern.or(known.as_ref().map(|known| known.pattern)).ok_or_else(|| {
            let names: Vec<&str> = crate::split::names().collect();
            format!(
                "a vocabulary of {} ranks that is not known: pass pattern=, one of {names:?} or a regular expression, \
                 and special_tokens= if it has any",
                ranks.iter().len()
            )
        })?;
        let special_tokens = match extra.special_tokens {
            Some(tokens) => tokens.to_vec(),
            None => known.map(|known| known.special_tokens).unwrap_or_default(),
        };
        let definition = ranks.definition(pattern, &special_tokens)?;
        let header = Header::Tiktoken { pattern: pattern.to_owned(), special_tokens };
        Ok(Self { definition, batching: Batching::default(), source: Some(Source { header, bytes }) })
    }
}

impl Source {
    /// Whether bytes are those of a [`Source`], and not a `tokenizer.json`.
    pub(crate) fn is_state(state: &[u8]) -> bool {
        state.starts_with(b"{\"format\":")
    }

    /// Everything in one row of bytes: the header, a line, and the file.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = serde_json::to_vec(&self.header).map_err(|error| Error::invalid(error.to_string()))?;
        Ok([header.as_slice(), b"\n", &self.bytes].concat())
    }

    /// Reads [`to_bytes`](Self::to_bytes).
    pub(crate) fn read(state: &[u8]) -> std::result::Result<Read, String> {
        let end = state.iter().position(|&byte| byte == b'\n').ok_or("the header is not there")?;
        let header = serde_json::from_slice(&state[..end]).map_err(|error| format!("a damaged header: {error}"))?;
        let bytes = state[end + 1..].to_vec();
        match header {
            Header::SentencePiece => Read::sentencepiece(bytes),
            Header::Tiktoken { pattern, special_tokens } => {
                let extra = Extra { pattern: Some(&pattern), special_tokens: Some(&special_tokens) };
                Read::ranks("", bytes, extra)
            }
        }
    }
}
