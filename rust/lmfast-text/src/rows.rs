//! Texts, or pairs of texts, as rows of equal length: truncation, the template, padding, and where tokens lie.
//!
//! The order is that of `tokenizers`: each text becomes tokens, of which no more are made than truncation can keep;
//! they are cut ([`Strategy`]); the [plan](crate::post) puts them and special tokens into a row; rows are filled up.

use std::ops::Range;

use lmfast_base::{Control, Error, Result, threads};
use rayon::prelude::*;

use crate::format::{Direction, Strategy};
use crate::normalize::Origin;
use crate::post::{Part, Plan, Trim};
use crate::session::{Detail, Options, Session, is_blank};
use crate::tokenizer::Tokenizer;

/// The names of a padding token, the first that is in the vocabulary counts.
const PADDING: [&str; 3] = ["[PAD]", "<pad>", "<|pad|>"];

/// How rows are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowOptions {
    /// How texts are encoded.
    pub options: Options,
    /// The most tokens of a row, for truncation and for [`Fill::MaxLength`].
    pub max_length: Option<usize>,
    /// What is cut of rows that are longer.
    pub truncation: Option<Strategy>,
    /// How long rows are filled up.
    pub fill: Fill,
    /// Where tokens lie.
    pub offsets: Offsets,
}

/// How long rows are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fill {
    /// Not at all; they must be of equal length.
    #[default]
    No,
    /// As long as the longest.
    Longest,
    /// As long as the most tokens.
    MaxLength,
}

/// In what the places of tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offsets {
    /// They are not wanted.
    #[default]
    No,
    /// In characters.
    Characters,
    /// In bytes.
    Bytes,
}

/// Rows of equal length, one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub num_rows: usize,
    /// The tokens of each.
    pub length: usize,
    /// The ids.
    pub ids: Vec<i64>,
    /// 1 for tokens, 0 for padding.
    pub attention_mask: Vec<i64>,
    /// The types of the ids.
    pub type_ids: Vec<i64>,
    /// Where each token begins and ends in its text, if that is wanted; 0 and 0 for special tokens and padding.
    pub offsets: Option<Vec<i64>>,
}

/// A row before it is filled up.
#[derive(Debug, Default)]
struct Row {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    offsets: Vec<(usize, usize)>,
}

/// The tokens of one text.
#[derive(Debug, Default)]
struct Tokens {
    ids: Vec<u32>,
    detail: Detail,
    /// What truncation leaves.
    kept: Range<usize>,
}

impl Tokenizer {
    /// Rows of texts, or of each text and the one at its place in `pairs`; the same with any number of threads. Reports
    /// the bytes of text done.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that contradict each other, rows of different length that are not to be filled
    /// up, rows that cannot be cut as wanted, and as [`encode`](Self::encode) and [`threads::pool`].
    pub fn encode_rows<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        pairs: Option<&[T]>,
        options: RowOptions,
        threads: Option<usize>,
        control: &Control,
    ) -> Result<Rows> {
        if pairs.is_some_and(|pairs| pairs.len() != texts.len()) {
            return Err(Error::invalid(format!(
                "text_pairs has {} texts and texts has {}: one for each is wanted",
                pairs.map_or(0, <[T]>::len),
                texts.len()
            )));
        }
        let maker = Maker::new(self, options, pairs.is_some())?;
        let bytes = |texts: &[T]| texts.iter().map(|text| text.as_ref().len()).sum::<usize>();
        let total = bytes(texts) + pairs.map_or(0, bytes);
        control.begin("encoding", total as u64);
        let threads = threads::count(threads)?;
        let per_chunk = texts.len().div_ceil(threads * 8).max(1);
        let chunk = |range: Range<usize>| -> Result<Vec<Row>> {
            let mut session = self.session_with(options.options);
            range
                .map(|index| {
                    let (text, pair) = (texts[index].as_ref(), pairs.map(|pairs| pairs[index].as_ref()));
                    control.check()?;
                    let row = maker.row(&mut session, index, text, pair, control)?;
                    control.advance((text.len() + pair.map_or(0, str::len)) as u64);
                    Ok(row)
                })
                .collect()
        };
        let ranges = (0..texts.len()).step_by(per_chunk).map(|start| start..(start + per_chunk).min(texts.len()));
        let rows: Vec<Vec<Row>> = if threads == 1 || total < 1 << 14 {
            ranges.map(chunk).collect::<Result<_>>()?
        } else {
            let ranges: Vec<_> = ranges.collect();
            threads::pool(Some(threads))?.install(|| ranges.into_par_iter().map(chunk).collect::<Result<_>>())?
        };
        maker.fill(rows.into_iter().flatten().collect())
    }

    /// The id that fills rows up: that of the file, or of a token with a name known for it, or the end of text.
    fn padding_id(&self) -> Result<u32> {
        use lmfast_base::Encode;
        let id = match &self.batching.padding {
            Some(padding) => Some(padding.pad_id),
            None => PADDING.iter().find_map(|name| self.token_to_id(name)).or_else(|| self.end_of_text()),
        };
        id.filter(|&id| id < self.vocab_size()).ok_or_else(|| {
            Error::invalid(format!(
                "padding: the vocabulary has no token for it: the file has no padding section with a pad_id that is in the vocabulary, and there is no {PADDING:?} and no end of text; add one of these to the file"
            ))
        })
    }
}

/// What is needed to make rows.
struct Maker<'a> {
    tokenizer: &'a Tokenizer,
    options: RowOptions,
    plan: &'a Plan,
    /// The most tokens of the texts of a row.
    room: Option<usize>,
    direction: Direction,
    is_pair: bool,
}

impl<'a> Maker<'a> {
    fn new(tokenizer: &'a Tokenizer, options: RowOptions, is_pair: bool) -> Result<Self> {
        let plan = tokenizer.plans.get(is_pair, options.options.add_special_tokens);
        let room = match (options.truncation, options.max_length) {
            (Some(Strategy::OnlySecond), _) if !is_pair => {
                return Err(Error::invalid("truncation=\"only_second\": there is no second text; pass text_pairs"));
            }
            (Some(_), None) => {
                return Err(Error::invalid("truncation without max_length: say how many tokens a row may have"));
            }
            (Some(_), Some(max_length)) => Some(max_length.checked_sub(plan.num_added).ok_or_else(|| {
                Error::invalid(format!(
                    "max_length={max_length}: the template alone puts {} special tokens into a row",
                    plan.num_added
                ))
            })?),
            (None, Some(max_length)) if options.fill != Fill::MaxLength => {
                return Err(Error::invalid(format!(
                    "max_length={max_length} does nothing without truncation or padding=\"max_length\""
                )));
            }
            (None, _) => None,
        };
        if options.fill == Fill::MaxLength && options.max_length.is_none() {
            return Err(Error::invalid("padding=\"max_length\" without max_length: say how long rows are to be"));
        }
        let direction =
            tokenizer.batching.truncation.as_ref().map_or(Direction::Right, |truncation| truncation.direction);
        Ok(Self { tokenizer, options, plan, room, direction, is_pair })
    }

    fn row(
        &self,
        session: &mut Session<'_>,
        index: usize,
        text: &str,
        pair: Option<&str>,
        control: &Control,
    ) -> Result<Row> {
        let mut first = self.tokens(session, text, false, control)?;
        let mut second = pair.map(|pair| self.tokens(session, pair, true, control)).transpose()?;
        if let (Some(room), Some(strategy)) = (self.room, self.options.truncation) {
            let lengths = (first.kept.len(), second.as_ref().map(|second| second.kept.len()));
            let (keep_first, keep_second) = truncated(lengths, room, strategy).ok_or_else(|| {
                let name = if strategy == Strategy::OnlyFirst { "only_first" } else { "only_second" };
                Error::invalid(format!(
                    "truncation={name:?}: row {index} stays above max_length={} even without all of that text: use \"longest_first\" or a larger max_length",
                    self.options.max_length.unwrap_or_default()
                ))
            })?;
            first.keep(keep_first, self.direction);
            if let (Some(second), Some(length)) = (&mut second, keep_second) {
                second.keep(length, self.direction);
            }
        }
        let mut row = Row::default();
        let first_index = CharacterIndex::new(text, self.options.offsets);
        let second_index = pair.map(|pair| CharacterIndex::new(pair, self.options.offsets));
        for part in &self.plan.parts {
            match part {
                Part::Special { id, type_id } => {
                    row.ids.push(*id);
                    row.type_ids.push(*type_id);
                    row.offsets.push((0, 0));
                }
                Part::Text { second: is_second, type_id, trims } => {
                    let (tokens, characters) = match (is_second, &second, &second_index) {
                        (true, Some(second), Some(index)) => (second, index),
                        _ => (&first, &first_index),
                    };
                    row.ids.extend_from_slice(&tokens.ids[tokens.kept.clone()]);
                    row.type_ids.extend(std::iter::repeat_n(*type_id, tokens.kept.len()));
                    if self.options.offsets != Offsets::No {
                        self.offsets(tokens, characters, trims, &mut row.offsets);
                    }
                }
            }
        }
        Ok(row)
    }

    /// The tokens of a text; of those that truncation cannot keep, not all.
    fn tokens(&self, session: &mut Session<'_>, text: &str, is_second: bool, control: &Control) -> Result<Tokens> {
        let mut tokens = Tokens::default();
        let limit = match (self.room, self.options.truncation) {
            _ if self.direction == Direction::Left => usize::MAX,
            // Which of two long texts keeps one token more depends on how long they are.
            (Some(room), Some(Strategy::LongestFirst)) if room % 2 == 0 || !self.is_pair => room,
            (Some(room), Some(Strategy::OnlyFirst)) if !is_second => room,
            (Some(room), Some(Strategy::OnlySecond)) if is_second => room,
            _ => usize::MAX,
        };
        let detail = (self.options.offsets != Offsets::No).then_some(&mut tokens.detail);
        session.append_row(text, &mut tokens.ids, detail, limit, control)?;
        tokens.kept = 0..tokens.ids.len();
        Ok(tokens)
    }

    /// Appends where tokens lie.
    fn offsets(
        &self,
        tokens: &Tokens,
        characters: &CharacterIndex<'_>,
        trims: &[Trim],
        offsets: &mut Vec<(usize, usize)>,
    ) {
        let vocabulary = &self.tokenizer.definition.vocabulary;
        let mut added = tokens.detail.added.iter().peekable();
        for at in tokens.kept.clone() {
            let (start, end): Origin = tokens.detail.origins[at];
            let mut offset = (characters.at(start as usize), characters.at(end as usize));
            if !trims.is_empty() {
                while added.next_if(|(place, _)| *place < at).is_some() {}
                let blanks = match added.peek() {
                    Some((place, blanks)) if *place == at => *blanks,
                    _ => vocabulary.token(tokens.ids[at]).map_or((0, 0), blanks),
                };
                for trim in trims {
                    offset = trimmed(offset, blanks, *trim, at == tokens.kept.start);
                }
            }
            offsets.push(offset);
        }
    }

    /// Fills rows up.
    fn fill(&self, rows: Vec<Row>) -> Result<Rows> {
        let num_rows = rows.len();
        let longest = rows.iter().map(|row| row.ids.len()).max().unwrap_or_default();
        let length = match (self.options.fill, self.options.max_length) {
            (Fill::MaxLength, Some(max_length)) if longest > max_length => {
                return Err(Error::invalid(format!(
                    "padding=\"max_length\": a row of {longest} tokens is longer than max_length={max_length}; pass truncation=True"
                )));
            }
            (Fill::MaxLength, Some(max_length)) => max_length,
            _ => longest,
        };
        if let (Fill::No, Some((index, row))) =
            (self.options.fill, rows.iter().enumerate().find(|(_, row)| row.ids.len() != length))
        {
            return Err(Error::invalid(format!(
                "rows of different length do not fit into an array: row {index} has {} tokens, and the longest {length}; pass padding=True",
                row.ids.len()
            )));
        }
        let padding = self.tokenizer.batching.padding.as_ref();
        let before = padding.is_some_and(|padding| padding.direction == Direction::Left);
        let pad_type = padding.map_or(0, |padding| padding.pad_type_id);
        let is_ragged = rows.iter().any(|row| row.ids.len() != length);
        let pad_id = if is_ragged { self.tokenizer.padding_id()? } else { 0 };
        let mut all = Rows { num_rows, length, ..Rows::default() };
        let mut offsets = Vec::new();
        for row in rows {
            let own = row.ids.len();
            let (left, right) = if before { (length - own, 0) } else { (0, length - own) };
            let filled = |all: &mut Vec<i64>, values: &mut dyn Iterator<Item = i64>, with: i64| {
                all.extend(std::iter::repeat_n(with, left));
                all.extend(values);
                all.extend(std::iter::repeat_n(with, right));
            };
            filled(&mut all.ids, &mut row.ids.iter().map(|&id| i64::from(id)), i64::from(pad_id));
            filled(&mut all.attention_mask, &mut std::iter::repeat_n(1, own), 0);
            filled(&mut all.type_ids, &mut row.type_ids.iter().map(|&id| i64::from(id)), i64::from(pad_type));
            if self.options.offsets != Offsets::No {
                offsets.extend(std::iter::repeat_n(0, 2 * left));
                offsets.extend(row.offsets.iter().flat_map(|&(start, end)| [start as i64, end as i64]));
                offsets.extend(std::iter::repeat_n(0, 2 * right));
            }
        }
        all.offsets = (self.options.offsets != Offsets::No).then_some(offsets);
        Ok(all)
    }
}

impl Tokens {
    fn keep(&mut self, length: usize, direction: Direction) {
        let Range { start, end } = self.kept;
        self.kept = match direction {
            Direction::Right => start..(start + length).min(end),
            Direction::Left => end.saturating_sub(length).max(start)..end,
        };
    }
}

/// How many tokens of each text are kept; nothing if one text alone is to be cut and that is not enough.
fn truncated(lengths: (usize, Option<usize>), room: usize, strategy: Strategy) -> Option<(usize, Option<usize>)> {
    let (first, second) = lengths;
    let total = first + second.unwrap_or_default();
    if room == 0 {
        return Some((0, second.map(|_| 0)));
    }
    let Some(excess) = total.checked_sub(room).filter(|&excess| excess > 0) else { return Some(lengths) };
    match (strategy, second) {
        (Strategy::LongestFirst, None) => Some((room, None)),
        (Strategy::LongestFirst, Some(second)) => {
            let mut shorter = first.min(second);
            let mut longer = if shorter > room { shorter } else { shorter.max(room - shorter) };
            if shorter + longer > room {
                shorter = room / 2;
                longer = shorter + room % 2;
            }
            Some(if first > second { (longer, Some(shorter)) } else { (shorter, Some(longer)) })
        }
        (Strategy::OnlyFirst, _) => (first > excess).then(|| (first - excess, second)),
        (Strategy::OnlySecond, Some(second)) => (second > excess).then(|| (first, Some(second - excess))),
        (Strategy::OnlySecond, None) => None,
    }
}

/// The blank characters that a token begins and ends with.
fn blanks(token: &str) -> (usize, usize) {
    let count = |characters: &mut dyn Iterator<Item = char>| characters.take_while(|&letter| is_blank(letter)).count();
    (count(&mut token.chars()), count(&mut token.chars().rev()))
}

/// Offsets without the blank characters of a token.
fn trimmed(offset: (usize, usize), blanks: (usize, usize), trim: Trim, first: bool) -> (usize, usize) {
    let ((mut start, mut end), (mut leading, trailing)) = (offset, blanks);
    if leading > 0 {
        let begins = first && trim.at_start || start == 0;
        if begins && trim.add_prefix_space && leading == 1 {
            leading = 0;
        }
        start = (start + leading).min(end);
    }
    if trailing > 0 && end >= trailing {
        end = (end - trailing).max(start);
    }
    (start, end)
}

/// The number of characters before each byte of a text, or of bytes.
struct CharacterIndex<'a> {
    text: &'a [u8],
    /// The number of characters that begin before each block; none if bytes are counted, or are characters.
    blocks: Vec<usize>,
}

const BLOCK: usize = 64;

impl<'a> CharacterIndex<'a> {
    fn new(text: &'a str, offsets: Offsets) -> Self {
        let mut blocks = Vec::new();
        if offsets == Offsets::Characters && !text.is_ascii() {
            let mut count = 0;
            for block in text.as_bytes().chunks(BLOCK) {
                blocks.push(count);
                count += begun(block);
            }
            blocks.push(count);
        }
        Self { text: text.as_bytes(), blocks }
    }

    fn at(&self, byte: usize) -> usize {
        match self.blocks.get(byte / BLOCK) {
            None => byte,
            Some(before) => before + begun(&self.text[byte / BLOCK * BLOCK..byte.min(self.text.len())]),
        }
    }
}

/// The number of characters that begin in some bytes.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert_eq, proptest};

    #[test]
    fn truncation_leaves_what_is_asked_for() {
        let longest = |first, second, room| truncated((first, second), room, Strategy::LongestFirst);
        assert_eq!(longest(9, None, 5), Some((5, None)));
        assert_eq!(longest(2, Some(9), 7), Some((2, Some(5))));
        assert_eq!(longest(9, Some(2), 7), Some((5, Some(2))));
        assert_eq!(longest(9, Some(8), 7), Some((4, Some(3))));
        assert_eq!(longest(8, Some(9), 7), Some((3, Some(4))));
        assert_eq!(longest(1, Some(1), 2), Some((1, Some(1))));
        assert_eq!(longest(1, Some(1), 0), Some((0, Some(0))));
        assert_eq!(truncated((3, Some(5)), 6, Strategy::OnlyFirst), Some((1, Some(5))));
        assert_eq!(truncated((3, Some(5)), 5, Strategy::OnlyFirst), None);
        assert_eq!(truncated((3, Some(5)), 5, Strategy::OnlySecond), Some((3, Some(2))));
    }

    #[test]
    fn blank_characters_are_trimmed_but_for_a_space_that_was_put_there() {
        let trim = Trim { add_prefix_space: true, at_start: true };
        assert_eq!(blanks("\u{120}a\u{120} "), (1, 2));
        assert_eq!(trimmed((0, 3), (1, 1), trim, true), (0, 2));
        assert_eq!(trimmed((0, 3), (2, 0), trim, true), (2, 3));
        assert_eq!(trimmed((4, 7), (1, 0), trim, false), (5, 7));
        assert_eq!(trimmed((4, 5), (1, 1), trim, false), (5, 5));
    }

    proptest! {
        #[test]
        fn the_index_counts_characters(text in "[a\u{e9}\u{4e2d}\u{1f600}]{0,100}") {
            let index = CharacterIndex::new(&text, Offsets::Characters);
            for (number, (byte, _)) in text.char_indices().enumerate() {
                prop_assert_eq!(index.at(byte), number);
            }
            prop_assert_eq!(index.at(text.len()), text.chars().count());
        }
    }
}
