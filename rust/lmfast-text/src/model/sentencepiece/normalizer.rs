//! What `SentencePiece` does to a text first (`Normalizer::Normalize` of its `normalizer.cc`).
//!
//! From left to right, at each place the longest user-defined piece stays as it is, else the longest key of the table is
//! replaced, else one character stays. Of runs of spaces one is left, and none at the ends, if the model says so; a
//! space is put before, and spaces become U+2581.

use crate::format::sentencepiece::Settings;
use crate::model::trie::{NONE, Trie};
use crate::normalize::CharsMap;

/// What stands for a space.
pub(crate) const SPACE: &str = "\u{2581}";

/// The normalizer made ready.
#[derive(Debug)]
pub(super) struct Normalizer {
    chars_map: Option<CharsMap>,
    user_defined: Option<Trie>,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    /// ASCII characters that stay as they are where another one follows.
    plain: [bool; 256],
    /// Those that become a space there.
    spaces: [bool; 256],
}

impl Normalizer {
    pub(super) fn new(settings: &Settings, user_defined: Option<Trie>) -> Self {
        let chars_map = settings.chars_map.clone();
        let mut normalizer = Self {
            chars_map,
            user_defined,
            add_dummy_prefix: settings.add_dummy_prefix,
            remove_extra_whitespaces: settings.remove_extra_whitespaces,
            escape_whitespaces: settings.escape_whitespaces,
            plain: [false; 256],
            spaces: [false; 256],
        };
        for byte in 0..0x80_u8 {
            let text = [byte];
            let begins_piece =
                normalizer.user_defined.as_ref().is_some_and(|trie| trie.walk(Trie::ROOT, &text).is_some());
            let begins_key = |map: &CharsMap| (0..0x80).any(|next| map.has_keys_from(&[byte, next]));
            let alone = !begins_piece && !normalizer.chars_map.as_ref().is_some_and(begins_key);
            let becomes = std::str::from_utf8(&text).map_or((false, false), |text| {
                let becomes = normalizer.step(text);
                (becomes == (text, 1), becomes == (" ", 1))
            });
            normalizer.plain[usize::from(byte)] = alone && becomes.0 && !becomes.1;
            normalizer.spaces[usize::from(byte)] = alone && becomes.1;
        }
        normalizer
    }

    /// What the beginning of a text becomes, and its bytes.
    fn step<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        let piece = self.user_defined.as_ref().and_then(|trie| longest(trie, text.as_bytes()));
        if let Some((length, _)) = piece {
            return (&text[..length], length);
        }
        if let Some((length, becomes)) = self.chars_map.as_ref().and_then(|map| map.longest(text)) {
            return (becomes, length);
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (&text[..length], length)
    }

    /// Writes what a text becomes and, where asked, for every byte of that and its end where it comes from.
    pub(super) fn apply(&self, text: &str, becomes: &mut String, origins: Option<&mut Vec<usize>>) {
        let mut out = Output { text: becomes, origins };
        out.truncate(0);
        let mut at = 0;
        while self.remove_extra_whitespaces && at < text.len() {
            let (becomes, length) = self.step(&text[at..]);
            if becomes != " " {
                break;
            }
            at += length;
        }
        if at == text.len() {
            return;
        }
        out.text.reserve(text.len() + text.len() / 2);
        let space = if self.escape_whitespaces { SPACE } else { " " };
        if self.add_dummy_prefix {
            out.push(space, at);
        }
        let mut after_space = self.remove_extra_whitespaces;
        while at < text.len() {
            let run = self.unchanged(text, at);
            if run > at {
                out.copy(&text[at..run], at);
                (at, after_space) = (run, false);
                continue;
            }
            if self.spaces[usize::from(text.as_bytes()[at])] && text.as_bytes().get(at + 1).is_none_or(u8::is_ascii) {
                if !after_space {
                    out.push(space, at);
                    after_space = self.remove_extra_whitespaces;
                }
                at += 1;
                continue;
            }
            let (mut becomes, length) = self.step(&text[at..]);
            if after_space {
                becomes = becomes.trim_start_matches(' ');
            }
            for (index, part) in becomes.split(' ').enumerate() {
                if index > 0 {
                    out.push(space, at);
                }
                out.push(part, at);
            }
            if !becomes.is_empty() {
                after_space = self.remove_extra_whitespaces && becomes.ends_with(' ');
            }
            at += length;
        }
        let mut end = text.len();
        while self.remove_extra_whitespaces && out.text.ends_with(space) {
            end = out.truncate(out.text.len() - space.len()).unwrap_or(end);
        }
        if let Some(origins) = out.origins {
            origins.push(end);
        }
    }

    /// The end of the characters from a place on that stay as they are, spaces aside.
    fn unchanged(&self, text: &str, from: usize) -> usize {
        let (bytes, mut at) = (text.as_bytes(), from);
        while let Some(&byte) = bytes.get(at) {
            let before_ascii = bytes.get(at + 1).is_none_or(u8::is_ascii);
            if before_ascii && self.plain[usize::from(byte)] {
                at += 1;
            } else if before_ascii && self.spaces[usize::from(byte)] {
                break;
            } else {
                let rest = &text[at..];
                let character = rest.chars().next().map_or(0, char::len_utf8);
                let (becomes, length) = self.step(rest);
                if length != character || becomes != &rest[..character] || byte == b' ' {
                    break;
                }
                at += character;
            }
        }
        at
    }
}

/// A text while it is written, and where its bytes come from, if somebody asks.
struct Output<'a> {
    text: &'a mut String,
    origins: Option<&'a mut Vec<usize>>,
}

impl Output<'_> {
    /// Appends what comes from one place.
    fn push(&mut self, what: &str, from: usize) {
        self.text.push_str(what);
        if let Some(origins) = &mut self.origins {
            origins.resize(self.text.len(), from);
        }
    }

    /// Appends what stays as it is, from a place on.
    fn copy(&mut self, what: &str, from: usize) {
        self.text.push_str(what);
        if let Some(origins) = &mut self.origins {
            origins.extend(from..from + what.len());
        }
    }

    /// Takes away the end, and gives where that came from.
    fn truncate(&mut self, length: usize) -> Option<usize> {
        self.text.truncate(length);
        let origins = self.origins.as_mut()?;
        let from = origins.get(length).copied();
        origins.truncate(length);
        from
    }
}

/// The longest string of a trie that bytes begin with: its length and number.
pub(super) fn longest(trie: &Trie, bytes: &[u8]) -> Option<(usize, u32)> {
    let (mut node, mut found) = (Trie::ROOT, None);
    for (length, &byte) in (1..).zip(bytes) {
        let Some(child) = trie.step(node, byte) else { break };
        node = child;
        if trie.value(node) != NONE {
            found = Some((length, trie.value(node)));
        }
    }
    found
}
