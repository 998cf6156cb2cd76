//! What is done to the text first.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::Pattern;
use crate::normalize::CharsMap;

/// A change of the text before it is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Normalizer {
    /// Canonical composition.
    #[serde(rename = "NFC")]
    Nfc {},
    /// Canonical decomposition.
    #[serde(rename = "NFD")]
    Nfd {},
    /// Compatible composition.
    #[serde(rename = "NFKC")]
    Nfkc {},
    /// Compatible decomposition.
    #[serde(rename = "NFKD")]
    Nfkd {},
    /// To lower case, character by character.
    Lowercase {},
    /// White space at the ends is left out.
    Strip {
        /// At the beginning.
        strip_left: bool,
        /// At the end.
        strip_right: bool,
    },
    /// Combining marks are left out.
    StripAccents {},
    /// Matches are replaced.
    Replace {
        /// What is looked for.
        pattern: Pattern,
        /// What it becomes.
        content: String,
    },
    /// Something is put before a text that is not empty.
    Prepend {
        /// What.
        prepend: String,
    },
    /// Control characters are left out and white space is made U+0020, as in `SentencePiece`'s `nmt` rules.
    Nmt {},
    /// By a table of `SentencePiece`.
    Precompiled(Precompiled),
    /// What BERT does to text.
    BertNormalizer {
        /// Control characters are left out, and white space becomes U+0020.
        clean_text: bool,
        /// Spaces are put around CJK ideographs.
        handle_chinese_chars: bool,
        /// Accents are left out; None: if `lowercase` is set.
        #[serde(default)]
        strip_accents: Option<bool>,
        /// To lower case.
        lowercase: bool,
    },
    /// To GPT-2's byte alphabet.
    ByteLevel {},
    /// One after the other.
    Sequence {
        /// The steps.
        normalizers: Vec<Normalizer>,
    },
}

/// A table of `SentencePiece`, in base64 in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PrecompiledFields", into = "PrecompiledFields")]
pub struct Precompiled {
    /// The bytes as they are in a `SentencePiece` model.
    pub bytes: Vec<u8>,
    /// The same, made ready.
    pub(crate) map: CharsMap,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrecompiledFields {
    precompiled_charsmap: String,
}

impl Precompiled {
    /// From the bytes in a `SentencePiece` model.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let map = CharsMap::new(&bytes).map_err(|what| format!("precompiled_charsmap: {what}"))?;
        Ok(Self { bytes, map })
    }
}

impl TryFrom<PrecompiledFields> for Precompiled {
    type Error = String;

    fn try_from(fields: PrecompiledFields) -> Result<Self, String> {
        let bytes = BASE64_STANDARD
            .decode(fields.precompiled_charsmap)
            .map_err(|error| format!("precompiled_charsmap: not base64: {error}"))?;
        Self::new(bytes)
    }
}

impl From<Precompiled> for PrecompiledFields {
    fn from(precompiled: Precompiled) -> Self {
        Self { precompiled_charsmap: BASE64_STANDARD.encode(precompiled.bytes) }
    }
}
