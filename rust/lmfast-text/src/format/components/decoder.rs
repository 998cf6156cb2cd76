//! How tokens become text.

use serde::{Deserialize, Serialize};

use super::{Metaspace, Pattern, yes};

/// A step from tokens to text.
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
    /// A space before every token that does not continue a word.
    WordPiece {
        /// What a token that continues a word begins with.
        prefix: String,
        /// Spaces before punctuation and in English contractions are left out.
        cleanup: bool,
    },
    /// Visible spaces become spaces.
    Metaspace(Metaspace),
    /// A space for the suffix that ends a word.
    BPEDecoder {
        /// The suffix.
        suffix: String,
    },
    /// Equal neighbours become one, and padding is left out.
    #[serde(rename = "CTC")]
    Ctc {
        /// The padding.
        pad_token: String,
        /// What stands between words.
        word_delimiter_token: String,
        /// As in `WordPiece`; without it the word delimiter stays too.
        cleanup: bool,
    },
    /// Matches in a token are replaced.
    Replace {
        /// What is looked for.
        pattern: Pattern,
        /// What it becomes.
        content: String,
    },
    /// One behind the other, without spaces.
    Fuse {},
    /// Characters at the ends of a token are left out.
    Strip {
        /// The character.
        content: char,
        /// How many at most at the beginning.
        start: usize,
        /// How many at most at the end.
        stop: usize,
    },
    /// Tokens such as `<0x0A>` become bytes.
    ByteFallback {},
    /// One after the other.
    Sequence {
        /// The steps.
        decoders: Vec<Decoder>,
    },
}
