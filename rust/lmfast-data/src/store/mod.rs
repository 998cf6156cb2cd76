//! Files of tokens, told apart by content and name, mapped and never copied.

mod megatron;
mod partial;
mod plain;
mod sidecar;
mod token;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lmfast_base::{Control, Error, Map, Result};

use megatron::Index;
use plain::Span;
use sidecar::Sidecar;
pub use token::{TokenType, Tokens};
pub use writer::{Id, WriteOptions, Writer};

/// The kinds of file that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.bin` with a `.idx` beside it.
    Megatron,
    /// A `.bin` of nothing but tokens.
    NanoGpt,
    /// A `.bin` with llm.c's header.
    LlmC,
    /// A numpy array.
    Npy,
}

impl Format {
    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Megatron => "megatron",
            Self::NanoGpt => "nanogpt",
            Self::LlmC => "llm.c",
            Self::Npy => "npy",
        }
    }

    /// The format that can be written under this name.
    pub fn parse(name: &str) -> Result<Self> {
        [Self::Megatron, Self::NanoGpt, Self::LlmC]
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| Error::invalid(format!("format={name:?}: 'megatron', 'nanogpt' and 'llm.c' are written")))
    }
}

/// An open file of tokens.
#[derive(Debug)]
pub struct Store {
    format: Format,
    map: Map,
    token_type: TokenType,
    start: usize,
    count: usize,
    index: Option<Index>,
    sidecar: Option<Sidecar>,
    offsets: OnceLock<Vec<u64>>,
    fingerprint: OnceLock<u128>,
}

impl Store {
    /// Opens a store by the name of its `.bin`, of its `.idx`, of a `.npy`, or without the suffix `.bin`.
    ///
    /// A file without a header holds tokens of type `dtype`, or else uint16; for others `dtype` must be what they say.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file and the rule it breaks. Takes constant time: the boundaries of a Megatron
    /// index are checked by the first call of [`offsets`](Self::offsets).
    pub fn open(path: &Path, dtype: Option<TokenType>) -> Result<Self> {
        let path = locate(path);
        refuse_by_name(&path)?;
        let map = Map::open(&path)?;
        let index_path = path.with_extension("idx");
        let named_bin = has_extension(&path, "bin");
        let (format, index, span) = if named_bin && index_path.exists() {
            let index = Index::open(&index_path)?;
            let (expected, found) = (index.bin_bytes()?, map.bytes().len());
            if found as u64 != expected {
                let what = format!("{found} bytes, its index {} asks for {expected}", index_path.display());
                return Err(Error::format(&path, what + ": one of the two is cut short or belongs to another store"));
            }
            let token_type = index.token_type;
            (Format::Megatron, Some(index), Span { token_type, start: 0, count: found / token_type.size() })
        } else if let Some(magic) = plain::llmc_magic(&map) {
            (Format::LlmC, None, plain::llmc(&map, magic)?)
        } else if plain::is_npy(&map) {
            (Format::Npy, None, plain::npy(&map)?)
        } else if has_extension(&path, "npy") {
            return Err(Error::format(
                &path,
                "no header of numpy: raw .npy files of dolma and OLMo are not supported yet",
            ));
        } else {
            (Format::NanoGpt, None, plain::headerless(&map, dtype.unwrap_or(TokenType::Uint16))?)
        };
        if let Some(asked) = dtype.filter(|&asked| asked != span.token_type) {
            let (asked, found) = (asked.name(), span.token_type.name());
            return Err(Error::format(&path, format!("dtype={asked:?} was asked for; by its header it holds {found}")));
        }
        let Span { token_type, start, count } = span;
        let mut store = Self {
            format,
            map,
            token_type,
            start,
            count,
            index,
            sidecar: None,
            offsets: OnceLock::new(),
            fingerprint: OnceLock::new(),
        };
        store.tokens()?;
        if named_bin {
            store.sidecar = Sidecar::read(&store)?;
        }
        Ok(store)
    }

    /// The file of the tokens.
    pub fn path(&self) -> &Path {
        self.map.path()
    }

    /// The kind of file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The type of the tokens.
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// How many tokens there are.
    pub fn num_tokens(&self) -> u64 {
        self.count as u64
    }

    /// How many documents there are; a file without boundaries is one.
    pub fn num_documents(&self) -> usize {
        self.index.as_ref().map_or(1, Index::num_documents)
    }

    /// The size of the vocabulary, where the store's writer noted it.
    pub fn vocab_size(&self) -> Option<u64> {
        self.sidecar.as_ref().map(|sidecar| sidecar.vocab_size)
    }

    /// What cleaning did to the text that the store was made from, as its sidecar tells it.
    pub fn cleaning(&self) -> Option<&serde_json::Value> {
        self.sidecar.as_ref().and_then(|sidecar| sidecar.cleaning.as_ref())
    }

    /// Bytes of the UTF-8 text behind the tokens, where the store was made from text by lmfast.
    pub fn text_bytes(&self) -> Option<u64> {
        self.sidecar.as_ref().and_then(|sidecar| sidecar.text_bytes)
    }

    /// Every token, in place.
    pub fn tokens(&self) -> Result<Tokens<'_>> {
        match self.token_type {
            TokenType::Uint16 => self.map.slice(self.start, self.count).map(Tokens::Uint16),
            TokenType::Int32 => self.map.slice(self.start, self.count).map(Tokens::Int32),
            TokenType::Uint32 => self.map.slice(self.start, self.count).map(Tokens::Uint32),
        }
    }

    /// The token that begins each document, and the number of all tokens: `num_documents + 1` values.
    ///
    /// # Errors
    /// [`Error::Format`] if a Megatron index has sequences out of place or documents out of order.
    pub fn offsets(&self) -> Result<&[u64]> {
        if let Some(offsets) = self.offsets.get() {
            return Ok(offsets);
        }
        let offsets = match &self.index {
            Some(index) => index.offsets(self.num_tokens())?,
            None => vec![0, self.num_tokens()],
        };
        Ok(self.offsets.get_or_init(|| offsets))
    }

    /// A number that any other content would change.
    ///
    /// A store that lmfast wrote knows it, as long as the sidecar is no older than the files and eight blocks of the
    /// tokens have the checksums noted there; otherwise the whole file is read once.
    pub fn fingerprint(&self, control: &Control) -> Result<u128> {
        if let Some(&fingerprint) = self.fingerprint.get() {
            return Ok(fingerprint);
        }
        let fingerprint = match &self.sidecar {
            Some(sidecar) if sidecar.is_current && sidecar.sample_agrees(self.tokens()?.bytes()) => sidecar.fingerprint,
            _ => sidecar::fingerprint_of_content(self, control)?,
        };
        Ok(*self.fingerprint.get_or_init(|| fingerprint))
    }

    /// Reads everything: boundaries, ids against `vocab_size` (or the noted one), checksums where the writer left some.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file and the first place that is wrong.
    pub fn verify(&self, vocab_size: Option<u64>, control: &Control) -> Result<()> {
        let offsets = self.offsets()?;
        let tokens = self.tokens()?;
        let limit = vocab_size.or(self.vocab_size()).unwrap_or(self.token_type.capacity());
        control.begin("verifying", (self.count * self.token_type.size()) as u64);
        let tokens_per_block = sidecar::BLOCK_BYTES / self.token_type.size();
        for (block, bytes) in self.blocks()?.enumerate() {
            control.check()?;
            let start = block * tokens_per_block;
            let end = (start + tokens_per_block).min(self.count);
            if let Some((at, id)) = tokens.find_outside(start, end, limit) {
                let document = offsets.partition_point(|&offset| offset <= at as u64).saturating_sub(1);
                return Err(Error::format(
                    self.path(),
                    format!(
                        "token {at}, in document {document}, is {id}; vocab_size is {limit}: damaged, or of another vocabulary"
                    ),
                ));
            }
            if let Some(sidecar) = &self.sidecar {
                sidecar.verify_block(self, block, bytes)?;
            }
            control.advance(bytes.len() as u64);
        }
        match &self.sidecar {
            Some(sidecar) => sidecar.verify_index(self),
            None => Ok(()),
        }
    }

    /// Asks the operating system to begin reading these tokens.
    pub(crate) fn will_need(&self, start: usize, count: usize) {
        let size = self.token_type.size();
        self.map.advise_will_need(self.start + start * size, count * size);
    }

    /// Keeps the operating system from reading what lies around a token that is read.
    pub(crate) fn will_be_read_at_random(&self) {
        self.map.advise_random();
    }

    /// Blocks of the tokens' bytes in order, for reading them all; the disk is asked for the next ones.
    fn blocks(&self) -> Result<impl Iterator<Item = &[u8]>> {
        const AHEAD: usize = 8;
        let ask =
            |block: usize| self.map.advise_will_need(self.start + block * sidecar::BLOCK_BYTES, sidecar::BLOCK_BYTES);
        let tokens = self.map.slice::<u8>(self.start, self.count * self.token_type.size())?;
        Ok(tokens.chunks(sidecar::BLOCK_BYTES).enumerate().map(move |(number, block)| {
            if number == 0 {
                (1..AHEAD).for_each(ask);
            }
            ask(number + AHEAD);
            block
        }))
    }
}

/// The `.bin` that a store of this name is written to: a name that ends in neither `.bin` nor `.idx` gets `.bin`
/// appended.
pub fn bin_path(path: &Path) -> PathBuf {
    if has_extension(path, "bin") {
        path.to_owned()
    } else if has_extension(path, "idx") {
        path.with_extension("bin")
    } else {
        let mut name = path.as_os_str().to_owned();
        name.push(".bin");
        PathBuf::from(name)
    }
}

/// The file to open: as [`bin_path`] where that is there, or else the file of exactly this name.
fn locate(path: &Path) -> PathBuf {
    let bin = bin_path(path);
    let other_kind = ["npy", "ds", "parquet"].iter().any(|extension| has_extension(path, extension));
    if !other_kind && (bin.is_file() || has_extension(path, "idx")) { bin } else { path.to_owned() }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn refuse_by_name(path: &Path) -> Result<()> {
    fs::metadata(path).map_err(Error::io(path))?;
    let kind = match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "ds" => "datatrove's .ds files",
        "parquet" => "parquet files of tokens",
        "gz" | "zst" | "xz" => "compressed token files",
        "txt" | "json" | "jsonl" | "csv" => {
            return Err(Error::format(
                path,
                "text, and not a store of tokens: encode it first, with Tokenizer.encode_files",
            ));
        }
        _ => return Ok(()),
    };
    Err(Error::format(path, format!("{kind} are not supported yet")))
}

#[cfg(test)]
mod tests;
