//! N-gram language models: interpolated modified Kneser-Ney estimation, and fast queries.
//!
//! Estimation is a line of stages, each in a file of its own. All probabilities are float32, computed in the order of
//! operations of `KenLM`'s `lmplz`, so that an ARPA file written from them has `lmplz`'s bytes.
//!
//! | stage | file | input | output |
//! |---|---|---|---|
//! | 0 | [`corpus`], [`words`] | token ids, or text | sentences of ids, `<s> ... </s>` each |
//! | 1 | `count` | the corpus | where each n-gram ends, in suffix order, with the words shared with its neighbour |
//! | 2 | `adjust` | those | adjusted counts of one order, in suffix order, and how many n-grams have each small count |
//! | 3 | [`discount`] | numbers of small counts | the discounts D1, D2, D3+ of the order |
//! | 4 | `initial` | adjusted counts | denominator and back-off weight of every context |
//! | 5 | `interpolate` | both | interpolated probabilities, in suffix order |
//!
//! `pipeline` wires them, order by order, into a [`Model`]: a trie read from the first word on, in which
//! a context's successors lie together. *Suffix order* compares the last word first, then the one before it, and so on.
//! All logarithms are to base 10.

mod adjust;
pub mod arpa;
pub mod corpus;
mod count;
pub mod discount;
mod distribution;
mod generate;
mod initial;
mod interpolate;
mod model;
mod pipeline;
mod score;
mod vocabulary;
pub mod words;

#[cfg(test)]
mod naive;

pub use generate::Sampling;
pub use model::{Kind, Model};
pub use pipeline::{Options, Report, estimate};
pub use score::{Perplexity, TokenScore};
pub use vocabulary::Vocabulary;
