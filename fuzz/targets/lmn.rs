//! Any bytes as a mapped model, whose checksums are not compared here.
#![no_main]

mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| model::read("model.lmn", bytes));
