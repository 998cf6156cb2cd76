//! The tokenizers of lmfast: text to token ids, and back.
//!
//! A text passes these steps, each a module:
//! 1. [`AddedToken`]s, special ones among them, are found in it as it stands;
//! 2. what lies between is normalized and [cut](split) into pieces;
//! 3. each piece becomes ids by byte pair encoding, or is a word or a character of the vocabulary;
//! 4. the template puts special tokens around.
//!
//! [`Tokenizer`] is the whole; [`train`] makes one from text, and its file is the `tokenizer.json` of `tokenizers`.

mod added;
mod batch;
mod bpe;
pub mod byte_chars;
pub mod clean;
mod cut;
mod decode;
mod format;
mod model;
mod normalize;
mod post;
mod rows;
mod session;
mod simd;
pub mod split;
mod tokenizer;
pub mod train;
mod unicode;
mod vocabulary;
mod words;

pub use added::{AddedToken, Special};
pub use batch::{Encoded, Ids};
pub use bpe::CACHE_BYTES;
pub use decode::StreamDecoder;
pub use format::{Extra, Strategy, components};
pub use normalize::CharsMap;
pub use rows::{Fill, Offsets, RowOptions, Rows};
pub use session::{Encoder, Options, Session};
pub use tokenizer::{END_OF_TEXT, Tokenizer};
