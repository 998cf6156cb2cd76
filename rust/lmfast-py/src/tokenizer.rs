//! Bindings of the crate behind `lmfast.tokenizer`.
