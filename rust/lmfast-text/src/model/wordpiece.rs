//! `WordPiece`: a piece becomes, from left to right, the longest tokens that fit (Wu et al. 2016, section 4.1; as BERT
//! and `tokenizers` apply it). Tokens that do not begin the piece are spelled with a prefix. A piece that cannot be
//! covered so, or has too many characters, becomes the unknown token as a whole.

use std::ops::Range;

use lmfast_base::Result;

use super::cache::{LONGEST, WordCache, hash};
use super::no_unknown;
use super::trie::{NONE, Node, Trie};

/// The model.
#[derive(Debug)]
pub(crate) struct WordPiece {
    trie: Trie,
    /// Where tokens with the prefix begin, behind it.
    continuing: Option<Node>,
    unknown: Option<u32>,
    unk_token: String,
    most_characters: usize,
}

impl WordPiece {
    pub(crate) fn new<'a>(
        tokens: impl Iterator<Item = (&'a str, u32)>,
        unk_token: &str,
        continuing_subword_prefix: &str,
        most_characters: usize,
    ) -> std::result::Result<Self, String> {
        let trie = Trie::new(tokens.map(|(token, id)| (token.as_bytes(), id)))?;
        Ok(Self {
            continuing: trie.walk(Trie::ROOT, continuing_subword_prefix.as_bytes()),
            unknown: trie.get(unk_token.as_bytes()),
            unk_token: unk_token.to_owned(),
            trie,
            most_characters,
        })
    }

    /// Appends the ids of a piece and, where asked, the bytes that each covers.
    pub(crate) fn encode(
        &self,
        piece: &str,
        cache: &mut WordCache,
        ids: &mut Vec<u32>,
        spans: Option<&mut Vec<Range<usize>>>,
    ) -> Result<()> {
        if let Some(spans) = spans {
            return self.cover(piece, ids, |span| spans.push(span));
        }
        if piece.len() > LONGEST {
            return self.cover(piece, ids, |_| ());
        }
        let hash = hash(piece.as_bytes(), 0);
        if let Some(known) = cache.get(piece.as_bytes(), 0, hash) {
            ids.extend_from_slice(known);
            return Ok(());
        }
        let before = ids.len();
        self.cover(piece, ids, |_| ())?;
        cache.keep(piece.as_bytes(), 0, hash, &ids[before..]);
        Ok(())
    }

    fn cover(&self, piece: &str, ids: &mut Vec<u32>, mut take: impl FnMut(Range<usize>)) -> Result<()> {
        let before = ids.len();
        if self.tokens(piece, ids) {
            let mut start = 0;
            // The tokens lie one behind the other, and the last ends with the piece.
            for _ in before..ids.len() {
                let end = self.longest(piece.as_bytes(), start).map_or(piece.len(), |(end, _)| end);
                take(std::mem::replace(&mut start, end)..end);
            }
            return Ok(());
        }
        ids.truncate(before);
        ids.push(self.unknown.ok_or_else(|| {
            no_unknown(piece, &format!("neither is model.unk_token, {:?}, which would stand for it", self.unk_token))
        })?);
        take(0..piece.len());
        Ok(())
    }

    /// Appends the tokens of a piece, or some of them if it cannot be covered.
    fn tokens(&self, piece: &str, ids: &mut Vec<u32>) -> bool {
        if piece.len() > self.most_characters && piece.chars().count() > self.most_characters {
            return false;
        }
        let mut start = 0;
        while start < piece.len() {
            let Some((end, id)) = self.longest(piece.as_bytes(), start) else { return false };
            ids.push(id);
            start = end;
        }
        true
    }

    /// The longest token that begins at `start`: its end and id.
    #[inline]
    fn longest(&self, piece: &[u8], start: usize) -> Option<(usize, u32)> {
        let mut node = if start == 0 { Trie::ROOT } else { self.continuing? };
        let mut found = None;
        for (at, &byte) in piece.iter().enumerate().skip(start) {
            let Some(child) = self.trie.step(node, byte) else { break };
            node = child;
            let id = self.trie.value(node);
            if id != NONE {
                found = Some((at + 1, id));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The obvious encoder: the end comes nearer, character by character, until a token fits.
    fn naive(tokens: &[String], prefix: &str, most: usize, piece: &str) -> Option<Vec<(u32, Range<usize>)>> {
        let (mut found, mut start) = (Vec::new(), 0);
        if piece.chars().count() > most {
            return None;
        }
        while start < piece.len() {
            let ends = piece.char_indices().map(|(at, _)| at).chain([piece.len()]).filter(|&end| end > start).rev();
            let spelled = |end| format!("{}{}", if start > 0 { prefix } else { "" }, &piece[start..end]);
            let fits = |end| tokens.iter().position(|token| *token == spelled(end)).map(|id| (id as u32, start..end));
            let (id, span) = ends.into_iter().find_map(fits)?;
            start = span.end;
            found.push((id, span));
        }
        Some(found)
    }

    proptest! {
        #[test]
        fn equals_the_naive_encoder(
            tokens in prop::collection::btree_set("(##)?[ab\u{e9}#]{0,3}", 1..40),
            prefix in prop::sample::select(vec!["##", "", "#", "x"]),
            pieces in prop::collection::vec("[ab\u{e9}#c]{1,12}", 1..20),
            most in 3..13_usize,
        ) {
            let mut tokens: BTreeSet<String> = tokens;
            tokens.insert("[UNK]".to_owned());
            let tokens: Vec<String> = tokens.into_iter().collect();
            let unknown = tokens.iter().position(|token| token == "[UNK]").expect("is there") as u32;
            let numbered = tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id as u32));
            let model = WordPiece::new(numbered, "[UNK]", prefix, most).expect("builds");
            let mut cache = WordCache::default();
            for piece in pieces.iter().chain(&pieces) {
                let expected = naive(&tokens, prefix, most, piece).unwrap_or_else(|| vec![(unknown, 0..piece.len())]);
                let (mut ids, mut spans, mut again) = (Vec::new(), Vec::new(), Vec::new());
                model.encode(piece, &mut cache, &mut ids, Some(&mut spans)).expect("encodes");
                model.encode(piece, &mut cache, &mut again, None).expect("encodes");
                prop_assert_eq!(&again, &ids);
                prop_assert_eq!(ids.into_iter().zip(spans).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn without_an_unknown_token_an_uncovered_word_is_an_error() {
        let model = WordPiece::new([("a", 0)].into_iter(), "[UNK]", "##", 100).expect("builds");
        let error = model.encode("ab", &mut WordCache::default(), &mut Vec::new(), None).expect_err("is not covered");
        assert!(error.to_string().contains("\"ab\"") && error.to_string().contains("[UNK]"), "{error}");
    }
}
