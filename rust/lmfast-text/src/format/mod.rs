//! Files that hold a tokenizer.

mod batching;
pub mod components;
mod json;

pub use batching::Strategy;
pub(crate) use batching::{Batching, Direction};
pub(crate) use json::{BpeSettings, Definition, Model};
