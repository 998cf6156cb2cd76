//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file written beside its final place and renamed there by [`commit`](Self::commit). Dropped without it, for
/// instance by an error half way, it leaves nothing behind and the old file untouched.
///
/// ```
/// # fn main() -> lmfast_base::Result<()> {
/// use std::io::Write;
/// let folder = std::env::temp_dir();
/// let path = folder.join("atomic-file-example");
/// let mut file = lmfast_base::AtomicFile::create(&path)?;
/// file.write_all(b"whole").map_err(lmfast_base::Error::io(&path))?;
/// file.commit()?;
/// assert!(std::fs::read(&path).is_ok_and(|bytes| bytes == b"whole"));
/// # let _ = std::fs::remove_file(&path);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
}

impl AtomicFile {
    /// Opens the temporary file `.NAME.PID.tmp` in the folder of `path`, which must exist and be writable.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.file_name().ok_or_else(|| {
            Error::invalid(format!("{}: a file is to be written, and this path names none", path.display()))
        })?;
        let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let file = File::create(&temporary).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), temporary, file: Some(file) })
    }

    /// The final place of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open temporary file, for reading back or positioned writes.
    pub fn file(&mut self) -> Result<&mut File> {
        let path = &self.path;
        self.file.as_mut().ok_or_else(|| Error::Io { path: path.clone(), source: io::ErrorKind::NotConnected.into() })
    }

    /// Flushes to disk and renames to the final place, replacing what was there.
    pub fn commit(mut self) -> Result<()> {
        self.file()?.sync_all().map_err(Error::io(&self.path))?;
        self.file = None;
        fs::rename(&self.temporary, &self.path).map_err(Error::io(&self.path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        self.file = None;
        // After a commit the temporary name is gone, and then there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}
