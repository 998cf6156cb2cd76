//! Models of `SentencePiece`, with the ids of its C++ library.
//!
//! A text is [normalized](normalizer) as a whole, made into pieces by [Unigram](unigram) or [BPE](bpe), and of what is
//! unknown the bytes are taken, or neighbours made one (`SentencePieceProcessor::PopulateSentencePieceText`).
//!
//! No piece crosses a place where U+2581 follows another character, if none has it so inside. Then what lies between,
//! a word, is made into pieces by itself, and remembered; by Unigram [as it is spelled in the text](text), so that words
//! met before are not normalized again.

mod bpe;
mod merger;
mod merges;
mod normalizer;
mod quiet;
mod text;
mod unigram;
mod units;

use std::ops::Range;

use lmfast_base::{Control, Error, Result};

use super::{Scratch, byte_token};
use crate::format::sentencepiece::{Algorithm, Kind, Settings};
use crate::vocabulary::Vocabulary;
use bpe::Bpe;
pub(crate) use merges::Pairs;
use normalizer::{Normalizer, SPACE};
pub(super) use unigram::Paths;
use unigram::Unigram;

/// The model.
#[derive(Debug)]
pub(crate) struct SentencePiece {
    normalizer: Normalizer,
    pieces: Pieces,
}

#[derive(Debug)]
enum Pieces {
    Unigram(Unigram),
    Bpe(Box<Bpe>),
}

/// What the algorithms have in common.
#[derive(Debug)]
struct Common {
    unknown: u32,
    /// The token of each byte, if the model is to use them.
    bytes: Option<Box<[u32; 256]>>,
    /// No piece crosses words.
    cut: bool,
}

/// Where ids go; neighbouring unknown pieces become one.
struct Sink<'a> {
    ids: &'a mut Vec<u32>,
    /// The bytes of the normalized text that each id covers, if somebody asks.
    spans: Option<&'a mut Vec<Range<usize>>>,
    after_unknown: bool,
}

impl SentencePiece {
    /// # Errors
    /// Says that the pieces are too many.
    pub(crate) fn new(settings: &Settings, vocabulary: &Vocabulary) -> std::result::Result<Self, String> {
        let of_kind = |wanted: Kind| {
            vocabulary
                .iter()
                .filter(move |&(_, id)| settings.pieces.get(id as usize).is_some_and(|piece| piece.kind == wanted))
        };
        let user_defined: Vec<(&str, u32)> = of_kind(Kind::UserDefined).collect();
        let is_inside = |piece: &str| piece.trim_start_matches(SPACE).contains(SPACE);
        let text_kinds = [Kind::Normal, Kind::UserDefined, Kind::Unused];
        let common = Common {
            unknown: of_kind(Kind::Unknown).next().map_or(0, |(_, id)| id),
            bytes: settings
                .byte_fallback
                .then(|| Box::new(std::array::from_fn(|byte| vocabulary.id(&byte_token(byte as u8)).unwrap_or(0)))),
            cut: !text_kinds.iter().any(|&kind| of_kind(kind).any(|(piece, _)| is_inside(piece))),
        };
        let normalizer = Normalizer::new(settings, &user_defined)?;
        let pieces = match settings.algorithm {
            Algorithm::Unigram => Pieces::Unigram(Unigram::new(settings, vocabulary, common)?),
            Algorithm::Bpe => {
                let user_defined = normalizer.user_defined.clone();
                Pieces::Bpe(Box::new(Bpe::new(settings, vocabulary, common, user_defined)))
            }
        };
        Ok(Self { normalizer, pieces })
    }

    /// Appends the ids of a whole text and, where asked, the bytes that each comes from.
    pub(crate) fn encode(
        &self,
        text: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        spans: Option<&mut Vec<Range<usize>>>,
        control: &Control,
    ) -> Result<()> {
        if let (Pieces::Unigram(unigram), Some(separators), None) = (&self.pieces, self.normalizer.separators(), &spans)
            && unigram.cuts()
        {
            if u32::try_from(text.len()).is_err() {
                return Err(long_text());
            }
            let mut sink = Sink { ids, spans: None, after_unknown: false };
            return unigram.encode_text(text, &self.normalizer, separators, scratch, &mut sink, control);
        }
        let mut normalized = std::mem::take(&mut scratch.text);
        let mut origins = Vec::new();
        self.normalizer.apply(text, &mut normalized, spans.is_some().then_some(&mut origins));
        if u32::try_from(normalized.len()).is_err() {
            return Err(long_text());
        }
        if let Some(spans) = spans {
            let before = spans.len();
            let mut sink = Sink { ids, spans: Some(spans), after_unknown: false };
            self.pieces(&normalized, scratch, &mut sink, control)?;
            let origin = |at: usize| origins.get(at).copied().unwrap_or(text.len());
            for span in &mut spans[before..] {
                *span = origin(span.start)..origin(span.end);
            }
        } else {
            self.pieces(&normalized, scratch, &mut Sink { ids, spans: None, after_unknown: false }, control)?;
        }
        scratch.text = normalized;
        Ok(())
    }

    fn pieces(&self, normalized: &str, scratch: &mut Scratch, sink: &mut Sink<'_>, control: &Control) -> Result<()> {
        match &self.pieces {
            Pieces::Unigram(unigram) => unigram.encode(normalized, scratch, sink, control),
            Pieces::Bpe(bpe) => bpe.encode(normalized, scratch, sink, control),
        }
    }
}

fn long_text() -> Error {
    Error::invalid("a text of more than 4 GiB: cut it into documents")
}

impl Common {
    /// Takes a piece of the text.
    fn take(&self, id: u32, text: &[u8], start: usize, sink: &mut Sink<'_>) {
        let is_unknown = id == self.unknown;
        let span = start..start + text.len();
        match &self.bytes {
            Some(bytes) if is_unknown => {
                sink.ids.extend(text.iter().map(|&byte| bytes[usize::from(byte)]));
                if let Some(spans) = &mut sink.spans {
                    spans.extend(text.iter().map(|_| span.clone()));
                }
            }
            _ if is_unknown && sink.after_unknown => {
                if let Some(last) = sink.spans.as_mut().and_then(|spans| spans.last_mut()) {
                    last.end = span.end;
                }
            }
            _ => {
                sink.ids.push(id);
                if let Some(spans) = &mut sink.spans {
                    spans.push(span);
                }
            }
        }
        sink.after_unknown = is_unknown;
    }

    /// Takes the ids that a word has by itself.
    #[inline]
    fn take_word(&self, ids: &[u32], sink: &mut Sink<'_>) {
        let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else { return };
        // The ids of bytes are never that of the unknown piece.
        let joined = sink.after_unknown && first == self.unknown;
        sink.ids.extend_from_slice(if joined { &ids[1..] } else { ids });
        sink.after_unknown = last == self.unknown;
    }
}
