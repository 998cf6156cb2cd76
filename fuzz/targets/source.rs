//! Any bytes as a file of every kind: read, or refused with an error that names the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lmfast_base::source::{Files, Options};

fuzz_target!(|bytes: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    for name in ["text.jsonl", "text.parquet", "text.txt.gz", "text.jsonl.zst"] {
        let path = folder.path().join(name);
        if std::fs::write(&path, bytes).is_err() {
            return;
        }
        let read = Files::new(vec![path], Options { lines: true, ..Options::default() })
            .and_then(|mut files| files.try_for_each(|batch| batch.map(|_| ())));
        if let Err(error) = read {
            assert!(error.to_string().contains(name), "{error}");
        }
    }
});
