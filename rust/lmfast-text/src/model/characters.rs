//! BPE on characters, as Llama 2, Mistral and Gemma have it: a piece begins as its characters, those that the
//! vocabulary lacks as their bytes or as the unknown token, and is merged by rank.
//!
//! Such vocabularies often come without a pre-tokenizer: a whole text is one piece, with U+2581 for its spaces. Where
//! no merge has, at a place where U+2581 follows another character, one token end and the other begin, no token
//! crosses such a place, and the words between are merged, and remembered, one by one.

use std::ops::Range;

use lmfast_base::{Control, Error, Result};
use rustc_hash::FxHashMap;

use super::cache::{LONGEST, hash};
use super::{Scratch, Symbols, byte_token, no_unknown};
use crate::bpe::{MergeTable, merge};
use crate::format::BpeSettings;
use crate::vocabulary::Vocabulary;

/// What stands for a space.
pub(crate) const SPACE: char = '\u{2581}';

const SPACE_BYTES: &[u8] = "\u{2581}".as_bytes();

/// The model.
#[derive(Debug)]
pub(crate) struct Characters {
    /// The token of each character in each [place](Place).
    tokens: [FxHashMap<char, u32>; 4],
    merges: MergeTable,
    /// The tokens that a piece is as a whole, without merging.
    whole: FxHashMap<Box<str>, u32>,
    /// The token of each byte.
    bytes: Option<Box<[Option<u32>; 256]>>,
    unk_token: Option<String>,
    unknown: Option<u32>,
    fuse_unk: bool,
    prefix: String,
    suffix: String,
    cut: bool,
}

/// Where in its piece a character stands: whether it is not the first, and whether it is the last.
fn place(is_first: bool, is_last: bool) -> usize {
    usize::from(!is_first) | usize::from(is_last) << 1
}

impl Characters {
    pub(crate) fn new(settings: &BpeSettings, vocabulary: &Vocabulary) -> Self {
        let affix = |affix: &Option<String>| affix.clone().unwrap_or_default();
        let (prefix, suffix) = (affix(&settings.continuing_subword_prefix), affix(&settings.end_of_word_suffix));
        let token_of = |place: usize| {
            let (prefix, suffix) =
                (if place & 1 > 0 { &*prefix } else { "" }, if place & 2 > 0 { &*suffix } else { "" });
            let bare = |(token, id): (&str, u32)| {
                let mut characters = token.strip_prefix(prefix)?.strip_suffix(suffix)?.chars();
                characters.next().filter(|_| characters.next().is_none()).map(|character| (character, id))
            };
            vocabulary.iter().filter_map(bare).collect()
        };
        let whole = vocabulary.iter().map(|(token, id)| (token.into(), id)).filter(|_| settings.ignore_merges);
        let byte_ids = || Box::new(std::array::from_fn(|byte| vocabulary.id(&byte_token(byte as u8))));
        Self {
            tokens: std::array::from_fn(token_of),
            merges: MergeTable::new(&settings.merges),
            whole: whole.collect(),
            bytes: settings.byte_fallback.then(byte_ids),
            unknown: settings.unk_token.as_ref().and_then(|token| vocabulary.id(token)),
            unk_token: settings.unk_token.clone(),
            fuse_unk: settings.fuse_unk,
            cut: prefix.is_empty() && suffix.is_empty() && can_be_cut(settings, vocabulary),
            prefix,
            suffix,
        }
    }

    /// Appends the ids of a piece and, where asked, the bytes that each covers.
    pub(crate) fn encode(
        &self,
        piece: &str,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        mut spans: Option<&mut Vec<Range<usize>>>,
        control: &Control,
    ) -> Result<()> {
        if let Some(&id) = self.whole.get(piece) {
            ids.push(id);
            if let Some(spans) = spans {
                spans.push(0..piece.len());
            }
            return Ok(());
        }
        if !self.cut {
            return self.word(piece, 0, scratch, ids, spans, control);
        }
        let mut start = 0;
        while start < piece.len() {
            let end = start + word_length(&piece[start..]);
            control.check()?;
            self.word(&piece[start..end], start, scratch, ids, spans.as_deref_mut(), control)?;
            start = end;
        }
        Ok(())
    }

    /// Takes a word that begins `start` bytes into its piece.
    fn word(
        &self,
        word: &str,
        start: usize,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        spans: Option<&mut Vec<Range<usize>>>,
        control: &Control,
    ) -> Result<()> {
        if spans.is_some() || word.len() > LONGEST {
            return self.merge(word, start, scratch, ids, spans, control);
        }
        let hash = hash(word.as_bytes(), 0);
        if let Some(known) = scratch.words.get(word.as_bytes(), 0, hash) {
            ids.extend_from_slice(known);
            return Ok(());
        }
        let before = ids.len();
        self.merge(word, start, scratch, ids, None, control)?;
        scratch.words.keep(word.as_bytes(), 0, hash, &ids[before..]);
        Ok(())
    }

    fn merge(
        &self,
        word: &str,
        start: usize,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        mut spans: Option<&mut Vec<Range<usize>>>,
        control: &Control,
    ) -> Result<()> {
        if u32::try_from(word.len()).is_err() {
            return Err(Error::invalid("a word of more than 4 GiB: cut it into documents"));
        }
        let symbols = &mut scratch.symbols;
        symbols.clear();
        self.symbols(word, symbols)?;
        let mut taken = 0;
        merge(&self.merges, &symbols.ids, control, |(id, end)| {
            ids.push(id);
            if let Some(spans) = &mut spans {
                let place = symbols.bytes(std::mem::replace(&mut taken, end as usize)..end as usize);
                spans.push(start + place.start..start + place.end);
            }
        })
    }

    /// The symbols that a word begins as. An unknown character waits until the next known one, and bytes that come
    /// before that overtake it, as in `tokenizers`; a character that nothing stands for is left out.
    fn symbols(&self, word: &str, symbols: &mut Symbols) -> Result<()> {
        let mut waiting: Option<(u32, usize)> = None;
        for (at, character) in word.char_indices() {
            let bytes = character.len_utf8();
            let place = place(at == 0, at + bytes == word.len());
            if let Some(&id) = self.tokens[place].get(&character) {
                if let Some((id, bytes)) = waiting.take() {
                    symbols.push(id, bytes);
                }
                symbols.push(id, bytes);
                continue;
            }
            if let Some(byte_ids) = &self.bytes
                && self.push_bytes(byte_ids, character, place, symbols)
            {
                continue;
            }
            let Some(unk_token) = &self.unk_token else { continue };
            let id = self.unknown.ok_or_else(|| {
                no_unknown(word, &format!("neither is model.unk_token, {unk_token:?}, which would stand for it"))
            })?;
            let before = waiting.replace((id, bytes));
            if let (Some((_, before)), true, Some((_, bytes))) = (before, self.fuse_unk, &mut waiting) {
                *bytes += before;
            } else if let Some((id, bytes)) = before {
                symbols.push(id, bytes);
            }
        }
        if let Some((id, bytes)) = waiting {
            symbols.push(id, bytes);
        }
        Ok(())
    }

    /// Appends the bytes of a character as it is spelled in its place, if the vocabulary has all of them.
    fn push_bytes(&self, byte_ids: &[Option<u32>; 256], character: char, place: usize, symbols: &mut Symbols) -> bool {
        let mut spelled = [0; 4];
        let spelled = character.encode_utf8(&mut spelled).bytes();
        let prefix = if place & 1 > 0 { &*self.prefix } else { "" };
        let suffix = if place & 2 > 0 { &*self.suffix } else { "" };
        let before = symbols.ids.len();
        for byte in prefix.bytes().chain(spelled).chain(suffix.bytes()) {
            let Some(id) = byte_ids[usize::from(byte)] else {
                symbols.truncate(before);
                return false;
            };
            symbols.push(id, 1);
        }
        true
    }
}

/// Whether no token can cross a place where U+2581 follows another character: it is a token, and so nothing unknown
/// waits there, and no merge has a right side that begins with it behind a left side that ends otherwise.
fn can_be_cut(settings: &BpeSettings, vocabulary: &Vocabulary) -> bool {
    let mut spelled = [0; 4];
    let crosses = |&(left, right, _): &(u32, u32, u32)| {
        let token = |id| vocabulary.token(id).unwrap_or_default();
        token(right).starts_with(SPACE) && !token(left).ends_with(SPACE)
    };
    vocabulary.id(SPACE.encode_utf8(&mut spelled)).is_some()
        && settings.unk_token.as_ref().is_none_or(|token| !token.ends_with(SPACE))
        && !settings.merges.iter().any(crosses)
}

/// The bytes up to the first U+2581 that follows another character.
#[inline]
pub(crate) fn word_length(text: &str) -> usize {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while bytes[at..].starts_with(SPACE_BYTES) {
        at += SPACE_BYTES.len();
    }
    loop {
        // The first byte of U+2581 in the next eight, by the zero it leaves.
        if let Some(eight) = bytes[at..].first_chunk::<8>() {
            let zeros = u64::from_le_bytes(*eight) ^ 0xE2E2_E2E2_E2E2_E2E2;
            let found = zeros.wrapping_sub(0x0101_0101_0101_0101) & !zeros & 0x8080_8080_8080_8080;
            if found == 0 {
                at += 8;
                continue;
            }
            at += found.trailing_zeros() as usize / 8;
        } else {
            match bytes[at..].iter().position(|&byte| byte == SPACE_BYTES[0]) {
                None => return bytes.len(),
                Some(length) => at += length,
            }
        }
        if bytes[at..].starts_with(SPACE_BYTES) {
            return at;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vocabulary(tokens: &[&str]) -> Vocabulary {
        Vocabulary::new(tokens.iter().zip(0..).map(|(token, id)| ((*token).to_owned(), id)).collect()).expect("is good")
    }

    fn merges(vocabulary: &Vocabulary, pairs: &[(&str, &str)]) -> Vec<(u32, u32, u32)> {
        let id = |token: &str| vocabulary.id(token).expect("is a token");
        pairs.iter().map(|(left, right)| (id(left), id(right), id(&format!("{left}{right}")))).collect()
    }

    fn encode(model: &Characters, piece: &str) -> (Vec<u32>, Vec<Range<usize>>) {
        let (mut scratch, mut ids, mut spans, mut again) = (Scratch::default(), Vec::new(), Vec::new(), Vec::new());
        model.encode(piece, &mut scratch, &mut ids, Some(&mut spans), &Control::default()).expect("encodes");
        for _ in 0..2 {
            again.clear();
            model.encode(piece, &mut scratch, &mut again, None, &Control::default()).expect("encodes");
            assert_eq!(again, ids);
        }
        (ids, spans)
    }

    proptest! {
        #[test]
        fn words_apart_equal_the_whole_text(text in "[\u{2581}abz ]{0,40}") {
            let vocabulary = vocabulary(&["<unk>", "\u{2581}", "a", "b", "ab", "\u{2581}ab", "\u{2581}\u{2581}", "ba", "\u{2581}b"]);
            let pairs = [("a", "b"), ("\u{2581}", "b"), ("\u{2581}", "\u{2581}"), ("\u{2581}", "ab"), ("b", "a")];
            let settings = BpeSettings {
                merges: merges(&vocabulary, &pairs),
                unk_token: Some("<unk>".to_owned()),
                fuse_unk: true,
                ..BpeSettings::default()
            };
            let apart = Characters::new(&settings, &vocabulary);
            prop_assert!(apart.cut);
            let whole = Characters { cut: false, ..Characters::new(&settings, &vocabulary) };
            prop_assert_eq!(encode(&apart, &text), encode(&whole, &text));
        }
    }

    #[test]
    fn words_end_before_spaces() {
        let text = "\u{2581}\u{2581}one\u{2581}two\u{2582}longer\u{2581}\u{2581}";
        let (mut words, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (word, behind) = rest.split_at(word_length(rest));
            words.push(word);
            rest = behind;
        }
        assert_eq!(words, ["\u{2581}\u{2581}one", "\u{2581}two\u{2582}longer", "\u{2581}\u{2581}"]);
    }

    #[test]
    fn a_merge_across_words_keeps_the_text_whole() {
        let vocabulary = vocabulary(&["\u{2581}", "a", "a\u{2581}"]);
        let settings = BpeSettings { merges: merges(&vocabulary, &[("a", "\u{2581}")]), ..BpeSettings::default() };
        let model = Characters::new(&settings, &vocabulary);
        assert!(!model.cut);
        assert_eq!(encode(&model, "a\u{2581}a").0, [2, 1]);
    }

    #[test]
    fn unknown_characters_are_bytes_or_unknown_or_left_out() {
        let vocabulary = vocabulary(&["<unk>", "a", "<0xC3>", "<0xA9>", "<0x21>"]);
        let settings = |unk_token: Option<&str>, fuse_unk, byte_fallback| BpeSettings {
            unk_token: unk_token.map(str::to_owned),
            fuse_unk,
            byte_fallback,
            ..BpeSettings::default()
        };
        let ids = |settings: &BpeSettings| encode(&Characters::new(settings, &vocabulary), "xy\u{e9}a!").0;
        assert_eq!(ids(&settings(None, false, false)), [1]);
        assert_eq!(ids(&settings(Some("<unk>"), false, false)), [0, 0, 0, 1, 0]);
        assert_eq!(ids(&settings(Some("<unk>"), true, false)), [0, 1, 0]);
        // The second unknown waits while the bytes pass.
        assert_eq!(ids(&settings(Some("<unk>"), false, true)), [0, 2, 3, 0, 1, 4]);
        let absent = Characters::new(&settings(Some("<none>"), false, false), &vocabulary);
        let error = absent
            .encode("ax", &mut Scratch::default(), &mut Vec::new(), None, &Control::default())
            .expect_err("no such token");
        assert!(error.to_string().contains("<none>"), "{error}");
    }

    #[test]
    fn affixes_mark_where_a_character_stands() {
        let vocabulary = vocabulary(&["a", "##a", "##a</w>", "a</w>", "##b", "a##b", "ab"]);
        let settings = BpeSettings {
            merges: vec![(0, 4, 6)],
            continuing_subword_prefix: Some("##".to_owned()),
            end_of_word_suffix: Some("</w>".to_owned()),
            ..BpeSettings::default()
        };
        let model = Characters::new(&settings, &vocabulary);
        assert_eq!(encode(&model, "aaa").0, [0, 1, 2]);
        assert_eq!(encode(&model, "a").0, [3]);
        assert_eq!(encode(&model, "aba").0, [6, 2]);
        assert_eq!(encode(&model, "aba").1, [0..2, 2..3]);
    }
}
