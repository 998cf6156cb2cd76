//! The one mapping from errors of the Rust crates to exceptions.

use lmfast_base::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::{PyErr, create_exception};

create_exception!(
    lmfast,
    FormatError,
    PyValueError,
    "A file is not what it should be: damaged, cut short, of another format or another encoding.\n\nThe message names the file, the place and the way out."
);

/// `Io` becomes the subclass of `OSError` that its number stands for, a bad argument `ValueError`, a bad file
/// [`FormatError`]; an exception raised by a caller's own iterator comes back as it was.
pub(crate) fn to_python(error: Error) -> PyErr {
    match error {
        Error::Io { path, source } => {
            let number = source.raw_os_error().unwrap_or(match source.kind() {
                std::io::ErrorKind::NotFound => 2,
                std::io::ErrorKind::PermissionDenied => 13,
                std::io::ErrorKind::StorageFull => 28,
                _ => 5,
            });
            let text = source.to_string();
            let reason = text.split(" (os error").next().unwrap_or(&text).to_owned();
            PyOSError::new_err((number, reason, path.into_os_string()))
        }
        Error::Format { .. } => FormatError::new_err(error.to_string()),
        Error::Invalid(what) => PyValueError::new_err(what),
        Error::External(foreign) => match foreign.downcast::<PyErr>() {
            Ok(exception) => *exception,
            Err(other) => PyValueError::new_err(other.to_string()),
        },
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
    }
}
