//! Bindings of the crate behind `lmfast.data`.
