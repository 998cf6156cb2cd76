//! Documents out of text files, plain or compressed, in bounded memory.
//!
//! | name ends in | documents |
//! |---|---|
//! | `.jsonl` | the string under [`Options::text_field`] of each line |
//! | `.parquet` | the string of each row in the column [`Options::text_column`] |
//! | anything else | the whole file or, with [`Options::lines`], each line without its line end |
//!
//! each but `.parquet` also with `.gz` or `.zst` behind. Text is UTF-8 and taken as it is: no byte order mark, control character or
//! line end is dropped from a whole file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use crate::{Error, Result};

mod parquet;

/// A batch holds documents until this many bytes of text are reached.
const BATCH_BYTES: usize = 4 << 20;

/// Lines with their line ends are read in blocks of this many bytes, each a batch.
const BLOCK_BYTES: usize = 1 << 18;

/// Documents one behind the other in one string.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Documents {
    text: String,
    ends: Vec<usize>,
    /// How far reading has come since the last batch, in bytes of the files as they lie on disk.
    pub source_bytes: u64,
}

impl Documents {
    /// Appends a document.
    pub fn push(&mut self, document: &str) {
        self.text.push_str(document);
        self.ends.push(self.text.len());
    }

    /// Appends each line of a text, with its line end, as a document.
    fn push_lines(&mut self, lines: &str) {
        let start = self.text.len();
        self.text.push_str(lines);
        self.ends.extend(memchr::memchr_iter(b'\n', lines.as_bytes()).map(|at| start + at + 1));
        if !lines.is_empty() && !lines.ends_with('\n') {
            self.ends.push(self.text.len());
        }
    }

    /// Appends a document without a copy where it is the first.
    fn push_whole(&mut self, document: String) {
        if self.text.is_empty() {
            self.text = document;
        } else {
            self.text.push_str(&document);
        }
        self.ends.push(self.text.len());
    }

    /// Whether the batch holds enough to be handed on.
    pub fn is_full(&self) -> bool {
        self.text.len() >= BATCH_BYTES || self.ends.len() >= BATCH_BYTES / 16
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of text in all documents.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Document `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&str> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.text.get(start..*self.ends.get(index)?)
    }

    /// Some documents, one behind the other: a text that ends with the last of them, where in it the first begins and
    /// where each ends.
    pub fn run(&self, range: Range<usize>) -> (&str, usize, &[usize]) {
        let end_of = |count: usize| if count == 0 { 0 } else { self.ends[count - 1] };
        (&self.text[..end_of(range.end)], end_of(range.start), &self.ends[range])
    }

    /// Every document in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<S: AsRef<str>> FromIterator<S> for Documents {
    fn from_iter<I: IntoIterator<Item = S>>(documents: I) -> Self {
        let mut batch = Self::default();
        for document in documents {
            batch.push(document.as_ref());
        }
        batch
    }
}

/// How files are cut into documents.
#[derive(Debug, Clone)]
pub struct Options {
    /// Each line of a text file is a document, an empty line an empty one.
    pub lines: bool,
    /// The field of a `.jsonl` line that holds the text.
    pub text_field: String,
    /// The column of a `.parquet` file that holds the text.
    pub text_column: String,
    /// Keep the line end in each document of [`lines`](Self::lines), as trainers of vocabularies do.
    pub keep_line_ends: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { lines: false, text_field: "text".to_owned(), text_column: "text".to_owned(), keep_line_ends: false }
    }
}

/// The documents of files, in the order of the files; an iterator of batches.
///
/// ```
/// # fn main() -> lmfast_base::Result<()> {
/// use lmfast_base::source::{Files, Options};
/// # let path = std::env::temp_dir().join(format!("lmfast-source-example-{}.txt", std::process::id()));
/// # let _ = std::fs::write(&path, "one\n\nthree");
/// let files = Files::new(vec![path.clone()], Options { lines: true, ..Options::default() })?;
/// let documents: Vec<String> = files.flatten().flat_map(|batch| batch.iter().map(str::to_owned).collect::<Vec<_>>()).collect();
/// assert_eq!(documents, ["one", "", "three"]);
/// # let _ = std::fs::remove_file(&path);
/// # Ok(())
/// # }
/// ```
pub struct Files {
    paths: std::vec::IntoIter<PathBuf>,
    options: Options,
    current: Option<Open>,
    total_bytes: u64,
    failed: bool,
}

impl Files {
    /// Checks that every file is there, so that a wrong name is told at once and not after an hour.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be opened, [`Error::Format`] for a folder or a format that is not read.
    pub fn new(paths: Vec<PathBuf>, options: Options) -> Result<Self> {
        let mut total_bytes = 0;
        for path in &paths {
            let metadata = File::open(path).and_then(|file| file.metadata()).map_err(Error::io(path))?;
            if metadata.is_dir() {
                return Err(Error::format(
                    path,
                    "this is a folder; name its files, for example with a glob such as 'folder/*.txt'",
                ));
            }
            if is_parquet(path) {
                parquet::Reader::open(path.clone(), &options.text_column)?;
            }
            total_bytes += metadata.len();
        }
        Ok(Self { paths: paths.into_iter(), options, current: None, total_bytes, failed: false })
    }

    /// Bytes of all files as they lie on disk: the total that [`Documents::source_bytes`] adds up to.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    fn fill(&mut self, batch: &mut Documents) -> Result<()> {
        while !batch.is_full() {
            let mut reader = match self.current.take() {
                Some(reader) => reader,
                None => match self.paths.next() {
                    Some(path) => Open::new(path, &self.options)?,
                    None => return Ok(()),
                },
            };
            let more = reader.read(batch, &self.options)?;
            batch.source_bytes += reader.newly_read();
            if more {
                self.current = Some(reader);
            }
            if self.options.keep_line_ends && batch.text_bytes() >= BLOCK_BYTES {
                break;
            }
        }
        Ok(())
    }
}

impl Iterator for Files {
    type Item = Result<Documents>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut batch = Documents::default();
        match self.fill(&mut batch) {
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
            Ok(()) if batch.is_empty() && batch.source_bytes == 0 => None,
            Ok(()) => Some(Ok(batch)),
        }
    }
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// The file that is being read.
enum Open {
    Text(Reader),
    Parquet(Box<parquet::Reader>),
}

impl Open {
    fn new(path: PathBuf, options: &Options) -> Result<Self> {
        Ok(if is_parquet(&path) {
            Self::Parquet(Box::new(parquet::Reader::open(path, &options.text_column)?))
        } else {
            Self::Text(Reader::open(path, options)?)
        })
    }

    /// Adds documents until the batch is full or the file ends; says whether there may be more.
    fn read(&mut self, batch: &mut Documents, options: &Options) -> Result<bool> {
        match self {
            Self::Text(reader) => reader.read(batch, options),
            Self::Parquet(reader) => reader.read(batch),
        }
    }

    /// Bytes of the file read since the last call.
    fn newly_read(&mut self) -> u64 {
        match self {
            Self::Text(reader) => reader.newly_read(),
            Self::Parquet(reader) => reader.newly_read(),
        }
    }
}

enum Shape {
    Whole,
    Lines,
    Json,
}

/// One open file of text.
struct Reader {
    path: PathBuf,
    shape: Shape,
    input: Box<dyn BufRead + Send>,
    read: Arc<AtomicU64>,
    reported: u64,
    line_number: u64,
    line: Vec<u8>,
}

impl Reader {
    fn open(path: PathBuf, options: &Options) -> Result<Self> {
        let file = File::open(&path).map_err(Error::io(&path))?;
        let read = Arc::new(AtomicU64::new(0));
        let counted = BufReader::with_capacity(1 << 18, Counted { file, read: read.clone() });
        let extension = |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let (input, inner): (Box<dyn BufRead + Send>, Cow<'_, Path>) = match extension(&path).as_deref() {
            Some("gz") => {
                let decoder = flate2::bufread::MultiGzDecoder::new(counted);
                (Box::new(BufReader::with_capacity(1 << 18, decoder)), path.with_extension("").into())
            }
            Some("zst") => {
                let decoder = zstd::Decoder::with_buffer(counted).map_err(Error::io(&path))?;
                (Box::new(BufReader::with_capacity(1 << 18, decoder)), path.with_extension("").into())
            }
            _ => (Box::new(counted), path.as_path().into()),
        };
        let shape = match extension(&inner).as_deref() {
            Some("jsonl") => Shape::Json,
            _ if options.lines => Shape::Lines,
            _ => Shape::Whole,
        };
        Ok(Self { path, shape, input, read, reported: 0, line_number: 0, line: Vec::new() })
    }

    fn newly_read(&mut self) -> u64 {
        let read = self.read.load(Ordering::Relaxed);
        let newly = read - self.reported;
        self.reported = read;
        newly
    }

    fn read(&mut self, batch: &mut Documents, options: &Options) -> Result<bool> {
        if matches!(self.shape, Shape::Whole) {
            let mut bytes = Vec::new();
            self.input.read_to_end(&mut bytes).map_err(|error| broken(&self.path, error))?;
            match String::from_utf8(bytes) {
                Ok(text) => batch.push_whole(text),
                Err(error) => batch.push(utf8(&self.path, error.as_bytes(), 0)?),
            }
            return Ok(false);
        }
        if matches!(self.shape, Shape::Lines) && options.keep_line_ends {
            return self.read_block(batch);
        }
        while !batch.is_full() {
            self.line.clear();
            self.line_number += 1;
            if self.input.read_until(b'\n', &mut self.line).map_err(|error| broken(&self.path, error))? == 0 {
                return Ok(false);
            }
            let end = without_line_end(&self.line);
            if matches!(self.shape, Shape::Json) {
                if !self.line[..end].trim_ascii().is_empty() {
                    batch.push(&self.json_text(&self.line[..end], &options.text_field)?);
                }
            } else {
                batch.push(utf8(&self.path, &self.line[..end], self.line_number)?);
            }
        }
        Ok(true)
    }

    /// Adds a block of lines with their line ends; the beginning of a line that goes on behind it stays in `self.line`.
    fn read_block(&mut self, batch: &mut Documents) -> Result<bool> {
        let begun = self.line.len(); // without a line end
        let wanted = BLOCK_BYTES.saturating_sub(begun).max(BLOCK_BYTES / 2) as u64;
        let read = (&mut self.input).take(wanted).read_to_end(&mut self.line);
        let more = read.map_err(|error| broken(&self.path, error))? as u64 == wanted;
        let last = memchr::memrchr(b'\n', &self.line[begun..]).map_or(0, |at| begun + at + 1);
        let end = if more { last } else { self.line.len() };
        if let Ok(lines) = std::str::from_utf8(&self.line[..end]) {
            self.line_number += memchr::memchr_iter(b'\n', lines.as_bytes()).count() as u64;
            batch.push_lines(lines);
        } else {
            for line in self.line[..end].split_inclusive(|&byte| byte == b'\n') {
                self.line_number += 1;
                batch.push(utf8(&self.path, line, self.line_number)?);
            }
        }
        self.line.drain(..end);
        Ok(more)
    }

    fn json_text<'a>(&self, line: &'a [u8], field: &str) -> Result<Cow<'a, str>> {
        let line = utf8(&self.path, line, self.line_number)?;
        let number = self.line_number;
        let object: std::collections::BTreeMap<Cow<'a, str>, Field<'a>> =
            serde_json::from_str(line).map_err(|error| {
                Error::format(
                    &self.path,
                    format!("line {number} is not a JSON object ({error}): .jsonl has one object a line"),
                )
            })?;
        match object.into_iter().find(|(name, _)| name == field) {
            Some((_, Field::Text(text))) => Ok(text),
            Some((_, Field::Other(_))) => {
                Err(Error::format(&self.path, format!("line {number}: the field {field:?} is not a string")))
            }
            None => Err(Error::format(
                &self.path,
                format!("line {number} has no field {field:?}: name the one that holds the text with text_field="),
            )),
        }
    }
}

/// A value of a JSON object: borrowed text, or anything else, skipped.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(serde::de::IgnoredAny),
}

fn without_line_end(line: &[u8]) -> usize {
    match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line).len(),
        None => line.len(),
    }
}

fn utf8<'a>(path: &Path, bytes: &'a [u8], line: u64) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let place = if line == 0 { format!("byte {at}") } else { format!("byte {at} of line {line}") };
        let cause = if bytes.contains(&0) {
            "this looks like a binary file; lmfast reads text"
        } else {
            "the file is in another encoding; convert it, for example with 'iconv -f latin1 -t utf-8'"
        };
        Error::format(path, format!("not UTF-8 at {place}: {cause}"))
    })
}

/// A read that fails inside a compressed file is a broken file, any other the operating system's doing.
fn broken(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::format(path, "the compressed data ends too early: the file is cut short")
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other
            if error.raw_os_error().is_none() =>
        {
            Error::format(
                path,
                format!("the compressed data is damaged, or of another kind than the name says ({error})"),
            )
        }
        _ => Error::io(path)(error),
    }
}

struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
