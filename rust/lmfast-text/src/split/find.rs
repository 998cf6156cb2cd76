//! All matches of a pattern, and what becomes of them.

use std::ops::Range;

use lmfast_base::Result;

use super::Split;
use super::regex::Pattern;
use crate::format::components::{Behavior, Pattern as Definition};

/// A pattern made ready to be looked for.
#[derive(Debug)]
pub(crate) enum Finder {
    /// These very characters, at least one.
    Literal(String),
    /// A regular expression.
    Regex(Box<Pattern>),
}

impl Finder {
    /// Makes a pattern ready. An empty string is the empty regular expression, as in `tokenizers`.
    ///
    /// # Errors
    /// Says what is wrong with the pattern.
    pub(crate) fn new(definition: &Definition) -> std::result::Result<Self, String> {
        match definition {
            Definition::String(text) if !text.is_empty() => Ok(Self::Literal(text.clone())),
            Definition::String(text) | Definition::Regex(text) => {
                Pattern::new(text).map(|pattern| Self::Regex(Box::new(pattern))).map_err(|error| error.to_string())
            }
        }
    }

    /// Appends all matches, in order and apart, the empty ones too; an empty text has none, as in `tokenizers`.
    pub(crate) fn matches(&self, text: &str, matches: &mut Vec<Range<usize>>) -> Result<()> {
        match self {
            _ if text.is_empty() => Ok(()),
            Self::Literal(literal) => {
                matches.extend(text.match_indices(literal.as_str()).map(|(at, found)| at..at + found.len()));
                Ok(())
            }
            Self::Regex(pattern) => pattern.matches(text, matches),
        }
    }
}

/// Cuts at the matches of a pattern. A text is cut as a whole: what becomes of a match may depend on those behind it.
#[derive(Debug)]
pub(crate) struct Behaved {
    pub(crate) finder: Finder,
    pub(crate) behavior: Behavior,
    /// What lies between matches is taken for matches, and they for what lies between.
    pub(crate) invert: bool,
}

impl Split for Behaved {
    fn split(&self, text: &str, from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let mut matches = Vec::new();
        self.finder.matches(&text[from..], &mut matches)?;
        let (mut parts, mut done) = (Vec::with_capacity(matches.len() * 2 + 1), 0);
        for found in matches {
            if done < found.start {
                parts.push((done..found.start, self.invert));
            }
            done = found.end;
            parts.push((found, !self.invert));
        }
        if done < text.len() - from {
            parts.push((done..text.len() - from, self.invert));
        }
        let shifted = |range: &Range<usize>| from + range.start..from + range.end;
        let kept = joined(parts, self.behavior);
        pieces.extend(kept.iter().filter(|range| !range.is_empty()).map(shifted));
        Ok(text.len())
    }
}

/// What becomes of the parts of a text, which are matches or lie between.
fn joined(parts: Vec<(Range<usize>, bool)>, behavior: Behavior) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut previous = false;
    match behavior {
        Behavior::Removed => pieces.extend(parts.into_iter().filter(|(_, is_match)| !is_match).map(|(range, _)| range)),
        Behavior::Isolated => pieces.extend(parts.into_iter().map(|(range, _)| range)),
        Behavior::Contiguous | Behavior::MergedWithPrevious => {
            for (range, is_match) in parts {
                let joins = if behavior == Behavior::Contiguous { is_match == previous } else { is_match && !previous };
                match pieces.last_mut().filter(|_| joins) {
                    Some(last) => last.end = range.end,
                    None => pieces.push(range),
                }
                previous = is_match;
            }
        }
        Behavior::MergedWithNext => {
            for (range, is_match) in parts.into_iter().rev() {
                match pieces.last_mut().filter(|_| is_match && !previous) {
                    Some(last) => last.start = range.start,
                    None => pieces.push(range),
                }
                previous = is_match;
            }
            pieces.reverse();
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::pieces_of;
    use super::*;

    fn cut(pattern: &Definition, behavior: Behavior, invert: bool, text: &str) -> Vec<String> {
        let split = Behaved { finder: Finder::new(pattern).expect("compiles"), behavior, invert };
        pieces_of(&split, text).expect("comes to an end").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn behaviors_are_those_of_tokenizers() {
        let dash = |behavior| cut(&Definition::String("-".to_owned()), behavior, false, "the-final--countdown");
        assert_eq!(dash(Behavior::Removed), ["the", "final", "countdown"]);
        assert_eq!(dash(Behavior::Isolated), ["the", "-", "final", "-", "-", "countdown"]);
        assert_eq!(dash(Behavior::MergedWithPrevious), ["the-", "final-", "-", "countdown"]);
        assert_eq!(dash(Behavior::MergedWithNext), ["the", "-final", "-", "-countdown"]);
        assert_eq!(dash(Behavior::Contiguous), ["the", "-", "final", "--", "countdown"]);
        let word = |behavior| cut(&Definition::Regex(r"\w+".to_owned()), behavior, true, "Hey man!");
        assert_eq!(word(Behavior::Removed), ["Hey", "man"]);
        assert_eq!(word(Behavior::MergedWithPrevious), ["Hey ", "man!"]);
        let empty = |behavior| cut(&Definition::String(String::new()), behavior, false, "ab");
        assert_eq!(empty(Behavior::Isolated), ["a", "b"]);
        assert_eq!(empty(Behavior::Contiguous), ["a", "b"]);
        assert_eq!(empty(Behavior::Removed), ["a", "b"]);
    }
}
