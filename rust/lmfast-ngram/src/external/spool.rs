//! The corpus in a working file.

use std::path::Path;

use lmfast_base::{Control, Error, Result, Spill};

use crate::corpus::{BEGIN, END, TokenId, documents, vocabulary_size, word_of_token};

/// Sentences of word ids, each from `<s>` to `</s>`, one behind the other in a file.
#[derive(Debug)]
pub struct Spool {
    pub(super) ids: Spill<u32>,
    /// How often each word occurs.
    pub(super) tokens: Vec<u64>,
}

impl Spool {
    /// Holds no sentence yet; its file lies in a folder.
    ///
    /// # Errors
    /// [`Error::Io`] if no file can be made there.
    pub fn create(folder: &Path) -> Result<Self> {
        Ok(Self { ids: Spill::create(folder)?, tokens: Vec::new() })
    }

    /// Documents of token ids, each a sentence; as [`Corpus::from_tokens`](crate::corpus::Corpus::from_tokens).
    ///
    /// # Errors
    /// [`Error::Invalid`] as there, but for the number of tokens; [`Error::Io`] for a full disk.
    pub fn from_tokens<T: TokenId>(
        tokens: &[T],
        offsets: &[u64],
        vocab_size: u32,
        folder: &Path,
        control: &Control,
    ) -> Result<Self> {
        let (documents, size) = (documents(tokens, offsets)?, vocabulary_size(vocab_size)?);
        let mut spool = Self::create(folder)?;
        let mut ids = Vec::new();
        control.begin("reading tokens", tokens.len() as u64);
        for (document, start) in documents.zip(offsets) {
            ids.push(BEGIN);
            for (chunk, at) in document.chunks(1 << 16).zip((*start..).step_by(1 << 16)) {
                control.check()?;
                for (token, position) in chunk.iter().zip(at..) {
                    ids.push(word_of_token(*token, vocab_size, position)?);
                }
                control.advance(chunk.len() as u64);
                if ids.len() >= 1 << 16 {
                    spool.push(&ids)?;
                    ids.clear();
                }
            }
            ids.push(END);
        }
        spool.push(&ids)?;
        spool.closed(size)
    }

    /// Appends ids.
    pub(crate) fn push(&mut self, ids: &[u32]) -> Result<()> {
        for &id in ids {
            if id as usize >= self.tokens.len() {
                self.tokens.resize(id as usize + 1, 0);
            }
            self.tokens[id as usize] += 1;
        }
        self.ids.append(ids).map(|_| ())
    }

    /// Whether there is no sentence.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of ids.
    pub(super) fn len(&self) -> u64 {
        self.ids.appended()
    }

    /// How many words there are, the three special ones included.
    pub(super) fn vocabulary_size(&self) -> u32 {
        self.tokens.len() as u32
    }

    /// Ends the text, whose ids are of this many words.
    pub(crate) fn closed(mut self, vocabulary_size: u32) -> Result<Self> {
        if self.is_empty() {
            return Err(Error::invalid("there is no text: a model needs at least one sentence"));
        }
        self.tokens.resize(vocabulary_size as usize, 0);
        Ok(self)
    }
}
