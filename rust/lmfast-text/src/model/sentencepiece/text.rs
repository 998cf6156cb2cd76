//! Unigram for texts that are not normalized yet: words met before, as they are spelled in the text, need it no more.
//!
//! Where separators become spaces whatever stands around them, what lies between two, if it becomes a word without
//! spaces, is this word with U+2581 before it. With `remove_extra_whitespaces` it does not matter how many separators
//! there are; otherwise each is a U+2581, and more than one belong to what is looked up. Should a word not be of this
//! kind, the rest of the text is normalized at once.

use lmfast_base::{Control, Result};

use super::normalizer::{Normalizer, Part, SPACE};
use super::unigram::Unigram;
use super::units::Edges;
use super::{Sink, long_text};
use crate::model::Scratch;
use crate::model::lines::{Key, Line, LongLines, ShortLines};

/// How many words are asked for at a time.
const AHEAD: usize = 32;

/// A word, and what is looked up for it.
#[derive(Debug, Clone, Copy, Default)]
struct Unit {
    /// Where what is looked up begins: the word, behind its separators if they are more or fewer than one.
    start: usize,
    word: usize,
    end: usize,
    /// How many U+2581 stand before it.
    spaces: usize,
    /// Of what is looked up, if it is short.
    key: Key<3>,
    place: usize,
}

/// How far a text was taken.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    sum: f32,
    /// The end of the last word, unless there was none.
    end: Option<usize>,
    /// Whether a space follows there that has not been taken.
    after_space: bool,
}

impl Unit {
    /// What is kept for it in one cache or the other: of a short word that has too many ids, in that of long ones.
    #[inline]
    fn line<'l>(&self, text: &str, short: &'l ShortLines, long: &'l LongLines) -> Option<Line<'l>> {
        let length = self.end - self.start;
        if length > ShortLines::LONGEST {
            return if length <= LongLines::LONGEST { self.long_line(text, long) } else { None };
        }
        let line = short.get(&self.key, self.place)?;
        if line.count().is_some() { Some(line) } else { self.long_line(text, long) }
    }

    fn long_line<'l>(&self, text: &str, long: &'l LongLines) -> Option<Line<'l>> {
        let length = self.end - self.start;
        let key = LongLines::key(text.as_bytes(), self.start, length);
        long.get(&key, LongLines::place(&key))
    }
}

impl Unigram {
    /// Takes a text, if none of its pieces crosses words.
    pub(super) fn encode_text(
        &self,
        text: &str,
        normalizer: &Normalizer,
        separators: &[u8],
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        let mut edges = Edges::new(text, separators);
        let mut units = [Unit::default(); AHEAD];
        let mut state = State::default();
        // Where the separators before the next word begin.
        let mut behind = 0;
        loop {
            control.check()?;
            let words = edges.next();
            // Separators at the end are a word unless they are removed.
            let rest = [[text.len(); 2]];
            let is_end = words.is_empty();
            let words = if is_end { &rest[..] } else { words };
            if is_end && (behind == text.len() || normalizer.remove_extra_whitespaces) {
                return Ok(());
            }
            for some in words.chunks(AHEAD) {
                for (unit, &[word, end]) in units.iter_mut().zip(some) {
                    *unit = Unit { start: word, word, end, spaces: 1, ..Unit::default() };
                    if !normalizer.remove_extra_whitespaces {
                        unit.spaces = word - behind;
                        if unit.spaces != 1 || word == end {
                            unit.start = behind;
                        }
                    }
                    behind = end;
                    let length = end - unit.start;
                    if length <= ShortLines::LONGEST && length > 0 {
                        unit.key = ShortLines::key(text.as_bytes(), unit.start, length);
                        unit.place = ShortLines::place(&unit.key);
                        scratch.lines.prepare(unit.place);
                    } else if length <= LongLines::LONGEST && length > 0 {
                        let key = LongLines::key(text.as_bytes(), unit.start, length);
                        scratch.long_lines.prepare(LongLines::place(&key));
                    }
                }
                for unit in &units[..some.len()] {
                    if state.end.is_some() {
                        let line = unit.line(text, &scratch.lines, &scratch.long_lines);
                        state.sum = Self::begin(state.sum);
                        if let Some(line) = line.filter(|line| state.sum.abs() <= line.bound)
                            && let Some(count) = line.count()
                        {
                            state.sum = self.take_line(line, count, state.sum, sink);
                            (state.end, state.after_space) = (Some(unit.end), false);
                            continue;
                        }
                    }
                    if !self.unit(text, unit, normalizer, &mut state, scratch, sink, control)? {
                        return self.rest(text, normalizer, state, scratch, sink, control);
                    }
                }
            }
        }
    }

    /// Takes a word by its line.
    #[inline]
    fn take_line(&self, line: Line<'_>, count: usize, sum: f32, sink: &mut Sink<'_>) -> f32 {
        let end = sink.ids.len() + count;
        sink.ids.extend_from_slice(line.padded);
        sink.ids.truncate(end);
        sink.after_unknown = sink.ids.last() == Some(&self.unknown());
        // What the ids are padded with adds nothing, and most words have no more than two.
        let sum = self.add(sum, &line.padded[..2]);
        if count > 2 { self.add(sum, &line.padded[2..count]) } else { sum }
    }

    /// Takes a word that is new or the first of its text; gives whether that was possible.
    #[expect(clippy::too_many_arguments, reason = "the state of the text and the thread's memory")]
    #[inline(never)]
    fn unit(
        &self,
        text: &str,
        unit: &Unit,
        normalizer: &Normalizer,
        state: &mut State,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<bool> {
        let is_first = state.end.is_none();
        let mut spaces = unit.spaces;
        if is_first {
            spaces = if normalizer.remove_extra_whitespaces { 0 } else { spaces };
            spaces += usize::from(normalizer.add_dummy_prefix);
        }
        let mut word = std::mem::take(&mut scratch.text);
        word.clear();
        (0..spaces).for_each(|_| word.push_str(SPACE));
        let before = word.len();
        let part =
            if unit.word == unit.end { Part::Word } else { normalizer.part(&text[unit.word..unit.end], &mut word) };
        let mut taken = true;
        match part {
            Part::Word if !word.is_empty() => {
                let length = unit.end - unit.start;
                // One alone is not in what is looked up.
                let of_key = if unit.start < unit.word { unit.spaces } else { 1 };
                let sum = Self::begin(state.sum);
                let Scratch { lines, long_lines, words, paths, .. } = scratch;
                let memory = (words, paths);
                state.sum = if spaces != of_key || length > LongLines::LONGEST {
                    self.word(&word, sum, memory.0, memory.1, sink, control)?
                } else if let Some(line) = unit.line(text, lines, long_lines) {
                    let is_here = line.count().is_some();
                    let take = if is_here { Self::rounded } else { Self::word };
                    take(self, &word, sum, memory.0, memory.1, sink, control)?
                } else {
                    let keep = |bound: f32, ids: Option<&[u32]>| {
                        if length <= ShortLines::LONGEST {
                            lines.keep(&unit.key, bound, ids, self.no_score());
                        }
                        if length > ShortLines::LONGEST || ids.is_none_or(|ids| ids.len() > ShortLines::MOST_IDS) {
                            let key = LongLines::key(text.as_bytes(), unit.start, length);
                            long_lines.keep(&key, bound, ids, self.no_score());
                        }
                    };
                    self.new_word(&word, keep, sum, memory, sink, control)?
                };
                (state.end, state.after_space) = (Some(unit.end), false);
            }
            Part::Spaced if normalizer.remove_extra_whitespaces => {
                let part = word.split_off(before);
                let trimmed = part.trim_start_matches(' ');
                let becomes = trimmed.trim_end_matches(' ');
                taken = trimmed.len() - becomes.len() < 2;
                if taken && !becomes.is_empty() {
                    becomes.split(' ').enumerate().for_each(|(at, part)| {
                        word.push_str(if at > 0 { SPACE } else { "" });
                        word.push_str(part);
                    });
                    state.sum = self.words(&word, state.sum, scratch, sink, control)?;
                    (state.end, state.after_space) = (Some(unit.end), trimmed.len() > becomes.len());
                }
            }
            _ => taken = false,
        }
        scratch.text = word;
        Ok(taken)
    }

    /// Normalizes the rest of a text, and takes it.
    fn rest(
        &self,
        text: &str,
        normalizer: &Normalizer,
        state: State,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        let mut normalized = std::mem::take(&mut scratch.text);
        match state.end {
            None => normalizer.apply(text, &mut normalized, None),
            Some(end) => normalizer.apply_rest(text, end, state.after_space, &mut normalized),
        }
        if u32::try_from(normalized.len()).is_err() {
            return Err(long_text());
        }
        self.words(&normalized, state.sum, scratch, sink, control)?;
        scratch.text = normalized;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::format::sentencepiece::{Algorithm, Kind, Piece, Settings};
    use crate::model::Scratch;
    use crate::model::sentencepiece::SentencePiece;
    use crate::normalize::CharsMap;
    use crate::vocabulary::Vocabulary;
    use lmfast_base::Control;

    /// Keys that become spaces, words with spaces in or around them, nothing, U+2581, or begin with what others are.
    const KEYS: [(&str, &str); 12] = [
        ("\t", " "),
        ("\n", " "),
        ("\u{a0}", " "),
        ("\u{200b}", ""),
        ("a\u{308}", "\u{e4}"),
        ("\u{e9}\u{308}b", "c"),
        ("\u{fb01}", "fi"),
        ("\u{a8}", " \u{308}"),
        ("\u{2026}", "a b"),
        ("Y", "y "),
        ("Z", "z  "),
        ("W", "\u{2581}"),
    ];

    fn model(pieces: &[(String, f32, Kind)], flags: [bool; 4]) -> SentencePiece {
        let [byte_fallback, add_dummy_prefix, remove_extra_whitespaces, has_table] = flags;
        let mut all = vec![("<unk>".to_owned(), 0.0, Kind::Unknown)];
        if byte_fallback {
            all.extend((0..=255).map(|byte| (crate::model::byte_token(byte), 0.0, Kind::Byte)));
        }
        all.extend_from_slice(pieces);
        let settings = Settings {
            pieces: all.iter().map(|&(_, score, kind)| Piece { score, kind }).collect(),
            algorithm: Algorithm::Unigram,
            byte_fallback,
            unk_surface: String::new(),
            chars_map: has_table
                .then(|| CharsMap::new(&crate::normalize::precompiled::tests::table(&KEYS)).expect("is well-formed")),
            add_dummy_prefix,
            remove_extra_whitespaces,
            escape_whitespaces: true,
        };
        let entries = all.into_iter().map(|(piece, ..)| piece).zip(0..).collect();
        SentencePiece::new(&settings, &Vocabulary::new(entries).expect("is sound")).expect("builds")
    }

    proptest! {
        #[test]
        fn words_as_they_are_spelled_equal_the_whole_text(
            pieces in prop::collection::btree_map("\u{2581}{0,2}[abc\u{e9}\u{308}]{1,3}|\u{2581}{1,2}", -9.0..-0.5_f32, 1..30),
            user_defined in prop::collection::btree_set("D[ab\u{308}\n]?", 0..3),
            parts in prop::collection::vec(
                "[abcd]{1,9}|[abc\u{e9}]{20,70}|[ ]{1,3}|[ \t\n]{1,3}|[\u{a0}\u{200b}\u{308}\u{fb01}\u{a8}\u{2026}\u{e9}\u{e4}xYD]|[ZW\u{2581}]",
                0..40,
            ),
            flags in any::<[bool; 4]>(), coarse in any::<bool>(), rare in any::<bool>(), times in 1..40_usize,
        ) {
            let round = |score: f32| if coarse { (score * 2.0).round() / 2.0 } else { score };
            let normal = pieces.into_iter().map(|(piece, score)| (piece, round(score), Kind::Normal));
            let user_defined = user_defined.into_iter().map(|piece| (piece, 0.0, Kind::UserDefined));
            let pieces: Vec<(String, f32, Kind)> = normal.chain(user_defined).collect();
            let model = model(&pieces, flags);
            // What makes the rest of a text be normalized at once is not to hide what else there is.
            let is_wanted = |part: &&String| rare || !part.contains(['Z', 'W', '\u{2581}']);
            let text: String = parts.iter().filter(is_wanted).map(String::as_str).collect();
            let (mut scratch, control) = (Scratch::default(), Control::default());
            for text in [text.clone(), format!("{text} ").repeat(times), text] {
                let (mut ids, mut expected, mut spans) = (vec![7], vec![7], Vec::new());
                model.encode(&text, &mut scratch, &mut expected, Some(&mut spans), &control).expect("encodes");
                model.encode(&text, &mut scratch, &mut ids, None, &control).expect("encodes");
                prop_assert_eq!(&ids, &expected, "{:?}", text);
            }
        }
    }
}
