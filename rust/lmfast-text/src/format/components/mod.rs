//! The steps around the model, as `tokenizer.json` spells them.
//!
//! Reading refuses, by name, every step and every field that is not here; what is read is written back as `tokenizers`
//! writes it.

mod decoder;
mod normalizer;
mod post_processor;
mod pre_tokenizer;

use serde::{Deserialize, Serialize};

pub use decoder::Decoder;
pub use normalizer::{Normalizer, Precompiled};
pub use post_processor::{PostProcessor, TemplatePiece, TemplateText, TemplateToken};
pub use pre_tokenizer::{Metaspace, PreTokenizer, PrependScheme};

fn yes() -> bool {
    true
}

/// What is looked for in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// A regular expression.
    Regex(String),
    /// These very characters.
    String(String),
}

/// What becomes of the matches that a text is cut at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behavior {
    /// They belong to no piece.
    Removed,
    /// Each is a piece, and so is what lies between two.
    Isolated,
    /// Each belongs to what lies before it; behind another match it is a piece.
    MergedWithPrevious,
    /// Each belongs to what lies behind it; before another match it is a piece.
    MergedWithNext,
    /// Those that touch are one piece.
    Contiguous,
}
