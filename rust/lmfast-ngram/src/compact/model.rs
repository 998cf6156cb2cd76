//! What a [`Model`] does whose n-grams are compact.

use std::path::Path;

use lmfast_base::{Control, Error, Map, Result};

use super::{Compact, format};
use crate::corpus::{END, UNKNOWN};
use crate::index::Piece;
use crate::model::Model;
use crate::score::TokenScore;

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
        compact.save(path.as_ref(), self, control)
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
            (expanded, _) => expanded.map(|model| {
                let mut model = model.with_recipe(compact.recipe.clone());
                model.set_method(self.method().to_owned());
                model
            }),
        }
    }
}

impl Compact {
    /// The scores of one sentence's words, with `</s>` if `end`, after `<s>` if `begin`.
    pub(crate) fn token_scores(&self, words: &[u32], begin: bool, end: bool) -> Vec<TokenScore> {
        let words: Vec<u32> = words.iter().copied().chain(end.then_some(END)).collect();
        let mut scores = Vec::with_capacity(words.len());
        let whole = Piece { start: 0, scored: 0, end: words.len(), begins: begin };
        self.walk(&words, std::iter::once(whole), |at, log10_prob, matched_order| {
            scores.push(TokenScore { log10_prob, matched_order, is_unknown: words[at] == UNKNOWN });
        });
        scores
    }
}
