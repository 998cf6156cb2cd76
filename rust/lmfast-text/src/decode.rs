//! Ids to text: at once, or as they come.

use std::sync::Arc;

use lmfast_base::{Error, Result};

use crate::Tokenizer;
use crate::byte_chars;
use crate::format::Definition;
use crate::format::components::Decoder;

/// The bytes of every token, one behind the other.
#[derive(Debug)]
pub(crate) struct TokenBytes {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    kinds: Vec<Kind>,
    /// A space stands between two tokens.
    spaces: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No token has this id.
    Unused,
    Ordinary,
    Special,
}

impl TokenBytes {
    /// With a `ByteLevel` decoder a token is spelled in the byte alphabet, or else, if it has any other character,
    /// stands for itself.
    pub(crate) fn new(definition: &Definition, size: u32) -> Self {
        let byte_level = matches!(definition.decoder, Some(Decoder::ByteLevel { .. }));
        let spaces = definition.decoder.is_none();
        let mut tokens: Vec<Option<(&str, bool)>> = vec![None; size as usize];
        for (token, id) in definition.vocabulary.iter() {
            tokens[id as usize] = Some((token, false));
        }
        for token in &definition.added_tokens {
            tokens[token.id as usize] = Some((&token.content, token.special));
        }
        let mut table = Self { bytes: Vec::new(), ends: Vec::new(), kinds: Vec::new(), spaces };
        for token in tokens {
            let kind = match token {
                None => Kind::Unused,
                Some((text, special)) => {
                    let spelled = if byte_level { byte_chars::bytes(text) } else { None };
                    table.bytes.extend(spelled.as_deref().unwrap_or(text.as_bytes()));
                    if special { Kind::Special } else { Kind::Ordinary }
                }
            };
            table.kinds.push(kind);
            table.ends.push(table.bytes.len());
        }
        table
    }

    /// The bytes of a token; nothing for a special one that is to be left out.
    fn get(&self, id: u32, skip_special_tokens: bool) -> Result<Option<&[u8]>> {
        let at = id as usize;
        match self.kinds.get(at) {
            None | Some(Kind::Unused) => Err(Error::invalid(format!(
                "the id {id} is not in the vocabulary of {} (vocab_size): it belongs to another tokenizer",
                self.kinds.len()
            ))),
            Some(Kind::Special) if skip_special_tokens => Ok(None),
            Some(_) => Ok(Some(&self.bytes[if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at]])),
        }
    }
}

impl Tokenizer {
    /// The bytes that ids stand for.
    ///
    /// # Errors
    /// [`Error::Invalid`] names an id that is not in the vocabulary.
    pub fn decode_bytes(&self, ids: &[u32], skip_special_tokens: bool) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        let mut first = true;
        for &id in ids {
            if let Some(token) = self.tokens.get(id, skip_special_tokens)? {
                if self.tokens.spaces && !first {
                    bytes.push(b' ');
                }
                first = false;
                bytes.extend_from_slice(token);
            }
        }
        Ok(bytes)
    }

    /// The text that ids stand for; bytes that are not UTF-8 become U+FFFD, one for each maximal part of a character.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let bytes = self.decode_bytes(ids, skip_special_tokens)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

/// Decodes ids as they come, and never gives half a character: what it has given in the end is
/// [`Tokenizer::decode`] of all ids.
#[derive(Debug)]
pub struct StreamDecoder {
    tokenizer: Arc<Tokenizer>,
    skip_special_tokens: bool,
    /// The bytes of a character that has only begun.
    pending: Vec<u8>,
    first: bool,
}

impl StreamDecoder {
    /// A decoder at the beginning of a text.
    pub fn new(tokenizer: Arc<Tokenizer>, skip_special_tokens: bool) -> Self {
        Self { tokenizer, skip_special_tokens, pending: Vec::new(), first: true }
    }

    /// Takes the next id and gives the text that has become whole.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is not in the vocabulary; the decoder then stands where it stood.
    pub fn push(&mut self, id: u32) -> Result<String> {
        if let Some(token) = self.tokenizer.tokens.get(id, self.skip_special_tokens)? {
            if self.tokenizer.tokens.spaces && !self.first {
                self.pending.push(b' ');
            }
            self.first = false;
            self.pending.extend_from_slice(token);
        }
        Ok(self.whole())
    }

    /// Gives what is left, U+FFFD for a character that has only begun, and stands at the beginning of a text again.
    pub fn finish(&mut self) -> String {
        self.first = true;
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }

    fn whole(&mut self) -> String {
        let (mut text, mut done) = (String::new(), 0);
        let rest = loop {
            match std::str::from_utf8(&self.pending[done..]) {
                Ok(valid) => {
                    text.push_str(valid);
                    break self.pending.len();
                }
                Err(error) => {
                    let valid = done + error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[done..valid]));
                    let Some(length) = error.error_len() else { break valid };
                    text.push(char::REPLACEMENT_CHARACTER);
                    done = valid + length;
                }
            }
        };
        self.pending.drain(..rest);
        text
    }
}
