//! The models: from a piece of text to the ids of its tokens.

mod bert_fast;
mod cache;
mod characters;
mod lines;
mod sentencepiece;
mod trie;
mod unigram;
mod wordpiece;

use std::ops::Range;

use lmfast_base::{Control, Result};

use crate::bpe::{self, Bpe};
use crate::words::Words;

pub(crate) use bert_fast::BertFast;
pub(crate) use characters::{Characters, SPACE};
pub(crate) use sentencepiece::{Pairs, SentencePiece};
pub(crate) use unigram::Unigram;
pub(crate) use wordpiece::WordPiece;

/// A model with what makes it fast.
#[derive(Debug)]
pub(crate) enum ModelEncoder {
    /// Byte-level BPE: the piece is text, not spelled in the byte alphabet.
    Bpe(Box<Bpe>),
    /// BPE on characters.
    Characters(Box<Characters>),
    /// The longest tokens, from left to right.
    WordPiece(Box<WordPiece>),
    /// The most probable tokens.
    Unigram(Box<Unigram>),
    /// A model of `SentencePiece`, of whole texts.
    SentencePiece(Box<SentencePiece>),
    /// Whole pieces.
    Words(Words),
}

/// Memory that one thread encodes with.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) bpe: bpe::Scratch,
    words: cache::WordCache,
    lines: lines::ShortLines,
    long_lines: lines::LongLines,
    short_words: bert_fast::ShortWords,
    symbols: Symbols,
    lattice: unigram::Lattice,
    paths: sentencepiece::Paths,
    ids: Vec<u32>,
    text: String,
}

/// What a text of up to 4 GiB begins as, before anything is merged.
#[derive(Debug, Default)]
struct Symbols {
    ids: Vec<u32>,
    /// The bytes up to the end of each.
    ends: Vec<u32>,
    /// The bytes of all.
    end: u32,
}

impl Symbols {
    fn clear(&mut self) {
        self.truncate(0);
    }

    fn truncate(&mut self, count: usize) {
        self.ids.truncate(count);
        self.ends.truncate(count);
        self.end = self.ends.last().copied().unwrap_or_default();
    }

    #[inline]
    fn push(&mut self, id: u32, bytes: usize) {
        self.end += bytes as u32;
        self.ids.push(id);
        self.ends.push(self.end);
    }

    /// The bytes of some symbols in a row.
    fn bytes(&self, symbols: Range<usize>) -> Range<usize> {
        let end = |count: usize| if count == 0 { 0 } else { self.ends[count - 1] as usize };
        end(symbols.start)..end(symbols.end)
    }
}

impl ModelEncoder {
    /// Appends the ids of a piece and, where asked, the bytes of the piece that each covers; can be cancelled.
    pub(crate) fn encode(
        &self,
        piece: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        spans: Option<&mut Vec<Range<usize>>>,
        control: &Control,
    ) -> Result<()> {
        match self {
            Self::Bpe(bpe) => {
                let before = ids.len();
                bpe.encode(piece.as_bytes(), &mut scratch.bpe, ids, control)?;
                if let Some(spans) = spans {
                    let mut start = 0;
                    spans.extend(ids[before..].iter().map(|&id| {
                        let end = start + bpe.token_length(id);
                        std::mem::replace(&mut start, end)..end
                    }));
                }
            }
            Self::Characters(characters) => characters.encode(piece, scratch, ids, spans, control)?,
            Self::WordPiece(wordpiece) => wordpiece.encode(piece, &mut scratch.words, ids, spans)?,
            Self::Unigram(unigram) => unigram.encode(piece, scratch, ids, spans, control)?,
            Self::SentencePiece(model) => model.encode(piece, scratch, ids, spans, control)?,
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

/// How many characters a model takes between two looks at whether the call was cancelled.
pub(crate) const PATIENCE: usize = 1 << 12;

/// How a byte is spelled that a vocabulary has for characters it lacks.
pub(crate) fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The byte that a token such as `<0x0A>` stands for.
pub(crate) fn fallback_byte(token: &[u8]) -> Option<u8> {
    let [b'<', b'0', b'x', digits @ .., b'>'] = token else { return None };
    if digits.len() != 2 {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A text with characters that the vocabulary lacks and has no unknown token for.
fn no_unknown(piece: &str, named: &str) -> lmfast_base::Error {
    lmfast_base::Error::invalid(format!(
        "{:?} is not in the vocabulary, and {named}",
        piece.chars().take(40).collect::<String>()
    ))
}
