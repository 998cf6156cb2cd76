//! The gate that every long call passes: without the interpreter lock, stopped by Ctrl-C, with progress, never a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use lmfast_base::{Control, Result};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::to_python;

/// How often a waiting call looks at signals and reports progress.
const TICK: Duration = Duration::from_millis(50);

/// Runs `work` on a thread of its own while this one waits without the interpreter lock, looks for Ctrl-C and calls
/// `progress(stage, done, total)`, both every [`TICK`].
///
/// An exception of `progress`, or Ctrl-C, cancels the work through its [`Control`] and is raised once it has stopped.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Control) -> Result<T> + Send,
) -> PyResult<T> {
    let progress = progress.map(|callback| callback.clone().unbind());
    let control = Control::default();
    py.detach(|| {
        let mut exception = None;
        let outcome = std::thread::scope(|scope| {
            let (finished, waiting) = sync_channel::<()>(1);
            let control = &control;
            let worker = scope.spawn(move || {
                let _finished = finished; // dropped, and so told, however the work ends
                catch_unwind(AssertUnwindSafe(|| work(control)))
            });
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(TICK) {
                if exception.is_none() {
                    exception = Python::attach(|py| tick(py, progress.as_ref(), control)).err();
                    if exception.is_some() {
                        control.cancel();
                    }
                }
            }
            worker.join().and_then(|outcome| outcome)
        });
        match (exception, outcome) {
            (Some(exception), _) => Err(exception),
            (None, Ok(result)) => result.map_err(to_python),
            (None, Err(panic)) => Err(internal_error(panic.as_ref())),
        }
    })
}

fn tick(py: Python<'_>, progress: Option<&Py<PyAny>>, control: &Control) -> PyResult<()> {
    py.check_signals()?;
    if let Some(callback) = progress {
        callback.call1(py, control.progress())?;
    }
    Ok(())
}

fn internal_error(panic: &(dyn Any + Send)) -> PyErr {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    PyRuntimeError::new_err(format!("internal error in lmfast, please report it with the input that led here: {text}"))
}
