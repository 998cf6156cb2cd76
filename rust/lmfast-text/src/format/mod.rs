//! Files that hold a tokenizer, told by their names and their content.

mod batching;
pub mod components;
mod from_sentencepiece;
mod json;
mod known;
mod lists;
mod open;
pub(crate) mod sentencepiece;
mod tiktoken;

pub use batching::Strategy;
pub(crate) use batching::{Batching, Direction};
pub(crate) use json::{BpeSettings, Definition, Model};
pub use open::Extra;
pub(crate) use open::{Read, Source};
