//! Truncation and padding as a file writes them.

use serde::{Deserialize, Serialize};

/// How rows are cut and filled up, where the file says so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batching {
    pub(crate) truncation: Option<Truncation>,
    pub(crate) padding: Option<Padding>,
}

/// How rows are cut. What a call asks for comes first, and of this only the direction is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Truncation {
    #[serde(default)]
    pub(crate) direction: Direction,
    pub(crate) max_length: usize,
    pub(crate) strategy: Strategy,
    pub(crate) stride: usize,
}

/// How rows are filled up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Padding {
    pub(crate) strategy: PaddingStrategy,
    pub(crate) direction: Direction,
    pub(crate) pad_to_multiple_of: Option<usize>,
    pub(crate) pad_id: u32,
    pub(crate) pad_type_id: u32,
    pub(crate) pad_token: String,
}

/// Up to which length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PaddingStrategy {
    BatchLongest,
    Fixed(usize),
}

/// At which end of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Direction {
    Left,
    #[default]
    Right,
}

/// Which text of a row is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// The longer one, or both to the same length.
    LongestFirst,
    /// The first.
    OnlyFirst,
    /// The second.
    OnlySecond,
}
