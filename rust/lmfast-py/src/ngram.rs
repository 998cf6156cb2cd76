//! Bindings of the crate behind `lmfast.ngram`.
#![expect(clippy::needless_pass_by_value, reason = "arguments are made for the call")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use lmfast_base::source::{Files, Options as SourceOptions};
use lmfast_base::{Control, Error, Result, threads};
use lmfast_ngram::corpus::{Corpus, SPECIALS};
use lmfast_ngram::words::{Reader, Unknown};
use lmfast_ngram::{
    Budget, Grams, Kind, Model, Options, Report, Sampling, Smoothing, Spool, State, TokenScore, Vocabulary,
    count_ngrams, count_ngrams_within, estimate, estimate_within,
};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::to_python;
use crate::gate;
use crate::source::{Batches, open};

/// An integer array as Python hands it over.
#[derive(FromPyObject)]
pub(crate) enum Tokens<'py> {
    U16(PyReadonlyArray1<'py, u16>),
    U32(PyReadonlyArray1<'py, u32>),
    I32(PyReadonlyArray1<'py, i32>),
}

/// Calls `$body` with `$slice` as a slice of whatever integers the array has.
macro_rules! with_tokens {
    ($tokens:expr, $slice:ident => $body:expr) => {
        match &$tokens {
            Tokens::U16(array) => {
                let $slice = array.as_slice()?;
                $body
            }
            Tokens::U32(array) => {
                let $slice = array.as_slice()?;
                $body
            }
            Tokens::I32(array) => {
                let $slice = array.as_slice()?;
                $body
            }
        }
    };
}

pub(crate) use with_tokens;

/// An n-gram language model. Private: see `lmfast.ngram.NgramModel`.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct NgramModel {
    pub(crate) model: Model,
    /// Of each order whose discounts are the fallback.
    pub(crate) fallback_orders: Vec<usize>,
}

impl NgramModel {
    fn trained((model, report): (Model, Report)) -> Self {
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

/// The words before the next one, for decoders. Private: see `lmfast.ngram.NgramState`.
#[pyclass(frozen, module = "lmfast._core")]
#[derive(Default)]
pub(crate) struct NgramState(Mutex<State>);

impl NgramState {
    fn get(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[pymethods]
impl NgramState {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.get() == other.get()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.get().hash(&mut hasher);
        hasher.finish()
    }

    fn __copy__(&self) -> Self {
        Self(self.get().into())
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.__copy__()
    }
}

type Scores<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<bool>>);

/// A sentence: text, or the ids of tokens.
#[derive(FromPyObject)]
enum Text<'py> {
    Words(Bound<'py, PyString>),
    Tokens(Tokens<'py>),
}

fn options(
    order: usize,
    prune: Vec<u64>,
    vocabulary: Option<Vec<String>>,
    discount_fallback: Option<(f32, f32, f32)>,
    interpolate_unigrams: bool,
    vocab_pad: u64,
    (smoothing, parameter): (&str, Option<f64>),
) -> PyResult<Options> {
    let smoothing = Smoothing::named(smoothing, parameter).map_err(to_python)?;
    let discount_fallback = discount_fallback.map(|(one, two, more)| [one, two, more]);
    Ok(Options { order, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, smoothing })
}

/// The budget of bytes and the folder of working files, if there is one.
fn budget(memory: Option<(u64, PathBuf)>) -> Option<Budget> {
    memory.map(|(bytes, folder)| Budget { bytes: (bytes as usize).max(Budget::LEAST_BYTES), folder })
}

pub(crate) fn in_pool<T: Send>(threads: Option<usize>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    threads::pool(threads)?.install(work)
}

/// A source of text for a model of words: every line of a file is a document there, with its line end.
enum Lines {
    Files(Vec<PathBuf>, SourceOptions),
    Documents(Batches),
}

impl Lines {
    fn open(source: &Bound<'_, PyAny>, text_field: String, text_column: String) -> PyResult<Self> {
        let options = SourceOptions { lines: true, text_field, text_column, keep_line_ends: true };
        if let Ok(paths) = source.extract::<Vec<PathBuf>>() {
            return Ok(Self::Files(paths, options));
        }
        Ok(Self::Documents(open(source, options)?.0))
    }

    fn read(self, reader: &mut Reader, control: &Control) -> Result<()> {
        match self {
            Self::Files(paths, options) => {
                let total = Files::new(paths.clone(), options.clone())?.total_bytes();
                control.begin("reading text", total);
                for path in paths {
                    let files = Files::new(vec![path.clone()], options.clone())?;
                    reader.read(files, Some(&path), control)?;
                    if reader.is_empty() {
                        return Err(Error::format(&path, "the file holds no text"));
                    }
                }
                Ok(())
            }
            Self::Documents(batches) => {
                control.begin("reading text", 0);
                reader.read(batches, None, control)
            }
        }
    }
}

#[pymethods]
impl NgramModel {
    /// Estimates a model of the white-space words of text.
    #[staticmethod]
    #[pyo3(signature = (source, order, *, text_field, text_column, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, unk, memory, smoothing, parameter, threads, progress))]
    #[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
    fn train_words(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        order: usize,
        text_field: String,
        text_column: String,
        prune: Vec<u64>,
        vocabulary: Option<Vec<String>>,
        discount_fallback: Option<(f32, f32, f32)>,
        interpolate_unigrams: bool,
        vocab_pad: u64,
        unk: &str,
        memory: Option<(u64, PathBuf)>,
        smoothing: &str,
        parameter: Option<f64>,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let unknown = match unk {
            "unknown" => Unknown::Unknown,
            "word" => Unknown::Word,
            "skip" => Unknown::Skip,
            "error" => Unknown::Error,
            _ => {
                return Err(to_python(Error::invalid(format!(
                    "unk={unk:?}: 'unknown', 'word', 'skip' or 'error' was expected"
                ))));
            }
        };
        let source = Lines::open(source, text_field, text_column)?;
        let smoothing = (smoothing, parameter);
        let options = options(order, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, smoothing)?;
        let budget = budget(memory);
        let trained = gate::run(py, progress, |control| {
            in_pool(threads, || {
                if let Some(budget) = &budget {
                    let mut reader = Reader::spooling(unknown, &budget.folder)?;
                    source.read(&mut reader, control)?;
                    let (spool, vocabulary) = reader.finish_spooled()?;
                    return estimate_within(spool, vocabulary, Kind::Words, &options, budget, control);
                }
                let mut reader = Reader::new(unknown);
                source.read(&mut reader, control)?;
                let (corpus, vocabulary) = reader.finish()?;
                estimate(corpus, vocabulary, Kind::Words, &options, control)
            })
        })?;
        Ok(Self::trained(trained))
    }

    /// Estimates a model of token ids; `spellings` are the tokens of the whole vocabulary.
    #[staticmethod]
    #[pyo3(signature = (tokens, offsets, spellings, order, *, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, memory, smoothing, parameter, threads, progress))]
    #[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
    fn train_tokens(
        py: Python<'_>,
        tokens: Tokens<'_>,
        offsets: PyReadonlyArray1<'_, u64>,
        spellings: Vec<String>,
        order: usize,
        prune: Vec<u64>,
        vocabulary: Option<Vec<String>>,
        discount_fallback: Option<(f32, f32, f32)>,
        interpolate_unigrams: bool,
        vocab_pad: u64,
        memory: Option<(u64, PathBuf)>,
        smoothing: &str,
        parameter: Option<f64>,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let smoothing = (smoothing, parameter);
        let options = options(order, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, smoothing)?;
        let offsets = offsets.as_slice()?;
        let vocab_size = spellings.len() as u32;
        let budget = budget(memory);
        let trained = with_tokens!(tokens, slice => gate::run(py, progress, |control| {
            in_pool(threads, || {
                if let Some(budget) = &budget {
                    let spool = Spool::from_tokens(slice, offsets, vocab_size, &budget.folder, control)?;
                    let vocabulary = Vocabulary::of_tokens(spellings);
                    return estimate_within(spool, vocabulary, Kind::Tokens, &options, budget, control);
                }
                let corpus = Corpus::from_tokens(slice, offsets, vocab_size, control)?;
                estimate(corpus, Vocabulary::of_tokens(spellings), Kind::Tokens, &options, control)
            })
        }))?;
        Ok(Self::trained(trained))
    }

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
        let options = SourceOptions { lines: true, text_field, text_column, keep_line_ends: true };
        let (batches, total) = open(source, options)?;
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

    /// Perplexity with and without unknown words, their number, and the number of tokens.
    #[pyo3(signature = (source, *, text_field, text_column, threads, progress))]
    fn perplexity(
        &self,
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        text_field: String,
        text_column: String,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(f64, f64, u64, u64)> {
        let options = SourceOptions { lines: true, text_field, text_column, keep_line_ends: true };
        let (batches, total) = open(source, options)?;
        let cost = gate::run(py, progress, |control| {
            control.begin("scoring", total);
            in_pool(threads, || self.model.perplexity(batches, control))
        })?;
        Ok((cost.with_unknown(), cost.without_unknown(), cost.unknown, cost.tokens))
    }

    #[pyo3(signature = (tokens, offsets, *, threads, progress))]
    fn perplexity_of_tokens(
        &self,
        py: Python<'_>,
        tokens: Tokens<'_>,
        offsets: PyReadonlyArray1<'_, u64>,
        threads: Option<usize>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(f64, f64, u64, u64)> {
        let offsets = offsets.as_slice()?;
        let cost = with_tokens!(tokens, slice => gate::run(py, progress, |control| {
            in_pool(threads, || self.model.perplexity_of_tokens(slice, offsets, control))
        }))?;
        Ok((cost.with_unknown(), cost.without_unknown(), cost.unknown, cost.tokens))
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

type Counts<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u64>>);

fn counts(py: Python<'_>, grams: Grams) -> Counts<'_> {
    (grams.words.into_pyarray(py), grams.counts.into_pyarray(py))
}

/// Counts the n-grams of the white-space words of text: their words one behind the other, the counts, and the words.
#[pyfunction]
#[pyo3(signature = (source, order, *, text_field, text_column, memory, threads, progress))]
#[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
pub(crate) fn count_words<'py>(
    py: Python<'py>,
    source: &Bound<'_, PyAny>,
    order: usize,
    text_field: String,
    text_column: String,
    memory: Option<(u64, PathBuf)>,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Counts<'py>, Vec<String>)> {
    let source = Lines::open(source, text_field, text_column)?;
    let budget = budget(memory);
    let (grams, vocabulary) = gate::run(py, progress, |control| {
        in_pool(threads, || {
            if let Some(budget) = &budget {
                let mut reader = Reader::spooling(Unknown::AllWords, &budget.folder)?;
                source.read(&mut reader, control)?;
                let (spool, vocabulary) = reader.finish_spooled()?;
                return Ok((count_ngrams_within(spool, order, budget, control)?, vocabulary));
            }
            let mut reader = Reader::new(Unknown::AllWords);
            source.read(&mut reader, control)?;
            let (corpus, vocabulary) = reader.finish()?;
            Ok((count_ngrams(&corpus, order, control)?, vocabulary))
        })
    })?;
    let words = (SPECIALS..vocabulary.len() as u32).map(|id| vocabulary.word(id).to_owned()).collect();
    Ok((counts(py, grams), words))
}

/// Counts the n-grams of token ids: their ids one behind the other, and the counts.
#[pyfunction]
#[pyo3(signature = (tokens, offsets, vocab_size, order, *, memory, threads, progress))]
#[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
pub(crate) fn count_tokens<'py>(
    py: Python<'py>,
    tokens: Tokens<'_>,
    offsets: PyReadonlyArray1<'_, u64>,
    vocab_size: u32,
    order: usize,
    memory: Option<(u64, PathBuf)>,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Counts<'py>> {
    let (offsets, budget) = (offsets.as_slice()?, budget(memory));
    let grams = with_tokens!(tokens, slice => gate::run(py, progress, |control| {
        in_pool(threads, || {
            if let Some(budget) = &budget {
                let spool = Spool::from_tokens(slice, offsets, vocab_size, &budget.folder, control)?;
                return count_ngrams_within(spool, order, budget, control);
            }
            count_ngrams(&Corpus::from_tokens(slice, offsets, vocab_size, control)?, order, control)
        })
    }))?;
    Ok(counts(py, grams))
}
