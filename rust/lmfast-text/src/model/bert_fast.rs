//! BERT's whole way from text to ids, for stretches of ASCII: cleaned, put into lower case, cut into words and looked up
//! in one go, 64 bytes at a time.
//!
//! An ASCII letter or digit belongs to a word, a space, tab or line's end stands between words, and punctuation is a word
//! of its own. Nothing that BERT's normalizer and pre-tokenizer do looks across white space. So what holds anything else,
//! a character that is not ASCII or a control character, is left to the general way, up to the next white space.

use std::ops::Range;

use lmfast_base::{Control, Result};

use super::Scratch;
use super::wordpiece::WordPiece;
use crate::bpe::hash;
use crate::split::masks::{Masks, WINDOW};

/// The longest word that is looked up here, in bytes.
const LONGEST: usize = 16;

/// How many bytes behind white space a stretch of the general way goes on if one of them is not ASCII.
const NEAR: usize = 32;

/// How often, in bytes of text, a call looks whether it is cancelled.
const CHECKED: usize = 1 << 16;

const PLACES: usize = 1 << 14;
const MOST_IDS: usize = 4;

/// Fills up the ids of a word; no id has this value.
const NO_ID: u32 = u32::MAX;

/// A word, its bytes and zeros, and its ids.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u128,
    ids: [u32; MOST_IDS],
}

/// The ids of words met before; of two at one place the newer stays in front. It takes 1 MiB once it is in use.
#[derive(Debug, Default)]
pub(crate) struct ShortWords {
    places: Vec<[Slot; 2]>,
}

/// BERT's normalizer and pre-tokenizer in front of a `WordPiece` model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BertFast {
    pub(crate) lowercase: bool,
}

impl BertFast {
    /// Appends the ids of a text without added tokens. `general` takes the stretches that are left to the general way.
    pub(crate) fn encode(
        self,
        text: &str,
        model: &WordPiece,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
        control: &Control,
        mut general: impl FnMut(Range<usize>, &mut Scratch, &mut Vec<u32>) -> Result<()>,
    ) -> Result<()> {
        let bytes = text.as_bytes();
        let (mut at, mut checked) = (0, 0);
        while at < bytes.len() {
            if at >= checked {
                control.check()?;
                checked = at + CHECKED;
            }
            let mut padded = [0; WINDOW + LONGEST];
            let window = if let Some(window) = bytes[at..].first_chunk() {
                window
            } else {
                padded[..bytes.len() - at].copy_from_slice(&bytes[at..]);
                &padded
            };
            let length = WINDOW.min(bytes.len() - at);
            let taken = self.window(window, length, at + length == bytes.len(), model, scratch, ids)?;
            if taken > 0 {
                at += taken;
            } else {
                let end = stretch_end(bytes, at);
                general(at..end, scratch, ids)?;
                at = end;
            }
        }
        Ok(())
    }

    /// Takes the words of a window that are whole and plain, and gives their length with what stands between; 0 if the
    /// first one is not such a word.
    fn window(
        self,
        window: &[u8; WINDOW + LONGEST],
        length: usize,
        is_last: bool,
        model: &WordPiece,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<usize> {
        let Some(first) = window.first_chunk::<WINDOW>() else { return Ok(0) };
        let masks = Masks::of(first);
        let words = masks.letters | masks.digits;
        let mut at = 0;
        while at < length {
            let run = ((!words >> at).trailing_zeros() as usize).min(length - at);
            if run == 0 {
                let byte = window[at];
                if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                    at += 1;
                } else if byte.is_ascii_punctuation() {
                    self.word(window, at, 1, model, scratch, ids)?;
                    at += 1;
                } else {
                    return Ok(at);
                }
                continue;
            }
            let end = at + run;
            let is_whole = if end == length {
                is_last
            } else {
                let byte = window[end];
                matches!(byte, b' ' | b'\t' | b'\n' | b'\r') || byte.is_ascii_punctuation()
            };
            if !is_whole || run > LONGEST {
                return Ok(at);
            }
            self.word(window, at, run, model, scratch, ids)?;
            at = end;
        }
        Ok(at)
    }

    #[inline]
    fn word(
        self,
        window: &[u8; WINDOW + LONGEST],
        at: usize,
        length: usize,
        model: &WordPiece,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        let Some(start) = window[at..].first_chunk::<LONGEST>() else { return Ok(()) };
        let mask = u128::MAX >> (8 * (LONGEST - length));
        let mut key = u128::from_le_bytes(*start) & mask;
        if self.lowercase && (length > 1 || start[0].is_ascii_uppercase()) {
            // A letter's lower case has this bit, and so have digits; punctuation is alone.
            key |= u128::from_le_bytes([0x20; LONGEST]) & mask;
        }
        if scratch.short_words.append(key, ids) {
            return Ok(());
        }
        let spelled = key.to_le_bytes();
        let word = std::str::from_utf8(&spelled[..length]).unwrap_or_default();
        let before = ids.len();
        model.encode(word, &mut scratch.words, ids, None)?;
        scratch.short_words.keep(key, &ids[before..]);
        Ok(())
    }
}

/// Where a stretch of the general way ends: at white space, behind which no other character but ASCII is near.
fn stretch_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        let is_white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let Some(length) = bytes[end..].iter().position(is_white) else { return bytes.len() };
        end += length;
        let near = &bytes[end..bytes.len().min(end + NEAR)];
        match near.iter().rposition(|byte| !byte.is_ascii()) {
            Some(at) => end += at,
            None => return end,
        }
    }
}

impl ShortWords {
    #[inline]
    fn append(&self, key: u128, ids: &mut Vec<u32>) -> bool {
        let Some(slots) = self.places.get(place(key)) else { return false };
        let Some(slot) = slots.iter().find(|slot| slot.key == key) else { return false };
        ids.push(slot.ids[0]);
        for &id in slot.ids[1..].iter().take_while(|&&id| id != NO_ID) {
            ids.push(id);
        }
        true
    }

    fn keep(&mut self, key: u128, ids: &[u32]) {
        if ids.is_empty() || ids.len() > MOST_IDS {
            return;
        }
        if self.places.is_empty() {
            self.places = vec![[Slot { key: 0, ids: [NO_ID; MOST_IDS] }; 2]; PLACES];
        }
        let mut slot = Slot { key, ids: [NO_ID; MOST_IDS] };
        slot.ids[..ids.len()].copy_from_slice(ids);
        let [first, second] = &mut self.places[place(key)];
        *second = *first;
        *first = slot;
    }
}

#[inline]
fn place(key: u128) -> usize {
    hash(key) as usize & (PLACES - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::split::strategies;
    use crate::{Options, Special, Tokenizer};

    const FILE: &str = r###"{"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 1, "content": "[CLS]", "special": true}],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": LOWERCASE},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 20, "vocab": {"[UNK]": 0, "[CLS]": 1, "a": 2, "b": 3, "##a": 4, "##b": 5,
            "A": 6, "##A": 7, "ab": 8, "##ba": 9, ",": 10, "'": 11, "@": 12, "1": 13, "##1": 14, "e": 15, "^": 16,
            "~": 17, "##s": 18, "s": 19}}}"###;

    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            6 => "[abAB1s]{1,9}",
            2 => "[ \t\r\n]{1,3}",
            2 => "[,'@`{~^\\]]{1,2}",
            1 => "[ab]{10,90}",
            1 => "[\\x00\\x0b\\x0c\\x7f\u{e9}\u{301}\u{4e2d}\u{2003}\u{c9}]{1,2}",
            1 => Just("[CLS]".to_owned()),
        ];
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn equals_the_general_way(text in prop_oneof![text(), strategies::text(), strategies::ascii()], lowercase: bool) {
            let file = FILE.replace("LOWERCASE", &lowercase.to_string());
            let fast = Tokenizer::from_json(&file).expect("is well-formed");
            prop_assert!(fast.bert_fast.is_some());
            let mut general = Tokenizer::from_json(&file).expect("is well-formed");
            general.bert_fast = None;
            for special in [Special::Parse, Special::Text] {
                let options = Options { add_special_tokens: false, special };
                let expected = general.encode(&text, options).expect("encodes");
                prop_assert_eq!(fast.encode(&text, options).expect("encodes"), expected.clone());
                prop_assert_eq!(fast.encode(&text, options).expect("encodes"), expected);
            }
        }
    }
}
