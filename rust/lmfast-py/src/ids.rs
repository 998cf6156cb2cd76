//! Token ids as Python's integers, and back.

use std::sync::{Mutex, TryLockError};

use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

/// Python's integers, each made once for all lists: a list of ids then costs a pointer and a count for each. They take
/// 8 bytes for each number up to the largest that was asked for, and 32 for each that was.
///
/// Making a list may run any Python code, by a garbage collection. So nobody waits for the lock: whoever finds it taken,
/// by another thread or by a call that this one stands in, makes integers of its own.
#[derive(Default)]
pub(crate) struct Integers {
    made: Mutex<Vec<Option<Py<PyInt>>>>,
}

impl Integers {
    /// A list of ids.
    pub(crate) fn list<'py>(&self, py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
        self.with(|made| list(py, ids.iter().copied(), made))
    }

    /// Lists of ids; `rows` gives each as an iterator.
    pub(crate) fn lists<'py, R>(
        &self,
        py: Python<'py>,
        rows: impl ExactSizeIterator<Item = R>,
    ) -> PyResult<Bound<'py, PyList>>
    where
        R: ExactSizeIterator<Item = u32>,
    {
        let lists = self.with(|made| rows.map(|row| list(py, row, made)).collect::<PyResult<Vec<_>>>())?;
        PyList::new(py, lists)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Vec<Option<Py<PyInt>>>) -> R) -> R {
        match self.made.try_lock() {
            Ok(mut made) => work(&mut made),
            Err(TryLockError::Poisoned(made)) => work(&mut made.into_inner()),
            Err(TryLockError::WouldBlock) => work(&mut Vec::new()),
        }
    }
}

fn list<'py>(
    py: Python<'py>,
    ids: impl ExactSizeIterator<Item = u32>,
    made: &mut Vec<Option<Py<PyInt>>>,
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(
        py,
        ids.map(|id| {
            let at = id as usize;
            if at >= made.len() {
                made.resize_with((at + 1).next_power_of_two(), || None);
            }
            made[at].get_or_insert_with(|| int(py, id).unbind()).bind(py).clone()
        }),
    )
}

fn int(py: Python<'_>, id: u32) -> Bound<'_, PyInt> {
    match id.into_pyobject(py) {
        Ok(int) => int,
        Err(never) => match never {},
    }
}

/// Ids out of an array of integers or a sequence of Python's.
pub(crate) fn extract(ids: &Bound<'_, PyAny>, vocab_size: u32) -> PyResult<Vec<u32>> {
    let extracted = if let Ok(list) = ids.cast::<PyList>() {
        list.iter().map(|id| id.extract::<u32>()).collect()
    } else if let Ok(array) = ids.extract::<PyReadonlyArray1<'_, u16>>() {
        return Ok(array.as_array().iter().copied().map(u32::from).collect());
    } else if let Ok(array) = ids.extract::<PyReadonlyArray1<'_, u32>>() {
        return Ok(array.as_array().to_vec());
    } else {
        ids.extract::<Vec<u32>>()
    };
    match extracted {
        Err(error) if error.is_instance_of::<PyOverflowError>(ids.py()) => {
            let wrong = ids.try_iter()?.find(|id| !id.as_ref().is_ok_and(|id| id.extract::<u32>().is_ok()));
            Err(wrong.map_or(Ok(error), |id| id.map(|id| foreign(&id, vocab_size)))?)
        }
        other => other,
    }
}

/// An id that no 32 bits hold.
pub(crate) fn foreign(id: &Bound<'_, PyAny>, vocab_size: u32) -> PyErr {
    PyValueError::new_err(format!("the id {id} is not in the vocabulary of {vocab_size} (vocab_size)"))
}
