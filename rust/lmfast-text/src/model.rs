//! The models: from a piece of text to the ids of its tokens.

use std::ops::Range;

use lmfast_base::Result;

use crate::bpe::{Bpe, Scratch};
use crate::words::Words;

/// A model with what makes it fast.
#[derive(Debug)]
pub(crate) enum ModelEncoder {
    /// Byte-level BPE: the piece is text, not spelled in the byte alphabet.
    Bpe(Box<Bpe>),
    /// Whole pieces.
    Words(Words),
}

impl ModelEncoder {
    /// Appends the ids of a piece and, where asked, the bytes of the piece that each covers.
    pub(crate) fn encode(
        &self,
        piece: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        spans: Option<&mut Vec<Range<usize>>>,
    ) -> Result<()> {
        match self {
            Self::Bpe(bpe) => {
                let before = ids.len();
                bpe.encode(piece.as_bytes(), scratch, ids);
                if let Some(spans) = spans {
                    let mut start = 0;
                    spans.extend(ids[before..].iter().map(|&id| {
                        let end = start + bpe.token_length(id);
                        std::mem::replace(&mut start, end)..end
                    }));
                }
            }
            Self::Words(words) => {
                ids.push(words.id(piece)?);
                if let Some(spans) = spans {
                    spans.push(0..piece.len());
                }
            }
        }
        Ok(())
    }
}
