//! Arguments that several calls take: tokens, text, budgets, threads.

use std::path::PathBuf;

use lmfast_base::source::{Files, Options as SourceOptions};
use lmfast_base::{Control, Error, Result, threads};
use lmfast_ngram::Budget;
use lmfast_ngram::words::Reader;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyString;

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

pub(super) use with_tokens;

/// A sentence: text, or the ids of tokens.
#[derive(FromPyObject)]
pub(super) enum Text<'py> {
    Words(Bound<'py, PyString>),
    Tokens(Tokens<'py>),
}

/// The budget of bytes and the folder of working files, if there is one.
pub(super) fn budget(memory: Option<(u64, PathBuf)>) -> Option<Budget> {
    memory.map(|(bytes, folder)| Budget { bytes: (bytes as usize).max(Budget::LEAST_BYTES), folder })
}

/// Does work in a pool of so many threads; None: as many as there are cores.
pub(super) fn in_pool<T: Send>(threads: Option<usize>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    threads::pool(threads)?.install(work)
}

/// How text is cut for a model of words: every line is a document, with its line end.
pub(super) fn of_lines(text_field: String, text_column: String) -> SourceOptions {
    SourceOptions { lines: true, text_field, text_column, keep_line_ends: true }
}

/// Text to estimate a model of words from, or to count them.
pub(super) enum Lines {
    Files(Vec<PathBuf>, SourceOptions),
    Documents(Batches),
}

impl Lines {
    pub(super) fn open(source: &Bound<'_, PyAny>, text_field: String, text_column: String) -> PyResult<Self> {
        let options = of_lines(text_field, text_column);
        if let Ok(paths) = source.extract::<Vec<PathBuf>>() {
            return Ok(Self::Files(paths, options));
        }
        Ok(Self::Documents(open(source, options)?.0))
    }

    pub(super) fn read(self, reader: &mut Reader, control: &Control) -> Result<()> {
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
