//! Rank files of `tiktoken`: a line for each token, its bytes in base64 and its rank, which is its id.
//!
//! `tiktoken` takes a piece that is a token as that token. Else it merges, as long as two neighbours together are a
//! token, the leftmost of those with the lowest rank. The merges of a token's own bytes tell which two parts it is
//! always made of: whatever stands around it, the merges inside come in the same order. Mostly those of lower ranks, found
//! before, are enough. A token that its own bytes do not become is met as a whole piece only.

use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustc_hash::FxHashMap;

use super::components::{Behavior, Decoder, Pattern, PreTokenizer};
use super::{BpeSettings, Definition, Model};
use crate::added::AddedToken;
use crate::byte_chars;
use crate::split::{self, gpt2};
use crate::vocabulary::Vocabulary;

/// The most bytes of a token: merging takes time in proportion to their square.
const LONGEST: usize = 512;

/// Tokens with their ranks, by rank.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    /// The tokens one behind the other, as they come in the file.
    bytes: Vec<u8>,
    /// The rank of each, and its place in the bytes.
    tokens: Vec<(u32, Range<usize>)>,
}

impl Ranks {
    /// Reads the lines of a file; an error names the line.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut ranks = Self { bytes: Vec::with_capacity(bytes.len()), tokens: Vec::new() };
        for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                let start = ranks.bytes.len();
                let rank = rank_line(line, &mut ranks.bytes).map_err(|what| format!("line {number}: {what}"))?;
                ranks.tokens.push((rank, start..ranks.bytes.len()));
            }
        }
        ranks.tokens.sort_by_key(|&(rank, _)| rank);
        if let Some(twice) = ranks.tokens.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(format!("two tokens have one rank, {}", twice[0].0));
        }
        if ranks.tokens.is_empty() {
            return Err("it has no token: a line with a token in base64 and its rank is wanted".to_owned());
        }
        Ok(ranks)
    }

    /// Ranks with their tokens, by rank.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &[u8])> + Clone {
        self.tokens.iter().map(|(rank, range)| (*rank, &self.bytes[range.clone()]))
    }

    /// The tokens that become others by merging: the ids of both parts and of the whole, in the order of ranks.
    ///
    /// # Errors
    /// Names a byte that is no token, or a token that is there twice.
    fn merges(&self) -> Result<Vec<(u32, u32, u32)>, String> {
        let mut ranks: FxHashMap<&[u8], u32> = FxHashMap::default();
        ranks.reserve(self.tokens.len());
        for (rank, token) in self.iter() {
            if let Some(other) = ranks.insert(token, rank) {
                return Err(format!("the token of rank {other} is there again, with rank {rank}"));
            }
        }
        let mut bytes = [0; 256];
        for byte in 0..=255_u8 {
            bytes[usize::from(byte)] = *ranks.get([byte].as_slice()).ok_or_else(|| {
                format!("it lacks a token for the byte {byte}: text with this byte could not be encoded")
            })?;
        }
        let mut merges = Vec::with_capacity(self.tokens.len());
        let mut pairs: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        pairs.reserve(self.tokens.len());
        let mut memory = Memory::default();
        for (rank, token) in self.iter().filter(|(_, token)| token.len() > 1) {
            let parts = earlier_parts(token, &bytes, &pairs, &mut memory.symbols);
            if let Some((left, right)) = parts.or_else(|| two_parts(token, &ranks, &mut memory.parts)) {
                merges.push((left, right, rank));
                pairs.insert((left, right), rank);
            }
        }
        Ok(merges)
    }

    /// Whether a token holds a line's end and the white space behind it, with no line's end in that.
    pub(crate) fn cross_line_ends(&self) -> bool {
        self.iter().any(|(_, token)| {
            let behind = token.iter().rposition(|byte| matches!(byte, b'\r' | b'\n')).map(|at| &token[at + 1..]);
            // White space that is not ASCII begins with one of four bytes.
            behind.is_some_and(|rest| matches!(rest, [b' ' | 0x09 | 0x0B | 0x0C | 0xC2 | 0xE1 | 0xE2 | 0xE3, ..]))
        })
    }

    /// The tokenizer: the ranks, cut by a pattern, and special tokens.
    pub(crate) fn definition(&self, pattern: &str, special_tokens: &[(String, u32)]) -> Result<Definition, String> {
        let entries = self.iter().map(|(rank, token)| (byte_chars::spell(token), rank)).collect();
        let merges = self.merges()?;
        let mut added_tokens: Vec<AddedToken> =
            special_tokens.iter().map(|(token, id)| AddedToken::special(*id, token)).collect();
        added_tokens.sort_by_key(|token| token.id);
        let byte_level = |use_regex| PreTokenizer::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex };
        let pre_tokenizer = match self.scanned(pattern) {
            gpt2::PATTERN => byte_level(true),
            pattern => PreTokenizer::Sequence {
                pretokenizers: vec![
                    PreTokenizer::Split {
                        pattern: Pattern::Regex(pattern.to_owned()),
                        behavior: Behavior::Isolated,
                        invert: false,
                    },
                    byte_level(false),
                ],
            },
        };
        Ok(Definition {
            added_tokens,
            normalizer: None,
            pre_tokenizer: Some(pre_tokenizer),
            post_processor: None,
            decoder: Some(Decoder::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true }),
            vocabulary: Vocabulary::new(entries)?,
            model: Model::Bpe(BpeSettings { merges, ignore_merges: true, ..BpeSettings::default() }),
        })
    }

    /// The pattern behind a name or a spelling of `tiktoken`, where there is one, that gives the same ids.
    ///
    /// `tiktoken` takes white space at the end of the text as one piece, where `tokenizers` cuts it behind the last
    /// line's end. That is the same if no token lies across.
    fn scanned<'a>(&self, pattern: &'a str) -> &'a str {
        if let Some(named) = split::named(pattern) {
            return named;
        }
        let same = TIKTOKEN_PATTERNS.iter().find(|(spelled, _, _)| *spelled == pattern);
        let same = same.filter(|(_, _, if_not_crossed)| !(*if_not_crossed && self.cross_line_ends()));
        same.and_then(|(_, name, _)| split::named(name)).unwrap_or(pattern)
    }
}

/// Patterns as `tiktoken` spells them, the names of those that cut alike, and whether they do so only where no token
/// [crosses line ends](Ranks::cross_line_ends).
const TIKTOKEN_PATTERNS: [(&str, &str, bool); 2] = [
    (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s", "gpt2", false),
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        "cl100k",
        true,
    ),
];

/// Whether bytes begin as a rank file does.
pub(crate) fn is_rank_file(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    rank_line(line.strip_suffix(b"\r").unwrap_or(line), &mut Vec::new()).is_ok()
}

/// Appends the token of a line, and gives its rank.
fn rank_line(line: &[u8], tokens: &mut Vec<u8>) -> Result<u32, String> {
    let space = line.iter().position(|&byte| byte == b' ').ok_or("a token in base64, a space and a rank are wanted")?;
    let start = tokens.len();
    BASE64_STANDARD.decode_vec(&line[..space], tokens).map_err(|error| format!("the token is not base64: {error}"))?;
    let length = tokens.len() - start;
    if length == 0 || length > LONGEST {
        return Err(format!("a token of {length} bytes: between 1 and {LONGEST} are wanted"));
    }
    let rank = std::str::from_utf8(&line[space + 1..]).ok().and_then(|rank| rank.trim().parse().ok());
    let rank = rank.ok_or_else(|| {
        format!("the rank {:?} is not a whole number of 32 bits", String::from_utf8_lossy(&line[space + 1..]))
    })?;
    Ok(rank)
}

/// A part of a token: where it begins, and the rank of it and the next part together.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: usize,
    rank: u32,
}

/// No rank of two parts.
const NONE: u32 = u32::MAX;

/// What is used again for every token.
#[derive(Default)]
struct Memory {
    symbols: Vec<u32>,
    parts: Vec<Part>,
}

/// The ranks of the last two parts that a token's bytes become by merges of lower ranks alone; nothing if they end as
/// more, or if so many are to be merged that looking through all of them takes long.
fn earlier_parts(
    token: &[u8],
    bytes: &[u32; 256],
    pairs: &FxHashMap<(u32, u32), u32>,
    symbols: &mut Vec<u32>,
) -> Option<(u32, u32)> {
    const MOST: usize = 32;
    if token.len() > MOST {
        return None;
    }
    let rank = |left: u32, right: u32| pairs.get(&(left, right)).copied().unwrap_or(NONE);
    symbols.clear();
    symbols.extend(token.iter().map(|&byte| bytes[usize::from(byte)]));
    let mut ranks = [NONE; MOST];
    for (rank_of_two, two) in ranks.iter_mut().zip(symbols.windows(2)) {
        *rank_of_two = rank(two[0], two[1]);
    }
    while symbols.len() > 2 {
        let length = symbols.len();
        let (at, lowest) = ranks[..length].iter().copied().enumerate().min_by_key(|&(_, rank)| rank)?;
        if lowest == NONE {
            return None;
        }
        symbols[at] = lowest;
        symbols.remove(at + 1);
        ranks.copy_within(at + 2..length, at + 1);
        ranks[length - 1] = NONE;
        ranks[at] = symbols.get(at + 1).map_or(NONE, |&next| rank(symbols[at], next));
        if at > 0 {
            ranks[at - 1] = rank(symbols[at - 1], symbols[at]);
        }
    }
    let [left, right] = symbols[..] else { return None };
    Some((left, right))
}

/// The ranks of the last two parts that a token's bytes become, by merges of any rank.
fn two_parts(token: &[u8], ranks: &FxHashMap<&[u8], u32>, parts: &mut Vec<Part>) -> Option<(u32, u32)> {
    let rank = |start: usize, end: usize| ranks.get(&token[start..end]).copied().unwrap_or(NONE);
    parts.clear();
    parts.extend((0..token.len()).map(|start| Part { start, rank: NONE }));
    for at in 1..parts.len() {
        parts[at - 1].rank = rank(at - 1, at + 1);
    }
    while parts.len() > 2 {
        let (at, lowest) = parts.iter().map(|part| part.rank).enumerate().min_by_key(|&(_, rank)| rank)?;
        if lowest == NONE {
            return None;
        }
        parts.remove(at + 1);
        for changed in [at.checked_sub(1), Some(at)].into_iter().flatten() {
            let end = parts.get(changed + 2).map_or(token.len(), |part| part.start);
            parts[changed].rank = if changed + 1 < parts.len() { rank(parts[changed].start, end) } else { NONE };
        }
    }
    let [_, right] = parts[..] else { return None };
    Some((rank(0, right.start), rank(right.start, token.len())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Options, Tokenizer};

    /// Merges as `tiktoken` does, by looking up whatever two neighbours spell.
    fn naive(ranks: &[(u32, Vec<u8>)], piece: &[u8]) -> Vec<u32> {
        let rank = |bytes: &[u8]| ranks.iter().find(|(_, token)| token == bytes).map(|(rank, _)| *rank);
        if let Some(rank) = rank(piece) {
            return vec![rank];
        }
        let mut parts: Vec<Vec<u8>> = piece.iter().map(|&byte| vec![byte]).collect();
        loop {
            let pairs = (1..parts.len()).filter_map(|at| Some((rank(&parts[at - 1..=at].concat())?, at)));
            let Some((_, at)) = pairs.min() else { break };
            let right = parts.remove(at);
            parts[at - 1].extend(right);
        }
        parts.iter().map(|part| rank(part).expect("a part is a token")).collect()
    }

    fn file(tokens: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let line = |(rank, token): &(u32, Vec<u8>)| format!("{} {rank}\n", BASE64_STANDARD.encode(token));
        tokens.iter().map(line).collect::<String>().into_bytes()
    }

    proptest! {
        #[test]
        fn ids_are_those_of_merging_by_spelling(
            tokens in prop::collection::btree_set("[abc]{2,5}", 0..25),
            order in Just((0..25_u32).collect::<Vec<_>>()).prop_shuffle(),
            pieces in prop::collection::vec("[abc]{1,12}", 1..12),
        ) {
            let bytes = (0..=255_u8).map(|byte| (u32::from(byte), vec![byte]));
            let longer = tokens.into_iter().zip(order).map(|(token, rank)| (300 + 2 * rank, token.into_bytes()));
            let tokens: Vec<(u32, Vec<u8>)> = bytes.chain(longer).collect();
            let ranks = Ranks::parse(&file(&tokens)).expect("is well-formed");
            let definition = ranks.definition("gpt2", &[]).expect("is whole");
            let tokenizer = Tokenizer::new(definition).expect("is sound");
            for piece in pieces {
                let found = tokenizer.encode(&piece, Options::default()).expect("encodes");
                prop_assert_eq!(found, naive(&tokens, piece.as_bytes()));
            }
        }
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, what) in [
            ("", "no token"),
            ("!!! 0\n", "line 1: the token is not base64"),
            ("IQ==\n", "line 1"),
            ("IQ== 0\nIg== 0\n", "one rank, 0"),
            ("IQ== 99999999999999999999\n", "line 1: the rank"),
            (" 1\n", "0 bytes"),
        ] {
            let error = Ranks::parse(text.as_bytes()).expect_err(text);
            assert!(error.contains(what), "{text:?}: {error}");
        }
        let one = Ranks::parse(b"IQ== 0\n").expect("is well-formed");
        assert!(one.definition("gpt2", &[]).is_err_and(|error| error.contains("the byte 0")));
        let twice = Ranks::parse(b"IQ== 0\nIQ== 1\n").expect("is well-formed");
        assert!(twice.definition("gpt2", &[]).is_err_and(|error| error.contains("rank 0 is there again")));
        assert!(is_rank_file(b"IQ== 0\r\n") && !is_rank_file(b"{}") && !is_rank_file(b""));
    }

    #[test]
    fn patterns_of_tiktoken_are_scanned_where_that_is_the_same() {
        let cl100k = TIKTOKEN_PATTERNS[1].0;
        let ranks = |tokens: &[&str]| {
            let tokens: Vec<(u32, Vec<u8>)> = (0..).zip(tokens.iter().map(|token| token.as_bytes().to_vec())).collect();
            if tokens.is_empty() { Ranks::default() } else { Ranks::parse(&file(&tokens)).expect("is well-formed") }
        };
        assert_eq!(Some(ranks(&["\n", " \n"]).scanned(cl100k)), split::named("cl100k"));
        assert_eq!(ranks(&["\n "]).scanned(cl100k), cl100k);
        assert_eq!(Some(ranks(&["\n "]).scanned(TIKTOKEN_PATTERNS[0].0)), split::named("gpt2"));
        assert_eq!(ranks(&[]).scanned("x"), "x");
    }
}
