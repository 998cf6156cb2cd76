//! The tokens that training begins with: all characters, and the substrings that would save most.
//!
//! A substring counts if it occurs before, or behind, different characters, so that no longer one occurs as often (the
//! inner nodes of the suffix tree, as `esaxx` gives them to sentencepiece and `tokenizers`); how often it occurs is
//! counted over the different words. Its score is that number times its length in characters.
//!
//! The suffixes of all words are sorted by their first characters, and the nodes are the intervals of equal beginnings
//! (Abouelhoda, Kurtz and Ohlebusch 2004, section 3). No token is longer than a limit, and so no comparison is.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use super::Piece;

/// The most tokens to begin with.
pub(super) const MOST: usize = 1_000_000;

/// What stands between words, and in no token.
const BETWEEN: char = '\0';

/// Gives characters, the most frequent first, then substrings, those of the highest scores first; each with its share
/// of all scores, as a logarithm.
pub(super) fn seed(words: &[(&str, u64)], longest: usize, control: &Control) -> Result<Vec<Piece>> {
    let mut characters = BTreeMap::<char, u64>::new();
    let mut text = String::with_capacity(words.iter().map(|(word, _)| word.len() + 1).sum());
    for (word, count) in words {
        text.push_str(word);
        text.push(BETWEEN);
        for character in word.chars().filter(|&character| character != BETWEEN) {
            *characters.entry(character).or_default() += count;
        }
    }
    if u32::try_from(text.len()).is_err() {
        return Err(Error::invalid(
            "the text has more than 4 GiB of different words, too many for a unigram vocabulary: train on a part of it",
        ));
    }
    let mut characters: Vec<(u64, char)> =
        characters.into_iter().map(|(character, count)| (count, character)).collect();
    characters.sort_unstable_by_key(|&character| Reverse(character));
    let mut substrings = substrings(&text, longest, control)?;
    control.check()?;
    substrings.par_sort_unstable_by_key(|&found| Reverse(found));
    substrings.truncate(MOST.saturating_sub(characters.len()));
    let characters = characters.into_iter().map(|(count, character)| (character.to_string(), count as f64));
    let substrings = substrings.into_iter().map(|(score, substring)| (substring.to_owned(), score as f64));
    let mut pieces: Vec<Piece> =
        characters.chain(substrings).map(|(text, score)| Piece { text, score, rank: 0 }).collect();
    let logarithm = pieces.iter().map(|piece| piece.score).sum::<f64>().ln();
    for piece in &mut pieces {
        piece.score = piece.score.ln() - logarithm;
    }
    Ok(pieces)
}

/// The substrings of two characters and more that are nodes, with their scores, in no order.
fn substrings<'t>(text: &'t str, longest: usize, control: &Control) -> Result<Vec<(u64, &'t str)>> {
    // Enough to tell whether two beginnings have one character more in common than a token may have.
    let most = (longest + 1) * 4;
    let beginning = |at: u32| &text.as_bytes()[at as usize..text.len().min(at as usize + most)];
    let starts = text.char_indices().filter(|&(_, character)| character != BETWEEN).map(|(at, _)| at as u32);
    let mut suffixes: Vec<(u64, u32)> = starts.map(|at| (first_bytes(beginning(at)), at)).collect();
    control.check()?;
    suffixes
        .par_sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| beginning(one.1).cmp(beginning(other.1))));
    let mut found = Vec::new();
    let mut open = vec![(0, 0)]; // nodes: the length in characters, and the first suffix
    for index in 1..=suffixes.len() {
        if index % (1 << 14) == 0 {
            control.check()?;
        }
        let common = match suffixes.get(index) {
            Some(suffix) => common_characters(beginning(suffixes[index - 1].1), beginning(suffix.1)),
            None => 0,
        };
        let mut first = index - 1;
        while let Some(&(length, begin)) = open.last() {
            if length <= common {
                break;
            }
            open.pop();
            first = begin;
            let rest = &text[suffixes[begin].1 as usize..];
            if (2..=longest).contains(&length) {
                let end = rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at);
                if !rest[..end].contains(BETWEEN) {
                    found.push(((index - begin) as u64 * length as u64, &rest[..end]));
                }
            }
        }
        if open.last().is_none_or(|&(length, _)| length < common) {
            open.push((common, first));
        }
    }
    Ok(found)
}

/// The first eight bytes, ordered as they are.
fn first_bytes(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first)
}

/// How many characters two beginnings have in common, up to and with the end of a word.
fn common_characters(one: &[u8], other: &[u8]) -> usize {
    let equal = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let end = one[..equal].iter().position(|&byte| byte == 0).map_or(equal, |at| at + 1);
    let begun = one[..end].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    // The last character may be common in its first bytes alone.
    let whole = end == 0 || [one, other].iter().any(|text| text.get(end).is_none_or(|byte| byte & 0xC0 != 0x80));
    if whole { begun } else { begun - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Every substring, with the characters that follow where it occurs.
    fn naive(words: &[&str], longest: usize) -> BTreeSet<(u64, String)> {
        let mut followed = BTreeMap::<String, Vec<char>>::new();
        for word in words {
            let letters: Vec<char> = word.chars().chain(['\0']).collect();
            for start in 0..letters.len() {
                for end in start + 2..letters.len().min(start + longest + 1) {
                    followed.entry(letters[start..end].iter().collect()).or_default().push(letters[end]);
                }
            }
        }
        let branches = followed.into_iter().filter(|(_, next)| next.iter().any(|letter| *letter != next[0]));
        branches.map(|(text, next)| ((next.len() * text.chars().count()) as u64, text)).collect()
    }

    proptest! {
        #[test]
        fn nodes_are_substrings_that_are_followed_by_different_characters(
            words in prop::collection::vec("[ab\u{e9}\u{ea}\u{4e2d}]{0,9}", 0..12), longest in 2..7_usize,
        ) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let text: String = words.iter().flat_map(|word| [word, "\0"]).collect();
            let found = substrings(&text, longest, &Control::default()).expect("finds");
            let set: BTreeSet<(u64, String)> = found.iter().map(|(score, text)| (*score, (*text).to_owned())).collect();
            prop_assert_eq!(set.len(), found.len());
            prop_assert_eq!(set, naive(&words, longest));
        }
    }

    #[test]
    fn characters_come_first_and_shares_add_up_to_one() {
        let pieces = seed(&[("ab", 3), ("abc", 1), ("b", 2)], 16, &Control::default()).expect("seeds");
        let texts: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(texts, ["b", "a", "c", "ab"]);
        assert!((pieces.iter().map(|piece| piece.score.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
