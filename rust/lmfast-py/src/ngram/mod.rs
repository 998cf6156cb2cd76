//! Bindings of the crate behind `lmfast.ngram`.

mod arguments;
mod count;
mod model;
mod overlap;
mod remake;
mod state;
mod train;

pub(crate) use count::{count_tokens, count_words};
pub(crate) use model::NgramModel;
pub(crate) use overlap::{overlap_of_text, overlap_of_tokens};
pub(crate) use remake::{filter_ngrams, interpolate_ngrams, prune_ngrams, text_scores};
pub(crate) use state::NgramState;
pub(crate) use train::{NgramOptions, train_ngrams_of_tokens, train_ngrams_of_words};
