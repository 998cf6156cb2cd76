//! Encoding, one text after the other.

use std::ops::Range;
use std::sync::Arc;

use lmfast_base::source::Documents;
use lmfast_base::{Control, Encode, EncodeSession, Error, Result, encode_each};

use crate::Tokenizer;
use crate::added::{Matcher, Segment, Special};
use crate::bpe::Bpe;
use crate::cut::{Rewrite, Stage};
use crate::model::{ModelEncoder, Scratch};
use crate::normalize::{Normalized, Origin};
use crate::split::{Ends, Split};

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

    fn cut(&self, text: &str, from: usize) -> usize {
        self.tokenizer.cut(text, from)
    }

    fn session(&self) -> Box<dyn EncodeSession + '_> {
        Box::new(self.tokenizer.session_with(self.options))
    }
}

/// What is known of the tokens of a text beside their ids.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    /// The bytes of the text that each token came from.
    pub(crate) origins: Vec<Origin>,
    /// The places of added tokens, and the white space that they begin and end with, in characters.
    pub(crate) added: Vec<(usize, (usize, usize))>,
}

/// Where tokens go.
struct Sink<'s> {
    ids: &'s mut Vec<u32>,
    /// The number of ids before this text.
    first: usize,
    detail: Option<&'s mut Detail>,
    /// The text may end with the piece that reaches so many tokens.
    limit: usize,
    /// That has happened.
    full: bool,
    spans: Vec<Range<usize>>,
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

impl EncodeSession for Session<'_> {
    fn encode_part(&mut self, text: &str, part: Range<usize>, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        self.append_part(text, part, ids, control)
    }

    fn encode_run(
        &mut self,
        documents: &Documents,
        range: Range<usize>,
        last: Option<u32>,
        ids: &mut Vec<u32>,
        lengths: &mut Vec<u64>,
        control: &Control,
    ) -> Result<()> {
        let Some((split, bpe)) = self.cuts_and_encodes() else {
            return encode_each(self, documents, range, last, ids, lengths, control);
        };
        let (before, mut behind) =
            if self.options.add_special_tokens { self.tokenizer.around.clone() } else { (Vec::new(), Vec::new()) };
        behind.extend(last);
        let scratch = &mut self.scratch.bpe;
        bpe.encode_run(split, documents.run(range), (&before, &behind), scratch, ids, lengths, control)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.tokenizer.give_back(std::mem::take(&mut self.scratch));
    }
}

impl<'a> Session<'a> {
    /// The cutter and the model, if all that is done to a text is to cut it into pieces, side by side, that are encoded.
    fn cuts_and_encodes(&self) -> Option<(&'a dyn Split, &'a Bpe)> {
        let tokenizer = self.tokenizer;
        let ([Stage { rewrites, split }], ModelEncoder::Bpe(bpe)) = (&*tokenizer.cut.stages, &tokenizer.encoder) else {
            return None;
        };
        let finds_nothing = |matcher: &Option<Matcher>| {
            matcher.as_ref().is_none_or(|matcher| matcher.finds_nothing(self.options.special))
        };
        let is_plain = rewrites.is_empty()
            && tokenizer.normalizers.is_empty()
            && finds_nothing(&tokenizer.raw)
            && finds_nothing(&tokenizer.normalized)
            && split.ends("", &mut Ends::default()).is_some();
        is_plain.then_some((&**split, bpe))
    }

    pub(crate) fn new(tokenizer: &'a Tokenizer, options: Options, scratch: Scratch) -> Self {
        Self { tokenizer, options, scratch, pieces: Vec::new() }
    }

    /// Appends the ids of a text; can be cancelled.
    pub fn append(&mut self, text: &str, ids: &mut Vec<u32>, control: &Control) -> Result<()> {
        self.append_part(text, 0..text.len(), ids, control)
    }

    /// Appends the ids of a part of a text. The parts of a text give its ids where
    /// [words are encoded apart](Tokenizer::encodes_words_apart) and the parts end before spaces between ASCII letters.
    pub(crate) fn append_part(
        &mut self,
        text: &str,
        part: Range<usize>,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<()> {
        let tokenizer = self.tokenizer;
        let is_last = part.end == text.len();
        if self.options.add_special_tokens && part.start == 0 {
            ids.extend_from_slice(&tokenizer.around.0);
        }
        self.append_row(&text[part], ids, None, usize::MAX, control)?;
        if self.options.add_special_tokens && is_last {
            ids.extend_from_slice(&tokenizer.around.1);
        }
        Ok(())
    }

    /// Appends the ids of a text without the special tokens around it, and what is known of them to `detail`. May end
    /// with the piece that makes them `limit` or more.
    pub(crate) fn append_row(
        &mut self,
        text: &str,
        ids: &mut Vec<u32>,
        detail: Option<&mut Detail>,
        limit: usize,
        control: &Control,
    ) -> Result<()> {
        let first = ids.len();
        let mut sink = Sink { ids, first, detail, limit, full: false, spans: Vec::new() };
        self.text(text, &mut sink, control)
    }

    fn text(&mut self, text: &str, sink: &mut Sink<'_>, control: &Control) -> Result<()> {
        let tokenizer = self.tokenizer;
        if u32::try_from(text.len()).is_err() && (sink.detail.is_some() || tokenizer.cut.needs_start) {
            return Err(Error::invalid(format!(
                "a text of {} bytes is too long: where its tokens lie is counted in 32 bits; cut it at 4 GiB",
                text.len()
            )));
        }
        let whole = Normalized::new(text, 0, sink.detail.is_some());
        self.segments(tokenizer.raw.as_ref(), &whole, sink, |session, range, sink| {
            if let Some(taken) = session.bert_fast(&text[range.clone()], sink, control) {
                return taken;
            }
            let tracked = sink.detail.is_some() || range.start == 0 && tokenizer.cut.needs_start;
            let mut segment = Normalized::new(&text[range.clone()], range.start, tracked);
            tokenizer.normalizers.apply(&mut segment)?;
            session.segments(tokenizer.normalized.as_ref(), &segment, sink, |session, range, sink| {
                session.ordinary(&segment.slice(range), sink, control)
            })
        })
    }

    /// Takes the added tokens in a text, and lets `rest` take the ranges between them.
    fn segments(
        &mut self,
        matcher: Option<&Matcher>,
        text: &Normalized<'_>,
        sink: &mut Sink<'_>,
        mut rest: impl FnMut(&mut Self, Range<usize>, &mut Sink<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(matcher) = matcher else { return rest(self, 0..text.text().len(), sink) };
        let mut segments = Vec::new();
        matcher.segments(text.text(), self.options.special, &mut segments)?;
        for segment in segments {
            if sink.full {
                break;
            }
            match segment {
                Segment::Token(id, range) => sink.added(id, text, range),
                Segment::Text(range) => rest(self, range, sink)?,
            }
        }
        Ok(())
    }

    /// Takes a text without added tokens the fast way of BERT, if there is one, and only ids are wanted.
    fn bert_fast(&mut self, text: &str, sink: &mut Sink<'_>, control: &Control) -> Option<Result<()>> {
        let tokenizer = self.tokenizer;
        let (Some(fast), ModelEncoder::WordPiece(model)) = (tokenizer.bert_fast, &tokenizer.encoder) else {
            return None;
        };
        if sink.detail.is_some() || sink.limit != usize::MAX {
            return None;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let taken = fast.encode(text, model, &mut scratch, sink.ids, control, |range, scratch, ids| {
            std::mem::swap(&mut self.scratch, scratch);
            let mut stretch = Normalized::new(&text[range], 0, false);
            tokenizer.normalizers.apply(&mut stretch)?;
            let mut sink = Sink { ids, first: 0, detail: None, limit: usize::MAX, full: false, spans: Vec::new() };
            let taken = self.ordinary(&stretch, &mut sink, control);
            std::mem::swap(&mut self.scratch, scratch);
            taken
        });
        self.scratch = scratch;
        Some(taken)
    }

    /// Takes a text without added tokens.
    fn ordinary(&mut self, text: &Normalized<'_>, sink: &mut Sink<'_>, control: &Control) -> Result<()> {
        if text.text().is_empty() {
            return Ok(());
        }
        let tokenizer = self.tokenizer;
        if let ([stage], ModelEncoder::Bpe(bpe), true) = (&*tokenizer.cut.stages, &tokenizer.encoder, sink.is_plain()) {
            let mut text = text.slice(0..text.text().len());
            stage.rewrite(&mut text);
            return bpe.encode_text(stage.split.as_ref(), text.text(), &mut self.scratch.bpe, sink.ids, control);
        }
        self.stages(&tokenizer.cut.stages, text, sink, control)
    }

    /// Takes a piece through the stages that are left, and then to the model.
    fn stages(
        &mut self,
        stages: &[Stage],
        piece: &Normalized<'_>,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        let Some((stage, others)) = stages.split_first() else { return self.model(piece, sink, control) };
        let mut changed;
        let piece = if stage.rewrites.is_empty() {
            piece
        } else {
            changed = piece.slice(0..piece.text().len());
            stage.rewrite(&mut changed);
            &changed
        };
        let plain = others.is_empty() && sink.is_plain();
        let mut pieces = std::mem::take(&mut self.pieces);
        let mut from = 0;
        while from < piece.text().len() && !sink.full {
            control.check()?;
            pieces.clear();
            from = stage.split.split(piece.text(), from, &mut pieces)?;
            if plain {
                let encoder = &self.tokenizer.encoder;
                for range in pieces.drain(..) {
                    encoder.encode(&piece.text()[range], &mut self.scratch, sink.ids, None, control)?;
                }
                continue;
            }
            for range in pieces.drain(..) {
                if sink.full {
                    break;
                }
                self.stages(others, &piece.slice(range), sink, control)?;
            }
        }
        self.pieces = pieces;
        Ok(())
    }

    fn model(&mut self, piece: &Normalized<'_>, sink: &mut Sink<'_>, control: &Control) -> Result<()> {
        let encoder = &self.tokenizer.encoder;
        match &mut sink.detail {
            None => encoder.encode(piece.text(), &mut self.scratch, sink.ids, None, control)?,
            Some(detail) => {
                sink.spans.clear();
                encoder.encode(piece.text(), &mut self.scratch, sink.ids, Some(&mut sink.spans), control)?;
                detail.origins.extend(sink.spans.drain(..).map(|span| piece.origin(span)));
            }
        }
        sink.full = sink.ids.len() - sink.first >= sink.limit;
        Ok(())
    }
}

impl Stage {
    fn rewrite(&self, text: &mut Normalized<'_>) {
        self.rewrites.iter().for_each(|rewrite: &Rewrite| rewrite.apply(text));
    }
}

impl Sink<'_> {
    /// Whether all ids are wanted, and nothing else.
    fn is_plain(&self) -> bool {
        self.detail.is_none() && self.limit == usize::MAX
    }

    /// Takes an added token, which does not end a text that is limited.
    fn added(&mut self, id: u32, text: &Normalized<'_>, range: Range<usize>) {
        if let Some(detail) = &mut self.detail {
            let spelled = &text.text()[range.clone()];
            let spaces = |characters: &mut dyn Iterator<Item = char>| {
                characters.take_while(|&character| is_blank(character)).count()
            };
            let around = (spaces(&mut spelled.chars()), spaces(&mut spelled.chars().rev()));
            detail.added.push((self.ids.len() - self.first, around));
            detail.origins.push(text.origin(range));
        }
        self.ids.push(id);
    }
}

/// What offsets are trimmed of: white space, and the space of the byte alphabet.
pub(crate) fn is_blank(character: char) -> bool {
    character == '\u{120}' || character.is_whitespace()
}
