//! What a tokenizer is to those who only need its ids.

use std::ops::Range;

use crate::source::Documents;
use crate::{Control, Result};

/// Turns text into token ids; implemented by tokenizers, used by whatever builds stores and batches from text.
pub trait Encode: Send + Sync {
    /// The largest id that can occur, plus one.
    fn vocab_size(&self) -> u32;

    /// The id that marks the end of a text, if the vocabulary has one.
    fn end_of_text(&self) -> Option<u32>;

    /// The first place from `from` on at which a text may be cut, so that the ids of its parts, one behind the other, are
    /// those of the whole; the end where there is none.
    fn cut(&self, text: &str, from: usize) -> usize {
        let _ = from;
        text.len()
    }

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
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        self.encode_part(text, 0..text.len(), ids, control)
    }

    /// Appends the ids of some documents, one behind the other and behind each the `last` one, and to `lengths` how many
    /// each has with it.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    fn encode_run(
        &mut self,
        documents: &Documents,
        range: Range<usize>,
        last: Option<u32>,
        ids: &mut Vec<u32>,
        lengths: &mut Vec<u64>,
        control: &Control,
    ) -> Result<()> {
        encode_each(self, documents, range, last, ids, lengths, control)
    }

    /// As [`encode`](Self::encode), of a part of a document, which begins and ends at its ends or where the tokenizer [cuts](Encode::cut).
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    fn encode_part(&mut self, text: &str, part: Range<usize>, ids: &mut Vec<u32>, control: &Control) -> Result<()>;
}

/// [`EncodeSession::encode_run`], document by document.
///
/// # Errors
/// As [`EncodeSession::encode`].
pub fn encode_each(
    session: &mut (impl EncodeSession + ?Sized),
    documents: &Documents,
    range: Range<usize>,
    last: Option<u32>,
    ids: &mut Vec<u32>,
    lengths: &mut Vec<u64>,
    control: &Control,
) -> Result<()> {
    for document in range.filter_map(|index| documents.get(index)) {
        control.check()?;
        let before = ids.len();
        session.encode(document, ids, control)?;
        ids.extend(last);
        lengths.push((ids.len() - before) as u64);
    }
    Ok(())
}
