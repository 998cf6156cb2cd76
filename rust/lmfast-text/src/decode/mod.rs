//! Ids to text: at once, or as they come.
//!
//! What a decoder makes of a token by itself is laid up in a [table](table); the steps for which tokens depend on each
//! other, such as the bytes of a character that several tokens spell, run over them as a [stream](machine).

mod machine;
mod sentencepiece;
mod step;
mod table;

use std::sync::Arc;

use lmfast_base::Result;

use crate::Tokenizer;
use machine::Machine;
pub(crate) use table::TokenBytes;

impl Tokenizer {
    /// The bytes that ids stand for, also where they are no text.
    ///
    /// # Errors
    /// [`Error::Invalid`](lmfast_base::Error::Invalid) names an id that is not in the vocabulary.
    pub fn decode_bytes(&self, ids: &[u32], skip_special_tokens: bool) -> Result<Vec<u8>> {
        self.decoded(ids, skip_special_tokens, true)
    }

    /// The text that ids stand for; bytes that are not UTF-8 become U+FFFD, one for each maximal part of a character.
    ///
    /// # Errors
    /// As [`decode_bytes`](Self::decode_bytes).
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let bytes = self.decoded(ids, skip_special_tokens, false)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn decoded(&self, ids: &[u32], skip_special_tokens: bool, raw: bool) -> Result<Vec<u8>> {
        let tokens = &self.tokens;
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        let mut stream = Stream::new(tokens, raw);
        let (is_plain, first_is_plain) = (tokens.is_plain(), tokens.first_is_plain());
        for &id in ids {
            if is_plain && (first_is_plain || !stream.first) && tokens.append_short(id, &mut bytes) {
                continue;
            }
            stream.push(tokens, id, skip_special_tokens, &mut bytes)?;
        }
        stream.machine.finish(&tokens.stages, &mut bytes)?;
        Ok(bytes)
    }
}

/// A place in a stream of ids.
#[derive(Debug)]
struct Stream {
    machine: Machine,
    first: bool,
}

impl Stream {
    fn new(tokens: &TokenBytes, raw: bool) -> Self {
        Self { machine: Machine::new(&tokens.stages, raw), first: true }
    }

    #[inline]
    fn push(&mut self, tokens: &TokenBytes, id: u32, skip_special_tokens: bool, bytes: &mut Vec<u8>) -> Result<()> {
        let Some(token) = tokens.get(id, self.first, skip_special_tokens)? else { return Ok(()) };
        if tokens.stages.is_empty() {
            if tokens.spaces && !self.first {
                bytes.push(b' ');
            }
            bytes.extend_from_slice(token);
        } else {
            self.machine.token(&tokens.stages, token, bytes)?;
        }
        self.first = false;
        Ok(())
    }
}

/// Decodes ids as they come, and never gives half a character: what it has given in the end is
/// [`Tokenizer::decode`] of all ids. It holds back only what an id to come could still change.
#[derive(Debug)]
pub struct StreamDecoder {
    tokenizer: Arc<Tokenizer>,
    skip_special_tokens: bool,
    stream: Stream,
    /// The bytes of a character that has only begun.
    pending: Vec<u8>,
}

impl StreamDecoder {
    /// A decoder at the beginning of a text.
    pub fn new(tokenizer: Arc<Tokenizer>, skip_special_tokens: bool) -> Self {
        let stream = Stream::new(&tokenizer.tokens, false);
        Self { tokenizer, skip_special_tokens, stream, pending: Vec::new() }
    }

    /// Takes the next id and gives the text that has become whole.
    ///
    /// # Errors
    /// [`Error::Invalid`](lmfast_base::Error::Invalid) for an id that is not in the vocabulary; the decoder then stands
    /// where it stood.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.stream.push(&self.tokenizer.tokens, id, self.skip_special_tokens, &mut self.pending)?;
        Ok(take_text(&mut self.pending))
    }

    /// Gives what is left, U+FFFD for a character that has only begun, and stands at the beginning of a text again.
    ///
    /// # Errors
    /// A pattern of the decoder that does not come to an end.
    pub fn finish(&mut self) -> Result<String> {
        self.stream.machine.finish(&self.tokenizer.tokens.stages, &mut self.pending)?;
        self.stream.first = true;
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned())
    }
}

/// Takes the text out of bytes, U+FFFD for what is not UTF-8, but for a character at the end that has only begun.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let (mut text, mut done) = (String::new(), 0);
    let rest = loop {
        match std::str::from_utf8(&bytes[done..]) {
            Ok(valid) => {
                text.push_str(valid);
                break bytes.len();
            }
            Err(error) => {
                let valid = done + error.valid_up_to();
                text.push_str(&String::from_utf8_lossy(&bytes[done..valid]));
                let Some(length) = error.error_len() else { break valid };
                text.push(char::REPLACEMENT_CHARACTER);
                done = valid + length;
            }
        }
    };
    bytes.drain(..rest);
    text
}
