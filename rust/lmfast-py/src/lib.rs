//! The Python extension module `lmfast._core`: arguments in, arrays out, no algorithms.
//!
//! Every call that can take long goes through [`gate::run`]. The face that users type is the Python package around it.

mod buffer;
mod clean;
mod data;
mod error;
mod gate;
mod ids;
mod ngram;
mod source;
mod tokenizer;

/// The compiled core of lmfast. Private: use the names of the package `lmfast`.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::clean::clean_files;
    #[pymodule_export]
    use crate::data::{BatchLoader, TokenStore, TokenWriter, encode_files};
    #[pymodule_export]
    use crate::error::FormatError;
    #[pymodule_export]
    use crate::ngram::{
        NgramModel, NgramOptions, NgramState, count_tokens, count_words, filter_ngrams, interpolate_ngrams,
        overlap_of_text, overlap_of_tokens, prune_ngrams, text_scores, train_ngrams_of_tokens, train_ngrams_of_words,
    };
    #[pymodule_export]
    use crate::source::DocumentReader;
    #[pymodule_export]
    use crate::tokenizer::{Decoder, Tokenizer};

    /// The version of the package, from Cargo.toml.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python spells it so")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
