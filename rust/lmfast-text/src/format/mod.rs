//! Files that hold a tokenizer.

pub mod components;
mod json;

pub(crate) use json::{BpeSettings, Definition, Model};
