//! Raw counts.
#![expect(clippy::needless_pass_by_value, reason = "arguments are made for the call")]

use std::path::PathBuf;

use lmfast_ngram::corpus::{Corpus, SPECIALS};
use lmfast_ngram::words::{Reader, Unknown};
use lmfast_ngram::{Grams, Spool, count_ngrams, count_ngrams_within};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::arguments::{Lines, Tokens, budget, in_pool, with_tokens};
use crate::gate;

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
