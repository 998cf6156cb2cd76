//! What a tokenizer is to those who only need its ids.

use crate::{Control, Result};

/// Turns text into token ids; implemented by tokenizers, used by whatever builds stores and batches from text.
pub trait Encode: Send + Sync {
    /// The largest id that can occur, plus one.
    fn vocab_size(&self) -> u32;

    /// The id that marks the end of a text, if the vocabulary has one.
    fn end_of_text(&self) -> Option<u32>;

    /// Opens an encoder with scratch memory of its own. One thread uses it at a time; the ids depend on the text alone.
    fn session(&self) -> Box<dyn EncodeSession + '_>;
}

/// One thread's encoder; see [`Encode::session`].
pub trait EncodeSession {
    /// Appends the ids of a document to `ids`; can be cancelled. Special tokens spelled out in the text are ordinary
    /// text.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a text that the vocabulary cannot express, or a pattern that
    /// backtracks without end on it. What `ids` holds beyond its old length is then of no use.
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>, control: &Control) -> Result<()>;
}
