//! Walks through many sentences in turns: while the buckets that one asked for are on their way, the others go on.

use super::{Found, Index, Place, Tables};
use crate::corpus::{BEGIN, UNKNOWN};
use crate::count::MOST_ORDERS;

/// Sentences on their way at a time.
const LANES: usize = 16;
/// Words of a sentence that are walked through in one go; more become several pieces.
const PIECE_WORDS: usize = 512;

/// Words that follow each other, at their places in an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The first word; those before `scored` are context alone.
    pub(crate) start: usize,
    pub(crate) scored: usize,
    pub(crate) end: usize,
    /// Whether `<s>` stands before `start`.
    pub(crate) begins: bool,
}

impl Piece {
    /// The words of a sentence from `start` up to `end`, cut into pieces; those from `scored` on are scored. With `order` - 1
    /// words before it, a word scores as with all of them.
    pub(crate) fn of_sentence(
        start: usize,
        scored: usize,
        end: usize,
        begins: bool,
        order: usize,
    ) -> impl Iterator<Item = Self> {
        (scored..end).step_by(PIECE_WORDS).map(move |scored| {
            let first = scored.saturating_sub(order - 1).max(start);
            let end = (scored + PIECE_WORDS).min(end);
            Self { start: first, scored, end, begins: begins && first == start }
        })
    }
}

/// One sentence on its way.
#[derive(Debug, Clone, Copy)]
struct Lane {
    at: usize,
    scored: usize,
    end: usize,
    word: u32,
    /// How many contexts there are.
    length: usize,
    /// The n-grams that end before the word and may be its context, from one word up, by number; with their weights and
    /// where they lie with the word behind them.
    contexts: [u32; MOST_ORDERS],
    backoffs: [f32; MOST_ORDERS],
    places: [Place; MOST_ORDERS],
}

impl Lane {
    const IDLE: Self = Self {
        at: 0,
        scored: 0,
        end: 0,
        word: 0,
        length: 0,
        contexts: [0; MOST_ORDERS],
        backoffs: [0.0; MOST_ORDERS],
        places: [Place { bucket: 0, tag: 0 }; MOST_ORDERS],
    };

    fn enter(&mut self, piece: &Piece, tables: &Tables<'_>, words: &[u32]) {
        (self.at, self.scored, self.end, self.length) = (piece.start, piece.scored, piece.end, 0);
        if piece.begins {
            self.keep(0, tables.unigram(BEGIN), tables.order);
        }
        self.ask(tables, words);
    }

    /// Makes `found` the longest context, of `at` + 1 words; those that can have no words behind them are forgotten.
    #[inline]
    fn keep(&mut self, at: usize, found: Found, order: usize) {
        self.length = at;
        if at + 1 < order {
            (self.contexts[at], self.backoffs[at]) = (found.context, found.backoff);
            self.length = at + 1;
        }
        while self.length > 0 && self.backoffs[self.length - 1].to_bits() == (-0.0_f32).to_bits() {
            self.length -= 1;
        }
    }

    /// Reads the next word, and asks for all that may be needed to score it.
    #[inline]
    fn ask(&mut self, tables: &Tables<'_>, words: &[u32]) {
        let word = words.get(self.at).copied().unwrap_or(UNKNOWN);
        self.word = if (word as usize) < tables.unigrams.len() { word } else { UNKNOWN };
        lmfast_base::prefetch(tables.unigrams, self.word as usize);
        for (at, (place, &context)) in self.places.iter_mut().zip(&self.contexts[..self.length]).enumerate() {
            *place = tables.place(at + 2, context, self.word);
        }
    }

    /// The word's log10 probability, and how long the n-gram is that it comes from; then the word belongs to the context.
    #[inline]
    fn score(&mut self, tables: &Tables<'_>) -> (f32, u8) {
        let nothing = Found { context: tables.keys.no_context, log10_prob: 0.0, backoff: -0.0 };
        let mut longest = tables.unigram(self.word);
        let (mut log10_prob, mut matched, mut at) = (longest.log10_prob, 1, 0);
        while at < self.length {
            let found = if at + 2 < tables.order {
                tables.middle(self.places[at])
            } else {
                let found = tables.highest(self.places[at]);
                found.map(|log10_prob| Found { log10_prob, ..nothing })
            };
            match found {
                Some(found) => {
                    log10_prob = found.log10_prob;
                    matched = at + 2;
                    (self.contexts[at], self.backoffs[at]) = (longest.context, longest.backoff);
                    longest = found;
                }
                // A longer n-gram cannot be there either.
                None if tables.closed => break,
                None => {
                    log10_prob += self.backoffs[at];
                    (self.contexts[at], self.backoffs[at]) = (longest.context, longest.backoff);
                    longest = nothing;
                }
            }
            at += 1;
        }
        for backoff in &self.backoffs[at..self.length] {
            log10_prob += backoff;
        }
        self.keep(at, longest, tables.order);
        (log10_prob, matched as u8)
    }
}

impl Index {
    /// Scores pieces of an array of words, and gives each word's place, log10 probability and matched order to `take`. Words
    /// outside the vocabulary count as unknown.
    pub(crate) fn walk(
        &self,
        words: &[u32],
        pieces: impl Iterator<Item = Piece>,
        mut take: impl FnMut(usize, f32, u8),
    ) {
        let tables = self.tables();
        let mut pieces = pieces.filter(|piece| piece.start < piece.end);
        let mut lanes = [Lane::IDLE; LANES];
        let mut busy = 0;
        for (lane, piece) in lanes.iter_mut().zip(pieces.by_ref()) {
            lane.enter(&piece, &tables, words);
            busy += 1;
        }
        while busy > 0 {
            let mut at = 0;
            while at < busy {
                let lane = &mut lanes[at];
                let (log10_prob, matched) = lane.score(&tables);
                if lane.at >= lane.scored {
                    take(lane.at, log10_prob, matched);
                }
                lane.at += 1;
                if lane.at < lane.end {
                    lane.ask(&tables, words);
                } else if let Some(piece) = pieces.next() {
                    lane.enter(&piece, &tables, words);
                } else {
                    busy -= 1;
                    lanes.swap(at, busy);
                    continue;
                }
                at += 1;
            }
        }
    }
}
