//! Scores of sentences, in float32 and in `KenLM`'s order of additions.
//!
//! Few words are scored step by step through the trie; many go through the [index](crate::index), many sentences in turns.

use std::sync::{Mutex, PoisonError};

use lmfast_base::source::Documents;
use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use crate::compact::Compact;
use crate::corpus::{END, SPECIALS, TokenId, UNKNOWN, documents, word_of_token};
use crate::index::{Index, Piece};
use crate::model::{Model, ROOT, View};
use crate::text::Finder;
use crate::vocabulary::Lookup;
use crate::words::{lines, split};

/// Words that a thread scores between two looks at the control.
const SPAN: usize = 1 << 15;
/// Sentences of text that a thread scores between two looks at the control.
const SENTENCES: usize = 512;

/// How a token was scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenScore {
    /// The log10 probability.
    pub log10_prob: f32,
    /// How many words the n-gram has that was found, the token included.
    pub matched_order: u8,
    /// Whether the word is not in the vocabulary.
    pub is_unknown: bool,
}

/// What text costs, as `KenLM`'s `query` prints it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Perplexity {
    /// The sum of the log10 probabilities of all tokens.
    pub log10_prob: f64,
    /// The part of it that unknown words have.
    pub log10_prob_unknown: f64,
    /// The sum over the known ones; but for rounding the difference of those two, where they are finite.
    pub log10_prob_known: f64,
    /// Unknown words.
    pub unknown: u64,
    /// Tokens, the end of each sentence included.
    pub tokens: u64,
}

impl Perplexity {
    /// Of all tokens.
    pub fn with_unknown(&self) -> f64 {
        10_f64.powf(-self.log10_prob / self.tokens as f64)
    }

    /// Of the known ones.
    pub fn without_unknown(&self) -> f64 {
        let known = match self.log10_prob - self.log10_prob_unknown {
            known if known.is_nan() => self.log10_prob_known,
            known => known,
        };
        10_f64.powf(-known / (self.tokens - self.unknown) as f64)
    }

    fn add(&mut self, other: &Self) {
        self.log10_prob += other.log10_prob;
        self.log10_prob_unknown += other.log10_prob_unknown;
        self.log10_prob_known += other.log10_prob_known;
        self.unknown += other.unknown;
        self.tokens += other.tokens;
    }
}

/// The scores of many tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenScores {
    /// Log10 probabilities.
    pub log10_prob: Vec<f32>,
    /// How many words the n-grams have that were found, the token included.
    pub matched_order: Vec<u8>,
    /// Whether each word is not in the vocabulary.
    pub is_unknown: Vec<bool>,
}

/// Scores words, by whichever way is best for so many.
#[derive(Clone, Copy)]
struct Scorer<'a> {
    view: View<'a>,
    order: usize,
    index: Option<&'a Index>,
    /// What takes the place of the trie, if the model is compact.
    compact: Option<&'a Compact>,
}

impl Scorer<'_> {
    fn begin(&self, begins: bool) -> u32 {
        if begins { self.view.begin() } else { ROOT }
    }

    /// Scores pieces of an array of words, and gives each word's place, log10 probability and matched order to `take`.
    fn score(&self, words: &[u32], pieces: impl Iterator<Item = Piece>, mut take: impl FnMut(usize, f32, u8)) {
        if let Some(compact) = self.compact {
            return compact.walk(words, pieces, take);
        }
        if let Some(index) = self.index {
            return index.walk(words, pieces, take);
        }
        for piece in pieces {
            let mut state = self.begin(piece.begins);
            for (&word, at) in words[..piece.end].iter().zip(0..).skip(piece.start) {
                let (log10_prob, node, next) = self.view.step(state, word);
                state = next;
                if at >= piece.scored {
                    take(at, log10_prob, self.view.order_of(node));
                }
            }
        }
    }
}

/// Sentences one behind the other, and the log10 probability of each word.
#[derive(Default)]
struct Sentences {
    words: Vec<u32>,
    ends: Vec<usize>,
    log10_probs: Vec<f32>,
}

impl Sentences {
    fn clear(&mut self) {
        self.words.clear();
        self.ends.clear();
    }

    fn append(&mut self, texts: &[&str], finder: &mut Finder<'_>, with_marks: bool) {
        finder.append(texts, &mut self.words, |words| {
            words.extend(with_marks.then_some(END));
            self.ends.push(words.len());
        });
    }

    fn end(&mut self, with_mark: bool) {
        self.words.extend(with_mark.then_some(END));
        self.ends.push(self.words.len());
    }

    /// Scores all of them, unless the control says to stop.
    fn score(&mut self, scorer: &Scorer<'_>, begins: bool, control: &Control) -> Result<()> {
        self.log10_probs.resize(self.words.len(), 0.0);
        let mut start = 0;
        let pieces = self.ends.iter().flat_map(|&end| {
            let pieces = Piece::of_sentence(start, start, end, begins, scorer.order);
            start = end;
            pieces
        });
        let pieces = pieces.take_while(|_| control.check().is_ok());
        scorer.score(&self.words, pieces, |at, log10_prob, _| self.log10_probs[at] = log10_prob);
        control.check()
    }

    /// The words of each sentence and their log10 probabilities.
    fn iter(&self) -> impl Iterator<Item = (&[u32], &[f32])> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let sentence = (&self.words[start..end], &self.log10_probs[start..end]);
            start = end;
            sentence
        })
    }

    fn costs(&self) -> Perplexity {
        let mut sums = Perplexity::default();
        for (words, log10_probs) in self.iter() {
            sums.log10_prob += f64::from(log10_probs.iter().fold(0.0_f32, |total, log10_prob| total + log10_prob));
            sums.tokens += words.len() as u64;
            for (&word, &log10_prob) in words.iter().zip(log10_probs) {
                if word == UNKNOWN {
                    sums.unknown += 1;
                    sums.log10_prob_unknown += f64::from(log10_prob);
                } else {
                    sums.log10_prob_known += f64::from(log10_prob);
                }
            }
        }
        sums
    }
}

/// What a thread works with, kept from one piece of work to the next.
struct Workers<'a>(Vec<Mutex<(Finder<'a>, Sentences)>>);

impl<'a> Workers<'a> {
    /// One for each thread of the current pool.
    fn new(lookup: Lookup<'a>) -> Self {
        let worker = |_| Mutex::new((Finder::new(lookup), Sentences::default()));
        Self((0..rayon::current_num_threads().max(1)).map(worker).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Finder<'a>, &mut Sentences) -> T) -> T {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.0.len();
        let mut worker = self.0[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let (finder, sentences) = &mut *worker;
        sentences.clear();
        work(finder, sentences)
    }
}

/// Consecutive documents with about [`SPAN`] tokens in all, and where each begins.
fn groups<'a, T>(documents: &[(&'a [T], u64)]) -> Vec<Vec<(&'a [T], u64)>> {
    let mut groups: Vec<Vec<(&[T], u64)>> = Vec::new();
    let mut tokens = SPAN;
    for &document in documents {
        if tokens >= SPAN {
            groups.push(Vec::new());
            tokens = 0;
        }
        tokens += document.0.len() + 1;
        if let Some(group) = groups.last_mut() {
            group.push(document);
        }
    }
    groups
}

impl Model {
    /// The ids of the words of one sentence; line ends are white space.
    pub fn word_ids(&self, text: &str) -> Vec<u32> {
        let lookup = self.vocabulary().lookup();
        split(text).map(|word| lookup.id(word.as_bytes())).collect()
    }

    /// The ids of the words of every line of text, each line with `</s>` behind it. Uses the current pool of threads.
    pub fn line_ids(&self, batches: impl Iterator<Item = Result<Documents>>, control: &Control) -> Result<Vec<u32>> {
        let workers = Workers::new(self.vocabulary().lookup());
        let mut ids = Vec::new();
        for batch in batches {
            let batch = batch?;
            let sentences: Vec<&str> = batch.iter().flat_map(lines).collect();
            let parts = sentences.par_chunks(SENTENCES).map(|texts| {
                control.check()?;
                Ok(workers.with(|finder, sentences| {
                    finder.append(texts, &mut sentences.words, |words| words.push(END));
                    sentences.words.clone()
                }))
            });
            for part in parts.collect::<Result<Vec<_>>>()? {
                ids.extend(part);
            }
            control.advance(batch.source_bytes);
        }
        Ok(ids)
    }

    /// The ids of tokens as words.
    ///
    /// # Errors
    /// [`lmfast_base::Error::Invalid`] for a token outside the vocabulary.
    pub fn token_words<T: TokenId>(&self, tokens: &[T]) -> Result<Vec<u32>> {
        tokens.iter().zip(0..).map(|(&token, position)| word_of_token(token, self.num_tokens(), position)).collect()
    }

    fn scorer(&self, words: usize, control: &Control) -> Result<Scorer<'_>> {
        let compact = self.compact.as_deref();
        let index = if compact.is_none() { self.index(words, control)? } else { None };
        Ok(Scorer { view: self.view(), order: self.order(), index, compact })
    }

    /// Words step by step.
    fn steps<'a>(&'a self, words: &'a [u32], begin: bool, end: bool) -> impl Iterator<Item = (u32, f32, u32)> + 'a {
        let view = self.view();
        let mut state = if begin { view.begin() } else { ROOT };
        words.iter().copied().chain(end.then_some(END)).map(move |word| {
            let (log10_prob, node, next) = view.step(state, word);
            state = next;
            (word, log10_prob, node)
        })
    }

    /// The log10 probability of one sentence's words, with `</s>` if `end`, after `<s>` if `begin`.
    pub fn score(&self, words: &[u32], begin: bool, end: bool) -> f32 {
        if let Some(compact) = &self.compact {
            let scores = compact.token_scores(words, begin, end);
            return scores.iter().fold(0.0, |total, score| total + score.log10_prob);
        }
        self.steps(words, begin, end).fold(0.0, |total, (_, log10_prob, _)| total + log10_prob)
    }

    /// The scores of one sentence's tokens.
    pub fn token_scores(&self, words: &[u32], begin: bool, end: bool) -> Vec<TokenScore> {
        if let Some(compact) = &self.compact {
            return compact.token_scores(words, begin, end);
        }
        let view = self.view();
        let score = |(word, log10_prob, node)| TokenScore {
            log10_prob,
            matched_order: view.order_of(node),
            is_unknown: word == UNKNOWN,
        };
        self.steps(words, begin, end).map(score).collect()
    }

    /// The scores of words, each sentence with its `</s>`; the first one's beginning is there if `begin`. Uses the current
    /// pool of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that no word has.
    pub fn word_scores(&self, words: &[u32], begin: bool, control: &Control) -> Result<TokenScores> {
        let (vocab_size, order) = (self.vocabulary().len() as u32, self.order());
        if let Some(at) = words.iter().position(|&word| word >= vocab_size) {
            return Err(Error::invalid(format!(
                "word id {} at position {at}: the model has the words 0 to {}; is this from another model?",
                words[at],
                vocab_size - 1
            )));
        }
        let scorer = self.scorer(words.len(), control)?;
        control.begin("scoring", words.len() as u64);
        let mut scores = TokenScores {
            log10_prob: vec![0.0; words.len()],
            matched_order: vec![0; words.len()],
            is_unknown: vec![false; words.len()],
        };
        let arrays = scores.log10_prob.par_chunks_mut(SPAN).zip(scores.matched_order.par_chunks_mut(SPAN));
        let spans = arrays.zip(scores.is_unknown.par_chunks_mut(SPAN)).enumerate();
        spans.try_for_each(|(number, ((log10_probs, orders), unknown))| {
            control.check()?;
            let first = number * SPAN;
            let end = first + log10_probs.len();
            let pieces = pieces(words, first, end, begin, order);
            scorer.score(words, pieces, |at, log10_prob, order| {
                (log10_probs[at - first], orders[at - first]) = (log10_prob, order);
            });
            unknown.iter_mut().zip(&words[first..end]).for_each(|(unknown, &word)| *unknown = word == UNKNOWN);
            control.advance((end - first) as u64);
            Ok(())
        })?;
        Ok(scores)
    }

    /// The log10 probabilities of sentences. Uses the current pool of threads.
    pub fn score_batch(&self, texts: &[&str], begin: bool, end: bool, control: &Control) -> Result<Vec<f32>> {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let scorer = self.scorer(bytes / 5, control)?;
        let workers = Workers::new(self.vocabulary().lookup());
        control.begin("scoring", texts.len() as u64);
        let mut scores = vec![0.0; texts.len()];
        texts.par_chunks(SENTENCES).zip(scores.par_chunks_mut(SENTENCES)).try_for_each(|(texts, scores)| {
            control.check()?;
            workers.with(|finder, sentences| {
                sentences.append(texts, finder, end);
                sentences.score(&scorer, begin, control)?;
                for ((_, log10_probs), score) in sentences.iter().zip(scores) {
                    *score = log10_probs.iter().fold(0.0, |total, log10_prob| total + log10_prob);
                }
                Ok::<_, Error>(())
            })?;
            control.advance(texts.len() as u64);
            Ok(())
        })?;
        Ok(scores)
    }

    /// Scores documents of tokens, each a sentence, and gives what `take` makes of some documents' scores.
    fn of_documents<T: TokenId, R: Send>(
        &self,
        tokens: &[T],
        offsets: &[u64],
        [begin, end]: [bool; 2],
        control: &Control,
        take: impl Fn(&Sentences) -> R + Sync,
    ) -> Result<Vec<R>> {
        let vocab_size = self.num_tokens();
        let documents: Vec<(&[T], u64)> = documents(tokens, offsets)?.zip(offsets.iter().copied()).collect();
        let scorer = self.scorer(tokens.len(), control)?;
        let workers = Workers::new(self.vocabulary().lookup());
        control.begin("scoring", tokens.len() as u64);
        let scored = groups(&documents).into_par_iter().map(|group| {
            control.check()?;
            workers.with(|_, sentences| {
                for (document, start) in group {
                    for (&token, position) in document.iter().zip(start..) {
                        sentences.words.push(word_of_token(token, vocab_size, position)?);
                    }
                    sentences.end(end);
                    control.advance(document.len() as u64);
                }
                sentences.score(&scorer, begin, control)?;
                Ok(take(sentences))
            })
        });
        scored.collect()
    }

    /// The log10 probabilities of documents of tokens, each a sentence. Uses the current pool of threads.
    ///
    /// # Errors
    /// [`lmfast_base::Error::Invalid`] for offsets that do not fit, or a token outside the vocabulary.
    pub fn score_documents<T: TokenId>(
        &self,
        tokens: &[T],
        offsets: &[u64],
        begin: bool,
        end: bool,
        control: &Control,
    ) -> Result<Vec<f32>> {
        let sum = |log10_probs: &[f32]| log10_probs.iter().fold(0.0, |total, log10_prob| total + log10_prob);
        let sums = |sentences: &Sentences| sentences.iter().map(|(_, log10_probs)| sum(log10_probs)).collect();
        Ok(self.of_documents::<T, Vec<f32>>(tokens, offsets, [begin, end], control, sums)?.concat())
    }

    /// What text costs, every line of a document a sentence. Uses the current pool of threads.
    pub fn perplexity(
        &self,
        batches: impl Iterator<Item = Result<Documents>>,
        control: &Control,
    ) -> Result<Perplexity> {
        let workers = Workers::new(self.vocabulary().lookup());
        let mut sums = Perplexity::default();
        for batch in batches {
            let batch = batch?;
            let scorer = self.scorer(batch.text_bytes() / 5, control)?;
            let sentences: Vec<&str> = batch.iter().flat_map(lines).collect();
            let parts = sentences.par_chunks(SENTENCES).map(|texts| {
                control.check()?;
                workers.with(|finder, sentences| {
                    sentences.append(texts, finder, true);
                    sentences.score(&scorer, true, control)?;
                    Ok(sentences.costs())
                })
            });
            for part in parts.collect::<Result<Vec<_>>>()? {
                sums.add(&part);
            }
            control.advance(batch.source_bytes);
        }
        Ok(sums)
    }

    /// What documents of tokens cost, each a sentence. Uses the current pool of threads.
    ///
    /// # Errors
    /// [`lmfast_base::Error::Invalid`] for offsets that do not fit, or a token outside the vocabulary.
    pub fn perplexity_of_tokens<T: TokenId>(
        &self,
        tokens: &[T],
        offsets: &[u64],
        control: &Control,
    ) -> Result<Perplexity> {
        let mut sums = Perplexity::default();
        for cost in self.of_documents(tokens, offsets, [true, true], control, Sentences::costs)? {
            sums.add(&cost);
        }
        Ok(sums)
    }

    /// The log10 probability of every token of every document, given `<s>` and the document's tokens before it. Uses the
    /// current pool of threads.
    ///
    /// # Errors
    /// [`lmfast_base::Error::Invalid`] for offsets that do not fit, or a token outside the vocabulary.
    pub fn token_stream_scores<T: TokenId>(
        &self,
        tokens: &[T],
        offsets: &[u64],
        control: &Control,
    ) -> Result<Vec<f32>> {
        let scores = |sentences: &Sentences| sentences.log10_probs.clone();
        Ok(self.of_documents(tokens, offsets, [true, false], control, scores)?.concat())
    }

    /// The state after `<s>` and these words.
    pub(crate) fn state_after(&self, words: &[u32]) -> u32 {
        let view = self.view();
        // Longer histories than the longest context do not matter.
        let known = words.len().saturating_sub(self.order());
        let begin = if known > 0 { ROOT } else { view.begin() };
        words[known..].iter().fold(begin, |state, &word| view.step(state, word).2)
    }

    /// The token that a word of a model of tokens is; nothing for the special words.
    pub fn token_of_word(word: u32) -> Option<u32> {
        word.checked_sub(SPECIALS)
    }
}

/// The pieces that score the words from `first` up to `end`, of sentences that end with `</s>`.
fn pieces(words: &[u32], first: usize, end: usize, begin: bool, order: usize) -> impl Iterator<Item = Piece> + '_ {
    let context = first.saturating_sub(order - 1);
    let mark = words[context..first].iter().rposition(|&word| word == END);
    let mut start = mark.map_or(context, |at| context + at + 1);
    let mut scored = first;
    std::iter::from_fn(move || {
        if scored >= end {
            return None;
        }
        let begins = if start == 0 { begin } else { words[start - 1] == END };
        let ends = words[scored..end].iter().position(|&word| word == END).map_or(end, |at| scored + at + 1);
        let pieces = Piece::of_sentence(start, scored, ends, begins, order);
        (start, scored) = (ends, ends);
        Some(pieces)
    })
    .flatten()
}
