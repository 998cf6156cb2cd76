//! Any text, cut by the scanner of Tekken and by its pattern.
#![no_main]

mod scanner;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmfast_text::split::Chain;
use lmfast_text::split::o200k::{O200k, TEKKEN_PATTERN};

static ENGINE: LazyLock<Chain> = LazyLock::new(|| scanner::engine(&[TEKKEN_PATTERN]));

fuzz_target!(|text: &str| scanner::compare(&O200k { contractions: false, digits: 1 }, &ENGINE, text));
