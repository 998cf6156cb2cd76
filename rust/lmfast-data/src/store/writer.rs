//! Writes stores: `.bin`, for Megatron its `.idx`, and the sidecar, each whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use lmfast_base::{AtomicFile, Control, Error, Result};
use xxhash_rust::xxh3::Xxh3;

use super::partial::{self, Partial};
use super::sidecar::{self, BlockHasher, Written};
use super::{Format, TokenType, bin_path, megatron, plain};
use crate::Summary;

/// From this vocabulary on Megatron's `IndexedDatasetBuilder` writes int32 (`DType.optimal_dtype`).
const MEGATRON_INT32_FROM: u64 = 65_500;
/// Ids are converted this many at a time.
const CHUNK: usize = 1 << 16;

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// The kind of file.
    pub format: Format,
    /// The largest id that may occur, plus one; decides the type of the tokens.
    pub vocab_size: u64,
}

/// An integer that may be an id.
pub trait Id: Copy {
    /// The value, unless it is negative.
    fn value(self) -> u64;
}

impl Id for u16 {
    fn value(self) -> u64 {
        self.into()
    }
}

impl Id for u32 {
    fn value(self) -> u64 {
        self.into()
    }
}

impl Id for i64 {
    /// A negative one becomes larger than every vocabulary.
    fn value(self) -> u64 {
        self as u64
    }
}

/// A store under construction; nothing is to be seen of it before [`finish`](Self::finish). Dropped, it leaves what
/// [`resume`](Self::resume) began for a later writer, and nothing of another.
///
/// Memory: four bytes a document, for the index.
pub struct Writer {
    path: PathBuf,
    options: WriteOptions,
    token_type: TokenType,
    file: Output,
    hasher: BlockHasher,
    lengths: Vec<u32>,
    num_tokens: u64,
    /// Of those, how many are of a document that goes on.
    open_tokens: u64,
    cleaning: Option<serde_json::Value>,
}

/// Where the tokens go.
enum Output {
    Whole(AtomicFile),
    Partial(Partial),
}

impl Output {
    fn sync(&mut self) -> Result<()> {
        match self {
            Self::Whole(file) => file.file()?.sync_all().map_err(Error::io(file.path())),
            Self::Partial(file) => file.sync(),
        }
    }

    fn commit(self) -> Result<()> {
        match self {
            Self::Whole(file) => file.commit(),
            Self::Partial(file) => file.commit(),
        }
    }
}

impl Writer {
    /// Begins the store of this name anew; see [`bin_path`]. What an interrupted writer left of it goes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a vocabulary that the format cannot hold, and while another process
    /// [resumes](Self::resume) this store.
    pub fn create(path: &Path, options: WriteOptions) -> Result<Self> {
        let token_type = Self::token_type(options)?;
        let path = bin_path(path);
        let mut file = AtomicFile::create(&path)?;
        partial::discard(&path)?;
        if options.format == Format::LlmC {
            file.write_all(&[0; plain::LLMC_HEADER]).map_err(Error::io(&path))?;
        }
        let (file, hasher, lengths) = (Output::Whole(file), BlockHasher::default(), Vec::new());
        Ok(Self { path, options, token_type, file, hasher, lengths, num_tokens: 0, open_tokens: 0, cleaning: None })
    }

    /// Begins the Megatron store of this name, or goes on with what an earlier writer left under the same key.
    ///
    /// Gives the writer, and how many documents and bytes of text are in it already.
    pub fn resume(path: &Path, vocab_size: u64, key: &str, control: &Control) -> Result<(Self, u64, u64)> {
        let options = WriteOptions { format: Format::Megatron, vocab_size };
        let token_type = Self::token_type(options)?;
        let path = bin_path(path);
        if path.file_name().is_none() {
            return Err(Error::invalid(format!("{}: names no file to write", path.display())));
        }
        let (file, left) = Partial::open(&path, key, token_type, control)?;
        let (documents, text_bytes) = (left.lengths.len() as u64, left.text_bytes);
        let writer = Self {
            path,
            options,
            token_type,
            file: Output::Partial(file),
            hasher: left.hasher,
            lengths: left.lengths,
            num_tokens: left.tokens,
            open_tokens: 0,
            cleaning: None,
        };
        Ok((writer, documents, text_bytes))
    }

    /// Makes what was written durable, so that a later writer can go on from it; nothing for one made by
    /// [`create`](Self::create), and nothing within a document or after a failed write: then the last checkpoint holds.
    pub fn checkpoint(&mut self, text_bytes: u64) -> Result<()> {
        match &mut self.file {
            Output::Partial(file) if self.open_tokens == 0 => {
                file.checkpoint(&self.lengths, &self.hasher, self.token_type, self.num_tokens, text_bytes)
            }
            _ => Ok(()),
        }
    }

    /// Ends writing with a checkpoint for a later [`resume`](Self::resume), if one can be made: on a full disk the one
    /// before holds.
    pub fn leave(mut self, text_bytes: u64) {
        let _ = self.checkpoint(text_bytes);
    }

    /// Ends writing, and nothing is left.
    pub fn discard(self) {
        if let Output::Partial(file) = self.file {
            file.discard();
        }
    }

    /// A second handle of the file of tokens, for flushing it to the disk while it is written.
    pub fn handle(&mut self) -> Result<File> {
        match &mut self.file {
            Output::Whole(file) => file.file()?.try_clone(),
            Output::Partial(file) => file.handle(),
        }
        .map_err(Error::io(&self.path))
    }

    /// What the sidecar is to say about how the text was cleaned.
    pub fn set_cleaning(&mut self, report: Option<serde_json::Value>) {
        self.cleaning = report;
    }

    fn token_type(options: WriteOptions) -> Result<TokenType> {
        let WriteOptions { format, vocab_size } = options;
        let token_type = match format {
            Format::Megatron if vocab_size < MEGATRON_INT32_FROM => TokenType::Uint16,
            Format::Megatron => TokenType::Int32,
            Format::LlmC if vocab_size > TokenType::Uint16.capacity() => TokenType::Uint32,
            Format::NanoGpt | Format::LlmC => TokenType::Uint16,
            Format::Npy => return Err(Error::invalid("format='npy' is read, not written: use numpy.save")),
        };
        if vocab_size == 0 || vocab_size > token_type.capacity() {
            let (name, limit) = (format.name(), token_type.capacity());
            return Err(Error::invalid(format!("vocab_size={vocab_size}: a {name} store holds from 1 to {limit} ids")));
        }
        Ok(token_type)
    }

    /// The `.bin` that is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends documents: their ids one behind the other, and how many each has. Those of the first follow on what
    /// [`push_part`](Self::push_part) began.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the document for an id that is negative or not below the vocabulary's size.
    pub fn push<I: Id>(&mut self, ids: &[I], lengths: &[u64]) -> Result<()> {
        if lengths.iter().try_fold(0u64, |sum, &length| sum.checked_add(length)) != Some(ids.len() as u64) {
            return Err(Error::invalid(format!(
                "the lengths of {} documents do not add up to {} ids",
                lengths.len(),
                ids.len()
            )));
        }
        self.check(ids, lengths)?;
        for (number, &length) in (self.lengths.len()..).zip(lengths) {
            let length = u32::try_from(length + std::mem::take(&mut self.open_tokens))
                .ok()
                .filter(|&length| i32::try_from(length).is_ok());
            self.lengths.push(length.ok_or_else(|| {
                Error::invalid(format!(
                    "document {number} has more than 2^31 - 1 tokens, which no index can say; cut it"
                ))
            })?);
        }
        self.append_ids(ids)
    }

    /// Appends the beginning of a document, or more of it; its last ids come with [`push`](Self::push).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_part<I: Id>(&mut self, ids: &[I]) -> Result<()> {
        self.check(ids, &[])?;
        self.open_tokens += ids.len() as u64;
        self.append_ids(ids)
    }

    fn check<I: Id>(&self, ids: &[I], lengths: &[u64]) -> Result<()> {
        let limit = self.options.vocab_size;
        if ids.iter().fold(false, |found, id| found | (id.value() >= limit)) {
            return Err(self.outside(ids, lengths));
        }
        Ok(())
    }

    fn append_ids<I: Id>(&mut self, ids: &[I]) -> Result<()> {
        for chunk in ids.chunks(CHUNK) {
            match self.token_type {
                TokenType::Uint16 => self.append(&chunk.iter().map(|id| id.value() as u16).collect::<Vec<_>>())?,
                _ => self.append(&chunk.iter().map(|id| id.value() as u32).collect::<Vec<_>>())?,
            }
        }
        self.num_tokens += ids.len() as u64;
        Ok(())
    }

    /// Puts the files in place. Where the operating system refuses, what [`resume`](Self::resume) began is left for a
    /// later writer.
    pub fn finish(mut self, text_bytes: Option<u64>) -> Result<Summary> {
        let summary = Summary {
            documents: self.lengths.len() as u64,
            tokens: self.num_tokens,
            text_bytes: text_bytes.unwrap_or(0),
        };
        // The tokens come last: as long as they are not in place, a later writer can go on.
        let placed = self.prepare(text_bytes).and_then(|files| files.into_iter().try_for_each(AtomicFile::commit));
        match placed {
            Ok(()) => self.file.commit().map(|()| summary),
            Err(error) => {
                if matches!(error, Error::Io { .. }) {
                    self.leave(summary.text_bytes);
                }
                Err(error)
            }
        }
    }

    /// Writes the index and the sidecar beside their places, and flushes everything to the disk: a full one shows
    /// before the first file is in place. The sidecar must not be older than what it describes.
    fn prepare(&mut self, text_bytes: Option<u64>) -> Result<Vec<AtomicFile>> {
        let WriteOptions { format, vocab_size } = self.options;
        let (path, token_type, num_tokens) = (&self.path, self.token_type, self.num_tokens);
        let index_path = path.with_extension("idx");
        if let (Format::LlmC, Output::Whole(output)) = (format, &mut self.file) {
            let count = i32::try_from(num_tokens).map_err(|_| {
                Error::invalid(format!(
                    "llm.c counts tokens in 31 bits, these are {num_tokens}: write several files, or format='megatron'"
                ))
            })?;
            let file = output.file()?;
            file.rewind()
                .and_then(|()| file.write_all(&plain::llmc_header(token_type, count)))
                .map_err(Error::io(path))?;
        }
        if format == Format::NanoGpt && num_tokens == 0 {
            return Err(Error::invalid("no tokens: a nanoGPT file of none cannot be told from a damaged one"));
        }
        self.file.sync()?;
        let mut files = Vec::new();
        let mut index_checksum = None;
        if format == Format::Megatron {
            let mut index = AtomicFile::create(&index_path)?;
            // Hashed and written in large blocks.
            let hashing = Hashing { output: &mut index, hasher: Xxh3::new() };
            let mut output = BufWriter::with_capacity(1 << 20, hashing);
            megatron::write(&mut output, token_type, &self.lengths)
                .and_then(|()| output.flush())
                .map_err(Error::io(&index_path))?;
            index_checksum = Some(output.get_ref().hasher.digest());
            drop(output);
            files.push(index);
        } else if let Err(error) = fs::remove_file(&index_path) {
            // An index left by a store that this one replaces would be taken for its own.
            if error.kind() != std::io::ErrorKind::NotFound {
                return Err(Error::io(&index_path)(error));
            }
        }
        files.push(sidecar::write(&Written {
            bin: path,
            format: format.name(),
            dtype: token_type,
            num_tokens,
            num_documents: if format == Format::Megatron { self.lengths.len() as u64 } else { 1 },
            vocab_size,
            text_bytes,
            block_checksums: self.hasher.checksums(),
            index_checksum,
            cleaning: self.cleaning.take(),
        })?);
        for file in &mut files {
            file.file()?.sync_all().map_err(Error::io(path))?;
        }
        Ok(files)
    }

    fn append<T: bytemuck::Pod>(&mut self, tokens: &[T]) -> Result<()> {
        let bytes = bytemuck::cast_slice(tokens);
        self.hasher.update(bytes);
        match &mut self.file {
            Output::Whole(file) => file.write_all(bytes),
            Output::Partial(file) => file.write_all(bytes),
        }
        .map_err(Error::io(&self.path))
    }

    /// The error for the first id outside the vocabulary.
    fn outside<I: Id>(&self, ids: &[I], lengths: &[u64]) -> Error {
        let limit = self.options.vocab_size;
        let at = ids.iter().position(|id| id.value() >= limit).unwrap_or(0);
        let id = ids.get(at).map_or(0, |id| id.value() as i64);
        let mut end = 0;
        let before = lengths.iter().take_while(|&&length| {
            end += length;
            end <= at as u64
        });
        let document = self.lengths.len() + before.count();
        Error::invalid(format!(
            "document {document} has the id {id}, vocab_size is {limit}: ids are from 0 to {}",
            limit - 1
        ))
    }
}

/// Hashes what it writes.
struct Hashing<W> {
    output: W,
    hasher: Xxh3,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
