//! Any bytes as a `vocab.json`, and behind a zero byte the `merges.txt` beside it.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use lmfast_text::Extra;

fuzz_target!(|bytes: &[u8]| {
    let (vocabulary, merges) = halves(bytes);
    file::read(&[("vocab.json", vocabulary), ("merges.txt", merges)], Extra::default());
});

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (&bytes[..at], bytes.get(at + 1..).unwrap_or_default())
}
