//! Pieces of `SentencePiece` to text, as its `SentencePieceProcessor::Decode`.
//!
//! Control pieces are nothing, the unknown piece is its surface, U+2581 is a space, and the one that was put before the
//! text is left out. Bytes become the characters they spell, and U+FFFD each where they spell none.

use crate::format::sentencepiece::{Kind, Settings};
use crate::model::fallback_byte;

const CONTROL: u8 = 0;
const UNKNOWN: u8 = 1;
const BYTE: u8 = 2;
const TEXT: u8 = 3;

/// Writes a piece as [`Spaces::piece`] takes it.
pub(super) fn write(piece: &str, kind: Kind, unk_surface: &str, out: &mut Vec<u8>) {
    match kind {
        Kind::Control => out.push(CONTROL),
        Kind::Unknown => {
            out.push(UNKNOWN);
            out.extend(unk_surface.bytes());
        }
        Kind::Byte => out.extend([BYTE, fallback_byte(piece.as_bytes()).unwrap_or_default()]),
        Kind::Normal | Kind::UserDefined | Kind::Unused => {
            out.push(TEXT);
            out.extend(piece.bytes());
        }
    }
}

/// What is done with spaces at the beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spaces {
    /// A space that begins a piece there is left out,
    dropped: bool,
    /// and so is that of the next pieces, until there is text.
    all_dropped: bool,
}

/// A place in a stream of pieces.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Bytes that may still become a character.
    bytes: Vec<u8>,
    /// There was text, or a space that was left out.
    later: bool,
}

impl Spaces {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            dropped: settings.add_dummy_prefix || settings.remove_extra_whitespaces,
            all_dropped: settings.remove_extra_whitespaces,
        }
    }

    /// Takes a piece, and gives the text that is certain; `raw`: bytes stay what they are.
    pub(super) fn piece(self, state: &mut State, piece: &[u8], raw: bool) -> Vec<u8> {
        let Some((&kind, piece)) = piece.split_first() else { return Vec::new() };
        let mut text = Vec::new();
        if kind == BYTE {
            state.bytes.extend_from_slice(piece);
            state.characters(raw, false, &mut text);
            state.later |= !text.is_empty();
            return text;
        }
        state.characters(raw, true, &mut text);
        state.later |= !text.is_empty();
        let mut piece = piece;
        let mut space_left_out = false;
        if kind == TEXT
            && self.dropped
            && !state.later
            && let Some(rest) = piece.strip_prefix("\u{2581}".as_bytes())
        {
            piece = rest;
            space_left_out = !self.all_dropped;
        }
        let spaced = String::from_utf8_lossy(piece);
        match kind {
            TEXT => text.extend(spaced.replace('\u{2581}', " ").bytes()),
            _ => text.extend(spaced.bytes()),
        }
        state.later |= space_left_out || !text.is_empty();
        text
    }
}

impl State {
    /// Gives what is left, and stands at the beginning again.
    pub(super) fn finish(&mut self, raw: bool) -> Vec<u8> {
        let mut text = Vec::new();
        self.characters(raw, true, &mut text);
        *self = Self::default();
        text
    }

    /// Takes the characters out of the bytes; what may still become one stays, if this is not the end of them.
    fn characters(&mut self, raw: bool, is_end: bool, text: &mut Vec<u8>) {
        if raw {
            text.append(&mut self.bytes);
            return;
        }
        let mut bytes = self.bytes.as_slice();
        while !bytes.is_empty() {
            let (valid, wrong) = match std::str::from_utf8(bytes) {
                Ok(_) => (bytes.len(), false),
                Err(error) => (error.valid_up_to(), is_end || error.error_len().is_some()),
            };
            text.extend_from_slice(&bytes[..valid]);
            bytes = &bytes[valid..];
            if !wrong {
                break;
            }
            text.extend("\u{FFFD}".bytes());
            bytes = &bytes[1..];
        }
        self.bytes = bytes.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(spaces: Spaces, pieces: &[(&str, Kind)], raw: bool) -> String {
        let (mut state, mut text) = (State::default(), Vec::new());
        for (piece, kind) in pieces {
            let mut written = Vec::new();
            write(piece, *kind, " ? ", &mut written);
            text.extend(spaces.piece(&mut state, &written, raw));
        }
        text.extend(state.finish(raw));
        String::from_utf8(text).expect("is text")
    }

    #[test]
    fn spaces_at_the_beginning_are_left_out() {
        let one = Spaces { dropped: true, all_dropped: false };
        let pieces = [("<s>", Kind::Control), ("\u{2581}", Kind::Normal), ("\u{2581}a", Kind::Normal)];
        assert_eq!(decode(one, &pieces, false), " a");
        assert_eq!(decode(Spaces { dropped: true, all_dropped: true }, &pieces, false), "a");
        assert_eq!(decode(Spaces { dropped: false, all_dropped: false }, &pieces, false), "  a");
        assert_eq!(decode(one, &[("<unk>", Kind::Unknown), ("\u{2581}a", Kind::Normal)], false), " ?  a");
    }

    #[test]
    fn bytes_become_characters_or_one_mark_each() {
        let spaces = Spaces { dropped: true, all_dropped: false };
        let bytes = |list: &[&'static str]| list.iter().map(|byte| (*byte, Kind::Byte)).collect::<Vec<_>>();
        assert_eq!(decode(spaces, &bytes(&["<0xE4>", "<0xB8>", "<0xAD>", "<0x0A>"]), false), "\u{4E2D}\n");
        assert_eq!(
            decode(spaces, &bytes(&["<0xE4>", "<0xB8>", "<0x41>", "<0xE4>"]), false),
            "\u{FFFD}\u{FFFD}A\u{FFFD}"
        );
        let before = [bytes(&["<0xE4>"]), vec![("\u{2581}a", Kind::Normal)]].concat();
        assert_eq!(decode(spaces, &before, false), "\u{FFFD} a");
    }
}
