//! Any text, cut by the scanner of Qwen and by its pattern.
#![no_main]

mod scanner;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmfast_text::split::Chain;
use lmfast_text::split::cl100k::{Cl100k, QWEN_PATTERN};

static ENGINE: LazyLock<Chain> = LazyLock::new(|| scanner::engine(&[QWEN_PATTERN]));

fuzz_target!(|text: &str| scanner::compare(&Cl100k { digits: 1 }, &ENGINE, text));
