//! The steps around the model, as `tokenizer.json` spells them.
//!
//! Reading refuses, by name, every step and every field that is not here; what is read is written back the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

fn yes() -> bool {
    true
}

/// What is done to the text first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Normalizer {
    /// Canonical composition.
    #[serde(rename = "NFC")]
    Nfc {},
    /// One after the other.
    Sequence {
        /// The steps.
        normalizers: Vec<Normalizer>,
    },
}

/// How the text is cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum PreTokenizer {
    /// To bytes, by GPT-2's pattern or uncut.
    ByteLevel {
        /// A space is put before a text that does not begin with one.
        #[serde(default = "yes")]
        add_prefix_space: bool,
        /// About offsets.
        #[serde(default = "yes")]
        trim_offsets: bool,
        /// Cut by GPT-2's pattern.
        #[serde(default = "yes")]
        use_regex: bool,
    },
    /// By a pattern.
    Split {
        /// The pattern.
        pattern: SplitPattern,
        /// What becomes of its matches.
        behavior: Behavior,
        /// The pattern is of what lies between.
        #[serde(default)]
        invert: bool,
    },
    /// Words between white space.
    WhitespaceSplit {},
    /// One after the other.
    Sequence {
        /// The steps.
        pretokenizers: Vec<PreTokenizer>,
    },
}

/// The pattern of a [`PreTokenizer::Split`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SplitPattern {
    /// A regular expression.
    Regex(String),
    /// These very characters.
    String(String),
}

/// What becomes of the matches of a [`PreTokenizer::Split`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behavior {
    /// Each is a piece, and so is what lies between two.
    Isolated,
}

/// What is put around the ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum PostProcessor {
    /// Nothing; about offsets.
    ByteLevel {
        /// About offsets.
        #[serde(default = "yes")]
        add_prefix_space: bool,
        /// About offsets.
        #[serde(default = "yes")]
        trim_offsets: bool,
        /// Without meaning here.
        #[serde(default = "yes")]
        use_regex: bool,
    },
    /// Special tokens by a template.
    TemplateProcessing {
        /// Around one text.
        single: Vec<TemplatePiece>,
        /// Around two.
        pair: Vec<TemplatePiece>,
        /// The ids of the special tokens.
        special_tokens: BTreeMap<String, TemplateToken>,
    },
    /// `<s>` and `</s>` as `RoBERTa` has them.
    RobertaProcessing {
        /// Behind, with its id.
        sep: (String, u32),
        /// Before, with its id.
        cls: (String, u32),
        /// About offsets.
        #[serde(default = "yes")]
        trim_offsets: bool,
        /// About offsets.
        #[serde(default = "yes")]
        add_prefix_space: bool,
    },
    /// One after the other.
    Sequence {
        /// The steps.
        processors: Vec<PostProcessor>,
    },
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TemplatePiece {
    /// A special token.
    SpecialToken {
        /// Its name in the template's list.
        id: String,
        /// The type of its ids.
        type_id: u32,
    },
    /// A text.
    Sequence {
        /// Which.
        id: TemplateText,
        /// The type of its ids.
        type_id: u32,
    },
}

/// The first text or the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemplateText {
    /// The first.
    A,
    /// The second.
    B,
}

/// A special token of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateToken {
    /// Its name.
    pub id: String,
    /// What it becomes.
    pub ids: Vec<u32>,
    /// How those are spelled.
    pub tokens: Vec<String>,
}

/// How tokens become text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Decoder {
    /// From GPT-2's byte alphabet.
    ByteLevel {
        /// Without meaning here.
        #[serde(default = "yes")]
        add_prefix_space: bool,
        /// Without meaning here.
        #[serde(default = "yes")]
        trim_offsets: bool,
        /// Without meaning here.
        #[serde(default = "yes")]
        use_regex: bool,
    },
    /// One behind the other, without spaces.
    Fuse {},
}

impl PostProcessor {
    /// The ids put before and behind a single text, outermost first and last.
    pub(crate) fn around(&self) -> Result<(Vec<u32>, Vec<u32>), String> {
        match self {
            Self::ByteLevel { .. } => Ok((Vec::new(), Vec::new())),
            Self::RobertaProcessing { sep, cls, .. } => Ok((vec![cls.1], vec![sep.1])),
            Self::TemplateProcessing { single, special_tokens, .. } => {
                let (mut before, mut behind, mut text_seen) = (Vec::new(), Vec::new(), false);
                for piece in single {
                    match piece {
                        TemplatePiece::Sequence { id: TemplateText::A, .. } if !text_seen => text_seen = true,
                        TemplatePiece::Sequence { .. } => {
                            return Err("single: the text A is wanted once, and B never".to_owned());
                        }
                        TemplatePiece::SpecialToken { id, .. } => {
                            let token =
                                special_tokens.get(id).ok_or_else(|| format!("special_tokens has no {id:?}"))?;
                            if text_seen { &mut behind } else { &mut before }.extend_from_slice(&token.ids);
                        }
                    }
                }
                if text_seen { Ok((before, behind)) } else { Err("single: the text A is not there".to_owned()) }
            }
            Self::Sequence { processors } => {
                let (mut before, mut behind) = (Vec::new(), Vec::new());
                for processor in processors {
                    let (outer_before, outer_behind) = processor.around()?;
                    before.splice(0..0, outer_before);
                    behind.extend(outer_behind);
                }
                Ok((before, behind))
            }
        }
    }
}
