//! Byte pair encoding.
//!
//! A *merge* is a pair of tokens that becomes one; its *rank* is its place in the list of merges. The encoding of a
//! piece starts from the tokens of its bytes and merges, as long as any pair merges, the leftmost of those with the
//! lowest rank (Sennrich et al. 2016, section 3.2, over bytes as in GPT-2).

mod atoms;
mod batch;
mod cache;
mod encode;
mod known;
mod long;
mod long_cache;
mod merges;
#[cfg(test)]
mod naive;
mod reachable;
mod short;

pub(crate) use cache::hash;
pub(crate) use encode::{Bpe, Scratch};
pub(crate) use long::merge;
pub(crate) use merges::MergeTable;

/// Memory that an encoder keeps the ids of pieces in which it met before: about 28 MiB for each thread, once in use.
pub const CACHE_BYTES: usize = cache::BYTES + long_cache::BYTES;
