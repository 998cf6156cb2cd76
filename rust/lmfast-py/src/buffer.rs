//! Memory of the Rust crates as numpy arrays, without a copy.
#![expect(unsafe_code, reason = "numpy cannot know who owns the memory it is shown")]

use lmfast_data::{Batch, Dtype, Element, Store, Tokens};
use numpy::ndarray::{ArrayView1, ArrayView2, ShapeBuilder};
use numpy::{Element as NumpyElement, PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::error::to_python;

/// Keeps a batch alive for the arrays that show it, and returns its memory to the loader after them.
#[pyclass(frozen)]
struct Memory {
    _batch: Batch,
}

/// Inputs and targets of a batch, as writable arrays that own it together.
pub(crate) fn batch_to_arrays(py: Python<'_>, batch: Batch) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    match batch.dtype() {
        Dtype::Int64 => show::<i64>(py, batch),
        Dtype::Int32 => show::<i32>(py, batch),
        Dtype::Uint16 => show::<u16>(py, batch),
    }
}

fn show<T: Element + NumpyElement>(py: Python<'_>, mut batch: Batch) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let shape = batch.shape();
    let (inputs, targets) = batch.split_mut::<T>();
    let parts = [inputs.as_mut_ptr(), targets.as_mut_ptr()];
    let memory = Bound::new(py, Memory { _batch: batch })?;
    let [inputs, targets] = parts.map(|part| {
        // SAFETY: each part is `shape[0] * shape[1]` elements of `T` (`Batch::split_mut`), the two do not overlap, and
        // they stay in place until `Memory` is dropped, which the array's base prevents. Nothing but the arrays touches
        // them in the meantime.
        unsafe {
            let view = ArrayView2::from_shape_ptr(shape.into_shape_with_order(), part);
            PyArray2::borrow_from_array(&view, memory.clone().into_any()).into_any().unbind()
        }
    });
    Ok((inputs, targets))
}

/// All tokens of a store as a read-only array that keeps `owner`, and with it the store, alive.
pub(crate) fn tokens_to_array(store: &Store, owner: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    match store.tokens().map_err(to_python)? {
        Tokens::Uint16(tokens) => read_only(tokens, owner),
        Tokens::Int32(tokens) => read_only(tokens, owner),
        Tokens::Uint32(tokens) => read_only(tokens, owner),
    }
}

fn read_only<T: NumpyElement>(values: &[T], owner: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    // SAFETY: `values` belongs to a store that `owner` holds for as long as the array lives, and a store neither moves
    // nor changes its map.
    let array = unsafe { PyArray1::borrow_from_array(&ArrayView1::from(values), owner) };
    array.call_method1("setflags", (false,))?;
    Ok(array.into_any().unbind())
}
