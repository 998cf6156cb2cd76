//! Any bytes as a file of ranks.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use lmfast_text::Extra;

fuzz_target!(|bytes: &[u8]| file::read(
    &[("ranks.tiktoken", bytes)],
    Extra { pattern: Some("cl100k"), special_tokens: Some(&[("<s>".to_owned(), 300)]) }
));
