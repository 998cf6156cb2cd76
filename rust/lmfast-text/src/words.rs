//! Vocabularies of whole pieces: words, or characters.

use lmfast_base::{Error, Result};
use rustc_hash::FxHashMap;

/// The id of each piece, and the id of all others.
#[derive(Debug)]
pub(crate) struct Words {
    ids: FxHashMap<Box<str>, u32>,
    unknown: Option<u32>,
}

impl Words {
    pub(crate) fn new(tokens: impl Iterator<Item = (Box<str>, u32)>, unknown: &str) -> Self {
        let ids: FxHashMap<Box<str>, u32> = tokens.collect();
        let unknown = ids.get(unknown).copied();
        Self { ids, unknown }
    }

    /// The id of a piece.
    #[inline]
    pub(crate) fn id(&self, piece: &str) -> Result<u32> {
        self.ids.get(piece).copied().or(self.unknown).ok_or_else(|| {
            Error::invalid(format!(
                "{:?} is not in the vocabulary, which has no unknown token: train it with one, for example special_tokens=(\"<unk>\",)",
                piece.chars().take(40).collect::<String>()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_unknown_token_an_absent_word_is_an_error() {
        let tokens = || [("<unk>".into(), 0), ("a".into(), 1)].into_iter();
        assert_eq!(Words::new(tokens(), "<unk>").id("b").expect("known"), 0);
        assert_eq!(Words::new(tokens(), "[UNK]").id("a").expect("known"), 1);
        assert!(Words::new(tokens(), "[UNK]").id("b").is_err_and(|error| error.to_string().contains("\"b\"")));
    }
}
