//! Added tokens: found in the text before anything is cut, special ones among them.
//!
//! Of the tokens that begin leftmost the longest is taken, as by `tokenizers`. Those marked `normalized` are looked for
//! after normalization, the others before.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use lmfast_base::{Error, Result};
use serde::{Deserialize, Serialize};

/// A token that is found in the text as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the file format, each on its own")]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// How it is spelled.
    pub content: String,
    /// Only between characters that are not of a word.
    #[serde(default)]
    pub single_word: bool,
    /// White space before it belongs to it.
    #[serde(default)]
    pub lstrip: bool,
    /// White space behind it belongs to it.
    #[serde(default)]
    pub rstrip: bool,
    /// Looked for in the normalized text.
    #[serde(default)]
    pub normalized: bool,
    /// Not part of what a text says.
    #[serde(default)]
    pub special: bool,
}

impl AddedToken {
    /// A special token without other flags.
    pub fn special(id: u32, content: &str) -> Self {
        Self {
            id,
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        }
    }
}

/// What a special token spelled out in the text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Special {
    /// Its id.
    #[default]
    Parse,
    /// Ordinary text.
    Text,
    /// An error.
    Refuse,
}

/// A stretch of text, or the added token it spells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Text(Range<usize>),
    /// The id, and what of the text it is.
    Token(u32, Range<usize>),
}

/// A set of added tokens to look for together.
#[derive(Debug)]
pub(crate) struct Matcher {
    automaton: AhoCorasick,
    /// The token of each pattern.
    tokens: Vec<AddedToken>,
    are_all_special: bool,
}

impl Matcher {
    /// Looks for `tokens` by the given spellings, of which those that are empty are never found. Nothing to look for
    /// gives no matcher.
    pub(crate) fn new(tokens: Vec<(String, AddedToken)>) -> std::result::Result<Option<Self>, String> {
        let (spellings, tokens): (Vec<_>, Vec<_>) =
            tokens.into_iter().filter(|(spelling, _)| !spelling.is_empty()).unzip();
        if tokens.is_empty() {
            return Ok(None);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(spellings)
            .map_err(|error| format!("added_tokens: too much to look for ({error})"))?;
        let are_all_special = tokens.iter().all(|token| token.special);
        Ok(Some(Self { automaton, tokens, are_all_special }))
    }

    /// Whether every token that could be found would be ordinary text.
    pub(crate) fn finds_nothing(&self, special: Special) -> bool {
        special == Special::Text && self.are_all_special
    }

    /// Cuts a text at the added tokens in it.
    pub(crate) fn segments(&self, text: &str, special: Special, segments: &mut Vec<Segment>) -> Result<()> {
        if self.finds_nothing(special) {
            // All that could be found would be passed over.
            if !text.is_empty() {
                segments.push(Segment::Text(0..text.len()));
            }
            return Ok(());
        }
        let mut done = 0;
        for found in self.automaton.find_iter(text) {
            let (mut start, mut end) = (found.start(), found.end());
            let token = &self.tokens[found.pattern().as_usize()];
            if token.special && special == Special::Text {
                continue;
            }
            if token.single_word && (text[..start].ends_with(is_word) || text[end..].starts_with(is_word)) {
                continue;
            }
            if token.special && special == Special::Refuse {
                return Err(Error::invalid(format!(
                    "the text spells the special token {:?} at byte {start}: pass special=\"text\" to take it as ordinary text, \"parse\" as the token",
                    token.content
                )));
            }
            if token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                segments.push(Segment::Text(done..start));
            }
            // White space that an earlier token took may be all that this one is.
            if start < end {
                segments.push(Segment::Token(token.id, start..end));
            }
            done = done.max(end);
        }
        if done < text.len() {
            segments.push(Segment::Text(done..text.len()));
        }
        Ok(())
    }
}

/// `\w`
fn is_word(character: char) -> bool {
    regex_syntax::try_is_word_character(character).unwrap_or_else(|_| character.is_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(tokens: &[AddedToken], text: &str, special: Special) -> Result<Vec<Segment>> {
        let spelled = tokens.iter().map(|token| (token.content.clone(), token.clone())).collect();
        let mut segments = Vec::new();
        let matcher = Matcher::new(spelled).expect("builds").expect("looks for something");
        matcher.segments(text, special, &mut segments).map(|()| segments)
    }

    #[test]
    fn leftmost_longest_wins() {
        let tokens = [AddedToken::special(1, "<a>"), AddedToken::special(2, "<a><b>"), AddedToken::special(3, "b><a>")];
        let found = segments(&tokens, "x<a><b><a>", Special::Parse).expect("segments");
        assert_eq!(found, [Segment::Text(0..1), Segment::Token(2, 1..7), Segment::Token(1, 7..10)]);
        assert_eq!(segments(&tokens, "x<a>", Special::Text).expect("segments"), [Segment::Text(0..4)]);
        assert!(segments(&tokens, "x<a>", Special::Refuse).is_err_and(|error| error.to_string().contains("<a>")));
        assert!(segments(&tokens, "<a", Special::Refuse).is_ok());
    }

    #[test]
    fn flags_are_honoured() {
        let token = AddedToken { lstrip: true, rstrip: true, special: false, ..AddedToken::special(7, "<m>") };
        let found = segments(std::slice::from_ref(&token), "a  <m>\n <m> b", Special::Text).expect("segments");
        assert_eq!(
            found,
            [Segment::Text(0..1), Segment::Token(7, 1..8), Segment::Token(7, 8..12), Segment::Text(12..13)]
        );
        let line = AddedToken { content: "\n".to_owned(), ..token.clone() };
        let found = segments(&[line], "a\n \n\nb", Special::Parse).expect("segments");
        assert_eq!(found, [Segment::Text(0..1), Segment::Token(7, 1..5), Segment::Text(5..6)]);
        let word = AddedToken { single_word: true, lstrip: false, rstrip: false, content: "we".to_owned(), ..token };
        let found = segments(&[word], "we were we\u{301} we", Special::Parse).expect("segments");
        assert_eq!(found, [Segment::Token(7, 0..2), Segment::Text(2..13), Segment::Token(7, 13..15)]);
    }
}
