//! What a training makes, put together as a file says it.

use std::collections::BTreeMap;

use super::wordpiece;
use super::{Config, Kind};
use crate::added::AddedToken;
use crate::format::components::{
    Behavior, Decoder, Metaspace, Normalizer, Pattern, PostProcessor, PreTokenizer, PrependScheme, TemplatePiece,
    TemplateText, TemplateToken,
};
use crate::format::{BpeSettings, Definition, Model};
use crate::split::{self, gpt2};
use crate::vocabulary::Vocabulary;

/// The result of a trainer.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// By id.
    pub(super) tokens: Vec<Option<String>>,
    /// By id, for unigram.
    pub(super) scores: Vec<f64>,
    /// (left, right, merged) by rank, for BPE.
    pub(super) merges: Vec<(u32, u32, u32)>,
}

impl Made {
    /// Tokens alone.
    pub(super) fn tokens(tokens: Vec<String>) -> Self {
        Self { tokens: tokens.into_iter().map(Some).collect(), ..Self::default() }
    }
}

/// The steps before the model.
pub(super) fn steps(config: &Config) -> (Option<Normalizer>, Option<PreTokenizer>) {
    if let Some(tokenizer) = &config.continue_from {
        let definition = tokenizer.definition();
        return (definition.normalizer.clone(), definition.pre_tokenizer.clone());
    }
    let byte_level = |use_regex| PreTokenizer::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex };
    let isolated = |pattern: &str| PreTokenizer::Split {
        pattern: Pattern::Regex(pattern.to_owned()),
        behavior: Behavior::Isolated,
        invert: false,
    };
    let mut normalizer = None;
    let pre_tokenizer = match config.kind {
        Kind::Word => PreTokenizer::WhitespaceSplit {},
        Kind::Char => isolated(r"[\s\S]"),
        Kind::WordPiece => {
            normalizer = Some(Normalizer::BertNormalizer {
                clean_text: true,
                handle_chinese_chars: true,
                strip_accents: None,
                lowercase: config.lowercase.unwrap_or(true),
            });
            PreTokenizer::BertPreTokenizer {}
        }
        Kind::Unigram => PreTokenizer::Metaspace(metaspace()),
        Kind::Bpe => {
            let pattern = config.pattern.as_deref().unwrap_or("gpt2");
            match split::named(pattern).unwrap_or(pattern) {
                gpt2::PATTERN => byte_level(true),
                pattern => PreTokenizer::Sequence { pretokenizers: vec![isolated(pattern), byte_level(false)] },
            }
        }
    };
    (normalizer, Some(pre_tokenizer))
}

/// Spaces as sentencepiece writes them.
fn metaspace() -> Metaspace {
    Metaspace { replacement: '\u{2581}', prepend_scheme: PrependScheme::Always, split: true }
}

/// The whole definition.
pub(super) fn define(
    config: &Config,
    made: Made,
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizer>,
) -> Result<Definition, String> {
    let entries = made.tokens.into_iter().zip(0..).filter_map(|(token, id)| Some((token?, id))).collect();
    let vocabulary = Vocabulary::new(entries)?;
    let before = config.continue_from.as_deref().map(crate::Tokenizer::definition);
    let mut added_tokens = before.map(|before| before.added_tokens.clone()).unwrap_or_default();
    let special = |token: String| vocabulary.id(&token).map(|id| AddedToken::special(id, &token));
    for token in config.different_special_tokens().into_iter().filter_map(special) {
        if !added_tokens.iter().any(|known| known.content == token.content) {
            added_tokens.push(token);
        }
    }
    added_tokens.sort_by_key(|token| token.id);
    let unk_token = config.special_tokens.first().cloned();
    let (model, decoder) = match config.kind {
        Kind::Bpe => {
            let (settings, decoder) = if let Some(Definition { model: Model::Bpe(settings), decoder, .. }) = before {
                (settings.clone(), decoder.clone())
            } else {
                let decoder = Decoder::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true };
                (BpeSettings::default(), Some(decoder))
            };
            (Model::Bpe(BpeSettings { merges: made.merges, ..settings }), decoder)
        }
        Kind::WordPiece => {
            let prefix = wordpiece::PREFIX.to_owned();
            let model = Model::WordPiece {
                unk_token: unk_token.unwrap_or_else(|| "[UNK]".to_owned()),
                continuing_subword_prefix: prefix.clone(),
                max_input_chars_per_word: 100,
            };
            (model, Some(Decoder::WordPiece { prefix, cleanup: true }))
        }
        Kind::Unigram => {
            let byte_fallback = config.byte_fallback == Some(true);
            let unk_id = unk_token.and_then(|token| vocabulary.id(&token));
            let decoder = Decoder::Metaspace(metaspace());
            let decoder = if byte_fallback {
                Decoder::Sequence { decoders: vec![Decoder::ByteFallback {}, decoder] }
            } else {
                decoder
            };
            (Model::Unigram { scores: made.scores, unk_id, byte_fallback }, Some(decoder))
        }
        Kind::Word | Kind::Char => {
            let decoder = (config.kind == Kind::Char).then_some(Decoder::Fuse {});
            (Model::WordLevel { unk_token: unk_token.unwrap_or_default() }, decoder)
        }
    };
    let post_processor = match before {
        Some(before) => before.post_processor.clone(),
        None if config.kind == Kind::WordPiece => bert_template(&added_tokens),
        None => None,
    };
    Ok(Definition { added_tokens, normalizer, pre_tokenizer, post_processor, decoder, vocabulary, model })
}

/// `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, if both tokens are there.
fn bert_template(special_tokens: &[AddedToken]) -> Option<PostProcessor> {
    let mut found = BTreeMap::new();
    for name in ["[CLS]", "[SEP]"] {
        let token = special_tokens.iter().find(|token| token.content == name)?;
        let name = name.to_owned();
        found.insert(name.clone(), TemplateToken { id: name.clone(), ids: vec![token.id], tokens: vec![name] });
    }
    let token = |name: &str, type_id| TemplatePiece::SpecialToken { id: name.to_owned(), type_id };
    let text = |id, type_id| TemplatePiece::Sequence { id, type_id };
    let single = vec![token("[CLS]", 0), text(TemplateText::A, 0), token("[SEP]", 0)];
    let pair = single.iter().cloned().chain([text(TemplateText::B, 1), token("[SEP]", 1)]).collect();
    Some(PostProcessor::TemplateProcessing { single, pair, special_tokens: found })
}
