//! Cutting text into pieces, the units that a vocabulary is applied to one by one.
//!
//! [`Split`] is what a cutter is: a scanner written by hand for one well-known pattern ([`gpt2`]), the general engine
//! ([`regex`]), or white space.

pub mod cl100k;
pub(crate) mod classes;
pub mod deepseek;
mod ends;
pub(crate) mod find;
pub mod gpt2;
pub(crate) mod masks;
pub mod o200k;
pub mod regex;
pub(crate) mod simple;
pub(crate) mod window;

use std::fmt;
use std::ops::Range;

use lmfast_base::Result;

pub use ends::Ends;
pub use simple::{Chain, WhiteSpace, Whole};

/// How many pieces a call of [`Split::split`] gives, or a few more.
pub const BATCH: usize = 256;

/// Cuts text into pieces.
pub trait Split: Send + Sync + fmt::Debug {
    /// Appends the next pieces of `text` from byte `from` on, in order, none of them empty, until `pieces` holds
    /// [`BATCH`] or the text ends. `from` is 0 or what the last call for this text gave.
    ///
    /// Gives the byte to go on from, `text.len()` at the end.
    ///
    /// # Errors
    /// [`lmfast_base::Error::Invalid`] if a pattern does not come to an end.
    fn split(&self, text: &str, from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize>;

    /// The same as bare ends, from the beginning that `ends` has on, for cutters whose pieces lie side by side; others
    /// do nothing and give nothing.
    fn ends(&self, text: &str, ends: &mut Ends) -> Option<usize> {
        let _ = (text, ends);
        None
    }

    /// Whether a piece starts at every space between two ASCII letters, whatever else the text is.
    fn cuts_before_words(&self) -> bool {
        false
    }
}

/// The pattern behind a name, as `tokenizer.json` files write it.
///
/// ```
/// assert!(lmfast_text::split::named("gpt2").is_some_and(|pattern| pattern.starts_with("'s|'t")));
/// ```
pub fn named(name: &str) -> Option<&'static str> {
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, pattern)| *pattern)
}

/// The names that [`named`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMED.iter().map(|(name, _)| *name)
}

const NAMED: [(&str, &str); 6] = [
    ("gpt2", gpt2::PATTERN),
    ("cl100k", cl100k::PATTERN),
    ("llama3", cl100k::PATTERN),
    ("qwen2", cl100k::QWEN_PATTERN),
    ("o200k", o200k::PATTERN),
    ("tekken", o200k::TEKKEN_PATTERN),
];

/// A cutter for a pattern: the scanner written for it, or else the general engine.
///
/// # Errors
/// As [`regex::Pattern::new`].
pub fn for_pattern(pattern: &str) -> Result<Box<dyn Split>> {
    match scanner(pattern) {
        Some(scanner) => Ok(scanner),
        None => Ok(Box::new(regex::Pattern::new(pattern)?)),
    }
}

/// The scanner written for a pattern; every character belongs to a match of such a pattern.
pub(crate) fn scanner(pattern: &str) -> Option<Box<dyn Split>> {
    Some(match pattern {
        gpt2::PATTERN => Box::new(gpt2::Gpt2),
        cl100k::PATTERN => Box::new(cl100k::Cl100k { digits: 3 }),
        cl100k::QWEN_PATTERN => Box::new(cl100k::Cl100k { digits: 1 }),
        o200k::PATTERN => Box::new(o200k::O200k { contractions: true, digits: 3 }),
        o200k::TEKKEN_PATTERN => Box::new(o200k::O200k { contractions: false, digits: 1 }),
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) fn pieces_of<'a>(split: &dyn Split, text: &'a str) -> Result<Vec<&'a str>> {
    let (mut all, mut pieces, mut from) = (Vec::new(), Vec::new(), 0);
    while from < text.len() {
        from = split.split(text, from, &mut pieces)?;
        all.extend(pieces.drain(..).map(|piece| &text[piece]));
    }
    Ok(all)
}

#[cfg(test)]
pub(crate) mod strategies {
    use proptest::prelude::*;

    /// Text that is hard to cut: mixtures of every class of characters, runs, contractions, any code points.
    pub(crate) fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => "[a-zA-Z]{1,6}",
            2 => "[ \t\r\n]{1,4}",
            2 => r"[\s]{1,3}",
            2 => r"[\p{L}]{1,3}",
            1 => r"[\p{N}]{1,4}",
            1 => r"[\p{P}\p{S}\p{M}]{1,3}",
            1 => r"[\p{C}\x00\u{200d}]{1,2}",
            2 => prop::sample::select(vec![
                "'s", "'T", "'re", "'VE", "'ll", "'l", "'\u{17f}", "''", " ", "  ", "\n\n", " \n", "\u{a0}", "\u{3000}",
                "<|endoftext|>", "<|end", "e\u{301}", "\u{1f469}\u{200d}\u{1f469}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ]).prop_map(str::to_owned),
            1 => prop::collection::vec(any::<char>(), 1..3).prop_map(String::from_iter),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    /// Text of several windows, nearly all ASCII.
    pub(crate) fn ascii() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            6 => "[a-z]{1,9}",
            2 => "[A-Za-z]{1,6}",
            2 => "[0-9]{1,8}",
            3 => "[ ]{1,3}",
            3 => "[ \t\r\n\x0b\x0c]{1,4}",
            3 => "[!-/:-@\\[-`{-~]{1,3}",
            1 => "[/\r\n]{1,5}",
            2 => "'([sdmt]|ll|LL|ve|Re|x)?",
            1 => " {60,70}",
            1 => prop::sample::select(vec!["\u{2019}", "\u{17F}", "\u{e9}", "\u{a0}", "\0"]).prop_map(str::to_owned),
        ];
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    /// Every character, each in one of several surroundings.
    pub(crate) fn every_character() -> impl Iterator<Item = String> {
        every_character_beside(&[" ", "a", "7", "!", "  ", "\u{3000} ", "A", "\n", "'s", "/"])
    }

    /// Every character, each between two of some surroundings.
    pub(crate) fn every_character_beside(surroundings: &[&str]) -> impl Iterator<Item = String> {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        (0..all.len()).step_by(10_000).map(move |from| {
            let mut text = String::new();
            for (index, &character) in all[from..].iter().take(10_000).enumerate() {
                text.push(character);
                text.push_str(surroundings[(index + from / 10_000) % surroundings.len()]);
            }
            text
        })
    }
}
