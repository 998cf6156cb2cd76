//! Bindings of the cleaning of text.
#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

use std::path::PathBuf;

use lmfast_base::source::Options as SourceOptions;
use lmfast_text::clean::{Cleaning, Form, Mask, NearOptions, clean_to_file};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::to_python;
use crate::{gate, source};

/// The fields of `lmfast.Cleaning`.
#[derive(FromPyObject)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that is asked for or not")]
pub(crate) struct Arguments {
    normalization: Option<String>,
    drop_control_characters: bool,
    strip_accents: bool,
    lowercase: bool,
    collapse_whitespace: bool,
    trim: bool,
    mask: Vec<String>,
    min_characters: u64,
    max_characters: Option<u64>,
    drop_duplicates: Vec<String>,
    near_ngram: usize,
    near_permutations: usize,
    near_threshold: f64,
    memory: Option<u64>,
}

impl Arguments {
    pub(crate) fn cleaning(&self) -> PyResult<Cleaning> {
        let normalization = match self.normalization.as_deref() {
            None => None,
            Some("NFC") => Some(Form::Nfc),
            Some("NFKC") => Some(Form::Nfkc),
            Some(other) => {
                return Err(PyValueError::new_err(format!("normalization={other:?}: 'NFC', 'NFKC' or None is wanted")));
            }
        };
        if let Some(other) = self.drop_duplicates.iter().find(|name| !matches!(name.as_str(), "exact" | "near")) {
            return Err(PyValueError::new_err(format!("drop_duplicates={other:?}: 'exact' and 'near' are found")));
        }
        let drops = |wanted: &str| self.drop_duplicates.iter().any(|name| name == wanted);
        let near = NearOptions {
            ngram: self.near_ngram,
            permutations: self.near_permutations,
            threshold: self.near_threshold,
        };
        Ok(Cleaning {
            normalization,
            drop_control_characters: self.drop_control_characters,
            strip_accents: self.strip_accents,
            lowercase: self.lowercase,
            collapse_whitespace: self.collapse_whitespace,
            trim: self.trim,
            mask: self.mask.iter().map(|name| Mask::parse(name)).collect::<Result<_, _>>().map_err(to_python)?,
            min_characters: self.min_characters,
            max_characters: self.max_characters,
            drop_exact_duplicates: drops("exact"),
            drop_near_duplicates: drops("near").then_some(near),
            memory: self.memory,
        })
    }
}

/// Cleans a source that lmfast/source.py resolved into the file `out`; gives the report as JSON.
#[pyfunction]
#[pyo3(signature = (source, out, cleaning, lines, text_field, text_column, threads, progress))]
#[expect(clippy::too_many_arguments, reason = "the settings of a cleaning, each with a name in Python")]
pub(crate) fn clean_files(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    out: PathBuf,
    cleaning: Arguments,
    lines: bool,
    text_field: String,
    text_column: String,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    let options = SourceOptions { lines, text_field, text_column, keep_line_ends: false };
    let (documents, total) = source::open(source, options)?;
    let cleaning = cleaning.cleaning()?;
    gate::run(py, progress, |control| {
        control.begin("cleaning", total);
        let report = clean_to_file(documents, cleaning, &out, threads, control)?;
        Ok(report.to_json().to_string())
    })
}
