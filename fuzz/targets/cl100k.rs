//! Any text, cut by the scanner of cl100k and by its pattern.
#![no_main]

mod scanner;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmfast_text::split::Chain;
use lmfast_text::split::cl100k::{Cl100k, PATTERN};

static ENGINE: LazyLock<Chain> = LazyLock::new(|| scanner::engine(&[PATTERN]));

fuzz_target!(|text: &str| scanner::compare(&Cl100k { digits: 3 }, &ENGINE, text));
