//! N-gram language models: estimation, by modified Kneser-Ney smoothing unless asked otherwise, and fast queries.
//!
//! Estimation is a line of stages, each in a file of its own. All probabilities are float32, computed in the order of
//! operations of `KenLM`'s `lmplz`, so that an ARPA file written from them has `lmplz`'s bytes.
//!
//! | stage | file | input | output |
//! |---|---|---|---|
//! | 0 | [`corpus`], [`words`] | token ids, or text | sentences of ids, `<s> ... </s>` each |
//! | 1 | `count`, `prune` | the corpus | the n-grams of all orders as a trie, how often each occurs, which are kept |
//! | 2 | `adjust` | the trie | adjusted counts of one order, and how many n-grams have each small count |
//! | 3 | [`discount`] | numbers of small counts | the discounts D1, D2, D3+ of the order |
//! | 4 | `initial` | adjusted counts | denominator and back-off weight of a context |
//! | 5 | `interpolate` | both | interpolated probabilities |
//! | 6 | `assemble` | those | the nodes of a [`Model`] |
//!
//! `pipeline` wires them, order by order; `external` has the same stages within a budget of memory. `smoothing` has the other
//! ways to smooth, which take the place of stages 2 to 5. The trie is read from the first word on: a context's successors lie
//! together. `compact` is another form of a model, of few bytes an n-gram.
//! Models are changed by `entropy` (pruning), `filter` (fewer words) and `mixture` (several into one), each into a new one.
//! All logarithms are to base 10.

mod adjust;
pub mod arpa;
mod assemble;
mod compact;
pub mod corpus;
mod count;
pub mod discount;
mod distribution;
mod entropy;
mod external;
mod filter;
mod generate;
mod grams;
mod index;
mod initial;
mod interpolate;
mod mixture;
mod model;
pub mod overlap;
mod pipeline;
mod prune;
mod score;
mod smoothing;
mod text;
mod vocabulary;
pub mod words;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod naive_table;

pub use external::{Budget, Spool, count_ngrams_within, estimate_within};
pub use generate::Sampling;
pub use grams::{Grams, count_ngrams};
pub use mixture::interpolate;
pub use model::{Kind, Model, State};
pub use pipeline::{Options, Report, estimate};
pub use score::{Perplexity, TokenScore, TokenScores};
pub use smoothing::Smoothing;
pub use vocabulary::Vocabulary;
