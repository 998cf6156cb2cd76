//! `tokenizer.json`, as `tokenizers` writes and reads it.
//!
//! What is not supported is refused by the name of its field. Truncation and padding are about batches, not about
//! tokens: they are kept beside the [`Definition`].

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::batching::{Batching, Padding, Truncation};
use super::components::{Decoder, Normalizer, PostProcessor, PreTokenizer};
use crate::added::AddedToken;
use crate::vocabulary::Vocabulary;

/// What a file says.
#[derive(Debug)]
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
#[derive(Debug)]
pub(crate) enum Model {
    Bpe(BpeSettings),
    WordLevel {
        /// What stands for other words; none if the vocabulary does not have it.
        unk_token: String,
    },
}

/// Merges are (left, right, merged) by rank. The other fields do nothing at byte level and are kept for the file.
#[derive(Debug, Default)]
pub(crate) struct BpeSettings {
    pub(crate) merges: Vec<(u32, u32, u32)>,
    pub(crate) ignore_merges: bool,
    pub(crate) unk_token: Option<String>,
    pub(crate) fuse_unk: bool,
    pub(crate) continuing_subword_prefix: Option<String>,
    pub(crate) end_of_word_suffix: Option<String>,
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

/// The entries of a map, with those that are there twice; a list, the vocabulary of other models, is read past.
#[derive(Default)]
struct RawVocabulary(Option<Vec<(String, Value)>>);

impl<'de> Deserialize<'de> for RawVocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawVocabulary;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map from tokens to ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawVocabulary, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawVocabulary(Some(entries)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawVocabulary, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawVocabulary(None))
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

    /// The text of a file, byte for byte as `tokenizers` writes it.
    pub(crate) fn write(&self, batching: &Batching) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(&File {
            version: "1.0",
            truncation: batching.truncation.as_ref(),
            padding: batching.padding.as_ref(),
            added_tokens: &self.added_tokens,
            normalizer: self.normalizer.as_ref(),
            pre_tokenizer: self.pre_tokenizer.as_ref(),
            post_processor: self.post_processor.as_ref(),
            decoder: self.decoder.as_ref(),
            model: match &self.model {
                Model::Bpe(settings) => FileModel::Bpe {
                    dropout: (),
                    unk_token: settings.unk_token.as_deref(),
                    continuing_subword_prefix: settings.continuing_subword_prefix.as_deref(),
                    end_of_word_suffix: settings.end_of_word_suffix.as_deref(),
                    fuse_unk: settings.fuse_unk,
                    byte_fallback: false,
                    ignore_merges: settings.ignore_merges,
                    vocab: Entries(&self.vocabulary),
                    merges: Merges(&self.vocabulary, &settings.merges),
                },
                Model::WordLevel { unk_token } => FileModel::WordLevel { vocab: Entries(&self.vocabulary), unk_token },
            },
        })
    }
}

/// Reads one field, and names it if that fails.
fn field<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))
}

fn model(raw: RawModel) -> Result<(Vocabulary, Model), String> {
    let mut settings = raw.settings;
    // Files older than the field have no type, and are BPE if they have merges.
    let kind =
        settings.remove("type").unwrap_or_else(|| if raw.merges.is_empty() { Value::Null } else { "BPE".into() });
    if kind != "BPE" && kind != "WordLevel" {
        return Err(format!("model.type: {kind} is not supported, only \"BPE\" and \"WordLevel\""));
    }
    let entries = raw.vocab.0.ok_or("model.vocab: a map from tokens to ids is wanted")?;
    let entries = entries.into_iter().map(|(token, id)| match id.as_u64().and_then(|id| u32::try_from(id).ok()) {
        Some(id) => Ok((token, id)),
        None => Err(format!("model.vocab: the id {id} of {token:?} is not a whole number of 32 bits")),
    });
    let vocabulary =
        Vocabulary::new(entries.collect::<Result<_, _>>()?).map_err(|what| format!("model.vocab: {what}"))?;
    if vocabulary.len() == 0 {
        return Err("model.vocab: it has no token".to_owned());
    }
    let mut take = |name: &str| settings.remove(name).unwrap_or(Value::Null);
    let model = if kind == "WordLevel" {
        let unk_token: Option<String> = field("model.unk_token", take("unk_token"))?;
        Model::WordLevel { unk_token: unk_token.unwrap_or_else(|| "<unk>".to_owned()) }
    } else {
        for name in ["dropout", "byte_fallback"] {
            let value = take(name);
            if !(value.is_null() || value == false || value == 0.0) {
                return Err(format!("model.{name}: {value} is not supported"));
            }
        }
        let mut affix = |name: &str| match field::<Option<String>>(&format!("model.{name}"), take(name))? {
            Some(affix) if !affix.is_empty() => Err(format!("model.{name}: {affix:?} is not supported")),
            other => Ok(other),
        };
        let continuing_subword_prefix = affix("continuing_subword_prefix")?;
        let end_of_word_suffix = affix("end_of_word_suffix")?;
        Model::Bpe(BpeSettings {
            merges: merges(raw.merges, &vocabulary)?,
            ignore_merges: field::<Option<bool>>("model.ignore_merges", take("ignore_merges"))?.unwrap_or_default(),
            unk_token: field("model.unk_token", take("unk_token"))?,
            fuse_unk: field::<Option<bool>>("model.fuse_unk", take("fuse_unk"))?.unwrap_or_default(),
            continuing_subword_prefix,
            end_of_word_suffix,
        })
    };
    match settings.keys().next() {
        Some(name) => Err(format!("model.{name}: this field is not supported")),
        None => Ok((vocabulary, model)),
    }
}

fn merges(raw: Vec<Value>, vocabulary: &Vocabulary) -> Result<Vec<(u32, u32, u32)>, String> {
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
        Ok((id(left)?, id(right)?, id(&format!("{left}{right}"))?))
    };
    raw.into_iter().enumerate().map(merge).collect()
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
        dropout: (),
        unk_token: Option<&'a str>,
        continuing_subword_prefix: Option<&'a str>,
        end_of_word_suffix: Option<&'a str>,
        fuse_unk: bool,
        byte_fallback: bool,
        ignore_merges: bool,
        vocab: Entries<'a>,
        merges: Merges<'a>,
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
