//! Unigram as in `SentencePiece` (`unigram::Model::EncodeOptimized` of its `unigram_model.cc`), with its arithmetic.
//!
//! There the sums of scores are 32-bit floats that run on from the beginning of the text, so that the rounding decides
//! between paths of nearly equal sums. Release 0.2.3, whose ids these are, takes a sum below [`LOWEST`], met where a
//! token may begin, from all sums, and gives a user-defined piece a tenth for every byte but one. Just this is done
//! where the ids of a word cannot be [remembered](Known); they are used again where that is certain to give the same:
//!
//! 1. By how much, at each place on the best path of a word, this is better than what gets there by another token is
//!    found in 64 bits. In 32 bits, a path of n tokens ends within n/2 units in the last place of its true sum, whatever
//!    was added before, and so does each beginning of it: where all those gaps are of more than n units, the path wins
//!    at one place after the other.
//! 2. Otherwise the word is looked up under the exponent and the last bit of the sum before it. All sums within the word
//!    are then what they were, but for an even number of units in the last place, and all rounding is the same. That
//!    holds as long as no sum has another exponent.
//!
//! Neither holds where a sum within the word may be too low. Either way the sum runs on along the path as it would have.

use lmfast_base::{Control, Result};

use super::{Common, Sink};
use crate::format::sentencepiece::{Kind, Settings};
use crate::model::cache::{LONGEST, WordCache, hash};
use crate::model::characters::word_length;
use crate::model::lines::LongLines;
use crate::model::trie::{NONE, Trie};
use crate::model::{PATIENCE, Scratch};
use crate::vocabulary::Vocabulary;

/// How much less than the lowest score an unknown character has.
const UNKNOWN_PENALTY: f32 = 10.0;

/// Sums do not stay below this.
const LOWEST: f32 = -100_000.0;

/// No path leads here.
const NOWHERE: u32 = u32::MAX;

/// The model.
#[derive(Debug)]
pub(super) struct Unigram {
    common: Common,
    trie: Trie,
    /// By id; that of the unknown piece is that of an unknown character, and so is that of a byte that begins one, while
    /// those of its other bytes are 0. The last is no token's, and 0.
    scores: Vec<f32>,
    /// The most bytes of a token.
    longest: usize,
}

/// Memory of the search.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    ends: Vec<End>,
    two_best: Vec<TwoBest>,
    /// The best path: tokens and where they end.
    path: Vec<(u32, u32)>,
    ids: Vec<u32>,
    value: Vec<u32>,
}

/// The best path to a place.
#[derive(Debug, Clone, Copy)]
struct End {
    sum: f32,
    start: u32,
    id: u32,
}

/// The best path to a place, and the best of those that end with another token.
#[derive(Debug, Clone, Copy)]
struct TwoBest {
    best: f64,
    second: f64,
    /// Where the last token begins, above 32 bits, and its id.
    token: u64,
}

impl TwoBest {
    const NOWHERE: Self = Self { best: f64::NEG_INFINITY, second: f64::NEG_INFINITY, token: 0 };

    /// Nothing here is a branch, which no processor could foresee.
    #[inline]
    fn offer(&mut self, sum: f64, token: u64) {
        let Self { best, second, token: before } = *self;
        *self = Self {
            best: max(best, sum),
            second: max(second, if sum > best { best } else { sum }),
            token: std::hint::select_unpredictable(sum > best, token, before),
        };
    }
}

#[inline]
fn max(one: f64, other: f64) -> f64 {
    if one > other { one } else { other }
}

/// What is remembered of a word: two bounds, its ids, and its path where that differs because of what is unknown.
struct Known<'a> {
    bounds: [f32; 2],
    ids: &'a [u32],
    path: &'a [u32],
}

impl<'a> Known<'a> {
    fn new(value: &'a [u32]) -> Option<Self> {
        let (&[one, other, length], ids) = value.split_first_chunk::<3>()?;
        let (ids, path) = ids.split_at_checked(ids.len().checked_sub(length as usize)?)?;
        let path = if path.is_empty() { ids } else { path };
        Some(Self { bounds: [f32::from_bits(one), f32::from_bits(other)], ids, path })
    }
}

impl Unigram {
    pub(super) fn new(
        settings: &Settings,
        vocabulary: &Vocabulary,
        common: Common,
    ) -> std::result::Result<Self, String> {
        let kind = |id: u32| settings.pieces[id as usize].kind;
        let normal = settings.pieces.iter().filter(|piece| piece.kind == Kind::Normal).map(|piece| piece.score);
        let lowest = normal.fold(f32::MAX, f32::min);
        let score = |(piece, id): (&str, u32)| match kind(id) {
            Kind::UserDefined => (piece.len() as f64 * 0.1 - 0.1) as f32,
            Kind::Unknown => lowest - UNKNOWN_PENALTY,
            _ => settings.pieces[id as usize].score,
        };
        let mut scores: Vec<f32> = vocabulary.iter().map(score).chain([0.0]).collect();
        if let Some(bytes) = &common.bytes {
            for (byte, &id) in (0..=u8::MAX).zip(&**bytes) {
                let begins_character = byte & 0xC0 != 0x80;
                if let Some(score) = scores.get_mut(id as usize) {
                    *score = if begins_character { lowest - UNKNOWN_PENALTY } else { 0.0 };
                }
            }
        }
        let is_text = |id: u32| matches!(kind(id), Kind::Normal | Kind::UserDefined);
        let pieces: Vec<(&[u8], u32)> =
            vocabulary.iter().filter(|&(_, id)| is_text(id)).map(|(piece, id)| (piece.as_bytes(), id)).collect();
        // An unknown character has at most 4.
        let longest = pieces.iter().map(|(piece, _)| piece.len()).max().unwrap_or(0).max(4);
        Ok(Self { trie: Trie::new(pieces)?, scores, longest, common })
    }

    /// Whether words are made into pieces apart.
    pub(super) fn cuts(&self) -> bool {
        self.common.cut
    }

    pub(super) fn encode(
        &self,
        text: &str,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<()> {
        if !self.common.cut || sink.spans.is_some() {
            return self.search(text, 0.0, &mut scratch.paths, sink, control).map(|_| ());
        }
        self.words(text, 0.0, scratch, sink, control).map(|_| ())
    }

    /// Takes words behind a sum, and gives the sum behind them.
    pub(super) fn words(
        &self,
        text: &str,
        mut sum: f32,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<f32> {
        let Scratch { words, paths, .. } = scratch;
        let mut start = 0;
        while start < text.len() {
            control.check()?;
            let end = start + word_length(&text[start..]);
            sum = self.word(&text[start..end], Self::begin(sum), words, paths, sink, control)?;
            start = end;
        }
        Ok(sum)
    }

    /// The sum that a word begins with.
    #[inline]
    pub(super) fn begin(sum: f32) -> f32 {
        if sum < LOWEST { 0.0 } else { sum }
    }

    /// The id of the unknown piece.
    #[inline]
    pub(super) fn unknown(&self) -> u32 {
        self.common.unknown
    }

    /// An id without a score.
    pub(super) fn no_score(&self) -> u32 {
        self.scores.len() as u32 - 1
    }

    /// Takes a word that is not remembered, behind a sum, and gives the sum behind it. Calls `keep` with the bound below
    /// which its ids are certain and, unless they are kept among others, with those.
    pub(super) fn new_word(
        &self,
        word: &str,
        keep: impl FnOnce(f32, Option<&[u32]>),
        sum: f32,
        (words, paths): (&mut WordCache, &mut Paths),
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<f32> {
        let limit = self.limit(word, paths);
        self.describe(word, [limit, 0.0], paths);
        let Some(known) = Known::new(&paths.value) else { return self.word(word, sum, words, paths, sink, control) };
        // The scores of bytes are such that they add what their character does. Otherwise unknown pieces are none but
        // themselves if no two are neighbours, nor one and the word before.
        let is_path = self.common.bytes.is_some()
            || known.ids.len() == known.path.len() && known.ids.first() != Some(&self.common.unknown);
        if known.ids.len() > LongLines::MOST_IDS || !is_path {
            keep(-1.0, None);
            if word.len() > LONGEST {
                return self.search(word, sum, paths, sink, control);
            }
            let hashed = hash(word.as_bytes(), 0);
            if words.get(word.as_bytes(), 0, hashed).is_none() {
                words.keep(word.as_bytes(), 0, hashed, &paths.value);
            }
        } else {
            keep(limit, Some(known.ids));
        }
        if sum.abs() <= limit {
            return Ok(self.take(&known, sum, sink));
        }
        self.rounded(word, sum, words, paths, sink, control)
    }

    /// Takes a word behind a sum, and gives the sum behind it.
    pub(super) fn word(
        &self,
        word: &str,
        sum: f32,
        words: &mut WordCache,
        paths: &mut Paths,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<f32> {
        if word.len() > LONGEST {
            return self.search(word, sum, paths, sink, control);
        }
        let hashed = hash(word.as_bytes(), 0);
        if let Some(known) = words.get(word.as_bytes(), 0, hashed).and_then(Known::new) {
            if sum.abs() <= known.bounds[0] {
                return Ok(self.take(&known, sum, sink));
            }
        } else {
            let limit = self.limit(word, paths);
            self.describe(word, [limit, 0.0], paths);
            words.keep(word.as_bytes(), 0, hashed, &paths.value);
            if let Some(known) = Known::new(&paths.value).filter(|known| sum.abs() <= known.bounds[0]) {
                return Ok(self.take(&known, sum, sink));
            }
        }
        self.rounded(word, sum, words, paths, sink, control)
    }

    /// Takes a word whose path the rounding decides.
    pub(super) fn rounded(
        &self,
        word: &str,
        sum: f32,
        words: &mut WordCache,
        paths: &mut Paths,
        sink: &mut Sink<'_>,
        control: &Control,
    ) -> Result<f32> {
        let number = 1 << 9 | ((sum.to_bits() & 1) << 8) as u16 | exponent(sum) as u16;
        let hashed = hash(word.as_bytes(), number);
        if let Some(known) = words.get(word.as_bytes(), number, hashed).and_then(Known::new) {
            let is_even = known.bounds.iter().all(|&change| exponent(sum + change) == exponent(sum));
            if sum < 0.0 && is_even && sum + known.bounds[1] >= LOWEST {
                return Ok(self.take(&known, sum, sink));
            }
        }
        let end = self.search(word, sum, paths, sink, control)?;
        let sums = || paths.ends.iter().filter(|end| end.start != NOWHERE).map(|end| end.sum);
        let bounds = [sums().fold(sum, f32::max), sums().fold(sum, f32::min)];
        let is_even = bounds.iter().all(|&reached| exponent(reached) == exponent(sum));
        if sum < 0.0 && is_even && bounds[1] >= LOWEST {
            self.describe(word, bounds.map(|reached| reached - sum), paths);
            words.keep(word.as_bytes(), number, hashed, &paths.value);
        }
        Ok(end)
    }

    /// Takes a word by what is known of it.
    #[inline]
    fn take(&self, known: &Known<'_>, sum: f32, sink: &mut Sink<'_>) -> f32 {
        self.common.take_word(known.ids, sink);
        self.add(sum, known.path)
    }

    /// The sum behind a path.
    #[inline]
    pub(super) fn add(&self, sum: f32, path: &[u32]) -> f32 {
        path.iter().fold(sum, |sum, &id| sum + self.scores[id as usize])
    }

    /// Takes a part of the text behind a sum, and gives the sum behind it.
    fn search(&self, text: &str, sum: f32, paths: &mut Paths, sink: &mut Sink<'_>, control: &Control) -> Result<f32> {
        let (bytes, Paths { ends, path, .. }) = (text.as_bytes(), paths);
        ends.clear();
        ends.resize(bytes.len() + 1, End { sum, start: NOWHERE, id: 0 });
        for (number, (start, character)) in text.char_indices().enumerate() {
            if number % PATIENCE == PATIENCE - 1 {
                control.check()?;
            }
            if ends[start].sum < LOWEST {
                let lowest = ends[start].sum;
                let reached = ends.len().min(start + self.longest + 1);
                ends[start..reached].iter_mut().for_each(|end| end.sum -= lowest);
            }
            let so_far = ends[start].sum;
            let alone = self.tokens(bytes, start, character, |end, id| {
                ends[end].offer(so_far + self.scores[id as usize], start as u32, id);
            });
            if !alone {
                let (end, unknown) = (start + character.len_utf8(), self.common.unknown);
                ends[end].offer(so_far + self.scores[unknown as usize], start as u32, unknown);
            }
        }
        trace(bytes.len(), path, |end| (ends[end].id, ends[end].start));
        let mut start = 0;
        for &(id, end) in &*path {
            self.common.take(id, &bytes[start..end as usize], start, sink);
            start = end as usize;
        }
        Ok(ends[bytes.len()].sum)
    }

    /// Finds the best path of a word by itself, and the greatest magnitude of a sum before it with which it is certain
    /// to be the best: by how much it is better than the second best is the least by which, at a place on it, it is
    /// better than the best path that gets there by another token.
    fn limit(&self, word: &str, paths: &mut Paths) -> f32 {
        let (bytes, Paths { two_best, path, .. }) = (word.as_bytes(), paths);
        two_best.clear();
        two_best.resize(bytes.len() + 1, TwoBest::NOWHERE);
        two_best[0].best = 0.0;
        let mut reach: f64 = 0.0;
        for (start, character) in word.char_indices() {
            let so_far = two_best[start].best;
            let mut offer = |end: usize, id: u32| {
                let token = (start as u64) << 32 | u64::from(id);
                two_best[end].offer(so_far + f64::from(self.scores[id as usize]), token);
            };
            if !self.tokens(bytes, start, character, &mut offer) {
                offer(start + character.len_utf8(), self.common.unknown);
            }
            reach = reach.max(so_far.abs());
        }
        let last = two_best[bytes.len()];
        trace(bytes.len(), path, |end| (two_best[end].token as u32, (two_best[end].token >> 32) as u32));
        let gaps = path.iter().map(|&(_, end)| two_best[end as usize].best - two_best[end as usize].second);
        let gap = gaps.fold(f64::INFINITY, f64::min);
        // A path has at most as many tokens as bytes. A unit in the last place is at most the number by 2 to the 23rd;
        // twice that leaves room for the rounding here.
        let units = (bytes.len() + 2) as f64 / f64::from(1 << 22);
        let reach = reach.max(last.best.abs());
        let certain = gap / units - reach;
        certain.min(f64::from(-LOWEST) - reach - 1.0) as f32 * 0.999
    }

    /// Calls `found` with the end and the id of each token that begins at `start`. Gives whether one is the character
    /// that stands there.
    #[inline]
    fn tokens(&self, bytes: &[u8], start: usize, character: char, mut found: impl FnMut(usize, u32)) -> bool {
        let (mut node, mut alone) = (Trie::ROOT, false);
        for (at, &byte) in bytes.iter().enumerate().skip(start) {
            let Some(child) = self.trie.step(node, byte) else { break };
            node = child;
            let id = self.trie.value(node);
            if id != NONE {
                found(at + 1, id);
                alone |= at + 1 == start + character.len_utf8();
            }
        }
        alone
    }

    /// Writes what is remembered of a word, of the path found last.
    fn describe(&self, word: &str, bounds: [f32; 2], paths: &mut Paths) {
        let Paths { path, ids, value, .. } = paths;
        ids.clear();
        let mut sink = Sink { ids, spans: None, after_unknown: false };
        let mut start = 0;
        for &(id, end) in &*path {
            self.common.take(id, &word.as_bytes()[start..end as usize], start, &mut sink);
            start = end as usize;
        }
        let differs = path.iter().any(|&(id, _)| id == self.common.unknown);
        value.clear();
        value.extend(bounds.map(f32::to_bits));
        value.push(if differs { path.len() as u32 } else { 0 });
        value.extend_from_slice(ids);
        value.extend(path.iter().filter(|_| differs).map(|&(id, _)| id));
    }
}

impl End {
    #[inline]
    fn offer(&mut self, sum: f32, start: u32, id: u32) {
        if self.start == NOWHERE || sum > self.sum {
            *self = Self { sum, start, id };
        }
    }
}

/// Writes the path that ends at `end`; `last` gives the last token before a place, and where it begins.
fn trace(end: usize, path: &mut Vec<(u32, u32)>, last: impl Fn(usize) -> (u32, u32)) {
    path.clear();
    let mut end = end as u32;
    while end > 0 {
        let (id, start) = last(end as usize);
        path.push((id, end));
        end = start;
    }
    path.reverse();
}

/// The bits of a sum that say how large it is.
#[inline]
fn exponent(sum: f32) -> u32 {
    sum.to_bits() >> 23 & 0xFF
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::sentencepiece::{Algorithm, Piece};

    fn model(pieces: &[(String, f32)], bytes: Option<Box<[u32; 256]>>) -> Unigram {
        let all = std::iter::once(("<unk>".to_owned(), 0.0, Kind::Unknown));
        let all = all.chain(pieces.iter().map(|(piece, score)| (piece.clone(), *score, Kind::Normal)));
        let (mut entries, mut kinds) = (Vec::new(), Vec::new());
        for (id, (piece, score, kind)) in (0..).zip(all) {
            entries.push((piece, id));
            kinds.push(Piece { score, kind });
        }
        let settings = Settings {
            pieces: kinds,
            algorithm: Algorithm::Unigram,
            byte_fallback: false,
            unk_surface: String::new(),
            chars_map: None,
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
        };
        let vocabulary = Vocabulary::new(entries).expect("is sound");
        Unigram::new(&settings, &vocabulary, Common { unknown: 0, bytes, cut: true }).expect("builds")
    }

    fn encode(model: &Unigram, text: &str, scratch: &mut Scratch) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut sink = Sink { ids: &mut ids, spans: None, after_unknown: false };
        model.encode(text, scratch, &mut sink, &Control::default()).expect("encodes");
        ids
    }

    proptest! {
        #[test]
        fn words_apart_equal_the_whole_text(
            pieces in prop::collection::btree_map("\u{2581}?[ab]{1,3}", -9.0..-0.5_f32, 1..25),
            words in prop::collection::vec("\u{2581}{1,2}[abc]{0,7}", 1..60),
            coarse in any::<bool>(), bytes in any::<bool>(), before in 0..24_u32,
        ) {
            // Halves make many equal sums. A long beginning makes sums large, and rounding rough.
            let round = |score: f32| if coarse { (score * 2.0).round() / 2.0 } else { score };
            let pieces: Vec<(String, f32)> =
                pieces.into_iter().map(|(piece, score)| (piece, round(score))).collect();
            let cut = model(&pieces, bytes.then(|| Box::new(std::array::from_fn(|byte| byte as u32 + 1000))));
            let mut whole = model(&pieces, cut.common.bytes.clone());
            whole.common.cut = false;
            let begin = "\u{2581}abc\u{2581}cccccccc".repeat(1 << (before / 2));
            let text = format!("{begin}{}{}", words.concat(), words.concat());
            let expected = encode(&whole, &text, &mut Scratch::default());
            let mut scratch = Scratch::default();
            prop_assert_eq!(&encode(&cut, &text, &mut scratch), &expected);
            prop_assert_eq!(&encode(&cut, &text, &mut scratch), &expected);
        }
    }
}
