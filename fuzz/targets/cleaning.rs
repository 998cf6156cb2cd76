//! Any text under every rule: the counts agree with what is left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lmfast_base::Control;
use lmfast_base::source::Documents;
use lmfast_text::clean::{Cleaner, Cleaning, Form, Mask, NearOptions};

fuzz_target!(|text: &str| {
    let documents: Documents = text.split('\0').collect();
    let read = documents.len() as u64;
    let cleaning = Cleaning {
        normalization: Some(Form::Nfkc),
        drop_control_characters: true,
        strip_accents: true,
        lowercase: true,
        collapse_whitespace: true,
        trim: true,
        mask: Mask::ALL.to_vec(),
        drop_exact_duplicates: true,
        drop_near_duplicates: Some(NearOptions::default()),
        ..Cleaning::default()
    };
    let control = Control::default();
    let Ok(mut cleaner) = Cleaner::new(std::iter::once(Ok(documents)), cleaning, Some(1), &control) else { return };
    let kept: u64 = cleaner.by_ref().flatten().map(|batch| batch.len() as u64).sum();
    let report = cleaner.report();
    assert_eq!(report.documents_in, read);
    assert_eq!(report.documents_out, kept);
    assert_eq!(read - report.exact_duplicates - report.near_duplicates, kept);
});
