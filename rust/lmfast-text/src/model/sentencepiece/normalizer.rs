//! What `SentencePiece` does to a text first (`Normalizer::Normalize` of its `normalizer.cc`).
//!
//! From left to right, at each place the longest user-defined piece stays as it is, else the longest key of the table is
//! replaced, else one character stays. Of runs of spaces one is left, and none at the ends, if the model says so; a
//! space is put before, and spaces become U+2581.

use super::quiet::Quiet;
use crate::format::sentencepiece::Settings;
use crate::model::trie::{NONE, Trie};
use crate::normalize::CharsMap;

/// What stands for a space.
pub(crate) const SPACE: &str = "\u{2581}";

/// The normalizer made ready.
#[derive(Debug)]
pub(super) struct Normalizer {
    chars_map: Option<CharsMap>,
    pub(super) user_defined: Option<Trie>,
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    quiet: Quiet,
}

/// What a part of a text between separators becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Characters that are no spaces.
    Word,
    /// With spaces among them or around, or nothing at all.
    Spaced,
    /// With U+2581 in it, so that it may be one word with what stands around.
    Joined,
}

impl Normalizer {
    /// # Errors
    /// Says that the user-defined pieces are too many.
    pub(super) fn new(settings: &Settings, user_defined: &[(&str, u32)]) -> Result<Self, String> {
        let pieces = user_defined.iter().map(|&(piece, id)| (piece.as_bytes(), id));
        let mut normalizer = Self {
            chars_map: settings.chars_map.clone(),
            user_defined: if user_defined.is_empty() { None } else { Some(Trie::new(pieces)?) },
            add_dummy_prefix: settings.add_dummy_prefix,
            remove_extra_whitespaces: settings.remove_extra_whitespaces,
            escape_whitespaces: settings.escape_whitespaces,
            quiet: Quiet::default(),
        };
        let user_defined = user_defined.iter().map(|&(piece, _)| piece);
        let becomes = |text: &str, what: &str| normalizer.step(text).0 == what;
        normalizer.quiet = Quiet::new(settings.chars_map.as_ref(), user_defined, becomes);
        Ok(normalizer)
    }

    /// ASCII characters that become spaces wherever they stand, so that what lies between them becomes what it does by
    /// itself; nothing where the space is none.
    pub(super) fn separators(&self) -> Option<&[u8]> {
        (self.escape_whitespaces && self.quiet.is_separator(b' ')).then_some(&self.quiet.separators)
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
        if self.add_dummy_prefix {
            out.push(self.space(), at);
        }
        self.finish(text, at, self.remove_extra_whitespaces, &mut out);
    }

    /// Writes what the rest of a text becomes, from a separator on that follows a word, and a space if `after_space`.
    pub(super) fn apply_rest(&self, text: &str, from: usize, after_space: bool, becomes: &mut String) {
        becomes.clear();
        if after_space {
            becomes.push_str(self.space());
        }
        self.finish(text, from, after_space, &mut Output { text: becomes, origins: None });
    }

    /// Appends what a part of a text between separators becomes, its spaces as such.
    pub(super) fn part(&self, text: &str, becomes: &mut String) -> Part {
        let before = becomes.len();
        self.run(text, 0, false, " ", &mut Output { text: becomes, origins: None });
        let becomes = &becomes[before..];
        if becomes.contains(SPACE) {
            Part::Joined
        } else if becomes.is_empty() || becomes.as_bytes().contains(&b' ') {
            Part::Spaced
        } else {
            Part::Word
        }
    }

    fn space(&self) -> &'static str {
        if self.escape_whitespaces { SPACE } else { " " }
    }

    /// Appends what a text becomes from a place on, without spaces at its end.
    fn finish(&self, text: &str, from: usize, after_space: bool, out: &mut Output<'_>) {
        let space = self.space();
        out.text.reserve((text.len() - from) * 3 / 2);
        self.run(text, from, after_space, space, out);
        let mut end = text.len();
        while self.remove_extra_whitespaces && out.text.ends_with(space) {
            end = out.truncate(out.text.len() - space.len()).unwrap_or(end);
        }
        if let Some(origins) = &mut out.origins {
            origins.push(end);
        }
    }

    /// Appends what a text becomes from a place on.
    fn run(&self, text: &str, mut at: usize, mut after_space: bool, space: &str, out: &mut Output<'_>) {
        while at < text.len() {
            let run = self.quiet.run(text, at);
            if run > at {
                out.copy(&text[at..run], at);
                (at, after_space) = (run, false);
                continue;
            }
            if self.quiet.is_separator(text.as_bytes()[at]) {
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
