//! Any text, cut by the scanner of DeepSeek and by its patterns.
#![no_main]

mod scanner;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmfast_text::split::Chain;
use lmfast_text::split::deepseek::{DeepSeek, PATTERNS};

static ENGINE: LazyLock<Chain> = LazyLock::new(|| scanner::engine(&PATTERNS));

fuzz_target!(|text: &str| scanner::compare(&DeepSeek, &ENGINE, text));
