//! The one error type of the workspace: one variant for each kind of answer that a caller can give.

use std::io;
use std::path::{Path, PathBuf};

/// The result of every call that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, where, and, in the message, the likely cause and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused something done to a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The broken rule, with the line or byte where it breaks, and the way out.
        what: String,
    },
    /// An argument, or the data behind it, cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// What a caller's own code, such as an iterator of documents, failed with.
    #[error("{0}")]
    External(Box<dyn std::error::Error + Send + Sync>),
    /// The caller cancelled the call through its [`Control`](crate::Control).
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Wraps an error of the operating system with the path it is about; for `map_err`.
    ///
    /// ```
    /// let missing = std::fs::File::open("absent.txt").map_err(lmfast_base::Error::io("absent.txt"));
    /// assert!(missing.is_err_and(|error| error.to_string().starts_with("absent.txt: ")));
    /// ```
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// A file that breaks a rule of its format.
    pub fn format(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_owned(), what: what.into() }
    }

    /// An argument that cannot be used.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
}
