//! What every crate of lmfast stands on: errors, control of long calls, files and text sources.
//!
//! The crates above this one never import each other: `text`, `ngram` and `data` meet through the traits and types
//! declared here, such as [`Encode`].

mod atomic;
mod control;
mod encode;
mod error;
mod map;
pub mod memory;
mod pages;
mod prefetch;
pub mod sink;
pub mod source;
mod spill;
pub mod threads;

pub use atomic::AtomicFile;
pub use control::Control;
pub use encode::{Encode, EncodeSession, encode_each};
pub use error::{Error, Result};
pub use map::Map;
pub use pages::{Pages, Recycling, vec_in_pages, zeros_in_pages};
pub use prefetch::{prefetch, prefetch_far};
pub use spill::{Sink, Spill, Stream};
