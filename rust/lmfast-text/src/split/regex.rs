//! Any pattern, matched by a backtracking engine.
//!
//! Patterns are read as `tokenizers` reads them, in Oniguruma's Ruby syntax: `^` and `$` match at every line, and `\w`
//! has the numbers of Latin-1 but not the joiners. What else the two engines would read differently without saying so
//! is refused when the pattern is compiled.

use std::ops::Range;

use fancy_regex::{Regex, RegexBuilder};
use lmfast_base::{Error, Result};

use super::{BATCH, Split};

/// Steps back that a match may take before it is given up.
const BACKTRACK_LIMIT: usize = 10_000_000;

/// What `\w` is to Oniguruma.
const WORD: &str = r"[\w\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}&&[^\x{200C}\x{200D}]]";
const NOT_WORD: &str = r"[^[\w\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}&&[^\x{200C}\x{200D}]]]";

/// A compiled pattern; its matches, and the text between them, are the pieces.
#[derive(Debug)]
pub struct Pattern {
    /// As it was written.
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that does not compile or that `tokenizers` would read differently.
    pub fn new(pattern: &str) -> Result<Self> {
        if let Some((construct, reason)) = ambiguous(pattern) {
            return Err(Error::invalid(format!("the pattern {pattern:?} has {construct}, which {reason}")));
        }
        let regex = RegexBuilder::new(&words_as_oniguruma(pattern))
            .oniguruma_mode(true)
            .multi_line(true)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
            .map_err(|error| Error::invalid(format!("the pattern {pattern:?} is not a regular expression: {error}")))?;
        Ok(Self { source: pattern.to_owned(), regex })
    }
}

impl Pattern {
    /// Matches these very characters.
    pub fn literal(text: &str) -> Result<Self> {
        Self::new(&fancy_regex::escape(text))
    }

    /// Appends all matches in order; an empty one that touches the end of the match before does not count.
    pub(crate) fn matches(&self, text: &str, matches: &mut Vec<Range<usize>>) -> Result<()> {
        let (mut search, mut last_end) = (0, None);
        while search <= text.len() {
            let Some((start, end)) = self.find(text, search)? else { break };
            if start == end && last_end == Some(end) {
                search = end + text[end..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            matches.push(start..end);
            search = end;
            last_end = Some(end);
        }
        Ok(())
    }

    /// The next match from a byte on.
    fn find(&self, text: &str, from: usize) -> Result<Option<(usize, usize)>> {
        let found = self.regex.find_from_pos(text, from).map_err(|error| {
            Error::invalid(format!(
                "the pattern {:?} does not come to an end on the text from byte {from} on ({error}): it backtracks too much; use possessive quantifiers or atomic groups",
                self.source
            ))
        })?;
        Ok(found.map(|found| (found.start(), found.end())))
    }
}

/// Spells out `\w` and `\W`.
fn words_as_oniguruma(pattern: &str) -> String {
    let (mut spelled, mut letters) = (String::new(), pattern.chars());
    while let Some(letter) = letters.next() {
        match (letter, letters.clone().next()) {
            ('\\', Some(escaped)) => {
                letters.next();
                match escaped {
                    'w' => spelled.push_str(WORD),
                    'W' => spelled.push_str(NOT_WORD),
                    other => spelled.extend(['\\', other]),
                }
            }
            (other, _) => spelled.push(other),
        }
    }
    spelled
}

/// A construct that Oniguruma's Ruby syntax gives another meaning than the engine here, and which meaning.
fn ambiguous(pattern: &str) -> Option<(String, &'static str)> {
    if pattern.contains("[[:") || pattern.contains("[:^") {
        return Some((
            "a POSIX bracket".to_owned(),
            "covers ASCII here and Unicode in tokenizers: write \\p{...} instead",
        ));
    }
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let escaped = if letter == '\\' { letters.next() } else { None };
        if matches!(escaped, Some('b' | 'B')) {
            return Some((
                "a word boundary".to_owned(),
                "lies elsewhere in tokenizers: write (?<!\\w)(?=\\w) or the like instead",
            ));
        }
    }
    let mut rest = pattern;
    while let Some(at) = rest.find("(?") {
        rest = &rest[at + 2..];
        let flags: String = rest.chars().take_while(|letter| letter.is_ascii_alphabetic() || *letter == '-').collect();
        let ends = matches!(rest.as_bytes().get(flags.len()), Some(b':' | b')'));
        if ends && flags.contains(|flag| !matches!(flag, 'i' | 'x' | '-')) {
            return Some((format!("the flags (?{flags}"), "mean something else in tokenizers: only i and x are taken"));
        }
    }
    None
}

impl Split for Pattern {
    fn split(&self, text: &str, mut from: usize, pieces: &mut Vec<Range<usize>>) -> Result<usize> {
        let mut search = from;
        while from < text.len() && pieces.len() < BATCH {
            let Some((start, end)) = self.find(text, search)? else {
                pieces.push(from..text.len());
                return Ok(text.len());
            };
            if start > from {
                pieces.push(from..start);
            }
            from = end;
            search = end;
            if start < end {
                pieces.push(start..end);
            } else {
                // An empty match cuts, and the next one begins a character later.
                search += text[end..].chars().next().map_or(1, char::len_utf8);
                if search > text.len() {
                    return Ok(text.len());
                }
            }
        }
        Ok(from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces_of;
    use super::*;

    #[test]
    fn gaps_and_empty_matches_cut() {
        let split = |pattern: &str, text: &str| -> Vec<String> {
            pieces_of(&Pattern::new(pattern).expect("compiles"), text)
                .expect("matches")
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(split(r"\d+", "ab12c3"), ["ab", "12", "c", "3"]);
        assert_eq!(split("x*", "axxb\u{e9}"), ["a", "xx", "b", "\u{e9}"]);
        assert_eq!(split("", "ab"), ["a", "b"]);
        assert_eq!(split("^b", "a\nb b"), ["a\n", "b", " b"]);
        assert_eq!(split("absent", "all of it"), ["all of it"]);
        assert_eq!(split(r"[^\w\s]+|\\w", "a\u{b2}\u{200d}-b"), ["a\u{b2}", "\u{200d}-", "b"]);
        assert_eq!(split(r"\W|\w+", "a\u{b2}\u{200d}-b"), ["a\u{b2}", "\u{200d}", "-", "b"]);
    }

    #[test]
    fn bad_patterns_are_errors() {
        for pattern in ["(unclosed", "(unclosed[\\p{", "*", "(?m:a)", "(?s).", "[[:alpha:]]", r"\bword"] {
            assert!(
                matches!(Pattern::new(pattern), Err(Error::Invalid(what)) if what.contains("pattern")),
                "{pattern}"
            );
        }
    }

    #[test]
    fn endless_backtracking_is_an_error() {
        let pattern = Pattern::new(r"(a|aa|a(?=b))+$(?<=c)").expect("compiles");
        let error = pieces_of(&pattern, &"a".repeat(200)).expect_err("backtracks");
        assert!(error.to_string().contains("backtracks"), "{error}");
    }
}
