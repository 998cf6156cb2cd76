//! Any bytes as a model of `SentencePiece`.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use lmfast_text::Extra;

fuzz_target!(|bytes: &[u8]| file::read(&[("tokenizer.model", bytes)], Extra::default()));
