//! The words before the next one, which decoders hold.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use lmfast_ngram::State;
use pyo3::prelude::*;

/// The words before the next one, for decoders. Private: see `lmfast.ngram.NgramState`.
#[pyclass(frozen, module = "lmfast._core")]
#[derive(Default)]
pub(crate) struct NgramState(Mutex<State>);

impl NgramState {
    pub(super) fn get(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[pymethods]
impl NgramState {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.get() == other.get()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.get().hash(&mut hasher);
        hasher.finish()
    }

    fn __copy__(&self) -> Self {
        Self(self.get().into())
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.__copy__()
    }
}
