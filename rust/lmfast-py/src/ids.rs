//! Token ids as Python's integers, and back.

use std::sync::{Mutex, PoisonError};

use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

/// Python's integers, each made once for all lists: a list of ids then costs a pointer and a count for each. They take
/// 8 bytes for each number up to the largest that was asked for, and 32 for each that was.
#[derive(Default)]
pub(crate) struct Integers {
    made: Mutex<Vec<Option<Py<PyInt>>>>,
}

impl Integers {
    /// A list of ids.
    pub(crate) fn list<'py>(&self, py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
        list(py, ids.iter().copied(), &mut self.made.lock().unwrap_or_else(PoisonError::into_inner))
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
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let lists: Vec<Bound<'py, PyList>> = rows.map(|row| list(py, row, &mut made)).collect::<PyResult<_>>()?;
        PyList::new(py, lists)
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
