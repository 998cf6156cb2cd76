//! Byte pair encoding.
//!
//! A *merge* is a pair of tokens that becomes one; its *rank* is its place in the list of merges. The encoding of a
//! piece starts from the tokens of its bytes and merges, as long as any pair merges, the leftmost of those with the
//! lowest rank (Sennrich et al. 2016, section 3.2, over bytes as in GPT-2).

mod cache;
mod encode;
mod merges;
#[cfg(test)]
mod naive;

pub use cache::BYTES as CACHE_BYTES;
pub(crate) use encode::{Bpe, Scratch};
pub(crate) use merges::pack;
