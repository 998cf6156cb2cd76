//! Bindings of the crate behind `lmfast.data`.
#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lmfast_base::source::Options as SourceOptions;
use lmfast_data::{
    Dtype, EncodeOptions, Format, Layout, Loader, LoaderOptions, Mode, Resume, Sampler, Store, TokenType, WriteOptions,
    Writer, encode_documents,
};
use lmfast_text::clean::Cleaner;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::buffer::{batch_to_arrays, tokens_to_array};
use crate::clean::Arguments;
use crate::error::to_python;
use crate::gate;
use crate::source;
use crate::tokenizer::Tokenizer;

/// A file of tokens, mapped.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct TokenStore {
    store: Arc<Store>,
}

#[pymethods]
impl TokenStore {
    #[new]
    #[pyo3(signature = (path, dtype=None))]
    fn new(py: Python<'_>, path: PathBuf, dtype: Option<&str>) -> PyResult<Self> {
        let dtype = dtype.map(TokenType::parse).transpose().map_err(to_python)?;
        let store = py.detach(|| Store::open(&path, dtype)).map_err(to_python)?;
        Ok(Self { store: Arc::new(store) })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.store.path().to_owned()
    }

    #[getter]
    fn format(&self) -> &'static str {
        self.store.format().name()
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.store.token_type().name()
    }

    #[getter]
    fn num_tokens(&self) -> u64 {
        self.store.num_tokens()
    }

    #[getter]
    fn num_documents(&self) -> usize {
        self.store.num_documents()
    }

    #[getter]
    fn vocab_size(&self) -> Option<u64> {
        self.store.vocab_size()
    }

    #[getter]
    fn text_bytes(&self) -> Option<u64> {
        self.store.text_bytes()
    }

    /// What cleaning did to the text, as JSON.
    #[getter]
    fn cleaning(&self) -> Option<String> {
        self.store.cleaning().map(ToString::to_string)
    }

    /// All tokens, as a read-only array over the mapped file.
    fn tokens(slf: Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        tokens_to_array(&slf.get().store, slf.clone().into_any())
    }

    /// A copy of the offsets.
    fn offsets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u64>>> {
        let offsets = py.detach(|| self.store.offsets()).map_err(to_python)?;
        Ok(PyArray1::from_slice(py, offsets))
    }

    fn fingerprint(&self, py: Python<'_>) -> PyResult<String> {
        let fingerprint = gate::run(py, None, |control| self.store.fingerprint(control))?;
        Ok(format!("{fingerprint:032x}"))
    }

    #[pyo3(signature = (vocab_size=None, progress=None))]
    fn verify(&self, py: Python<'_>, vocab_size: Option<u64>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        gate::run(py, progress, |control| self.store.verify(vocab_size, control))
    }
}

/// A store under construction.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct TokenWriter {
    writer: Mutex<Option<Writer>>,
}

impl TokenWriter {
    fn with<T>(&self, py: Python<'_>, work: impl FnOnce(&mut Option<Writer>) -> T + Send) -> T
    where
        T: Send,
    {
        py.detach(|| work(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[pymethods]
impl TokenWriter {
    #[new]
    fn new(path: PathBuf, format: &str, vocab_size: u64) -> PyResult<Self> {
        let format = Format::parse(format).map_err(to_python)?;
        let writer = Writer::create(&path, WriteOptions { format, vocab_size }).map_err(to_python)?;
        Ok(Self { writer: Mutex::new(Some(writer)) })
    }

    /// Appends documents of these lengths, their ids in one array of uint16, uint32 or int64.
    fn push(&self, py: Python<'_>, ids: &Bound<'_, PyAny>, lengths: PyReadonlyArray1<'_, u64>) -> PyResult<()> {
        let lengths = lengths.as_slice()?;
        macro_rules! push {
            ($($id:ty),+) => {
                $(if let Ok(ids) = ids.extract::<PyReadonlyArray1<'_, $id>>() {
                    let ids = ids.as_slice()?;
                    return self
                        .with(py, |writer| writer.as_mut().map(|writer| writer.push(ids, lengths)))
                        .ok_or_else(finished)?
                        .map_err(to_python);
                })+
            };
        }
        push!(u16, u32, i64);
        Err(PyValueError::new_err("ids are a contiguous array of uint16, uint32 or int64"))
    }

    /// Puts the files in place.
    fn finish(&self, py: Python<'_>) -> PyResult<PathBuf> {
        let writer = self.with(py, Option::take).ok_or_else(finished)?;
        let path = writer.path().to_owned();
        gate::run(py, None, |_| writer.finish(None))?;
        Ok(path)
    }
}

/// Fails if Ctrl-C was pressed.
fn signals() -> lmfast_base::Result<()> {
    Python::attach(|py| {
        py.check_signals()?;
        Ok(())
    })
    .map_err(|error: PyErr| lmfast_base::Error::External(Box::new(error)))
}

fn finished() -> PyErr {
    PyValueError::new_err("the store is finished")
}

/// A cursor over batches.
#[pyclass(frozen, module = "lmfast._core")]
pub(crate) struct BatchLoader {
    loader: Loader,
}

#[pymethods]
impl BatchLoader {
    #[new]
    #[pyo3(signature = (store, batch_size, seq_len, *, mode, seed, rank, world_size, drop_last, layout, dtype, threads=None))]
    #[expect(clippy::too_many_arguments, reason = "the arguments that users write")]
    fn new(
        store: &Bound<'_, TokenStore>,
        batch_size: u64,
        seq_len: u64,
        mode: &str,
        seed: u64,
        rank: u64,
        world_size: u64,
        drop_last: bool,
        layout: &str,
        dtype: &str,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let store = store.get().store.clone();
        let open = || {
            let (layout, dtype) = (Layout::parse(layout)?, Dtype::parse(dtype)?);
            let (mode, tokens) = (Mode::parse(mode)?, store.num_tokens());
            let sampler = Sampler::new(tokens, mode, seed, batch_size, seq_len, drop_last, rank, world_size)?;
            Loader::new(store, sampler, LoaderOptions { dtype, layout, threads })
        };
        Ok(Self { loader: open().map_err(to_python)? })
    }

    #[getter]
    fn batches_per_epoch(&self) -> u64 {
        self.loader.sampler().batches_per_epoch()
    }

    /// Batches handed out so far, over all epochs.
    #[getter]
    fn position(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.loader.position())
    }

    fn seek(&self, py: Python<'_>, position: u64) {
        py.detach(|| self.loader.seek(position));
    }

    /// The next batch before number `end`, as `worker` of `workers`; None when there is none.
    #[pyo3(signature = (end, worker=0, workers=1))]
    fn next(&self, py: Python<'_>, end: u64, worker: u64, workers: u64) -> PyResult<Option<(Py<PyAny>, Py<PyAny>)>> {
        let batch = py.detach(|| self.loader.next(end, (worker, workers), &signals)).map_err(to_python)?;
        batch.map(|batch| batch_to_arrays(py, batch)).transpose()
    }

    /// The state as JSON.
    fn state(&self, py: Python<'_>) -> PyResult<String> {
        gate::run(py, None, |control| self.loader.state(self.loader.store().fingerprint(control)?))
    }

    fn load_state(&self, py: Python<'_>, state: &str) -> PyResult<()> {
        gate::run(py, None, |control| self.loader.load_state(state, self.loader.store().fingerprint(control)?))
    }

    fn reset(&self, py: Python<'_>) {
        py.detach(|| self.loader.reset());
    }
}

/// Encodes a source that lmfast/source.py resolved into the store `out`, without its text passing through Python.
///
/// `resume`: a key and how many seconds pass between two notes of how far the call is.
#[pyfunction]
#[pyo3(signature = (tokenizer, source, out, append_id, lines, text_field, text_column, cleaning, resume, threads, progress))]
#[expect(clippy::too_many_arguments, reason = "the settings of an encoding, each with a name in Python")]
pub(crate) fn encode_files(
    py: Python<'_>,
    tokenizer: PyRef<'_, Tokenizer>,
    source: &Bound<'_, PyAny>,
    out: PathBuf,
    append_id: Option<u32>,
    lines: bool,
    text_field: String,
    text_column: String,
    cleaning: Option<Arguments>,
    resume: Option<(String, f64)>,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let encoder = tokenizer.encoder();
    let cleaning = cleaning.map(|cleaning| cleaning.cleaning()).transpose()?;
    let source_options = SourceOptions { lines, text_field, text_column, keep_line_ends: false };
    let (mut documents, total) = source::open(source, source_options)?;
    let resume = resume.map(|(key, seconds)| Resume { key, every: Duration::from_secs_f64(seconds.clamp(0.0, 1e6)) });
    let options = EncodeOptions { append_id, threads, resume };
    gate::run(py, progress, |control| {
        control.begin("encoding", total);
        match cleaning {
            Some(cleaning) => {
                let mut cleaner = Cleaner::new(documents, cleaning, threads, control)?;
                let report = |cleaner: &Cleaner<'_, _>| Some(cleaner.report().to_json());
                encode_documents(&mut cleaner, encoder.as_ref(), &out, &options, report, control)
            }
            None => encode_documents(&mut documents, encoder.as_ref(), &out, &options, |_| None, control),
        }
    })?;
    Ok(())
}
