//! Tokens by id, ids by token.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// The tokens of a model, spelled as in its file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vocabulary {
    tokens: Vec<Option<Box<str>>>,
    /// The ids, by their tokens.
    ids: HashTable<u32>,
}

fn hash(token: &str) -> u64 {
    FxBuildHasher.hash_one(token)
}

impl Vocabulary {
    /// Checks that ids are tokens' own and not scattered: at most two numbers are unused for each that is used, and
    /// 65,536 more.
    pub(crate) fn new(entries: Vec<(String, u32)>) -> Result<Self, String> {
        let room = entries.len() * 3 + 65_536;
        let mut vocabulary = Self { tokens: Vec::with_capacity(entries.len()), ids: HashTable::default() };
        vocabulary.ids.reserve(entries.len(), |_| 0);
        for (token, id) in entries {
            let at = id as usize;
            if at >= room {
                return Err(format!("the id {id} of {token:?} is out of all proportion to the number of tokens"));
            }
            let tokens = &mut vocabulary.tokens;
            if tokens.len() <= at {
                tokens.resize(at + 1, None);
            }
            if let Some(other) = &tokens[at] {
                return Err(format!("the tokens {other:?} and {token:?} have one id, {id}"));
            }
            let hashed = hash(&token);
            if vocabulary.ids.find(hashed, |&other| tokens[other as usize].as_deref() == Some(&token)).is_some() {
                return Err(format!("the token {token:?} is there twice"));
            }
            tokens[at] = Some(token.into());
            let hash_of = |&id: &u32| hash(tokens[id as usize].as_deref().unwrap_or_default());
            vocabulary.ids.insert_unique(hashed, id, hash_of);
        }
        Ok(vocabulary)
    }

    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.ids.find(hash(token), |&id| self.token(id) == Some(token)).copied()
    }

    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize)?.as_deref()
    }

    /// Tokens with their ids, in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.tokens.iter().enumerate().filter_map(|(id, token)| Some((token.as_deref()?, id as u32)))
    }

    /// The number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The largest id plus one.
    pub(crate) fn size(&self) -> u32 {
        self.tokens.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_dense_enough() {
        let build = |entries: &[(&str, u32)]| {
            Vocabulary::new(entries.iter().map(|&(token, id)| (token.to_owned(), id)).collect())
        };
        let vocabulary = build(&[("b", 3), ("a", 0)]).expect("is well-formed");
        assert_eq!(
            (vocabulary.size(), vocabulary.len(), vocabulary.id("b"), vocabulary.token(1)),
            (4, 2, Some(3), None)
        );
        assert_eq!(vocabulary.iter().collect::<Vec<_>>(), [("a", 0), ("b", 3)]);
        assert!(build(&[("a", 0), ("b", 0)]).is_err_and(|what| what.contains("one id")));
        assert!(build(&[("a", 0), ("a", 1)]).is_err_and(|what| what.contains("twice")));
        assert!(build(&[("a", u32::MAX)]).is_err_and(|what| what.contains("4294967295")));
    }
}
