//! Bindings of the crate behind `lmfast.ngram`.
