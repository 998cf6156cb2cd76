//! Sources of text as Python hands them over: a list of files, or an iterator of documents.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lmfast_base::source::{Documents, Files, Options};
use lmfast_base::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyString};

use crate::error::to_python;

/// Batches of documents, from wherever they come.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<Documents>> + Send>;

/// Opens the source that `lmfast/source.py` resolved: a `list` of `str` names files, anything else is iterated for
/// `str` documents.
///
/// Gives the batches and the total that their `source_bytes` add up to (0: unknown).
pub(crate) fn open(source: &Bound<'_, PyAny>, options: Options) -> PyResult<(Batches, u64)> {
    if let Ok(paths) = source.extract::<Vec<PathBuf>>() {
        let files = Files::new(paths, options).map_err(to_python)?;
        let total = files.total_bytes();
        return Ok((Box::new(files), total));
    }
    Ok((Box::new(Strings { documents: source.try_iter()?.unbind(), ended: false }), 0))
}

/// How long a batch may take to fill: a slow iterator must not keep a call from being interrupted.
const PATIENCE: Duration = Duration::from_millis(100);

/// A Python iterator of documents, read a batch at a time; only that takes the interpreter lock.
struct Strings {
    documents: Py<PyIterator>,
    ended: bool,
}

impl Strings {
    fn fill(&mut self, batch: &mut Documents) -> PyResult<()> {
        Python::attach(|py| {
            let mut documents = self.documents.bind(py).clone();
            let begin = Instant::now();
            while !batch.is_full() && (batch.is_empty() || begin.elapsed() < PATIENCE) {
                let Some(document) = documents.next() else {
                    self.ended = true;
                    break;
                };
                batch.push(document?.cast::<PyString>()?.to_str()?);
            }
            Ok(())
        })
    }
}

impl Iterator for Strings {
    type Item = Result<Documents>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut batch = Documents::default();
        match self.fill(&mut batch) {
            Err(exception) => {
                self.ended = true;
                Some(Err(Error::External(Box::new(exception))))
            }
            Ok(()) if batch.is_empty() => None,
            Ok(()) => Some(Ok(batch)),
        }
    }
}

/// An iterator over the documents of files, a `list[str]` at a time.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct DocumentReader {
    files: Mutex<Files>,
}

#[pymethods]
impl DocumentReader {
    #[new]
    #[pyo3(signature = (paths, *, lines, text_field, text_column))]
    fn new(paths: Vec<PathBuf>, lines: bool, text_field: String, text_column: String) -> PyResult<Self> {
        let options = Options { lines, text_field, text_column, keep_line_ends: false };
        Ok(Self { files: Mutex::new(Files::new(paths, options).map_err(to_python)?) })
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let batch = py.detach(|| self.files.lock().unwrap_or_else(PoisonError::into_inner).next());
        batch.map(|batch| PyList::new(py, batch.map_err(to_python)?.iter())).transpose()
    }
}
