//! What a [`Model`] does whose n-grams are compact.

use std::path::Path;

use lmfast_base::{Control, Error, Map, Result};

use super::{Compact, format};
use crate::corpus::UNKNOWN;
use crate::model::Model;
use crate::score::{Perplexity, TokenScore};

/// How many bits a quantised number may have.
const QUANTIZE_BITS: std::ops::RangeInclusive<u32> = 2..=16;

impl Model {
    /// Writes the model as a compact `.lmn` file: every number as it is, or with `quantize_bits` of each order 2 to the
    /// power of that many averages. Uses the current pool of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `quantize_bits` out of range, [`Error::Format`] if the model is mapped from a file that is
    /// damaged.
    pub fn save_compact(&self, path: impl AsRef<Path>, quantize_bits: Option<u32>, control: &Control) -> Result<()> {
        if let Some(bits) = quantize_bits.filter(|bits| !QUANTIZE_BITS.contains(bits)) {
            return Err(Error::invalid(format!("quantize_bits={bits}: 2 to 16 was expected")));
        }
        if self.compact.is_some() {
            return self.expanded(control)?.save_compact(path, quantize_bits, control);
        }
        self.verify(control)?;
        let compact = Compact::build(self.view(), self.recipe.as_ref(), quantize_bits, control)?;
        compact.save(path.as_ref(), self.kind(), self.vocabulary(), control)
    }

    /// Maps a compact file.
    pub(crate) fn load_compact(map: Map) -> Result<Self> {
        format::load(map).map(Self::of_compact)
    }

    /// The model in its plain form, in memory, once the file is verified.
    pub(crate) fn expanded(&self, control: &Control) -> Result<Self> {
        self.verify(control)?;
        let Some(compact) = &self.compact else { return Err(Error::invalid("this model is not compact")) };
        let expanded = compact.expand(self.vocabulary().keep(|_| true), self.kind(), control);
        match (expanded, self.path()) {
            (Err(Error::Invalid(what)), Some(path)) => Err(Error::format(path, what)),
            (expanded, _) => expanded.map(|model| model.with_recipe(compact.recipe.clone())),
        }
    }
}

/// Sentences of word ids, one behind the other.
#[derive(Default)]
pub(crate) struct Sentences {
    words: Vec<u32>,
    ends: Vec<usize>,
}

impl Sentences {
    /// Appends a sentence.
    pub(crate) fn push(&mut self, words: impl Iterator<Item = u32>) {
        self.words.extend(words);
        self.ends.push(self.words.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.words[start..end])
    }
}

impl Compact {
    /// The log10 probability of each sentence.
    pub(crate) fn totals(&self, sentences: &Sentences, begin: bool, control: &Control) -> Result<Vec<f32>> {
        let mut totals = vec![0.0; sentences.ends.len()];
        self.score(sentences.iter(), begin, control, |sentence, _, log10_prob, _| totals[sentence] += log10_prob)?;
        Ok(totals)
    }

    /// Tells the log10 probability of each word after `<s>`, with the number of its sentence.
    pub(crate) fn each(
        &self,
        sentences: &Sentences,
        control: &Control,
        mut each: impl FnMut(usize, f32),
    ) -> Result<()> {
        self.score(sentences.iter(), true, control, |sentence, _, log10_prob, _| each(sentence, log10_prob))
    }

    /// What each sentence costs.
    pub(crate) fn costs(&self, sentences: &Sentences, control: &Control) -> Result<Vec<Perplexity>> {
        let mut costs = vec![Perplexity::default(); sentences.ends.len()];
        let mut totals = vec![0.0_f32; costs.len()];
        self.score(sentences.iter(), true, control, |sentence, word, log10_prob, _| {
            let cost = &mut costs[sentence];
            totals[sentence] += log10_prob;
            cost.tokens += 1;
            if word == UNKNOWN {
                cost.unknown += 1;
                cost.log10_prob_unknown += f64::from(log10_prob);
            }
        })?;
        costs.iter_mut().zip(totals).for_each(|(cost, total)| cost.log10_prob = total.into());
        Ok(costs)
    }

    /// The scores of the words of one sentence.
    pub(crate) fn token_scores(&self, words: &[u32], begin: bool) -> Vec<TokenScore> {
        let mut scores = Vec::with_capacity(words.len());
        let push = |_, word, log10_prob, matched_order| {
            scores.push(TokenScore { log10_prob, matched_order, is_unknown: word == UNKNOWN });
        };
        // Nothing interrupts a control of its own.
        let _ = self.score(std::iter::once(words), begin, &Control::default(), push);
        scores
    }
}
