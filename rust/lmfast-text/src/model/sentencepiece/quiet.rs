//! Which characters a normalizer leaves alone, so that most text is copied and not looked up.

use crate::normalize::CharsMap;

/// Characters by what the normalizer does to them.
#[derive(Debug)]
pub(super) struct Quiet {
    /// The ASCII characters that become a space, whatever stands around them.
    pub(super) separators: Vec<u8>,
    is_separator: [bool; 256],
    /// Whether an ASCII character is quiet.
    ascii: [bool; 256],
    /// For every 256 characters the number of their set.
    pages: Vec<u16>,
    /// Sets of 256 characters, of those that are not quiet.
    loud: Vec<[u64; 4]>,
}

impl Default for Quiet {
    /// No character is quiet.
    fn default() -> Self {
        Self {
            separators: Vec::new(),
            is_separator: [false; 256],
            ascii: [false; 256],
            pages: vec![0; 0x1100],
            loud: vec![[u64::MAX; 4]],
        }
    }
}

impl Quiet {
    /// A character is quiet if it stays as it is when it stands alone, and neither a key of the table nor a user-defined
    /// piece has it behind another: a key that begins with one goes on with a loud one.
    pub(super) fn new<'a>(
        chars_map: Option<&CharsMap>,
        user_defined: impl Iterator<Item = &'a str>,
        becomes: impl Fn(&str, &str) -> bool,
    ) -> Self {
        let mut quiet = Self { pages: vec![0; 0x1100], loud: vec![[0; 4]], ..Self::default() };
        let mut in_longer = [false; 128];
        for piece in user_defined {
            piece.bytes().filter(u8::is_ascii).for_each(|byte| in_longer[usize::from(byte)] = true);
            piece.chars().skip(1).for_each(|character| quiet.add(character));
        }
        let mut spelled = [0; 4];
        let take = |character: char, before: usize, ends: bool, goes_on: bool| {
            if character.is_ascii() && (before > 0 || goes_on) {
                in_longer[character as usize] = true;
            }
            let text: &str = character.encode_utf8(&mut spelled);
            if before > 0 || ends && !becomes(text, text) {
                quiet.add(character);
            }
        };
        if chars_map.is_some_and(|map| !map.characters(take)) {
            return Self::default();
        }
        quiet.add(' ');
        for byte in 0..0x80_u8 {
            let text = [byte];
            quiet.ascii[usize::from(byte)] = !quiet.has(char::from(byte));
            let is_space = std::str::from_utf8(&text).is_ok_and(|text| becomes(text, " "));
            if is_space && !in_longer[usize::from(byte)] {
                quiet.is_separator[usize::from(byte)] = true;
                quiet.separators.push(byte);
            }
        }
        quiet
    }

    /// Whether a byte is a [separator](Self::separators).
    #[inline]
    pub(super) fn is_separator(&self, byte: u8) -> bool {
        self.is_separator[usize::from(byte)]
    }

    fn has(&self, character: char) -> bool {
        let character = character as usize;
        self.loud[usize::from(self.pages[character >> 8])][character >> 6 & 3] >> (character & 63) & 1 == 1
    }

    fn add(&mut self, character: char) {
        let character = character as usize;
        let page = &mut self.pages[character >> 8];
        if *page == 0 {
            *page = self.loud.len() as u16;
            self.loud.push([0; 4]);
        }
        self.loud[usize::from(*page)][character >> 6 & 3] |= 1 << (character & 63);
    }

    /// The end of characters from a place on that stay as they are.
    pub(super) fn run(&self, text: &str, from: usize) -> usize {
        let (bytes, mut at) = (text.as_bytes(), from);
        let mut last = from;
        while let Some(&byte) = bytes.get(at) {
            if self.ascii[usize::from(byte)] {
                (last, at) = (at, at + 1);
                continue;
            }
            if byte < 0x80 {
                break;
            }
            let Some(character) = text[at..].chars().next() else { break };
            if self.has(character) {
                break;
            }
            (last, at) = (at, at + character.len_utf8());
        }
        // A key may begin with the last one.
        if bytes.get(at).is_none_or(|&byte| self.is_separator(byte)) { at } else { last }
    }
}
