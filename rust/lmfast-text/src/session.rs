//! Encoding, one text after the other.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use lmfast_base::{Control, Encode, EncodeSession, Result};

use crate::Tokenizer;
use crate::added::{Matcher, Segment, Special};
use crate::model::{ModelEncoder, Scratch};

/// How a text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Put the special tokens of the template around it.
    pub add_special_tokens: bool,
    /// What special tokens spelled out in it become.
    pub special: Special,
}

impl Default for Options {
    fn default() -> Self {
        Self { add_special_tokens: true, special: Special::Parse }
    }
}

/// A tokenizer with options of its own, for those who only need ids.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// The tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// How its sessions encode.
    pub options: Options,
}

impl Encode for Encoder {
    fn vocab_size(&self) -> u32 {
        self.tokenizer.vocab_size()
    }

    fn end_of_text(&self) -> Option<u32> {
        self.tokenizer.end_of_text()
    }

    fn session(&self) -> Box<dyn EncodeSession + '_> {
        Box::new(self.tokenizer.session_with(self.options))
    }
}

/// One thread's encoder. Its memory, at most [`CACHE_BYTES`](crate::CACHE_BYTES) for pieces met before and otherwise in
/// proportion to the longest piece, goes back to the tokenizer when it is dropped.
#[derive(Debug)]
pub struct Session<'a> {
    tokenizer: &'a Tokenizer,
    options: Options,
    scratch: Scratch,
    pieces: Vec<Range<usize>>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.tokenizer.give_back(std::mem::take(&mut self.scratch));
    }
}

impl EncodeSession for Session<'_> {
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        self.append(text, ids, &Control::default())
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer, options: Options, scratch: Scratch) -> Self {
        Self { tokenizer, options, scratch, pieces: Vec::new() }
    }

    /// Appends the ids of a text; can be cancelled.
    pub fn append(&mut self, text: &str, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        let tokenizer = self.tokenizer;
        if self.options.add_special_tokens {
            ids.extend_from_slice(&tokenizer.around.0);
        }
        self.segments(tokenizer.raw.as_ref(), text, ids, |session, text, ids| {
            let text = tokenizer.normalized_text(text);
            session.segments(tokenizer.normalized.as_ref(), &text, ids, |session, text, ids| {
                session.ordinary(text, ids, control)
            })
        })?;
        if self.options.add_special_tokens {
            ids.extend_from_slice(&tokenizer.around.1);
        }
        Ok(())
    }

    /// Appends the added tokens in a text, and what `rest` makes of the text between them.
    fn segments(
        &mut self,
        matcher: Option<&Matcher>,
        text: &str,
        ids: &mut Vec<u32>,
        mut rest: impl FnMut(&mut Self, &str, &mut Vec<u32>) -> Result<()>,
    ) -> Result<()> {
        let Some(matcher) = matcher else { return rest(self, text, ids) };
        let mut segments = Vec::new();
        matcher.segments(text, self.options.special, &mut segments)?;
        for segment in segments {
            match segment {
                Segment::Token(id) => ids.push(id),
                Segment::Text(range) => rest(self, &text[range], ids)?,
            }
        }
        Ok(())
    }

    /// Appends the ids of text without added tokens.
    fn ordinary(&mut self, text: &str, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        let prefixed = self.tokenizer.add_prefix_space && !text.is_empty() && !text.starts_with(' ');
        let text = if prefixed { Cow::Owned(format!(" {text}")) } else { Cow::Borrowed(text) };
        let encoder = &self.tokenizer.encoder;
        if let ModelEncoder::Bpe(bpe) = encoder {
            return bpe.encode_text(self.tokenizer.split.as_ref(), &text, &mut self.scratch.bpe, ids, control);
        }
        let mut from = 0;
        while from < text.len() {
            control.check()?;
            self.pieces.clear();
            from = self.tokenizer.split.split(&text, from, &mut self.pieces)?;
            for piece in self.pieces.drain(..) {
                encoder.encode(&text[piece], &mut self.scratch, ids, None)?;
            }
        }
        Ok(())
    }
}
