//! Cutters without a pattern.

use std::ops::Range;

use lmfast_base::Result;

use super::{BATCH, Split};

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
    use super::super::regex::Pattern;
    use super::super::{gpt2::Gpt2, pieces_of};
    use super::*;

    #[test]
    fn words_lie_between_white_space() {
        assert_eq!(pieces_of(&WhiteSpace, "  one\u{3000}two\n").expect("splits"), ["one", "two"]);
        assert!(pieces_of(&WhiteSpace, " \n").expect("splits").is_empty());
    }

    #[test]
    fn a_chain_cuts_pieces_again() {
        let chain = Chain { steps: vec![Box::new(Pattern::new(r"\d").expect("compiles")), Box::new(Gpt2)] };
        assert_eq!(pieces_of(&chain, "no 12 cats").expect("splits"), ["no", " ", "1", "2", " cats"]);
        let long = "a1 ".repeat(1000);
        assert_eq!(pieces_of(&chain, &long).expect("splits").concat(), long);
    }
}
