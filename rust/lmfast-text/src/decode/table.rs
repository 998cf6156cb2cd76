//! The text of every token, as far as it does not depend on the other tokens.

use std::borrow::Cow;

use lmfast_base::{Error, Result};
use rustc_hash::FxHashSet;

use super::machine::Stage;
use super::sentencepiece;
use super::step::{Step, Strip};
use crate::byte_chars;
use crate::format::components::{Decoder, Metaspace, PrependScheme};
use crate::format::sentencepiece::{self as piece, Settings};
use crate::format::{Definition, Model};
use crate::normalize::Normalizers;
use crate::split::find::Finder;
use crate::vocabulary::Vocabulary;

/// The tokens one behind the other, and the steps that are left.
#[derive(Debug)]
pub(crate) struct TokenBytes {
    later: Table,
    /// What tokens are at the beginning of a text, where that is something else.
    first: Option<Table>,
    kinds: Vec<Kind>,
    /// The ordinary tokens of up to 15 bytes in `later`, zeros, and the number of bytes, which is [`NOT_SHORT`] for the
    /// others.
    short: Vec<[u8; SHORT + 1]>,
    /// A space stands between two tokens.
    pub(super) spaces: bool,
    /// The steps for which tokens depend on each other; none if the tokens of the tables are the text.
    pub(super) stages: Vec<Stage>,
}

/// The most bytes of a short token.
const SHORT: usize = 15;

/// In place of the length of a token that is not short.
const NOT_SHORT: u8 = u8::MAX;

#[derive(Debug, Default)]
struct Table {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No token has this id.
    Unused,
    Ordinary,
    Special,
}

impl TokenBytes {
    /// Makes a decoder ready.
    ///
    /// # Errors
    /// Says what of it cannot be used.
    pub(crate) fn new(
        definition: &Definition,
        normalizers: &Normalizers,
        size: u32,
    ) -> std::result::Result<Self, String> {
        if let Model::SentencePiece(settings) = &definition.model {
            return Ok(Self::sentencepiece(settings, &definition.vocabulary));
        }
        let Decoding { steps, bytes, stages } = Decoding::new(definition.decoder.as_ref())?;
        let mut tokens: Vec<Option<(Cow<'_, str>, bool)>> = vec![None; size as usize];
        for (token, id) in definition.vocabulary.iter() {
            tokens[id as usize] = Some((Cow::Borrowed(token), false));
        }
        let special = definition.added_tokens.iter().filter(|token| token.special);
        let special: FxHashSet<&str> = special.map(|token| token.content.as_str()).collect();
        for token in &definition.added_tokens {
            // tokenizers decodes the spelling that it looks for, and asks of that whether it is special.
            let spelled = if token.normalized {
                normalizers.text(&token.content).map_err(|error| format!("normalizer: {error}"))?
            } else {
                token.content.clone()
            };
            let is_special = special.contains(spelled.as_str());
            tokens[token.id as usize] = Some((Cow::Owned(spelled), is_special));
        }
        let table = |first: bool| -> std::result::Result<Table, String> {
            let mut table = Table::default();
            for token in &tokens {
                if let Some((token, _)) = token {
                    let mut text = Cow::Borrowed(token.as_ref());
                    for step in &steps {
                        text = Cow::Owned(step.apply(&text, first).map_err(|error| format!("decoder: {error}"))?);
                    }
                    let spelled = if bytes { byte_chars::bytes(&text) } else { None };
                    table.bytes.extend(spelled.as_deref().unwrap_or(text.as_bytes()));
                }
                table.ends.push(table.bytes.len());
            }
            Ok(table)
        };
        let kind = |token: &Option<(Cow<'_, str>, bool)>| match token {
            None => Kind::Unused,
            Some((_, true)) => Kind::Special,
            Some((_, false)) => Kind::Ordinary,
        };
        let (later, kinds): (Table, Vec<Kind>) = (table(false)?, tokens.iter().map(kind).collect());
        Ok(Self {
            short: later.short(&kinds),
            later,
            first: if steps.iter().any(Step::minds_the_first) { Some(table(true)?) } else { None },
            kinds,
            spaces: definition.decoder.is_none(),
            stages,
        })
    }

    /// The pieces of a model of `SentencePiece`, each behind a byte that tells its kind.
    fn sentencepiece(settings: &Settings, vocabulary: &Vocabulary) -> Self {
        let (mut later, mut kinds) = (Table::default(), Vec::new());
        for ((piece, _), about) in vocabulary.iter().zip(&settings.pieces) {
            sentencepiece::write(piece, about.kind, &settings.unk_surface, &mut later.bytes);
            later.ends.push(later.bytes.len());
            let special = matches!(about.kind, piece::Kind::Control | piece::Kind::Unknown);
            kinds.push(if special { Kind::Special } else { Kind::Ordinary });
        }
        let stages = vec![Stage::SentencePiece(sentencepiece::Spaces::new(settings))];
        Self { later, first: None, kinds, short: Vec::new(), spaces: false, stages }
    }

    /// Whether every token of a text but the first is its bytes in one table and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        self.stages.is_empty() && !self.spaces
    }

    /// Whether the first token of a text is like the others.
    pub(super) fn first_is_plain(&self) -> bool {
        self.first.is_none()
    }

    /// Appends the bytes of an ordinary token behind the first, if it is short.
    #[inline]
    pub(super) fn append_short(&self, id: u32, bytes: &mut Vec<u8>) -> bool {
        let Some(slot) = self.short.get(id as usize).filter(|slot| slot[SHORT] != NOT_SHORT) else { return false };
        // All are written, in one go, and what is too much is taken back.
        bytes.extend_from_slice(slot);
        bytes.truncate(bytes.len() - (SHORT + 1) + usize::from(slot[SHORT]));
        true
    }

    /// The bytes of a token; nothing for a special one that is to be left out.
    #[inline]
    pub(super) fn get(&self, id: u32, first: bool, skip_special_tokens: bool) -> Result<Option<&[u8]>> {
        let at = id as usize;
        match self.kinds.get(at) {
            None | Some(Kind::Unused) => Err(Error::invalid(format!(
                "the id {id} is not in the vocabulary of {} (vocab_size): it belongs to another tokenizer",
                self.kinds.len()
            ))),
            Some(Kind::Special) if skip_special_tokens => Ok(None),
            Some(_) => {
                let table = if first { self.first.as_ref().unwrap_or(&self.later) } else { &self.later };
                Ok(Some(table.get(at)))
            }
        }
    }
}

impl Table {
    fn get(&self, at: usize) -> &[u8] {
        &self.bytes[if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at]]
    }

    fn short(&self, kinds: &[Kind]) -> Vec<[u8; SHORT + 1]> {
        let slot = |(at, kind): (usize, &Kind)| {
            let (token, mut slot) = (self.get(at), [NOT_SHORT; SHORT + 1]);
            if *kind == Kind::Ordinary && token.len() <= SHORT {
                slot = [0; SHORT + 1];
                slot[..token.len()].copy_from_slice(token);
                slot[SHORT] = token.len() as u8;
            }
            slot
        };
        kinds.iter().enumerate().map(slot).collect()
    }
}

/// A decoder taken apart: steps that each token passes by itself, then the byte alphabet or not, then the rest.
struct Decoding {
    steps: Vec<Step>,
    bytes: bool,
    stages: Vec<Stage>,
}

impl Decoding {
    fn new(definition: Option<&Decoder>) -> std::result::Result<Self, String> {
        let mut flat = Vec::new();
        if let Some(definition) = definition {
            flatten(definition, &mut flat);
        }
        let mut decoding = Self { steps: Vec::new(), bytes: false, stages: Vec::new() };
        for decoder in flat {
            decoding.add(decoder).map_err(|what| format!("decoder: {what}"))?;
        }
        // Fused tokens that nothing follows are text.
        while matches!(decoding.stages.last(), Some(Stage::Fuse | Stage::Text)) {
            decoding.stages.pop();
        }
        Ok(decoding)
    }

    fn add(&mut self, decoder: &Decoder) -> std::result::Result<(), String> {
        let own_token = self.stages.is_empty() && !self.bytes;
        let step = match decoder {
            Decoder::Sequence { .. } => return Ok(()),
            Decoder::ByteLevel { .. } => {
                if own_token {
                    self.bytes = true;
                    self.stages.push(Stage::Fuse);
                } else {
                    self.stages.push(Stage::Bytes);
                }
                self.stages.push(Stage::Text);
                return Ok(());
            }
            Decoder::Fuse {} => {
                self.stages.push(Stage::Fuse);
                return Ok(());
            }
            Decoder::ByteFallback {} => {
                self.stages.push(Stage::Fallback);
                return Ok(());
            }
            Decoder::BPEDecoder { suffix } => {
                self.stages.push(Stage::Suffix(suffix.clone()));
                return Ok(());
            }
            Decoder::Ctc { pad_token, word_delimiter_token, cleanup } => {
                self.stages.push(Stage::Ctc {
                    pad_token: pad_token.clone(),
                    word_delimiter_token: word_delimiter_token.clone(),
                    cleanup: *cleanup,
                });
                return Ok(());
            }
            Decoder::Strip { content, start, stop } => {
                let strip = Strip { content: *content, start: *start, stop: *stop };
                if !own_token {
                    self.stages.push(Stage::Strip(strip));
                    return Ok(());
                }
                Step::Strip(strip)
            }
            Decoder::Replace { pattern, content } => {
                Step::Replace { finder: Finder::new(pattern)?, content: content.clone() }
            }
            Decoder::Metaspace(Metaspace { replacement, prepend_scheme, .. }) => {
                Step::Metaspace { replacement: *replacement, dropped_first: *prepend_scheme != PrependScheme::Never }
            }
            Decoder::WordPiece { prefix, cleanup } => Step::WordPiece { prefix: prefix.clone(), cleanup: *cleanup },
        };
        if own_token {
            self.steps.push(step);
        } else {
            self.stages.push(Stage::Whole(step));
        }
        Ok(())
    }
}

fn flatten<'a>(decoder: &'a Decoder, flat: &mut Vec<&'a Decoder>) {
    if let Decoder::Sequence { decoders } = decoder {
        for inner in decoders {
            flatten(inner, flat);
        }
    } else {
        flat.push(decoder);
    }
}
