//! Scores of sentences, in float32 and in `KenLM`'s order of additions.

use lmfast_base::source::Documents;
use lmfast_base::{Control, Result};
use rayon::prelude::*;

use crate::corpus::{END, SPECIALS, TokenId, UNKNOWN, documents, word_of_token};
use crate::model::{Model, ROOT, View};
use crate::vocabulary::Lookup;
use crate::words::{lines, split};

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

/// Walks through one sentence.
struct Walk<'a> {
    view: View<'a>,
    state: u32,
}

impl<'a> Walk<'a> {
    fn new(view: View<'a>, begin: bool) -> Self {
        Self { view, state: if begin { view.begin() } else { ROOT } }
    }

    fn log10_prob(&mut self, word: u32) -> f32 {
        let (log10_prob, _, state) = self.view.step(self.state, word);
        self.state = state;
        log10_prob
    }

    fn token(&mut self, word: u32) -> TokenScore {
        let (log10_prob, node, state) = self.view.step(self.state, word);
        self.state = state;
        TokenScore { log10_prob, matched_order: self.view.order_of(node), is_unknown: word == UNKNOWN }
    }

    /// Sums up one sentence's tokens.
    fn sentence(&mut self, words: impl Iterator<Item = u32>) -> Perplexity {
        let (mut total, mut sums) = (0.0_f32, Perplexity::default());
        for word in words {
            let log10_prob = self.log10_prob(word);
            total += log10_prob;
            sums.tokens += 1;
            if word == UNKNOWN {
                sums.unknown += 1;
                sums.log10_prob_unknown += f64::from(log10_prob);
            } else {
                sums.log10_prob_known += f64::from(log10_prob);
            }
        }
        sums.log10_prob = total.into();
        sums
    }
}

fn framed(words: impl Iterator<Item = u32>, end: bool) -> impl Iterator<Item = u32> {
    words.chain(end.then_some(END))
}

fn word_ids<'a>(lookup: Lookup<'a>, text: &'a str) -> impl Iterator<Item = u32> + 'a {
    split(text).map(move |word| lookup.id(word.as_bytes()))
}

impl Model {
    /// The ids of the words of one sentence; line ends are white space.
    pub fn word_ids(&self, text: &str) -> Vec<u32> {
        word_ids(self.vocabulary().lookup(), text).collect()
    }

    /// The ids of tokens as words.
    ///
    /// # Errors
    /// [`lmfast_base::Error::Invalid`] for a token outside the vocabulary.
    pub fn token_words<T: TokenId>(&self, tokens: &[T]) -> Result<Vec<u32>> {
        tokens.iter().zip(0..).map(|(&token, position)| word_of_token(token, self.num_tokens(), position)).collect()
    }

    /// The log10 probability of one sentence's words, with `</s>` if `end`, after `<s>` if `begin`.
    pub fn score(&self, words: &[u32], begin: bool, end: bool) -> f32 {
        let mut walk = Walk::new(self.view(), begin);
        framed(words.iter().copied(), end).fold(0.0, |total, word| total + walk.log10_prob(word))
    }

    /// The scores of one sentence's tokens.
    pub fn token_scores(&self, words: &[u32], begin: bool, end: bool) -> Vec<TokenScore> {
        let mut walk = Walk::new(self.view(), begin);
        framed(words.iter().copied(), end).map(|word| walk.token(word)).collect()
    }

    /// The log10 probabilities of sentences. Uses the current pool of threads.
    pub fn score_batch(&self, texts: &[&str], begin: bool, end: bool, control: &Control) -> Result<Vec<f32>> {
        let (view, lookup) = (self.view(), self.vocabulary().lookup());
        control.begin("scoring", texts.len() as u64);
        let mut scores = vec![0.0; texts.len()];
        texts.par_chunks(64).zip(scores.par_chunks_mut(64)).try_for_each(|(texts, scores)| {
            control.check()?;
            for (text, score) in texts.iter().zip(scores) {
                let mut walk = Walk::new(view, begin);
                *score = framed(word_ids(lookup, text), end).fold(0.0, |total, word| total + walk.log10_prob(word));
            }
            control.advance(texts.len() as u64);
            Ok(())
        })?;
        Ok(scores)
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
        let (view, vocab_size) = (self.view(), self.num_tokens());
        let documents: Vec<(&[T], u64)> = documents(tokens, offsets)?.zip(offsets.iter().copied()).collect();
        control.begin("scoring", tokens.len() as u64);
        let scores = documents.par_iter().map(|&(document, start)| {
            control.check()?;
            let mut walk = Walk::new(view, begin);
            let mut total = 0.0;
            for (&token, position) in document.iter().zip(start..) {
                total += walk.log10_prob(word_of_token(token, vocab_size, position)?);
            }
            control.advance(document.len() as u64);
            Ok(if end { total + walk.log10_prob(END) } else { total })
        });
        scores.collect()
    }

    /// What text costs, every line of a document a sentence. Uses the current pool of threads.
    pub fn perplexity(
        &self,
        batches: impl Iterator<Item = Result<Documents>>,
        control: &Control,
    ) -> Result<Perplexity> {
        let (view, lookup) = (self.view(), self.vocabulary().lookup());
        let mut sums = Perplexity::default();
        for batch in batches {
            let batch = batch?;
            let sentences: Vec<&str> = batch.iter().flat_map(lines).collect();
            let parts = sentences.par_chunks(256).map(|sentences| {
                control.check()?;
                let cost = |text: &&str| Walk::new(view, true).sentence(framed(word_ids(lookup, text), true));
                Ok(sentences.iter().map(cost).collect::<Vec<_>>())
            });
            for part in parts.collect::<Result<Vec<_>>>()? {
                for cost in &part {
                    sums.add(cost);
                }
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
        let (view, vocab_size) = (self.view(), self.num_tokens());
        let documents: Vec<(&[T], u64)> = documents(tokens, offsets)?.zip(offsets.iter().copied()).collect();
        control.begin("scoring", tokens.len() as u64);
        let costs = documents.par_iter().map(|&(document, start)| {
            control.check()?;
            let words = document.iter().zip(start..).map(|(&token, at)| word_of_token(token, vocab_size, at));
            let words = words.collect::<Result<Vec<_>>>()?;
            control.advance(document.len() as u64);
            Ok(Walk::new(view, true).sentence(framed(words.into_iter(), true)))
        });
        let mut sums = Perplexity::default();
        for cost in costs.collect::<Result<Vec<_>>>()? {
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
        let (view, vocab_size) = (self.view(), self.num_tokens());
        let mut scores = vec![0.0; tokens.len()];
        let mut work = Vec::with_capacity(offsets.len());
        let mut rest = scores.as_mut_slice();
        for (document, &start) in documents(tokens, offsets)?.zip(offsets) {
            let mine;
            (mine, rest) = rest.split_at_mut(document.len());
            work.push((document, start, mine));
        }
        control.begin("scoring", tokens.len() as u64);
        work.into_par_iter().try_for_each(|(document, start, scores)| {
            let mut walk = Walk::new(view, true);
            let pieces = document.chunks(1 << 16).zip(scores.chunks_mut(1 << 16));
            for ((tokens, scores), start) in pieces.zip((start..).step_by(1 << 16)) {
                control.check()?;
                for ((&token, score), position) in tokens.iter().zip(scores).zip(start..) {
                    *score = walk.log10_prob(word_of_token(token, vocab_size, position)?);
                }
                control.advance(tokens.len() as u64);
            }
            Ok(())
        })?;
        Ok(scores)
    }

    /// The state after `<s>` and these words.
    pub(crate) fn state_after(&self, words: &[u32]) -> u32 {
        let mut walk = Walk::new(self.view(), true);
        // Longer histories than the longest context do not matter.
        let known = words.len().saturating_sub(self.order());
        if known > 0 {
            walk.state = ROOT;
        }
        for &word in &words[known..] {
            walk.log10_prob(word);
        }
        walk.state
    }

    /// The token that a word of a model of tokens is; nothing for the special words.
    pub fn token_of_word(word: u32) -> Option<u32> {
        word.checked_sub(SPECIALS)
    }
}
