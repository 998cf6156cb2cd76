//! A text on its way through the steps, with the place that each of its bytes came from.

use std::borrow::Cow;
use std::ops::Range;

/// The bytes of the original text that a byte came from: begin and end.
pub(crate) type Origin = (u32, u32);

/// Where the bytes of a text came from.
#[derive(Debug, Clone)]
enum Alignment<'a> {
    /// Nobody asks.
    Untracked,
    /// The text is the original from this byte on.
    Same(u32),
    /// The origin of each byte.
    Map(Cow<'a, [Origin]>),
}

/// A stretch of text that may have been changed, borrowed as long as it was not.
///
/// The alignment is that of `tokenizers`' `NormalizedString`: a character that replaces another has its origin, one that
/// was put in has that of the character before.
#[derive(Debug, Clone)]
pub(crate) struct Normalized<'a> {
    text: Cow<'a, str>,
    alignment: Alignment<'a>,
}

impl<'a> Normalized<'a> {
    /// A stretch of the original text that begins at `start`.
    pub(crate) fn new(text: &'a str, start: usize, tracked: bool) -> Self {
        let alignment = if tracked { Alignment::Same(start as u32) } else { Alignment::Untracked };
        Self { text: Cow::Borrowed(text), alignment }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_tracked(&self) -> bool {
        !matches!(self.alignment, Alignment::Untracked)
    }

    /// Gives an untracked text another content.
    pub(crate) fn set_untracked(&mut self, text: String) {
        self.text = Cow::Owned(text);
        self.alignment = Alignment::Untracked;
    }

    /// A part of it.
    pub(crate) fn slice(&self, range: Range<usize>) -> Normalized<'_> {
        let alignment = match &self.alignment {
            Alignment::Untracked => Alignment::Untracked,
            Alignment::Same(start) => Alignment::Same(start + range.start as u32),
            Alignment::Map(map) => Alignment::Map(Cow::Borrowed(&map[range.clone()])),
        };
        Normalized { text: Cow::Borrowed(&self.text[range]), alignment }
    }

    /// The bytes of the original that a part which is not empty came from; of whole characters. Nothing is known of an
    /// untracked text.
    pub(crate) fn origin(&self, range: Range<usize>) -> Origin {
        if range.is_empty() {
            let at = range.start.min(self.text.len());
            let end = if at == 0 { self.origin_of(0).0 } else { self.origin_of(at - 1).1 };
            return (end, end);
        }
        (self.origin_of(range.start).0, self.origin_of(range.end - 1).1)
    }

    /// Whether the text is known to begin where the original begins.
    pub(crate) fn is_at_start(&self) -> bool {
        match &self.alignment {
            Alignment::Untracked => false,
            Alignment::Same(start) => *start == 0,
            Alignment::Map(map) => map.first().is_some_and(|origin| origin.0 == 0),
        }
    }

    /// The origin of a byte; past the end that of the end.
    fn origin_of(&self, byte: usize) -> Origin {
        match &self.alignment {
            Alignment::Untracked => (0, 0),
            Alignment::Map(map) => map.get(byte).or(map.last()).copied().unwrap_or_default(),
            Alignment::Same(start) => {
                let text = self.text.as_bytes();
                if byte >= text.len() {
                    let end = start + text.len() as u32;
                    return (end, end);
                }
                let (mut from, mut to) = (byte, byte + 1);
                while from > 0 && is_continuation(text[from]) {
                    from -= 1;
                }
                while to < text.len() && is_continuation(text[to]) {
                    to += 1;
                }
                (start + from as u32, start + to as u32)
            }
        }
    }

    /// Gives the text new characters, each with a change: 0 if it replaces the next old character, -n if it replaces
    /// the next and the n behind that are gone, 1 if it is put in. `removed` old characters are gone at the beginning.
    pub(crate) fn transform(&mut self, characters: impl Iterator<Item = (char, isize)>, removed: usize) {
        let mut text = String::with_capacity(self.text.len());
        if !self.is_tracked() {
            text.extend(characters.map(|(character, _)| character));
            self.text = Cow::Owned(text);
            return;
        }
        let mut map = Vec::with_capacity(self.text.len());
        let mut old = self.text.chars().map(char::len_utf8);
        let mut at: usize = old.by_ref().take(removed).sum();
        for (character, change) in characters {
            let origin = if change <= 0 {
                self.origin_of(at)
            } else if at == 0 {
                (0, 0)
            } else {
                self.origin_of(at - 1)
            };
            if change <= 0 {
                at += old.next().unwrap_or_default();
                at += old.by_ref().take(change.unsigned_abs()).sum::<usize>();
            }
            map.extend(std::iter::repeat_n(origin, character.len_utf8()));
            text.push(character);
        }
        drop(old);
        self.text = Cow::Owned(text);
        self.alignment = Alignment::Map(Cow::Owned(map));
    }

    /// Keeps some of the characters, changed or not.
    pub(crate) fn filter_map(&mut self, keep: impl Fn(char) -> Option<char>) {
        if self.text.chars().all(|character| keep(character) == Some(character)) {
            return;
        }
        if !self.is_tracked() {
            self.text = Cow::Owned(self.text.chars().filter_map(keep).collect());
            return;
        }
        let (mut characters, mut removed): (Vec<(char, isize)>, usize) = (Vec::new(), 0);
        for character in self.text.chars() {
            match (keep(character), characters.last_mut()) {
                (Some(kept), _) => characters.push((kept, 0)),
                (None, Some((_, change))) => *change -= 1,
                (None, None) => removed += 1,
            }
        }
        self.transform(characters.into_iter(), removed);
    }

    /// Puts something before a text that is not empty.
    pub(crate) fn prepend(&mut self, before: &str) {
        if self.text.is_empty() || before.is_empty() {
            return;
        }
        if self.is_tracked() {
            let first = self.origin_of(0);
            let mut map = Vec::with_capacity(before.len() + self.text.len());
            map.extend(std::iter::repeat_n(first, before.len()));
            self.append_map(0..self.text.len(), &mut map);
            self.alignment = Alignment::Map(Cow::Owned(map));
        }
        self.text.to_mut().insert_str(0, before);
    }

    /// Replaces matches, which come in order, by `content`.
    pub(crate) fn replace(&mut self, matches: &[Range<usize>], content: &str) {
        if matches.is_empty() {
            return;
        }
        let mut text = String::with_capacity(self.text.len() + matches.len() * content.len());
        let mut done = 0;
        for found in matches {
            text.push_str(&self.text[done..found.start]);
            text.push_str(content);
            done = found.end;
        }
        text.push_str(&self.text[done..]);
        if self.is_tracked() {
            let (mut map, mut done) = (Vec::with_capacity(text.len()), 0);
            for found in matches {
                self.append_map(done..found.start, &mut map);
                let origin = if found.end == 0 { (0, 0) } else { self.origin_of(found.end - 1) };
                map.extend(std::iter::repeat_n(origin, content.len()));
                done = found.end;
            }
            self.append_map(done..self.text.len(), &mut map);
            self.alignment = Alignment::Map(Cow::Owned(map));
        }
        self.text = Cow::Owned(text);
    }

    /// Keeps a part only.
    pub(crate) fn keep(&mut self, range: Range<usize>) {
        match &mut self.alignment {
            Alignment::Untracked => {}
            Alignment::Same(start) => *start += range.start as u32,
            Alignment::Map(Cow::Borrowed(map)) => *map = &map[range.clone()],
            Alignment::Map(Cow::Owned(map)) => {
                map.truncate(range.end);
                map.drain(..range.start);
            }
        }
        match &mut self.text {
            Cow::Borrowed(text) => *text = &text[range],
            Cow::Owned(text) => {
                text.truncate(range.end);
                text.drain(..range.start);
            }
        }
    }

    /// Appends the origins of the bytes of a part.
    fn append_map(&self, range: Range<usize>, map: &mut Vec<Origin>) {
        match &self.alignment {
            Alignment::Untracked => {}
            Alignment::Map(own) => map.extend_from_slice(&own[range]),
            Alignment::Same(start) => {
                for (at, character) in self.text[range.clone()].char_indices() {
                    let from = start + (range.start + at) as u32;
                    let length = character.len_utf8();
                    map.extend(std::iter::repeat_n((from, from + length as u32), length));
                }
            }
        }
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &Normalized<'_>) -> Vec<(char, Origin)> {
        let each = text.text().char_indices();
        each.map(|(at, character)| (character, text.origin(at..at + character.len_utf8()))).collect()
    }

    #[test]
    fn what_is_put_in_shares_the_origin_of_what_it_follows() {
        let mut text = Normalized::new("\u{e9}b", 3, true);
        assert_eq!(origins(&text), [('\u{e9}', (3, 5)), ('b', (5, 6))]);
        text.transform([('e', 0), ('\u{301}', 1), ('b', 0)].into_iter(), 0);
        assert_eq!(origins(&text), [('e', (3, 5)), ('\u{301}', (3, 5)), ('b', (5, 6))]);
        text.prepend("_");
        assert_eq!(origins(&text)[..2], [('_', (3, 5)), ('e', (3, 5))]);
        text.filter_map(|character| (character != '_').then_some(character));
        text.replace(std::slice::from_ref(&(1..3)), "--");
        assert_eq!(origins(&text), [('e', (3, 5)), ('-', (3, 5)), ('-', (3, 5)), ('b', (5, 6))]);
        text.keep(3..4);
        assert_eq!((origins(&text), text.is_at_start()), (vec![('b', (5, 6))], false));
    }

    #[test]
    fn what_is_gone_leaves_the_rest_where_it_was() {
        let mut text = Normalized::new("  a\u{e9} b", 0, true);
        text.filter_map(|character| (character != ' ').then_some(character.to_ascii_uppercase()));
        assert_eq!(origins(&text), [('A', (2, 3)), ('\u{e9}', (3, 5)), ('B', (6, 7))]);
        assert!(!text.is_at_start());
        assert!(Normalized::new("a", 0, true).slice(0..1).is_at_start());
        assert_eq!(Normalized::new("abc", 4, true).slice(1..3).origin(0..1), (5, 6));
    }

    #[test]
    fn an_untracked_text_changes_alike() {
        for tracked in [false, true] {
            let mut text = Normalized::new("a b", 0, tracked);
            text.replace(std::slice::from_ref(&(1..2)), "\u{2581}");
            text.prepend("\u{2581}");
            text.transform(text.text().to_owned().chars().map(|character| (character.to_ascii_uppercase(), 0)), 0);
            assert_eq!(text.text(), "\u{2581}A\u{2581}B");
        }
    }
}
