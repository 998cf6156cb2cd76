//! `tokenizer.json`, as `tokenizers` writes and reads it.
//!
//! What is not supported is refused by the name of its field. Truncation and padding are about batches, not about
//! tokens: they are kept beside the [`Definition`].

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::batching::{Batching, Padding, Truncation};
use super::components::{Decoder, Normalizer, PostProcessor, PreTokenizer};
use super::sentencepiece;
use crate::added::AddedToken;
use crate::vocabulary::Vocabulary;

/// What a file says.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) added_tokens: Vec<AddedToken>,
    pub(crate) normalizer: Option<Normalizer>,
    pub(crate) pre_tokenizer: Option<PreTokenizer>,
    pub(crate) post_processor: Option<PostProcessor>,
    pub(crate) decoder: Option<Decoder>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) model: Model,
}

/// The model's settings; its vocabulary lies in the [`Definition`].
#[derive(Debug, Clone)]
pub(crate) enum Model {
    Bpe(BpeSettings),
    WordPiece {
        /// What a word that cannot be covered becomes.
        unk_token: String,
        /// What tokens that do not begin a word are spelled with.
        continuing_subword_prefix: String,
        /// A longer word becomes the unknown token.
        max_input_chars_per_word: usize,
    },
    Unigram {
        /// By id.
        scores: Vec<f64>,
        unk_id: Option<u32>,
        byte_fallback: bool,
    },
    /// Of a `SentencePiece` file, with steps of its own around it; written as BPE where that is the same.
    SentencePiece(Box<sentencepiece::Settings>),
    WordLevel {
        /// What stands for other words; none if the vocabulary does not have it.
        unk_token: String,
    },
}

/// Merges are (left, right, merged) by rank. Of the other fields only `ignore_merges` does anything at byte level.
#[derive(Debug, Clone, Default)]
pub(crate) struct BpeSettings {
    pub(crate) merges: Vec<(u32, u32, u32)>,
    pub(crate) ignore_merges: bool,
    pub(crate) unk_token: Option<String>,
    pub(crate) fuse_unk: bool,
    pub(crate) continuing_subword_prefix: Option<String>,
    pub(crate) end_of_word_suffix: Option<String>,
    pub(crate) byte_fallback: bool,
    /// Zero or nothing.
    pub(crate) dropout: Option<f32>,
}

impl BpeSettings {
    /// Whether characters are spelled otherwise where they do not begin, or where they end, a piece.
    pub(crate) fn has_affixes(&self) -> bool {
        [&self.continuing_subword_prefix, &self.end_of_word_suffix]
            .iter()
            .any(|affix| affix.as_ref().is_some_and(|affix| !affix.is_empty()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    version: Option<Value>,
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<Value>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Option<RawModel>,
}

#[derive(Deserialize)]
struct RawModel {
    #[serde(default)]
    vocab: RawVocabulary,
    #[serde(default)]
    merges: Vec<Value>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// The entries of a map, with those that are there twice, or a list of tokens with their scores.
#[derive(Default)]
enum RawVocabulary {
    #[default]
    Missing,
    Map(Vec<(String, Value)>),
    List(Vec<(String, f64)>),
}

impl<'de> Deserialize<'de> for RawVocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawVocabulary;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("model.vocab: a map from tokens to ids, or a list of tokens with scores")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawVocabulary, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawVocabulary::Map(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawVocabulary, A::Error> {
                let mut entries = Vec::new();
                while let Some(value) = list.next_element::<Value>()? {
                    let index = entries.len();
                    entries.push(serde_json::from_value(value).map_err(|error| {
                        serde::de::Error::custom(format!(
                            "model.vocab[{index}]: a token with its score is wanted ({error})"
                        ))
                    })?);
                }
                Ok(RawVocabulary::List(entries))
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

impl Definition {
    /// Reads the text of a file; an error names the field.
    pub(crate) fn parse(text: &str) -> Result<(Self, Batching), String> {
        let file: RawFile = serde_json::from_str(text).map_err(|error| format!("not a tokenizer.json: {error}"))?;
        let batching =
            Batching { truncation: field("truncation", file.truncation)?, padding: field("padding", file.padding)? };
        if let Some(version) = file.version.filter(|version| *version != "1.0") {
            return Err(format!("version: {version} is not known, only \"1.0\""));
        }
        let added_tokens = file.added_tokens.into_iter().enumerate();
        let added_tokens = added_tokens.map(|(index, token)| field(&format!("added_tokens[{index}]"), token));
        let (vocabulary, model) = model(file.model.ok_or("model: it is missing")?)?;
        let definition = Self {
            added_tokens: added_tokens.collect::<Result<_, _>>()?,
            normalizer: field("normalizer", file.normalizer)?,
            pre_tokenizer: field("pre_tokenizer", file.pre_tokenizer)?,
            post_processor: field("post_processor", file.post_processor)?,
            decoder: field("decoder", file.decoder)?,
            vocabulary,
            model,
        };
        Ok((definition, batching))
    }

    /// The same with added tokens that the model's vocabulary lacks in that vocabulary, for `tokenizers` gives those
    /// that it lacks the next ids.
    pub(crate) fn with_added_in_vocabulary(&self) -> Result<Self, String> {
        let missing = |token: &&AddedToken| self.vocabulary.id(&token.content).is_none();
        let added = self.added_tokens.iter().filter(missing).map(|token| (token.content.clone(), token.id));
        let tokens = self.vocabulary.iter().map(|(token, id)| (token.to_owned(), id));
        Ok(Self { vocabulary: Vocabulary::new(tokens.chain(added).collect())?, ..self.clone() })
    }

    /// The text of a file, byte for byte as `tokenizers` writes it.
    ///
    /// # Errors
    /// Says why there can be none.
    pub(crate) fn write(&self, batching: &Batching) -> Result<String, String> {
        if let Model::SentencePiece(settings) = &self.model {
            return self.without_sentencepiece(settings)?.write(batching);
        }
        let file = File {
            version: "1.0",
            truncation: batching.truncation.as_ref(),
            padding: batching.padding.as_ref(),
            added_tokens: &self.added_tokens,
            normalizer: self.normalizer.as_ref(),
            pre_tokenizer: self.pre_tokenizer.as_ref(),
            post_processor: self.post_processor.as_ref(),
            decoder: self.decoder.as_ref(),
            model: self.file_model()?,
        };
        serde_json::to_string_pretty(&file).map_err(|error| error.to_string())
    }

    fn file_model(&self) -> Result<FileModel<'_>, String> {
        let vocab = Entries(&self.vocabulary);
        Ok(match &self.model {
            Model::Bpe(settings) => FileModel::Bpe {
                dropout: settings.dropout,
                unk_token: settings.unk_token.as_deref(),
                continuing_subword_prefix: settings.continuing_subword_prefix.as_deref(),
                end_of_word_suffix: settings.end_of_word_suffix.as_deref(),
                fuse_unk: settings.fuse_unk,
                byte_fallback: settings.byte_fallback,
                ignore_merges: settings.ignore_merges,
                vocab,
                merges: Merges(&self.vocabulary, &settings.merges),
            },
            Model::WordPiece { unk_token, continuing_subword_prefix, max_input_chars_per_word } => {
                FileModel::WordPiece {
                    unk_token,
                    continuing_subword_prefix,
                    max_input_chars_per_word: *max_input_chars_per_word,
                    vocab,
                }
            }
            Model::Unigram { scores, unk_id, byte_fallback } => FileModel::Unigram {
                unk_id: *unk_id,
                vocab: Scores(&self.vocabulary, scores),
                byte_fallback: *byte_fallback,
            },
            Model::WordLevel { unk_token } => FileModel::WordLevel { vocab, unk_token },
            Model::SentencePiece(_) => return Err("it has to be made a BPE model first".to_owned()),
        })
    }
}

/// Reads one field, and names it if that fails.
fn field<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))
}

fn model(raw: RawModel) -> Result<(Vocabulary, Model), String> {
    let mut settings = raw.settings;
    // Files older than the field have no type: each kind is told by what the others do not have.
    let kind = settings.remove("type").unwrap_or_else(|| match &raw.vocab {
        RawVocabulary::List(_) => "Unigram".into(),
        _ if !raw.merges.is_empty() => "BPE".into(),
        _ if settings.contains_key("max_input_chars_per_word") => "WordPiece".into(),
        _ => Value::Null,
    });
    let kind = kind.as_str().map_or_else(|| kind.to_string(), str::to_owned);
    let known = ["BPE", "Unigram", "WordLevel", "WordPiece"];
    if !known.contains(&kind.as_str()) {
        return Err(format!("model.type: {kind:?} is not supported, only {known:?}"));
    }
    let (vocabulary, scores) = vocabulary(raw.vocab, kind == "Unigram")?;
    let mut take = |name: &str| settings.remove(name).unwrap_or(Value::Null);
    let model = match kind.as_str() {
        "BPE" => Model::Bpe(bpe(&mut take, raw.merges, &vocabulary)?),
        "WordPiece" => Model::WordPiece {
            unk_token: wanted("unk_token", &mut take)?,
            continuing_subword_prefix: wanted("continuing_subword_prefix", &mut take)?,
            max_input_chars_per_word: wanted("max_input_chars_per_word", &mut take)?,
        },
        "Unigram" => {
            let unk_id: Option<u32> = field("model.unk_id", take("unk_id"))?;
            if let Some(id) = unk_id.filter(|&id| id >= vocabulary.size()) {
                return Err(format!("model.unk_id: {id} is not in model.vocab, which has {} tokens", vocabulary.len()));
            }
            Model::Unigram { scores, unk_id, byte_fallback: flag("byte_fallback", &mut take)? }
        }
        _ => {
            let unk_token: Option<String> = field("model.unk_token", take("unk_token"))?;
            Model::WordLevel { unk_token: unk_token.unwrap_or_else(|| "<unk>".to_owned()) }
        }
    };
    match settings.keys().next() {
        Some(name) => Err(format!("model.{name}: this field is not supported")),
        None => Ok((vocabulary, model)),
    }
}

/// The tokens, with their scores where those are wanted.
fn vocabulary(raw: RawVocabulary, scored: bool) -> Result<(Vocabulary, Vec<f64>), String> {
    let (entries, scores) = match raw {
        RawVocabulary::Map(entries) if !scored => {
            let id = |(token, id): (String, Value)| match id.as_u64().and_then(|id| u32::try_from(id).ok()) {
                Some(id) => Ok((token, id)),
                None => Err(format!("model.vocab: the id {id} of {token:?} is not a whole number of 32 bits")),
            };
            (entries.into_iter().map(id).collect::<Result<_, _>>()?, Vec::new())
        }
        RawVocabulary::List(entries) if scored => {
            let scores = entries.iter().map(|&(_, score)| score).collect();
            (entries.into_iter().zip(0..).map(|((token, _), id)| (token, id)).collect(), scores)
        }
        _ if scored => return Err("model.vocab: a list of tokens with their scores is wanted".to_owned()),
        _ => return Err("model.vocab: a map from tokens to ids is wanted".to_owned()),
    };
    let vocabulary = Vocabulary::new(entries).map_err(|what| format!("model.vocab: {what}"))?;
    if vocabulary.len() == 0 { Err("model.vocab: it has no token".to_owned()) } else { Ok((vocabulary, scores)) }
}

/// A field of the model that must be there.
fn wanted<T: serde::de::DeserializeOwned>(name: &str, take: &mut impl FnMut(&str) -> Value) -> Result<T, String> {
    field(&format!("model.{name}"), take(name))
}

/// A field of the model that is false where it is not there.
fn flag(name: &str, take: &mut impl FnMut(&str) -> Value) -> Result<bool, String> {
    field::<Option<bool>>(&format!("model.{name}"), take(name)).map(Option::unwrap_or_default)
}

fn bpe(
    take: &mut impl FnMut(&str) -> Value,
    raw_merges: Vec<Value>,
    vocabulary: &Vocabulary,
) -> Result<BpeSettings, String> {
    let dropout: Option<f32> = field("model.dropout", take("dropout"))?;
    if let Some(dropout) = dropout.filter(|&dropout| dropout != 0.0) {
        return Err(format!("model.dropout: {dropout} is not supported: the ids of a text are always the same here"));
    }
    let continuing_subword_prefix: Option<String> =
        field("model.continuing_subword_prefix", take("continuing_subword_prefix"))?;
    let prefix = continuing_subword_prefix.as_deref().unwrap_or_default();
    Ok(BpeSettings {
        merges: merges(raw_merges, prefix, vocabulary)?,
        ignore_merges: flag("ignore_merges", take)?,
        unk_token: field("model.unk_token", take("unk_token"))?,
        fuse_unk: flag("fuse_unk", take)?,
        end_of_word_suffix: field("model.end_of_word_suffix", take("end_of_word_suffix"))?,
        byte_fallback: flag("byte_fallback", take)?,
        dropout,
        continuing_subword_prefix,
    })
}

/// Merges by rank; what is merged is spelled without the prefix of its right part.
fn merges(raw: Vec<Value>, prefix: &str, vocabulary: &Vocabulary) -> Result<Vec<(u32, u32, u32)>, String> {
    let merge = |(index, value): (usize, Value)| {
        let wrong = |what: String| format!("model.merges[{index}]: {what}");
        let pair = match &value {
            Value::String(text) => text.split_once(' ').filter(|(_, right)| !right.contains(' ')),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(left), Value::String(right)] => Some((left.as_str(), right.as_str())),
                _ => None,
            },
            _ => None,
        };
        let (left, right) = pair.ok_or_else(|| wrong(format!("{value} is not a pair of tokens")))?;
        let id = |token: &str| vocabulary.id(token).ok_or_else(|| wrong(format!("{token:?} is not in model.vocab")));
        let Some(behind) = right.strip_prefix(prefix) else {
            return Err(wrong(format!("{right:?} does not begin with model.continuing_subword_prefix, {prefix:?}")));
        };
        Ok((id(left)?, id(right)?, id(&format!("{left}{behind}"))?))
    };
    let is_version = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("#version"));
    raw.into_iter().filter(|value| !is_version(value)).enumerate().map(merge).collect()
}

/// Reads a map from tokens to ids by itself, a `vocab.json`.
pub(super) fn token_map(text: &str) -> Result<Vocabulary, String> {
    let raw: RawVocabulary = serde_json::from_str(text).map_err(|error| format!("not a vocab.json: {error}"))?;
    vocabulary(raw, false).map(|(vocabulary, _)| vocabulary)
}

/// Reads merges, one a line, a `merges.txt`.
pub(super) fn merge_lines(text: &str, vocabulary: &Vocabulary) -> Result<Vec<(u32, u32, u32)>, String> {
    let lines = text.lines().filter(|line| !line.is_empty()).map(|line| Value::String(line.to_owned()));
    merges(lines.collect(), "", vocabulary)
}

#[derive(Serialize)]
struct File<'a> {
    version: &'static str,
    truncation: Option<&'a Truncation>,
    padding: Option<&'a Padding>,
    added_tokens: &'a [AddedToken],
    normalizer: Option<&'a Normalizer>,
    pre_tokenizer: Option<&'a PreTokenizer>,
    post_processor: Option<&'a PostProcessor>,
    decoder: Option<&'a Decoder>,
    model: FileModel<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum FileModel<'a> {
    #[serde(rename = "BPE")]
    Bpe {
        dropout: Option<f32>,
        unk_token: Option<&'a str>,
        continuing_subword_prefix: Option<&'a str>,
        end_of_word_suffix: Option<&'a str>,
        fuse_unk: bool,
        byte_fallback: bool,
        ignore_merges: bool,
        vocab: Entries<'a>,
        merges: Merges<'a>,
    },
    WordPiece {
        unk_token: &'a str,
        continuing_subword_prefix: &'a str,
        max_input_chars_per_word: usize,
        vocab: Entries<'a>,
    },
    Unigram {
        unk_id: Option<u32>,
        vocab: Scores<'a>,
        byte_fallback: bool,
    },
    WordLevel {
        vocab: Entries<'a>,
        unk_token: &'a str,
    },
}

/// A vocabulary as a map in the order of ids.
struct Entries<'a>(&'a Vocabulary);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (token, id) in self.0.iter() {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}

/// Tokens in the order of their ids, with scores.
struct Scores<'a>(&'a Vocabulary, &'a [f64]);

impl Serialize for Scores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().zip(self.1).map(|((token, _), score)| (token, score)))
    }
}

/// Merges as pairs of tokens.
struct Merges<'a>(&'a Vocabulary, &'a [(u32, u32, u32)]);

impl Serialize for Merges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.1.len()))?;
        for &(left, right, _) in self.1 {
            list.serialize_element(&[self.0.token(left), self.0.token(right)])?;
        }
        list.end()
    }
}
