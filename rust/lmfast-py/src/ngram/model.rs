//! The class behind `lmfast.ngram.NgramModel`: files, and what is asked of a model.
#![expect(clippy::needless_pass_by_value, reason = "arguments are made for the call")]

use std::path::PathBuf;

use lmfast_ngram::{Kind, Model, Perplexity, Report, Sampling, TokenScore};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::arguments::{Text, Tokens, in_pool, of_lines, with_tokens};
use super::state::NgramState;
use crate::error::to_python;
use crate::gate;
use crate::source::open;

/// An n-gram language model. Private: see `lmfast.ngram.NgramModel`.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct NgramModel {
    pub(super) model: Model,
    /// Of each order whose discounts are the fallback.
    pub(super) fallback_orders: Vec<usize>,
}

impl NgramModel {
    pub(super) fn trained((model, report): (Model, Report)) -> Self {
        let orders = report.discounts.iter().zip(1..).filter(|(discount, _)| discount.is_fallback);
        Self { fallback_orders: orders.map(|(_, order)| order).collect(), model }
    }

    fn words(&self, text: &Text<'_>) -> PyResult<Vec<u32>> {
        match text {
            Text::Words(text) => Ok(self.model.word_ids(text.to_str()?)),
            Text::Tokens(tokens) => with_tokens!(tokens, slice => self.model.token_words(slice)).map_err(to_python),
        }
    }
}

type Scores<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<bool>>);

/// Perplexity with and without unknown words, their number, and the number of tokens.
type Cost = (f64, f64, u64, u64);

fn parts_of(cost: &Perplexity) -> Cost {
    (cost.with_unknown(), cost.without_unknown(), cost.unknown, cost.tokens)
}

#[pymethods]
impl NgramModel {
    /// Opens a `.lmn` or ARPA file.
    #[staticmethod]
    #[pyo3(signature = (path, *, threads, progress))]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let model = gate::run(py, progress, |control| in_pool(threads, || Model::load(&path, control)))?;
        Ok(Self { model, fallback_orders: Vec::new() })
    }

    #[pyo3(signature = (path, *, threads, progress))]
    fn save_arpa(
        &self,
        py: Python<'_>,
        path: PathBuf,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        gate::run(py, progress, |control| in_pool(threads, || self.model.save_arpa(&path, control)))
    }

    #[pyo3(signature = (path, *, progress))]
    fn save_lmn(&self, py: Python<'_>, path: PathBuf, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        gate::run(py, progress, |control| self.model.save_lmn(&path, control))
    }

    /// Writes the compact form, with `quantize_bits` an approximate one.
    #[pyo3(signature = (path, *, quantize_bits, threads, progress))]
    fn save_compact(
        &self,
        py: Python<'_>,
        path: PathBuf,
        quantize_bits: Option<u32>,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        gate::run(py, progress, |control| in_pool(threads, || self.model.save_compact(&path, quantize_bits, control)))
    }

    #[pyo3(signature = (*, progress))]
    fn verify(&self, py: Python<'_>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        gate::run(py, progress, |control| self.model.verify(control))
    }

    #[getter]
    fn order(&self) -> usize {
        self.model.order()
    }

    #[getter]
    fn counts(&self) -> Vec<u64> {
        self.model.counts()
    }

    #[getter]
    fn is_of_tokens(&self) -> bool {
        self.model.kind() == Kind::Tokens
    }

    #[getter]
    fn method(&self) -> &str {
        self.model.method()
    }

    #[getter]
    fn is_distribution(&self) -> bool {
        self.model.is_distribution()
    }

    #[getter]
    fn fallback_orders(&self) -> Vec<usize> {
        self.fallback_orders.clone()
    }

    fn vocabulary(&self) -> Vec<&str> {
        let vocabulary = self.model.vocabulary();
        (0..vocabulary.len() as u32).map(|id| vocabulary.word(id)).collect()
    }

    #[pyo3(signature = (text, *, bos, eos))]
    fn score(&self, text: Text<'_>, bos: bool, eos: bool) -> PyResult<f32> {
        Ok(self.model.score(&self.words(&text)?, bos, eos))
    }

    #[pyo3(signature = (texts, *, bos, eos, threads, progress))]
    fn score_batch<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<Bound<'py, PyString>>,
        bos: bool,
        eos: bool,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let texts = texts.iter().map(|text| text.to_str()).collect::<PyResult<Vec<_>>>()?;
        let scores =
            gate::run(py, progress, |control| in_pool(threads, || self.model.score_batch(&texts, bos, eos, control)))?;
        Ok(scores.into_pyarray(py))
    }

    #[pyo3(signature = (tokens, offsets, *, bos, eos, threads, progress))]
    #[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
    fn score_documents<'py>(
        &self,
        py: Python<'py>,
        tokens: Tokens<'_>,
        offsets: PyReadonlyArray1<'_, u64>,
        bos: bool,
        eos: bool,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let offsets = offsets.as_slice()?;
        let scores = with_tokens!(tokens, slice => gate::run(py, progress, |control| {
            in_pool(threads, || self.model.score_documents(slice, offsets, bos, eos, control))
        }))?;
        Ok(scores.into_pyarray(py))
    }

    /// Log10 probabilities, matched orders, and whether each token is unknown.
    #[pyo3(signature = (text, *, bos, eos))]
    fn token_scores<'py>(&self, py: Python<'py>, text: Text<'_>, bos: bool, eos: bool) -> PyResult<Scores<'py>> {
        let words = self.words(&text)?;
        let scores = gate::run(py, None, |_| Ok(self.model.token_scores(&words, bos, eos)))?;
        let log10_prob: Vec<f32> = scores.iter().map(|score| score.log10_prob).collect();
        let matched_order: Vec<u8> = scores.iter().map(|score| score.matched_order).collect();
        let is_unknown: Vec<bool> = scores.iter().map(|score| score.is_unknown).collect();
        Ok((log10_prob.into_pyarray(py), matched_order.into_pyarray(py), is_unknown.into_pyarray(py)))
    }

    /// The ids of the words of every line, each line with `</s>` behind it.
    #[pyo3(signature = (source, *, text_field, text_column, threads, progress))]
    fn word_ids<'py>(
        &self,
        py: Python<'py>,
        source: &Bound<'_, PyAny>,
        text_field: String,
        text_column: String,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let (batches, total) = open(source, of_lines(text_field, text_column))?;
        let ids = gate::run(py, progress, |control| {
            control.begin("reading text", total);
            in_pool(threads, || self.model.line_ids(batches, control))
        })?;
        Ok(ids.into_pyarray(py))
    }

    /// The scores of words of many sentences, each with its `</s>`; as `token_scores`.
    #[pyo3(signature = (ids, *, bos, threads, progress))]
    fn word_scores<'py>(
        &self,
        py: Python<'py>,
        ids: PyReadonlyArray1<'_, u32>,
        bos: bool,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Scores<'py>> {
        let ids = ids.as_slice()?;
        let scores = gate::run(py, progress, |control| in_pool(threads, || self.model.word_scores(ids, bos, control)))?;
        Ok((
            scores.log10_prob.into_pyarray(py),
            scores.matched_order.into_pyarray(py),
            scores.is_unknown.into_pyarray(py),
        ))
    }

    /// Makes `state` the one at the beginning of a sentence, or before any word.
    #[pyo3(signature = (state, *, bos))]
    fn write_first_state(&self, state: &NgramState, bos: bool) {
        state.set(self.model.first_state(bos));
    }

    /// Scores a word after `state`, and makes `following` the state after it; the two may be one. Gives the log10
    /// probability, the matched order and whether the word is unknown.
    fn advance(&self, state: &NgramState, word: &str, following: &NgramState) -> (f32, u8, bool) {
        let word = self.model.vocabulary().lookup().id(word.as_bytes());
        let (TokenScore { log10_prob, matched_order, is_unknown }, next) = self.model.advance(state.get(), word);
        following.set(next);
        (log10_prob, matched_order, is_unknown)
    }

    /// Whether a word, spelled as it is, is in the vocabulary.
    fn knows(&self, word: &str) -> bool {
        self.model.vocabulary().lookup().find(word.as_bytes()).is_some()
    }

    #[pyo3(signature = (source, *, text_field, text_column, threads, progress))]
    fn perplexity(
        &self,
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        text_field: String,
        text_column: String,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Cost> {
        let (batches, total) = open(source, of_lines(text_field, text_column))?;
        let cost = gate::run(py, progress, |control| {
            control.begin("scoring", total);
            in_pool(threads, || self.model.perplexity(batches, control))
        })?;
        Ok(parts_of(&cost))
    }

    #[pyo3(signature = (tokens, offsets, *, threads, progress))]
    fn perplexity_of_tokens(
        &self,
        py: Python<'_>,
        tokens: Tokens<'_>,
        offsets: PyReadonlyArray1<'_, u64>,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Cost> {
        let offsets = offsets.as_slice()?;
        let cost = with_tokens!(tokens, slice => gate::run(py, progress, |control| {
            in_pool(threads, || self.model.perplexity_of_tokens(slice, offsets, control))
        }))?;
        Ok(parts_of(&cost))
    }

    #[pyo3(signature = (tokens, offsets, *, threads, progress))]
    fn token_stream_scores<'py>(
        &self,
        py: Python<'py>,
        tokens: Tokens<'_>,
        offsets: PyReadonlyArray1<'_, u64>,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let offsets = offsets.as_slice()?;
        let scores = with_tokens!(tokens, slice => gate::run(py, progress, |control| {
            in_pool(threads, || self.model.token_stream_scores(slice, offsets, control))
        }))?;
        Ok(scores.into_pyarray(py))
    }

    fn next_token_distribution<'py>(&self, py: Python<'py>, context: Text<'_>) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let words = self.words(&context)?;
        Ok(py.detach(|| self.model.next_distribution(&words)).into_pyarray(py))
    }

    /// The ids of the words drawn, as the model numbers them.
    #[pyo3(signature = (prompt, *, max_tokens, temperature, top_k, top_p, seed))]
    #[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
    fn generate(
        &self,
        py: Python<'_>,
        prompt: Text<'_>,
        max_tokens: usize,
        temperature: f64,
        top_k: Option<usize>,
        top_p: Option<f64>,
        seed: u64,
    ) -> PyResult<Vec<u32>> {
        let words = self.words(&prompt)?;
        let sampling = Sampling { temperature, top_k, top_p };
        gate::run(py, None, |control| self.model.generate(&words, max_tokens, &sampling, seed, control))
    }

    /// The spelling of a word, as the model numbers it.
    fn word(&self, id: u32) -> &str {
        self.model.vocabulary().word(id)
    }
}
