//! Estimation of models.
#![expect(clippy::needless_pass_by_value, reason = "arguments are made for the call")]

use std::path::PathBuf;

use lmfast_base::Error;
use lmfast_ngram::corpus::Corpus;
use lmfast_ngram::words::{Reader, Unknown};
use lmfast_ngram::{Budget, Kind, Options, Smoothing, Spool, Vocabulary, estimate, estimate_within};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;

use super::arguments::{Lines, Tokens, budget, in_pool, with_tokens};
use super::model::NgramModel;
use crate::error::to_python;
use crate::gate;

/// How a model is estimated, of words or of tokens. Private: see `lmfast.ngram.NgramModel.train`.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct NgramOptions {
    options: Options,
    /// None: all in memory.
    budget: Option<Budget>,
    threads: Option<usize>,
}

#[pymethods]
impl NgramOptions {
    #[new]
    #[pyo3(signature = (order, *, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, smoothing, parameter, memory, threads))]
    #[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
    fn new(
        order: usize,
        prune: Vec<u64>,
        vocabulary: Option<Vec<String>>,
        discount_fallback: Option<(f32, f32, f32)>,
        interpolate_unigrams: bool,
        vocab_pad: u64,
        smoothing: &str,
        parameter: Option<f64>,
        memory: Option<(u64, PathBuf)>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let smoothing = Smoothing::named(smoothing, parameter).map_err(to_python)?;
        let discount_fallback = discount_fallback.map(|(one, two, more)| [one, two, more]);
        let options =
            Options { order, prune, vocabulary, discount_fallback, interpolate_unigrams, vocab_pad, smoothing };
        Ok(Self { options, budget: budget(memory), threads })
    }
}

/// Estimates a model of the white-space words of text.
#[pyfunction]
#[pyo3(signature = (source, options, *, text_field, text_column, unk, progress))]
pub(crate) fn train_ngrams_of_words(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    options: &NgramOptions,
    text_field: String,
    text_column: String,
    unk: &str,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<NgramModel> {
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
    let NgramOptions { options, budget, threads } = options;
    let trained = gate::run(py, progress, |control| {
        in_pool(*threads, || {
            if let Some(budget) = budget {
                let mut reader = Reader::spooling(unknown, &budget.folder)?;
                source.read(&mut reader, control)?;
                let (spool, vocabulary) = reader.finish_spooled()?;
                return estimate_within(spool, vocabulary, Kind::Words, options, budget, control);
            }
            let mut reader = Reader::new(unknown);
            source.read(&mut reader, control)?;
            let (corpus, vocabulary) = reader.finish()?;
            estimate(corpus, vocabulary, Kind::Words, options, control)
        })
    })?;
    Ok(NgramModel::trained(trained))
}

/// Estimates a model of token ids; `spellings` are the tokens of the whole vocabulary.
#[pyfunction]
#[pyo3(signature = (tokens, offsets, spellings, options, *, progress))]
pub(crate) fn train_ngrams_of_tokens(
    py: Python<'_>,
    tokens: Tokens<'_>,
    offsets: PyReadonlyArray1<'_, u64>,
    spellings: Vec<String>,
    options: &NgramOptions,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<NgramModel> {
    let NgramOptions { options, budget, threads } = options;
    let offsets = offsets.as_slice()?;
    let vocab_size = spellings.len() as u32;
    let trained = with_tokens!(tokens, slice => gate::run(py, progress, |control| {
        in_pool(*threads, || {
            let vocabulary = Vocabulary::of_tokens(spellings);
            if let Some(budget) = budget {
                let spool = Spool::from_tokens(slice, offsets, vocab_size, &budget.folder, control)?;
                return estimate_within(spool, vocabulary, Kind::Tokens, options, budget, control);
            }
            let corpus = Corpus::from_tokens(slice, offsets, vocab_size, control)?;
            estimate(corpus, vocabulary, Kind::Tokens, options, control)
        })
    }))?;
    Ok(NgramModel::trained(trained))
}
