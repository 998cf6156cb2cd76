//! Merging any number of symbols.
//!
//! The encoding of a text is local: a row of tokens is its encoding if and only if each two neighbours are the encoding
//! of their own text. (Otherwise take the first merge across the border of two such tokens: all merges before it lie
//! within tokens, and those within the two come in the order in which they come when the two are alone, so it would
//! happen in the encoding of the two alone. The other way round, where no merge crosses a border of the row, what lies
//! between two borders is merged as if it were alone.)
//!
//! So a window of some symbols is encoded, then one that begins at a token near its end; from a token that both have,
//! the second goes on where the first may no longer be trusted. This takes linear time. Where two windows have no token
//! in common, larger ones are tried. Where a window begins with two equal tokens and the text goes on repeating their
//! symbols, the next window would be the same: the token is given again for a comparison.
//!
//! The largest windows are merged rank by rank: the places of a pair are collected under its rank, a heap gives the
//! lowest rank, and its places are merged from left to right. With n symbols and m places ever collected (at most 3n)
//! that takes O(n + m log m) time, and for text of few different pairs it is linear.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use lmfast_base::{Control, Error, Result};
use rustc_hash::FxHashMap;

use super::merges::{MergeTable, NONE};
use super::short::{self, Token};

/// In place of a token that was merged away; no id has this value.
const GONE: u32 = u32::MAX;

/// Symbols in a window, and in one that is tried where that does not do.
const WINDOWS: [usize; 3] = [short::MOST, 512, usize::MAX];

/// How many places are merged between two looks at whether the call was cancelled.
const PATIENCE: usize = 1 << 16;

/// Gives the tokens of any number of symbols, each with the number of symbols up to its end; can be cancelled.
///
/// # Errors
/// Also for more symbols than 32 bits count.
pub(crate) fn merge(merges: &MergeTable, symbols: &[u32], control: &Control, give: impl FnMut(Token)) -> Result<()> {
    if symbols.len() <= short::MOST {
        short::merge(merges, symbols, give);
        return Ok(());
    }
    if u32::try_from(symbols.len()).is_err() {
        return Err(Error::invalid(format!(
            "a piece of {} symbols is too long to be merged: cut the text before 4 GiB without a white space",
            symbols.len()
        )));
    }
    by_windows(merges, symbols, control, give)
}

/// Windows are rows of tokens; each has the place of its end among all symbols.
fn by_windows(merges: &MergeTable, symbols: &[u32], control: &Control, mut give: impl FnMut(Token)) -> Result<()> {
    let (mut window, mut next): (Vec<Token>, Vec<Token>) = (Vec::new(), Vec::new());
    let within = |begin: usize, level: usize| begin..begin.saturating_add(WINDOWS[level]).min(symbols.len());
    let (mut level, mut covered) = (0, within(0, 0));
    encode(merges, symbols, covered.clone(), control, |token| window.push(token))?;
    loop {
        control.check()?;
        if let Some((token, times, length)) = repeated(&window, symbols, &covered) {
            (0..times).for_each(|time| give((token, (covered.start + (time + 1) * length) as u32)));
            for (_, end) in &mut window {
                *end += (times * length) as u32;
            }
            covered = covered.start + times * length..covered.end + times * length;
            continue;
        }
        if covered.end == symbols.len() {
            break;
        }
        // The next window begins with a token of this one that lies near its end.
        let overlap = WINDOWS[level] / 8 * 3;
        let first = 1 + window.partition_point(|&(_, end)| (end as usize) < covered.end.saturating_sub(overlap));
        let found = if first < window.len() {
            let range = within(window[first - 1].1 as usize, level);
            next.clear();
            encode(merges, symbols, range.clone(), control, |token| next.push(token))?;
            common_token(&window[first - 1..], &next).map(|(kept, taken)| (first + kept, taken, range.end))
        } else {
            None
        };
        if let Some((kept, taken, end)) = found {
            window[..kept].iter().for_each(|&token| give(token));
            covered = window[kept - 1].1 as usize..end;
            window.clear();
            window.extend_from_slice(&next[taken..]);
            level = 0;
        } else {
            level += 1;
            let larger = within(covered.start, level);
            if larger.end > covered.end {
                covered = larger;
                window.clear();
                encode(merges, symbols, covered.clone(), control, |token| window.push(token))?;
            }
        }
    }
    window.into_iter().for_each(give);
    Ok(())
}

/// The first token of a window, how often the window can be moved by its symbols and still be of the same ones, and how
/// many symbols it has; nothing if that is never. The second token must be the same, to stand behind each that is passed.
fn repeated(window: &[Token], symbols: &[u32], covered: &Range<usize>) -> Option<(u32, usize, usize)> {
    let [(first, middle), (second, end), ..] = *window else { return None };
    let length = middle as usize - covered.start;
    if (first, length) != (second, (end - middle) as usize) {
        return None;
    }
    let behind = symbols[covered.start + length..].iter().take(PATIENCE);
    let equal = behind.zip(&symbols[covered.start..]).take_while(|(one, other)| one == other).count();
    let times = equal.saturating_sub(covered.len() - length) / length;
    (times > 0).then_some((first, times, length))
}

/// The first token that two windows have in common: how many stand before it in each. The second window begins behind
/// the first token of the first, whose own place does not count.
fn common_token(one: &[Token], other: &[Token]) -> Option<(usize, usize)> {
    let border = |row: &[Token], at: usize| row[at].1;
    let (mut kept, mut taken) = (0, 0);
    let mut begins = (border(one, 0), border(one, 0));
    while kept + 1 < one.len() && taken < other.len() {
        let ends = (border(one, kept + 1), border(other, taken));
        if begins.0 == begins.1 && ends.0 == ends.1 {
            return Some((kept, taken));
        }
        if ends.0 <= ends.1 {
            (kept, begins.0) = (kept + 1, ends.0);
        }
        if ends.1 <= ends.0 {
            (taken, begins.1) = (taken + 1, ends.1);
        }
    }
    None
}

/// Gives the tokens of a range of symbols as if there were no others.
fn encode(
    merges: &MergeTable,
    symbols: &[u32],
    range: Range<usize>,
    control: &Control,
    mut give: impl FnMut(Token),
) -> Result<()> {
    let base = range.start as u32;
    let symbols = &symbols[range];
    if symbols.len() <= short::MOST {
        short::merge(merges, symbols, |(id, end)| give((id, base + end)));
        return Ok(());
    }
    let mut long = LongPiece::new(merges, symbols.to_vec(), control)?;
    while let Some(Reverse(rank)) = long.ranks.pop() {
        long.merge_rank(rank, control)?;
    }
    let tokens = long.symbols.iter().zip(&long.next).filter(|&(&id, _)| id != GONE);
    tokens.for_each(|(&id, &end)| give((id, base + end)));
    Ok(())
}

/// The places of one pair.
struct Places {
    left: u32,
    right: u32,
    /// Bytes where `left` began when the place was noted; some are out of date.
    starts: Vec<u32>,
}

/// A long piece while it is merged. A token is held at the byte where it begins; the others of its bytes are [`GONE`].
struct LongPiece<'a> {
    merges: &'a MergeTable,
    symbols: Vec<u32>,
    previous: Vec<u32>,
    next: Vec<u32>,
    places: FxHashMap<u32, Places>,
    /// The ranks under which there are places.
    ranks: BinaryHeap<Reverse<u32>>,
}

impl<'a> LongPiece<'a> {
    fn new(merges: &'a MergeTable, symbols: Vec<u32>, control: &Control) -> Result<Self> {
        let length = symbols.len();
        let mut long = Self {
            merges,
            symbols,
            previous: (0..length as u32).map(|at| at.wrapping_sub(1)).collect(),
            next: (1..=length as u32).collect(),
            places: FxHashMap::default(),
            ranks: BinaryHeap::new(),
        };
        for start in 1..length {
            if start % PATIENCE == 0 {
                control.check()?;
            }
            long.note(start - 1, start);
        }
        Ok(long)
    }

    /// Notes the place of a pair, and gives its rank if it merges, else [`NONE`].
    fn note(&mut self, start: usize, second: usize) -> u32 {
        let (left, right) = (self.symbols[start], self.symbols[second]);
        let rank = self.merges.rank(left, right);
        if rank == NONE {
            return NONE;
        }
        let places = self.places.entry(rank).or_insert_with(|| Places { left, right, starts: Vec::new() });
        if places.starts.is_empty() {
            self.ranks.push(Reverse(rank));
        }
        places.starts.push(start as u32);
        rank
    }

    /// Merges the places of a rank from left to right. Where that makes a pair of a lower rank, which merges in the order
    /// in which they were learned never do but those of a file may, the rest waits.
    fn merge_rank(&mut self, rank: u32, control: &Control) -> Result<()> {
        control.check()?;
        let Some(places) = self.places.get_mut(&rank) else { return Ok(()) };
        let (left, right, merged) = (places.left, places.right, self.merges.merged(rank));
        let mut starts = std::mem::take(&mut places.starts);
        starts.sort_unstable();
        for (index, &start) in starts.iter().enumerate() {
            if index % PATIENCE == PATIENCE - 1 {
                control.check()?;
            }
            let start = start as usize;
            let second = self.next[start] as usize;
            if self.symbols[start] != left || second >= self.symbols.len() || self.symbols[second] != right {
                continue;
            }
            self.symbols[start] = merged;
            self.symbols[second] = GONE;
            let after = self.next[second];
            self.next[start] = after;
            let mut lowest = NONE;
            if (after as usize) < self.symbols.len() {
                self.previous[after as usize] = start as u32;
                lowest = self.note(start, after as usize);
            }
            if start > 0 {
                lowest = lowest.min(self.note(self.previous[start] as usize, start));
            }
            if lowest < rank {
                self.wait(rank, starts.split_off(index + 1));
                break;
            }
        }
        Ok(())
    }

    fn wait(&mut self, rank: u32, rest: Vec<u32>) {
        if let Some(places) = self.places.get_mut(&rank) {
            if places.starts.is_empty() && !rest.is_empty() {
                self.ranks.push(Reverse(rank));
            }
            places.starts.extend(rest);
        }
    }
}
