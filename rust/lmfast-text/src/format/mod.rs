//! Files that hold a tokenizer, told by their names and their content.

pub mod components;
mod json;
mod known;
mod lists;
mod open;
pub(crate) mod sentencepiece;
mod tiktoken;

pub(crate) use json::{BpeSettings, Definition, Model};
pub use open::Extra;
pub(crate) use open::{Read, Source};
