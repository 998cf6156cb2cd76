//! How the text is cut into pieces.

use serde::{Deserialize, Serialize};

use super::{Behavior, Pattern, yes};

/// A step of cutting.
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
    /// At white space, which is left out, and around punctuation.
    BertPreTokenizer {},
    /// At one character, which is left out.
    CharDelimiterSplit {
        /// The character.
        delimiter: char,
    },
    /// Spaces become a visible character, which words begin with.
    Metaspace(Metaspace),
    /// Runs of word characters and runs of others; white space is left out.
    Whitespace {},
    /// Words between white space.
    WhitespaceSplit {},
    /// At punctuation.
    Punctuation {
        /// What becomes of it.
        #[serde(default = "isolated")]
        behavior: Behavior,
    },
    /// At numbers.
    Digits {
        /// Every digit is a piece.
        individual_digits: bool,
    },
    /// Where the script changes.
    UnicodeScripts {},
    /// By a pattern.
    Split {
        /// The pattern.
        pattern: Pattern,
        /// What becomes of its matches.
        behavior: Behavior,
        /// The pattern is of what lies between.
        #[serde(default)]
        invert: bool,
    },
    /// Every so many characters.
    FixedLength {
        /// How many.
        #[serde(default = "five")]
        length: usize,
    },
    /// One after the other.
    Sequence {
        /// The steps.
        pretokenizers: Vec<PreTokenizer>,
    },
}

/// The settings of a `Metaspace`, as a pre-tokenizer and as a decoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MetaspaceFields")]
pub struct Metaspace {
    /// What stands for a space.
    pub replacement: char,
    /// Before what it is put.
    pub prepend_scheme: PrependScheme,
    /// Cut before it.
    pub split: bool,
}

/// Before what a space is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrependScheme {
    /// The piece that the text begins with.
    First,
    /// Nothing.
    Never,
    /// Every piece.
    Always,
}

/// What is read; older files have the two that are not written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaspaceFields {
    replacement: char,
    #[serde(default)]
    prepend_scheme: Option<PrependScheme>,
    #[serde(default)]
    split: Option<bool>,
    #[serde(default)]
    add_prefix_space: Option<bool>,
    #[serde(default, rename = "str_rep")]
    _str_rep: Option<String>,
}

impl TryFrom<MetaspaceFields> for Metaspace {
    type Error = &'static str;

    fn try_from(fields: MetaspaceFields) -> Result<Self, Self::Error> {
        let prepend_scheme = fields.prepend_scheme.unwrap_or(PrependScheme::Always);
        if fields.add_prefix_space == Some(false) && prepend_scheme != PrependScheme::Never {
            return Err("add_prefix_space: false contradicts prepend_scheme, which must be \"never\" with it");
        }
        Ok(Self { replacement: fields.replacement, prepend_scheme, split: fields.split.unwrap_or(true) })
    }
}

fn isolated() -> Behavior {
    Behavior::Isolated
}

fn five() -> usize {
    5
}
