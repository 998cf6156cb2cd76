//! Documents to a file of text, plain or compressed: the way back of [`source`](crate::source).

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::source::Documents;
use crate::{AtomicFile, Error, Result};

const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// A `.jsonl` file, an object with the field `text` a document, or a `.txt` file, a line a document; each also `.gz` or
/// `.zst`. It appears whole, by [`finish`](Self::finish), or not at all.
pub struct TextFile {
    path: PathBuf,
    json: bool,
    output: Packed,
    number: u64,
}

enum Packed {
    Plain(BufWriter<AtomicFile>),
    Gzip(Box<flate2::write::GzEncoder<BufWriter<AtomicFile>>>),
    Zstd(Box<zstd::Encoder<'static, BufWriter<AtomicFile>>>),
}

#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
}

impl TextFile {
    /// Opens the file; its name tells the form.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name of another form.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let extension = |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let packing = extension(path).filter(|extension| matches!(extension.as_str(), "gz" | "zst"));
        let inner = if packing.is_some() { path.with_extension("") } else { path.to_owned() };
        let json = match extension(&inner).as_deref() {
            Some("jsonl") => true,
            Some("txt") => false,
            _ => {
                return Err(Error::invalid(format!(
                    "{}: the name of a file of text ends in .jsonl or .txt, with .gz or .zst behind or not",
                    path.display()
                )));
            }
        };
        let file = BufWriter::with_capacity(1 << 20, AtomicFile::create(path)?);
        let output = match packing.as_deref() {
            Some("gz") => {
                Packed::Gzip(Box::new(flate2::write::GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL))))
            }
            Some(_) => Packed::Zstd(Box::new(zstd::Encoder::new(file, ZSTD_LEVEL).map_err(Error::io(path))?)),
            None => Packed::Plain(file),
        };
        Ok(Self { path: path.to_owned(), json, output, number: 0 })
    }

    /// Appends documents.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a document of several lines in a `.txt`, where it could not be told from several documents.
    pub fn write(&mut self, documents: &Documents) -> Result<()> {
        let mut bytes = Vec::with_capacity(documents.text_bytes() + 16 * documents.len());
        for document in documents.iter() {
            if self.json {
                serde_json::to_writer(&mut bytes, &Line { text: document })
                    .map_err(|error| Error::io(&self.path)(error.into()))?;
            } else if document.contains('\n') {
                return Err(Error::invalid(format!(
                    "{}: document {} has several lines, and in a .txt each line is a document: write .jsonl, or read with lines=True",
                    self.path.display(),
                    self.number
                )));
            } else {
                bytes.extend_from_slice(document.as_bytes());
            }
            bytes.push(b'\n');
            self.number += 1;
        }
        match &mut self.output {
            Packed::Plain(output) => output.write_all(&bytes),
            Packed::Gzip(output) => output.write_all(&bytes),
            Packed::Zstd(output) => output.write_all(&bytes),
        }
        .map_err(Error::io(&self.path))
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<()> {
        let path = &self.path;
        let buffered = match self.output {
            Packed::Plain(output) => output,
            Packed::Gzip(output) => output.finish().map_err(Error::io(path))?,
            Packed::Zstd(output) => output.finish().map_err(Error::io(path))?,
        };
        buffered.into_inner().map_err(|error| Error::io(path)(error.into_error()))?.commit()
    }
}
