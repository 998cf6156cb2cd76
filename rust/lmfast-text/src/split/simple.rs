//! Cutters without a pattern.

use std::ops::Range;

use lmfast_base::Result;

use super::{BATCH, Split};
use crate::format::components::Behavior;
use crate::unicode::{PROPERTIES, PUNCTUATION, SCRIPT_OF, SPACE, WORD};

/// No cut at all: the text is one piece.
#[derive(Debug, Clone, Copy)]
pub struct Whole;

impl Split for Whole {
    fn split(&self, text: &str, from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        pieces.push(from..text.len());
        Ok(text.len())
    }
}

/// Words between white space (Unicode's `White_Space`), which belongs to no piece.
#[derive(Debug, Clone, Copy)]
pub struct WhiteSpace;

impl Split for WhiteSpace {
    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        while pieces.len() < BATCH {
            let Some(start) = text[from..].find(|character: char| !character.is_whitespace()) else {
                return Ok(text.len());
            };
            let start = from + start;
            let end = text[start..].find(char::is_whitespace).map_or(text.len(), |length| start + length);
            pieces.push(start..end);
            from = end;
        }
        Ok(from)
    }
}

/// Which characters are cut at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// This one.
    Is(char),
    /// Those with a property.
    Has(u8),
}

impl Delimiter {
    #[inline]
    fn is(self, character: char) -> bool {
        match self {
            Self::Is(delimiter) => character == delimiter,
            Self::Has(property) => PROPERTIES.of(character) & property != 0,
        }
    }
}

/// Cuts at single characters, each a match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) delimiter: Delimiter,
    pub(crate) behavior: Behavior,
}

impl Split for At {
    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let is = |character: char| self.delimiter.is(character);
        let gap_end = |from: usize| text[from..].find(is).map_or(text.len(), |length| from + length);
        while from < text.len() && pieces.len() < BATCH {
            let length = text[from..].chars().next().filter(|&first| is(first)).map(char::len_utf8);
            let end = match (length, self.behavior) {
                (None, Behavior::MergedWithPrevious) => {
                    let end = gap_end(from);
                    end + text[end..].chars().next().map_or(0, char::len_utf8)
                }
                (None, _) => gap_end(from),
                (Some(length), Behavior::Contiguous) => {
                    let other = text[from + length..].find(|character| !is(character));
                    other.map_or(text.len(), |more| from + length + more)
                }
                (Some(length), Behavior::MergedWithNext) => gap_end(from + length),
                (Some(length), Behavior::Removed) => {
                    from += length;
                    continue;
                }
                (Some(length), _) => from + length,
            };
            pieces.push(from..end);
            from = end;
        }
        Ok(from)
    }
}

/// Cuts at white space, which is left out, and around every character of punctuation: BERT's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BertWords;

impl Split for BertWords {
    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let table = &*PROPERTIES;
        while from < text.len() && pieces.len() < BATCH {
            let end = table.run_without(text, from, SPACE | PUNCTUATION);
            if end > from {
                pieces.push(from..end);
            }
            from = end;
            if end < text.len() {
                let (properties, length) = table.at(text, end);
                from = end + length;
                if properties & SPACE == 0 {
                    pieces.push(end..from);
                }
            }
        }
        Ok(from)
    }
}

/// Runs of word characters and runs of others, `\w+|[^\w\s]+`; white space is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words;

impl Split for Words {
    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        // No character is both.
        let class = |character: char| PROPERTIES.of(character) & (SPACE | WORD);
        while from < text.len() && pieces.len() < BATCH {
            let Some(first) = text[from..].chars().next().map(class) else { break };
            let end =
                text[from..].find(|character| class(character) != first).map_or(text.len(), |length| from + length);
            if first != SPACE {
                pieces.push(from..end);
            }
            from = end;
        }
        Ok(from)
    }
}

/// Cuts where the script changes; characters without one, such as the space, belong to what they follow, and at the
/// beginning to nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scripts;

impl Split for Scripts {
    fn split(&self, text: &str, from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let table = &*SCRIPT_OF;
        let (mut script, mut start) = (0, None);
        for (at, character) in text[from..].char_indices() {
            let next = table.of(character);
            if next == 0 || next == script {
                continue;
            }
            if let Some(start) = start {
                pieces.push(start..from + at);
                if pieces.len() >= BATCH {
                    return Ok(from + at);
                }
            }
            (script, start) = (next, Some(from + at));
        }
        pieces.extend(start.map(|start| start..text.len()));
        Ok(text.len())
    }
}

/// Cuts after every so many characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FixedLength {
    /// At least one.
    pub(crate) length: usize,
}

impl Split for FixedLength {
    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        while from < text.len() && pieces.len() < BATCH {
            let end = text[from..].char_indices().nth(self.length).map_or(text.len(), |(length, _)| from + length);
            pieces.push(from..end);
            from = end;
        }
        Ok(from)
    }
}

/// Each cutter applied to the pieces of the one before, which it sees alone.
#[derive(Debug)]
pub struct Chain {
    /// The cutters; the first sees the text.
    pub steps: Vec<Box<dyn Split>>,
}

impl Split for Chain {
    fn split(&self, text: &str, from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let Some((first, others)) = self.steps.split_first() else {
            return Whole.split(text, from, pieces);
        };
        let before = pieces.len();
        let end = first.split(text, from, pieces)?;
        for step in others {
            let outer: Vec<Range<usize>> = pieces.drain(before..).collect();
            let mut inner = Vec::new();
            for piece in outer {
                let (part, mut from) = (&text[piece.clone()], 0);
                while from < part.len() {
                    from = step.split(part, from, &mut inner)?;
                    pieces.extend(inner.drain(..).map(|range| piece.start + range.start..piece.start + range.end));
                }
            }
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::find::{Behaved, Finder};
    use super::super::regex::Pattern;
    use super::super::{gpt2::Gpt2, pieces_of, strategies};
    use super::*;
    use crate::format::components::Pattern as Definition;
    use crate::unicode::NUMERIC;
    use proptest::prelude::*;

    #[test]
    fn words_lie_between_white_space() {
        assert_eq!(pieces_of(&WhiteSpace, "  one\u{3000}two\n").expect("splits"), ["one", "two"]);
        assert!(pieces_of(&WhiteSpace, " \n").expect("splits").is_empty());
        assert_eq!(
            pieces_of(&BertWords, " a,b\u{2014}c!\n!").expect("splits"),
            ["a", ",", "b", "\u{2014}", "c", "!", "!"]
        );
        assert_eq!(pieces_of(&Words, " a_b,.c\n!").expect("splits"), ["a_b", ",.", "c", "!"]);
    }

    #[test]
    fn a_chain_cuts_pieces_again() {
        let chain = Chain { steps: vec![Box::new(Pattern::new(r"\d").expect("compiles")), Box::new(Gpt2)] };
        assert_eq!(pieces_of(&chain, "no 12 cats").expect("splits"), ["no", " ", "1", "2", " cats"]);
        let long = "a1 ".repeat(1000);
        assert_eq!(pieces_of(&chain, &long).expect("splits").concat(), long);
    }

    #[test]
    fn scripts_and_lengths_cut() {
        let scripts = |text| pieces_of(&Scripts, text).expect("splits");
        assert_eq!(scripts(" \u{3042}\u{30fc}\u{4e2d} ab \u{416}"), ["\u{3042}\u{30fc}\u{4e2d} ", "ab ", "\u{416}"]);
        assert!(scripts("  ").is_empty());
        let long = "a\u{416} ".repeat(1000);
        assert_eq!(scripts(&long).concat(), long);
        assert_eq!(pieces_of(&FixedLength { length: 2 }, "a\u{416}bcd").expect("splits"), ["a\u{416}", "bc", "d"]);
    }

    proptest! {
        #[test]
        fn single_characters_are_cut_at_as_their_pattern(
            text in strategies::text(),
            repeats in 1..40_usize,
            behavior in prop::sample::select(vec![
                Behavior::Removed, Behavior::Isolated, Behavior::MergedWithPrevious, Behavior::MergedWithNext,
                Behavior::Contiguous,
            ]),
            (delimiter, pattern) in prop::sample::select(vec![
                (Delimiter::Has(SPACE), r"\s"), (Delimiter::Has(NUMERIC), r"\p{N}"), (Delimiter::Is('a'), "a"),
            ]),
        ) {
            let text = text.repeat(repeats);
            let finder = Finder::new(&Definition::Regex(pattern.to_owned())).expect("compiles");
            let slow = Behaved { finder, behavior, invert: false };
            prop_assert_eq!(pieces_of(&At { delimiter, behavior }, &text)?, pieces_of(&slow, &text)?);
        }
    }
}
