//! Writes stores: `.bin`, for Megatron its `.idx`, and the sidecar, each whole or not at all.

use std::fs;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use lmfast_base::{AtomicFile, Error, Result};
use xxhash_rust::xxh3::Xxh3;

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

/// A store under construction; nothing is to be seen of it before [`finish`](Self::finish).
///
/// Memory: four bytes a document, for the index.
pub struct Writer {
    path: PathBuf,
    options: WriteOptions,
    token_type: TokenType,
    file: AtomicFile,
    hasher: BlockHasher,
    lengths: Vec<u32>,
    num_tokens: u64,
}

impl Writer {
    /// Begins the store of this name; see [`bin_path`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a vocabulary that the format cannot hold.
    pub fn create(path: &Path, options: WriteOptions) -> Result<Self> {
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
        let path = bin_path(path);
        let mut file = AtomicFile::create(&path)?;
        if format == Format::LlmC {
            file.write_all(&[0; plain::LLMC_HEADER]).map_err(Error::io(&path))?;
        }
        let (hasher, lengths) = (BlockHasher::default(), Vec::new());
        Ok(Self { path, options, token_type, file, hasher, lengths, num_tokens: 0 })
    }

    /// The `.bin` that is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends documents: their ids one behind the other, and how many each has.
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
        let limit = self.options.vocab_size;
        if ids.iter().fold(false, |found, id| found | (id.value() >= limit)) {
            return Err(self.outside(ids, lengths));
        }
        for (number, &length) in (self.lengths.len()..).zip(lengths) {
            let length = u32::try_from(length).ok().filter(|&length| i32::try_from(length).is_ok());
            self.lengths.push(length.ok_or_else(|| {
                Error::invalid(format!(
                    "document {number} has more than 2^31 - 1 tokens, which no index can say; cut it"
                ))
            })?);
        }
        for chunk in ids.chunks(CHUNK) {
            match self.token_type {
                TokenType::Uint16 => self.append(&chunk.iter().map(|id| id.value() as u16).collect::<Vec<_>>())?,
                _ => self.append(&chunk.iter().map(|id| id.value() as u32).collect::<Vec<_>>())?,
            }
        }
        self.num_tokens += ids.len() as u64;
        Ok(())
    }

    /// Puts the files in place.
    pub fn finish(mut self, text_bytes: Option<u64>) -> Result<Summary> {
        let Self { options: WriteOptions { format, vocab_size }, token_type, num_tokens, .. } = self;
        let path = self.path;
        let documents = self.lengths.len() as u64;
        let index_path = path.with_extension("idx");
        if format == Format::LlmC {
            let count = i32::try_from(num_tokens).map_err(|_| {
                Error::invalid(format!(
                    "llm.c counts tokens in 31 bits, these are {num_tokens}: write several files, or format='megatron'"
                ))
            })?;
            let file = self.file.file()?;
            file.rewind()
                .and_then(|()| file.write_all(&plain::llmc_header(token_type, count)))
                .map_err(Error::io(&path))?;
        }
        if format == Format::NanoGpt && num_tokens == 0 {
            return Err(Error::invalid("no tokens: a nanoGPT file of none cannot be told from a damaged one"));
        }
        let mut index_checksum = None;
        if format == Format::Megatron {
            let mut index = AtomicFile::create(&index_path)?;
            let mut output = Hashing { output: BufWriter::new(&mut index), hasher: Xxh3::new() };
            megatron::write(&mut output, token_type, &self.lengths)
                .and_then(|()| output.output.flush())
                .map_err(Error::io(&index_path))?;
            index_checksum = Some(output.hasher.digest());
            drop(output);
            self.file.commit()?;
            index.commit()?;
        } else {
            // An index left by a store that this one replaces would be taken for its own.
            match fs::remove_file(&index_path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&index_path)(error));
                }
                _ => self.file.commit()?,
            }
        }
        sidecar::write(&Written {
            bin: &path,
            format: format.name(),
            dtype: token_type,
            num_tokens,
            num_documents: if format == Format::Megatron { documents } else { 1 },
            vocab_size,
            text_bytes,
            block_checksums: self.hasher.finish(),
            index_checksum,
        })?;
        Ok(Summary { documents, tokens: num_tokens, text_bytes: text_bytes.unwrap_or(0) })
    }

    fn append<T: bytemuck::Pod>(&mut self, tokens: &[T]) -> Result<()> {
        let bytes = bytemuck::cast_slice(tokens);
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(Error::io(&self.path))
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
