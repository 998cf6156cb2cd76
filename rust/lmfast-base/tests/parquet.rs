//! Parquet files in: what is read is what was written, and damage is an error that names the file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use lmfast_base::Result;
use lmfast_base::source::{Files, Options};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const SCHEMA: &str = "message schema { REQUIRED INT64 id; OPTIONAL BYTE_ARRAY text (UTF8); REQUIRED BYTE_ARRAY raw; REPEATED BYTE_ARRAY list (UTF8); }";

/// Three columns beside the text, in row groups of `rows`.
fn write(path: &Path, texts: &[Option<&[u8]>], rows: usize, compression: Compression) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    for texts in texts.chunks(rows) {
        let mut group = writer.next_row_group().unwrap();
        let mut number = 0;
        while let Some(mut column) = group.next_column().unwrap() {
            let present: Vec<ByteArray> = texts.iter().flatten().map(|text| ByteArray::from(text.to_vec())).collect();
            let all: Vec<ByteArray> = texts.iter().map(|_| ByteArray::from("raw")).collect();
            let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
            match number {
                0 => column.typed::<Int64Type>().write_batch(&vec![7; texts.len()], None, None),
                1 => column.typed::<ByteArrayType>().write_batch(&present, Some(&levels), None),
                2 => column.typed::<ByteArrayType>().write_batch(&all, None, None),
                _ => column.typed::<ByteArrayType>().write_batch(
                    &all,
                    Some(&vec![1; texts.len()]),
                    Some(&vec![0; texts.len()]),
                ),
            }
            .unwrap();
            column.close().unwrap();
            number += 1;
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Panics that reached whoever prints them.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn read(path: &Path, column: &str) -> Result<(Vec<String>, u64)> {
    static COUNTED: Once = Once::new();
    COUNTED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            before(info);
        }));
    });
    let options = Options { text_column: column.to_owned(), ..Options::default() };
    let (mut documents, mut bytes) = (Vec::new(), 0);
    for batch in Files::new(vec![path.to_owned()], options)? {
        let batch = batch?;
        documents.extend(batch.iter().map(str::to_owned));
        bytes += batch.source_bytes;
    }
    Ok((documents, bytes))
}

fn texts() -> Vec<String> {
    (0..1000).map(|number| format!("document {number} \u{e9} ").repeat(number % 37)).collect()
}

fn file(folder: &Path) -> PathBuf {
    let path = folder.join("text.parquet");
    let texts = texts();
    let bytes: Vec<_> = texts.iter().map(|text| Some(text.as_bytes())).collect();
    write(&path, &bytes, 300, Compression::SNAPPY);
    path
}

#[test]
fn documents_come_back_in_order_from_every_compression() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.PARQUET");
    let texts = texts();
    let bytes: Vec<_> = texts.iter().map(|text| Some(text.as_bytes())).collect();
    for (rows, compression) in [
        (1000, Compression::UNCOMPRESSED),
        (1, Compression::SNAPPY),
        (300, Compression::GZIP(parquet::basic::GzipLevel::default())),
        (999, Compression::ZSTD(ZstdLevel::default())),
        (64, Compression::LZ4_RAW),
        (500, Compression::BROTLI(parquet::basic::BrotliLevel::default())),
    ] {
        write(&path, &bytes, rows, compression);
        let (found, source_bytes) = read(&path, "text").unwrap();
        assert!(found == texts, "{compression:?}");
        assert_eq!(source_bytes, fs::metadata(&path).unwrap().len());
        assert_eq!(read(&path, "raw").unwrap().0, vec!["raw"; 1000]);
    }
    write(&path, &[], 1, Compression::SNAPPY);
    assert_eq!(read(&path, "text").unwrap().0, Vec::<String>::new());
}

#[test]
fn what_is_no_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    for (column, expected) in [("absent", "text_column="), ("id", "INT64"), ("list", "lists")] {
        let error = read(&path, column).unwrap_err().to_string();
        assert!(error.contains("text.parquet") && error.contains(expected), "{error}");
    }
    write(&path, &[Some(b"a"), Some(b"b"), None], 2, Compression::SNAPPY);
    assert!(read(&path, "text").unwrap_err().to_string().contains("row 2 has no text (null)"));
    write(&path, &[Some(b"a"), Some(b"\xff")], 2, Compression::SNAPPY);
    assert!(read(&path, "text").unwrap_err().to_string().contains("row 1: not UTF-8"));
}

#[test]
fn damage_is_an_error_and_prints_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.parquet");
    let texts = texts();
    let bytes: Vec<_> = texts.iter().take(80).map(|text| Some(text.as_bytes())).collect();
    write(&path, &bytes, 30, Compression::SNAPPY);
    let whole = fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.parquet");
    for end in (0..whole.len()).step_by(whole.len() / 97) {
        fs::write(&damaged, &whole[..end]).unwrap();
        let error = read(&damaged, "text").unwrap_err().to_string();
        assert!(error.contains("damaged.parquet") && error.contains("parquet"), "{error}");
    }
    // A changed byte may pass unseen in text, but may not end the process.
    let footer = whole.len() - 1500;
    let mut caught = 0;
    for at in (0..whole.len()).step_by(whole.len() / 97).chain(footer..whole.len()) {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            fs::write(&damaged, &bytes).unwrap();
            if let Err(error) = read(&damaged, "text") {
                assert!(error.to_string().contains("damaged.parquet"), "{error}");
                caught += usize::from(error.to_string().contains("decoder failed"));
            }
        }
    }
    assert!(caught > 0, "no damage makes the decoder panic any more");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}
