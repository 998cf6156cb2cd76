//! What is put around the ids.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::yes;

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
    /// `[CLS]` and `[SEP]` as BERT has them.
    BertProcessing {
        /// Behind, with its id.
        sep: (String, u32),
        /// Before, with its id.
        cls: (String, u32),
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
