//! Any text, cut by the scanner of GPT-2 and by its pattern.
#![no_main]

mod scanner;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmfast_text::split::Chain;
use lmfast_text::split::gpt2::{Gpt2, PATTERN};

static ENGINE: LazyLock<Chain> = LazyLock::new(|| scanner::engine(&[PATTERN]));

fuzz_target!(|text: &str| scanner::compare(&Gpt2, &ENGINE, text));
