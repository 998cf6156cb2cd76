//! Token stores and the loader that makes batches of them.
//!
//! The words used throughout:
//!
//! - *token*: an id of a vocabulary, 16 or 32 bits wide on disk.
//! - *document*: consecutive tokens that belong together; offsets tell where each begins.
//! - [`Store`]: a file of tokens, with or without document offsets, mapped and never copied.
//! - *window*: `seq_len + 1` tokens at a multiple of `seq_len`: inputs are its first `seq_len`, targets its last.
//! - *row*: one line of a batch, read from one place of the store.
//! - *epoch*: every row once; *batch*: consecutive rows of the order of an epoch.
//!
//! Text becomes a store by [`encode_documents`]; a [`Loader`] gives a store's batches. Where row `r` of epoch `e` begins
//! is a pure function of the arguments ([`Sampler`], [`shuffle`]), so a loader's state is its place in that order and
//! nothing else, whatever the number of threads and ranks.

mod batch;
mod buffer;
mod encode;
mod loader;
mod prefetch;
mod sampler;
pub mod shuffle;
mod store;

pub use batch::{Batch, Dtype, Element, Layout};
pub use encode::{EncodeOptions, Resume, Summary, encode_documents};
pub use loader::{Loader, LoaderOptions};
pub use sampler::{Mode, Sampler};
pub use store::{Format, Id, Store, TokenType, Tokens, WriteOptions, Writer, bin_path};
