//! Any bytes as an ARPA file.
#![no_main]

mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| model::read("model.arpa", bytes));
