//! Files in and out: what is read is what was written, and nothing half-done stays.
#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    reason = "a test fails by panicking, and is read more than it is run"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use lmfast_base::source::{Documents, Files, Options};
use lmfast_base::{AtomicFile, Error, Map, Result};
use proptest::prelude::*;

fn read(path: &Path, options: Options) -> Result<Vec<String>> {
    let mut documents = Vec::new();
    for batch in Files::new(vec![path.to_owned()], options)? {
        documents.extend(batch?.iter().map(str::to_owned));
    }
    Ok(documents)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let packed = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Some("zst") => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    };
    fs::write(&path, packed).unwrap();
    path
}

fn lines() -> Options {
    Options { lines: true, ..Options::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_files_come_back(text in "\\PC{0,200}|[\\n\\r\\t a]{0,50}", ending in prop::sample::select(vec!["", ".gz", ".zst"])) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &format!("text.txt{ending}"), text.as_bytes());
        prop_assert_eq!(read(&path, Options::default()).unwrap(), vec![text]);
    }

    #[test]
    fn lines_are_what_str_lines_gives(text in "[a\\n\\r é]{0,60}", ending in prop::sample::select(vec!["", ".gz", ".zst"])) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &format!("text{ending}"), text.as_bytes());
        prop_assert_eq!(read(&path, lines()).unwrap(), text.lines().collect::<Vec<_>>());
        let kept = read(&path, Options { keep_line_ends: true, ..lines() }).unwrap();
        prop_assert_eq!(kept, text.split_inclusive('\n').collect::<Vec<_>>());
    }

    #[test]
    fn json_strings_come_back(texts in prop::collection::vec("\\PC{0,40}|[\\n\"\\\\ ]{0,9}", 0..9)) {
        let folder = tempfile::tempdir().unwrap();
        let content: String =
            texts.iter().map(|text| format!("{}\n", serde_json::json!({"id": 1, "text": text, "more": ["text"]}))).collect();
        let path = write(folder.path(), "text.jsonl", content.as_bytes());
        prop_assert_eq!(read(&path, Options::default()).unwrap(), texts);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "t\\.(txt|jsonl|gz|zst|jsonl\\.gz)") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        for options in [Options::default(), lines()] {
            if let Err(error) = read(&path, options) {
                prop_assert!(matches!(error, Error::Format { .. }), "{error:?}");
            }
        }
    }
}

#[test]
fn many_small_documents_come_in_bounded_batches() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a line of some length\n".repeat(1_000_000);
    let path = write(folder.path(), "text.txt.zst", text.as_bytes());
    let files = Files::new(vec![path.clone(), path.clone()], lines()).unwrap();
    let total = files.total_bytes();
    let batches: Vec<Documents> = files.map(|batch| batch.unwrap()).collect();
    assert!(batches.iter().all(|batch| batch.text_bytes() < 5 << 20));
    assert_eq!(batches.iter().map(Documents::len).sum::<usize>(), 2_000_000);
    assert_eq!(batches.iter().map(|batch| batch.source_bytes).sum::<u64>(), total);
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &Path, options| read(path, options).unwrap_err().to_string();
    assert!(matches!(read(&folder.path().join("absent"), lines()), Err(Error::Io { .. })));
    assert!(text(folder.path(), lines()).contains("folder"));
    let binary = write(folder.path(), "binary", b"\x7fELF\0\xff\xff");
    assert!(text(&binary, Options::default()).contains("byte 5: this looks like a binary file"));
    let latin = write(folder.path(), "latin", b"one\ncaf\xe9\n");
    assert!(text(&latin, lines()).contains("byte 3 of line 2: the file is in another encoding"));
    let json = write(folder.path(), "no.jsonl", b"{\"text\": \"a\"}\n{\"content\": \"b\"}\n");
    assert!(text(&json, Options::default()).contains("line 2 has no field \"text\""));
    let number = write(folder.path(), "number.jsonl", b"{\"text\": 5}\n");
    assert!(text(&number, Options::default()).contains("not a string"));
    assert!(text(&write(folder.path(), "a.parquet", b""), lines()).contains("parquet"));
    let packed = write(folder.path(), "cut.txt.gz", "some text ".repeat(999).as_bytes());
    let bytes = fs::read(&packed).unwrap();
    fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
    assert!(text(&packed, lines()).contains("cut short"));
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"half").unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"new").unwrap();
    file.commit().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(AtomicFile::create(folder.path().join("absent/file")), Err(Error::Io { .. })));
}

#[test]
fn a_map_gives_checked_slices() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "map", &[1, 0, 2, 0, 3]);
    let map = Map::open(&path).unwrap();
    assert_eq!(map.slice::<u16>(0, 2).unwrap(), [1, 2]);
    assert!(map.slice::<u16>(0, 3).unwrap_err().to_string().contains("past its end"));
    assert!(map.slice::<u16>(1, 1).unwrap_err().to_string().contains("in place"));
    assert!(map.slice::<u16>(2, usize::MAX).is_err());
    assert!(Map::open(write(folder.path(), "empty", b"")).unwrap().bytes().is_empty());
    assert!(Map::open(folder.path()).is_err());
}
