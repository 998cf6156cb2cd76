//! A store's tokens while they are written, such that a later call can go on after an interruption.
//!
//! Beside `NAME.bin` lie `.NAME.bin.partial` (its tokens), `.NAME.idx.partial` (a u32 for the length of each document)
//! and `.NAME.journal`, which says how much of the two is on the disk for good, and for which key: a digest of the
//! source and the settings by whoever asks. The file of lengths is locked while a process writes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};
use lmfast_base::{Control, Error, Result};
use serde::{Deserialize, Serialize};

use super::TokenType;
use super::sidecar::{BlockHasher, fingerprint};

const VERSION: u32 = 1;

/// The JSON object of the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    #[serde(rename = "lmfast_journal")]
    version: u32,
    key: String,
    documents: u64,
    tokens: u64,
    text_bytes: u64,
    fingerprint: String,
}

/// What an earlier call left.
#[derive(Default)]
pub(super) struct Left {
    pub(super) hasher: BlockHasher,
    pub(super) lengths: Vec<u32>,
    pub(super) tokens: u64,
    pub(super) text_bytes: u64,
}

/// The open files. They stay for a later call, but for [`commit`](Self::commit) and [`discard`](Self::discard).
pub(super) struct Partial {
    path: PathBuf,
    key: String,
    tokens: File,
    lengths: File,
    /// How many lengths are in their file.
    noted: usize,
    /// Whether the files hold what was written to them; after a failure nobody knows.
    sound: bool,
}

impl Partial {
    /// Opens the files of the store `path`; what they hold under the same key is left to go on from.
    pub(super) fn open(path: &Path, key: &str, token_type: TokenType, control: &Control) -> Result<(Self, Left)> {
        let open = |path: PathBuf| {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(Error::io(&path))
        };
        let lengths = open(beside(path, "idx.partial"))?;
        lock(&lengths, path)?;
        let tokens = open(beside(path, "bin.partial"))?;
        let (path, key) = (path.to_owned(), key.to_owned());
        let mut partial = Self { path, key, tokens, lengths, noted: 0, sound: true };
        let left = partial.recover(token_type, control)?.unwrap_or_default();
        let reset = |file: &mut File, bytes: u64| {
            file.set_len(bytes).and_then(|()| file.seek(SeekFrom::Start(bytes))).map_err(Error::io(&partial.path))
        };
        reset(&mut partial.tokens, left.tokens * token_type.size() as u64)?;
        reset(&mut partial.lengths, 4 * left.lengths.len() as u64)?;
        if left.lengths.is_empty() {
            let _ = fs::remove_file(beside(&partial.path, "journal"));
        }
        partial.noted = left.lengths.len();
        Ok((partial, left))
    }

    /// What the journal vouches for, if the files agree with it; anything else is of no use.
    fn recover(&mut self, token_type: TokenType, control: &Control) -> Result<Option<Left>> {
        let Some((journal, lengths)) = self.journal() else { return Ok(None) };
        let Some(mut missing) = journal.tokens.checked_mul(token_type.size() as u64) else { return Ok(None) };
        let mut hasher = BlockHasher::default();
        let mut block = vec![0; 1 << 20];
        while missing > 0 {
            control.check()?;
            let part = block.get_mut(..missing.min(1 << 20) as usize).unwrap_or_default();
            if self.tokens.read_exact(part).is_err() {
                return Ok(None);
            }
            hasher.update(part);
            missing -= part.len() as u64;
        }
        let agrees = digest(&hasher, token_type, journal.tokens) == journal.fingerprint;
        let Journal { tokens, text_bytes, .. } = journal;
        Ok(agrees.then_some(Left { hasher, lengths, tokens, text_bytes }))
    }

    /// The journal of this key, with the lengths that it counts.
    fn journal(&mut self) -> Option<(Journal, Vec<u32>)> {
        let journal: Journal = serde_json::from_slice(&fs::read(beside(&self.path, "journal")).ok()?).ok()?;
        if journal.version != VERSION || journal.key != self.key {
            return None;
        }
        let lengths_bytes = journal.documents.checked_mul(4)?;
        if self.lengths.metadata().ok()?.len() < lengths_bytes {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(lengths_bytes).ok()?];
        self.lengths.rewind().ok()?;
        self.lengths.read_exact(&mut bytes).ok()?;
        let lengths: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|bytes| bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u32::from(byte)))
            .collect();
        let tokens: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
        (tokens == journal.tokens).then_some((journal, lengths))
    }

    /// Makes what was written durable, and notes it; does nothing once anything failed.
    pub(super) fn checkpoint(
        &mut self,
        lengths: &[u32],
        hasher: &BlockHasher,
        token_type: TokenType,
        tokens: u64,
        text_bytes: u64,
    ) -> Result<()> {
        if !std::mem::take(&mut self.sound) {
            return Ok(());
        }
        let failed = |error| Error::io(&self.path)(error);
        let new: Vec<u8> =
            lengths.get(self.noted..).unwrap_or_default().iter().flat_map(|length| length.to_le_bytes()).collect();
        self.lengths.write_all(&new).map_err(failed)?;
        self.tokens.sync_data().and_then(|()| self.lengths.sync_data()).map_err(failed)?;
        let journal = Journal {
            version: VERSION,
            key: self.key.clone(),
            documents: lengths.len() as u64,
            tokens,
            text_bytes,
            fingerprint: digest(hasher, token_type, tokens),
        };
        // The lock makes a name of its own enough, and one that a killed process leaves is used again.
        let next = beside(&self.path, "journal.next");
        let written = File::create(&next).and_then(|mut file| {
            file.write_all(&serde_json::to_vec(&journal)?)?;
            file.sync_all()?;
            fs::rename(&next, beside(&self.path, "journal"))
        });
        written.map_err(failed)?;
        self.noted = lengths.len();
        self.sound = true;
        Ok(())
    }

    /// Flushes the tokens to the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        let synced = self.tokens.sync_all();
        self.sound &= synced.is_ok();
        synced.map_err(Error::io(&self.path))
    }

    /// Another opening of the file of tokens, for flushing it from another thread: a flush that failed is told once to
    /// each opening, so that this one's failures do not hide from a checkpoint.
    pub(super) fn handle(&self) -> std::io::Result<File> {
        File::options().write(true).open(beside(&self.path, "bin.partial"))
    }

    /// Removes the files.
    pub(super) fn discard(self) {
        remove(&self.path);
    }

    /// Puts the tokens in their place, and the other files go; all stay where that fails.
    pub(super) fn commit(mut self) -> Result<()> {
        self.sync()?;
        fs::rename(beside(&self.path, "bin.partial"), &self.path).map_err(Error::io(&self.path))?;
        remove(&self.path);
        Ok(())
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.tokens.write(bytes);
        self.sound &= written.is_ok();
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Removes what an interrupted call left of the store `path`.
pub(super) fn discard(path: &Path) -> Result<()> {
    let lengths = beside(path, "idx.partial");
    match File::options().read(true).write(true).open(&lengths) {
        Ok(file) => lock(&file, path).map(|()| remove(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            remove(path);
            Ok(())
        }
        Err(error) => Err(Error::io(lengths)(error)),
    }
}

/// Removes the files; the one that is locked last.
fn remove(path: &Path) {
    for suffix in ["journal.next", "journal", "bin.partial", "idx.partial"] {
        let _ = fs::remove_file(beside(path, suffix));
    }
}

/// Refuses a store that another process is writing. The lock goes with the file.
fn lock(lengths: &File, path: &Path) -> Result<()> {
    match FileExt::try_lock(lengths) {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::invalid(format!("{}: another process is writing it", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(Error::io(path)(error)),
    }
}

/// `.NAME.SUFFIX` in the folder of `NAME.bin`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

fn digest(hasher: &BlockHasher, token_type: TokenType, tokens: u64) -> String {
    format!("{:032x}", fingerprint(token_type, tokens, &hasher.checksums(), None))
}
