//! What no token format has: `NAME.lmfast.json` beside `NAME.bin`, with checksums, vocabulary size and size of the text.
//!
//! The file is described byte by byte in FORMATS.md. It is optional to readers: without it every store opens, and its
//! fingerprint is computed from the content.

use std::fs;
use std::path::{Path, PathBuf};

use lmfast_base::{AtomicFile, Control, Error, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use super::{Store, TokenType};

/// Tokens are checked in blocks of this many bytes.
pub(super) const BLOCK_BYTES: usize = 1 << 20;
/// How many blocks are read to tell whether a sidecar still describes its file.
const SAMPLED_BLOCKS: usize = 8;
const VERSION: u32 = 1;

/// The JSON object, field by field in the order written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    lmfast_sidecar: u32,
    pub(super) format: String,
    pub(super) dtype: TokenType,
    pub(super) num_tokens: u64,
    pub(super) num_documents: u64,
    pub(super) vocab_size: u64,
    pub(super) text_bytes: Option<u64>,
    fingerprint: String,
    block_bytes: u64,
    index_checksum: Option<String>,
    block_checksums: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cleaning: Option<serde_json::Value>,
}

/// A sidecar that agrees with the sizes of its store.
#[derive(Debug)]
pub(super) struct Sidecar {
    path: PathBuf,
    pub(super) vocab_size: u64,
    pub(super) text_bytes: Option<u64>,
    /// What cleaning did to the text, as it was given to the writer.
    pub(super) cleaning: Option<serde_json::Value>,
    pub(super) fingerprint: u128,
    /// Whether it is no older than the files it describes.
    pub(super) is_current: bool,
    index_checksum: Option<u64>,
    block_checksums: Vec<u64>,
}

impl Sidecar {
    /// Reads the sidecar of a store, if there is one.
    pub(super) fn read(store: &Store) -> Result<Option<Self>> {
        let path = path_of(store.path());
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let damaged = |what: String| {
            Error::format(&path, format!("{what}: damaged; delete it to use the store without its checksums"))
        };
        let record: Record =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("not lmfast's JSON ({error})")))?;
        if record.lmfast_sidecar != VERSION || record.block_bytes != BLOCK_BYTES as u64 {
            let (version, block) = (record.lmfast_sidecar, record.block_bytes);
            return Err(Error::format(
                &path,
                format!("version {version} with blocks of {block} bytes: made by a newer lmfast"),
            ));
        }
        let found = (store.token_type(), store.num_tokens(), store.num_documents() as u64);
        let noted = (record.dtype, record.num_tokens, record.num_documents);
        if found != noted {
            let what = |(dtype, tokens, documents): (TokenType, u64, u64)| {
                format!("{tokens} {} tokens in {documents} documents", dtype.name())
            };
            return Err(Error::format(
                store.path(),
                format!(
                    "{}, but {} were written by its sidecar {}: the store was replaced since; delete the sidecar if that was meant",
                    what(found),
                    what(noted),
                    path.display()
                ),
            ));
        }
        let hexadecimal = |text: &String| {
            u64::from_str_radix(text, 16)
                .map_err(|_| damaged(format!("{text:?} is no checksum of 16 hexadecimal digits")))
        };
        let block_checksums = record.block_checksums.iter().map(hexadecimal).collect::<Result<Vec<u64>>>()?;
        let index_checksum = record.index_checksum.as_ref().map(hexadecimal).transpose()?;
        let blocks = (store.count * store.token_type.size()).div_ceil(BLOCK_BYTES);
        let fingerprint = fingerprint(record.dtype, record.num_tokens, &block_checksums, index_checksum);
        if block_checksums.len() != blocks
            || index_checksum.is_some() != store.index.is_some()
            || u128::from_str_radix(&record.fingerprint, 16) != Ok(fingerprint)
        {
            return Err(damaged("its checksums do not agree with each other".to_owned()));
        }
        let modified =
            |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(Error::io(path));
        let mut is_current = modified(&path)? >= modified(store.path())?;
        if store.index.is_some() {
            is_current &= modified(&path)? >= modified(&store.path().with_extension("idx"))?;
        }
        let Record { vocab_size, text_bytes, cleaning, .. } = record;
        Ok(Some(Self {
            path,
            vocab_size,
            text_bytes,
            cleaning,
            fingerprint,
            is_current,
            index_checksum,
            block_checksums,
        }))
    }

    /// Whether some blocks, spread from the first to the last, have the noted checksums.
    pub(super) fn sample_agrees(&self, tokens: &[u8]) -> bool {
        let blocks = self.block_checksums.len();
        let sampled = blocks.min(SAMPLED_BLOCKS);
        (0..sampled).all(|sample| {
            let block = if sampled == 1 { 0 } else { sample * (blocks - 1) / (sampled - 1) };
            tokens.chunks(BLOCK_BYTES).nth(block).map(xxh3_64) == self.block_checksums.get(block).copied()
        })
    }

    pub(super) fn verify_block(&self, store: &Store, block: usize, bytes: &[u8]) -> Result<()> {
        if self.block_checksums.get(block) == Some(&xxh3_64(bytes)) {
            return Ok(());
        }
        let from = store.start + block * BLOCK_BYTES;
        Err(self.changed(store.path(), &format!("bytes {from} to {}", from + bytes.len())))
    }

    pub(super) fn verify_index(&self, store: &Store) -> Result<()> {
        match &store.index {
            Some(index) if self.index_checksum != Some(xxh3_64(index.bytes())) => {
                Err(self.changed(&store.path().with_extension("idx"), "its bytes"))
            }
            _ => Ok(()),
        }
    }

    fn changed(&self, path: &Path, place: &str) -> Error {
        let sidecar = self.path.display();
        Error::format(
            path,
            format!("{place} are not what was written, by the checksum in {sidecar}: damaged, or changed since"),
        )
    }
}

/// The sidecar's name.
fn path_of(bin: &Path) -> PathBuf {
    bin.with_extension("lmfast.json")
}

/// What a writer knows in the end.
pub(super) struct Written<'a> {
    pub(super) bin: &'a Path,
    pub(super) format: &'static str,
    pub(super) dtype: TokenType,
    pub(super) num_tokens: u64,
    pub(super) num_documents: u64,
    pub(super) vocab_size: u64,
    pub(super) text_bytes: Option<u64>,
    pub(super) block_checksums: Vec<u64>,
    pub(super) index_checksum: Option<u64>,
    pub(super) cleaning: Option<serde_json::Value>,
}

/// Writes the sidecar beside its place.
pub(super) fn write(written: &Written<'_>) -> Result<AtomicFile> {
    let fingerprint = fingerprint(written.dtype, written.num_tokens, &written.block_checksums, written.index_checksum);
    let record = Record {
        lmfast_sidecar: VERSION,
        format: written.format.to_owned(),
        dtype: written.dtype,
        num_tokens: written.num_tokens,
        num_documents: written.num_documents,
        vocab_size: written.vocab_size,
        text_bytes: written.text_bytes,
        fingerprint: format!("{fingerprint:032x}"),
        block_bytes: BLOCK_BYTES as u64,
        index_checksum: written.index_checksum.map(|checksum| format!("{checksum:016x}")),
        block_checksums: written.block_checksums.iter().map(|checksum| format!("{checksum:016x}")).collect(),
        cleaning: written.cleaning.clone(),
    };
    let path = path_of(written.bin);
    let mut file = AtomicFile::create(&path)?;
    serde_json::to_writer_pretty(&mut file, &record).map_err(|error| Error::io(&path)(error.into()))?;
    std::io::Write::write_all(&mut file, b"\n").map_err(Error::io(&path))?;
    Ok(file)
}

/// XXH3 with 128 bits over `"lmfast tokens 1\0"`, bytes of a token, number of tokens, number of blocks, their checksums,
/// and the index's checksum (0 without one), each as a little-endian u64.
pub(super) fn fingerprint(dtype: TokenType, num_tokens: u64, blocks: &[u64], index: Option<u64>) -> u128 {
    let mut bytes = b"lmfast tokens 1\0".to_vec();
    for value in [dtype.size() as u64, num_tokens, blocks.len() as u64] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    for value in blocks.iter().copied().chain([index.unwrap_or(0)]) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    xxh3_128(&bytes)
}

/// The fingerprint of a store without a sidecar to be trusted.
pub(super) fn fingerprint_of_content(store: &Store, control: &Control) -> Result<u128> {
    control.begin("reading", (store.count * store.token_type.size()) as u64);
    let mut checksums = Vec::new();
    for block in store.blocks()? {
        control.check()?;
        checksums.push(xxh3_64(block));
        control.advance(block.len() as u64);
    }
    let index = store.index.as_ref().map(|index| xxh3_64(index.bytes()));
    Ok(fingerprint(store.token_type(), store.num_tokens(), &checksums, index))
}

/// Checksums of blocks of bytes that come in pieces.
#[derive(Default)]
pub(super) struct BlockHasher {
    /// Aligned to 64 bytes, which an owner inside a Python object would not be.
    current: Box<Xxh3>,
    filled: usize,
    checksums: Vec<u64>,
}

impl BlockHasher {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.current.update(now);
            self.filled += now.len();
            if self.filled == BLOCK_BYTES {
                self.close();
            }
            bytes = later;
        }
    }

    pub(super) fn checksums(&self) -> Vec<u64> {
        let last = (self.filled > 0).then(|| self.current.digest());
        self.checksums.iter().copied().chain(last).collect()
    }

    fn close(&mut self) {
        self.checksums.push(self.current.digest());
        self.current.reset();
        self.filled = 0;
    }
}
