//! Which documents share n-grams with others.
#![expect(clippy::needless_pass_by_value, reason = "arguments are made for the call")]

use lmfast_base::source::Options as SourceOptions;
use lmfast_ngram::overlap::{self, Overlap};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::arguments::{Tokens, in_pool, with_tokens};
use crate::gate;
use crate::source::open;

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
