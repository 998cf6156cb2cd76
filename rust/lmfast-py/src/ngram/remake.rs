//! Models made of models: pruned, of fewer words, several as one; and the scores that the weights of several are fitted to.
#![expect(clippy::needless_pass_by_value, reason = "arguments are made for the call")]

use lmfast_base::source::Options as SourceOptions;
use lmfast_ngram::{Model, interpolate};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use super::arguments::in_pool;
use super::model::NgramModel;
use crate::gate;
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
