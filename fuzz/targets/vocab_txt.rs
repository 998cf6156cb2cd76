//! Any bytes as a `vocab.txt`, and behind a zero byte the settings beside it.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use lmfast_text::Extra;

fuzz_target!(|bytes: &[u8]| {
    let (list, settings) = halves(bytes);
    let files = [("vocab.txt", list), ("tokenizer_config.json", settings)];
    file::read(if settings.is_empty() { &files[..1] } else { &files }, Extra::default());
});

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (&bytes[..at], bytes.get(at + 1..).unwrap_or_default())
}
