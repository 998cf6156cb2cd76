//! Bindings of what is done to n-gram models and counts, behind `lmfast.ngram`.
#![expect(clippy::needless_pass_by_value, reason = "arguments are made for the call")]

use lmfast_base::source::Options as SourceOptions;
use lmfast_ngram::overlap::{self, Overlap};
use lmfast_ngram::{Model, interpolate};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::gate;
use crate::ngram::{NgramModel, Tokens, in_pool, with_tokens};
use crate::source::open;

fn made(model: Model) -> NgramModel {
    NgramModel { model, fallback_orders: Vec::new() }
}

/// A model pruned by relative entropy.
#[pyfunction]
#[pyo3(signature = (model, threshold, *, threads, progress))]
pub(crate) fn prune_ngrams(
    py: Python<'_>,
    model: PyRef<'_, NgramModel>,
    threshold: f64,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<NgramModel> {
    let model = &model.model;
    gate::run(py, progress, |control| in_pool(threads, || model.prune(threshold, control))).map(made)
}

/// A model of fewer words.
#[pyfunction]
#[pyo3(signature = (model, words, *, progress))]
pub(crate) fn filter_ngrams(
    py: Python<'_>,
    model: PyRef<'_, NgramModel>,
    words: Vec<String>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<NgramModel> {
    let model = &model.model;
    gate::run(py, progress, |control| model.filter(&words, control)).map(made)
}

/// Several models as one.
#[pyfunction]
#[pyo3(signature = (models, weights, *, threads, progress))]
pub(crate) fn interpolate_ngrams(
    py: Python<'_>,
    models: Vec<PyRef<'_, NgramModel>>,
    weights: Vec<f64>,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<NgramModel> {
    let models: Vec<&Model> = models.iter().map(|model| &model.model).collect();
    gate::run(py, progress, |control| in_pool(threads, || interpolate(&models, &weights, control))).map(made)
}

type Scores<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<bool>>);

/// The log10 probability of every word of text and of the end of every line, and whether it is unknown.
#[pyfunction]
#[pyo3(signature = (model, source, *, text_field, text_column, threads, progress))]
pub(crate) fn text_scores<'py>(
    py: Python<'py>,
    model: PyRef<'_, NgramModel>,
    source: &Bound<'_, PyAny>,
    text_field: String,
    text_column: String,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Scores<'py>> {
    let options = SourceOptions { lines: true, text_field, text_column, ..SourceOptions::default() };
    let (batches, total) = open(source, options)?;
    let model = &model.model;
    let (scores, unknown) = gate::run(py, progress, |control| {
        control.begin("scoring", total);
        in_pool(threads, || model.text_scores(batches, control))
    })?;
    Ok((scores.into_pyarray(py), unknown.into_pyarray(py)))
}

type Numbers<'py> = Bound<'py, PyArray1<u64>>;

/// Documents and n-grams there are; the documents that hold an n-gram of the reference, and how many each holds; the
/// n-grams of each document of the reference, and how many were found.
type Found<'py> = ((u64, u64), (Numbers<'py>, Numbers<'py>), (Numbers<'py>, Numbers<'py>));

fn found(py: Python<'_>, overlap: Overlap) -> Found<'_> {
    let columns = |rows: Vec<(u64, u64)>| {
        let (first, second): (Vec<u64>, Vec<u64>) = rows.into_iter().unzip();
        (first.into_pyarray(py), second.into_pyarray(py))
    };
    ((overlap.documents, overlap.ngrams), columns(overlap.found), columns(overlap.reference))
}

/// What documents of text share with a reference.
#[pyfunction]
#[pyo3(signature = (source, reference, order, *, ignore_case, lines, text_field, text_column, threads, progress))]
#[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
pub(crate) fn overlap_of_text<'py>(
    py: Python<'py>,
    source: &Bound<'_, PyAny>,
    reference: &Bound<'_, PyAny>,
    order: usize,
    ignore_case: bool,
    lines: bool,
    text_field: String,
    text_column: String,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Found<'py>> {
    let options = SourceOptions { lines, text_field, text_column, ..SourceOptions::default() };
    let (reference, _) = open(reference, options.clone())?;
    let (batches, total) = open(source, options)?;
    let overlap = gate::run(py, progress, |control| {
        control.begin("comparing", total);
        in_pool(threads, || overlap::overlap_of_text(batches, reference, order, ignore_case, control))
    })?;
    Ok(found(py, overlap))
}

/// What documents of tokens share with a reference.
#[pyfunction]
#[pyo3(signature = (tokens, offsets, reference_tokens, reference_offsets, order, *, threads, progress))]
#[expect(clippy::too_many_arguments, reason = "one for each option of the Python face")]
pub(crate) fn overlap_of_tokens<'py>(
    py: Python<'py>,
    tokens: Tokens<'_>,
    offsets: PyReadonlyArray1<'_, u64>,
    reference_tokens: Tokens<'_>,
    reference_offsets: PyReadonlyArray1<'_, u64>,
    order: usize,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Found<'py>> {
    let (offsets, reference_offsets) = (offsets.as_slice()?, reference_offsets.as_slice()?);
    let overlap = with_tokens!(tokens, own => with_tokens!(reference_tokens, other => gate::run(py, progress, |control| {
        let (source, reference) = ((own, offsets), (other, reference_offsets));
        in_pool(threads, || overlap::overlap_of_tokens(source, reference, order, control))
    })))?;
    Ok(found(py, overlap))
}
