//! A model of `SentencePiece` as a `tokenizer.json`, where that has the same ids for every text.
//!
//! The steps are those of `convert_slow_tokenizer` in `transformers`: spaces become U+2581 and one is put before, then
//! the whole text is one piece of BPE. [`Pairs::ranked`] gives merges that do what the scores of the pieces do. What
//! has no equal in `tokenizers` is refused by name:
//! - Unigram adds up scores in single precision, which decides between ways to cut a text that are equally good;
//!   `tokenizers` has double precision.
//! - A table of the normalizer is applied by `tokenizers` to each grapheme, or to none of its characters but the first.
//! - User-defined pieces would be added tokens, behind which no space is put at the beginning of a text.

use super::components::{Decoder, Normalizer, Pattern};
use super::sentencepiece::{Algorithm, Kind, Settings};
use super::{BpeSettings, Definition, Model};
use crate::added::AddedToken;
use crate::model::{Pairs, SPACE};

impl Definition {
    /// What a `tokenizer.json` says for a model of `SentencePiece`.
    ///
    /// # Errors
    /// Names what it cannot say.
    pub(super) fn without_sentencepiece(&self, settings: &Settings) -> Result<Self, String> {
        self.convert(settings).map_err(|what| {
            format!(
                "a tokenizer.json cannot hold this SentencePiece model exactly: {what}; keep the .model file, which lmfast \
                 reads"
            )
        })
    }

    fn convert(&self, settings: &Settings) -> Result<Self, String> {
        if settings.algorithm == Algorithm::Unigram {
            return Err(
                "it is a Unigram model, whose scores are added up in single precision, and tokenizers adds them \
                        up in double precision, so that ties are settled otherwise"
                    .to_owned(),
            );
        }
        if settings.chars_map.is_some() {
            return Err("its normalizer_spec has a precompiled_charsmap (such as that of nmt_nfkc), which tokenizers \
                        applies to graphemes, and SentencePiece to any characters in a row"
                .to_owned());
        }
        let of_kind = |kind| self.vocabulary.iter().filter(move |&(_, id)| settings.pieces[id as usize].kind == kind);
        if let Some((piece, _)) = of_kind(Kind::Unused).next() {
            return Err(format!("the piece {piece:?} is of the type UNUSED, which is merged and taken apart again"));
        }
        let mut added_tokens = self.added_tokens.clone();
        for (piece, id) in of_kind(Kind::UserDefined).filter(|(piece, _)| piece.chars().nth(1).is_some()) {
            self.can_be_added(settings, piece).map_err(|what| format!("the user-defined piece {piece:?} {what}"))?;
            added_tokens.push(AddedToken { special: false, ..AddedToken::special(id, piece) });
        }
        added_tokens.sort_by_key(|token| token.id);
        let unknown = of_kind(Kind::Unknown).next().map(|(piece, _)| piece.to_owned());
        Ok(Self {
            added_tokens,
            normalizer: normalizer(settings),
            decoder: Some(decoder(settings)),
            model: Model::Bpe(BpeSettings {
                merges: self.ranked_merges(settings)?,
                unk_token: unknown,
                fuse_unk: true,
                byte_fallback: settings.byte_fallback,
                ..BpeSettings::default()
            }),
            ..self.clone()
        })
    }

    fn ranked_merges(&self, settings: &Settings) -> Result<Vec<(u32, u32, u32)>, String> {
        let vocabulary = &self.vocabulary;
        let piece = |id: u32| vocabulary.token(id).unwrap_or_default();
        let ranked = Pairs::new(settings, vocabulary).ranked(vocabulary).map_err(|(one, other)| {
            format!(
                "the pieces {:?} and {:?} have one score, of which the leftmost comes first, and no order of merges does that",
                piece(one),
                piece(other)
            )
        })?;
        let mut merges = Vec::with_capacity(ranked.merges.len());
        for (merge, happens) in ranked.merges.into_iter().zip(ranked.happen) {
            if merge.0 < vocabulary.size() && merge.1 < vocabulary.size() {
                merges.push(merge);
            } else if happens {
                return Err(format!("the piece {:?} is made of a character that is no piece", piece(merge.2)));
            }
        }
        Ok(merges)
    }

    /// Whether a user-defined piece is found in the same places if it is an added token.
    fn can_be_added(&self, settings: &Settings, piece: &str) -> Result<(), String> {
        if settings.add_dummy_prefix || settings.remove_extra_whitespaces {
            return Err("would be an added token, around which tokenizers treats spaces otherwise \
                        (normalizer_spec.add_dummy_prefix, remove_extra_whitespaces)"
                .to_owned());
        }
        if piece.contains([' ', SPACE]) {
            return Err("has a space, which an added token is not found with".to_owned());
        }
        let overlap = |one: &str, other: &str| {
            one.contains(other) || one.char_indices().skip(1).any(|(at, _)| other.starts_with(&one[at..]))
        };
        let special = self.added_tokens.iter().map(|token| token.content.as_str());
        match special.into_iter().find(|special| overlap(piece, special) || overlap(special, piece)) {
            Some(special) => Err(format!("can overlap the special token {special:?}")),
            None => Ok(()),
        }
    }
}

/// What the normalizer of a model without a table does.
fn normalizer(settings: &Settings) -> Option<Normalizer> {
    let replace = |pattern: Pattern, content: &str| Normalizer::Replace { pattern, content: content.to_owned() };
    let space = if settings.escape_whitespaces { SPACE } else { ' ' }.to_string();
    let mut steps = Vec::new();
    if settings.remove_extra_whitespaces {
        steps.push(replace(Pattern::Regex(r"\A +".to_owned()), ""));
        steps.push(replace(Pattern::Regex(" {2,}".to_owned()), " "));
    }
    if settings.escape_whitespaces {
        steps.push(replace(Pattern::String(" ".to_owned()), &space));
    }
    if settings.remove_extra_whitespaces {
        // Also those that the text spells as U+2581.
        steps.push(replace(Pattern::Regex(format!(r"{space}+\z")), ""));
    }
    if settings.add_dummy_prefix {
        steps.push(Normalizer::Prepend { prepend: space });
    }
    (!steps.is_empty()).then_some(Normalizer::Sequence { normalizers: steps })
}

fn decoder(settings: &Settings) -> Decoder {
    let pattern = Pattern::String(SPACE.to_string());
    let mut decoders = vec![Decoder::Replace { pattern, content: " ".to_owned() }];
    if settings.byte_fallback {
        decoders.push(Decoder::ByteFallback {});
    }
    decoders.push(Decoder::Fuse {});
    if settings.add_dummy_prefix || settings.remove_extra_whitespaces {
        decoders.push(Decoder::Strip { content: ' ', start: 1, stop: 0 });
    }
    Decoder::Sequence { decoders }
}
