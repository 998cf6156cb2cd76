//! Hostile bytes as the file of a tokenizer: refused with an error that names a file, or a tokenizer that works.

use lmfast_base::{Control, Error};
use lmfast_text::{Extra, Offsets, Options, RowOptions, Special, Tokenizer};

/// Texts with something of every kind.
const TEXTS: [&str; 3] = [
    "Hello w\u{f6}rld, it's  123\u{bd}\n\t <s> [UNK] <|endoftext|> \u{2581}a\u{301}\u{308}",
    "\u{4E2D}\u{6587}\u{3042}\u{30FC} \u{1F469}\u{200D}\u{1F469} \0\u{7F}\u{FFFD}\r\n\r\n \u{FB01}\u{AC01}\u{1100}\u{1161}",
    "",
];

/// Writes files into a folder of their own and opens the first.
pub fn read(files: &[(&str, &[u8])], extra: Extra<'_>) {
    let Ok(folder) = tempfile::tempdir() else { return };
    for (name, bytes) in files {
        if std::fs::write(folder.path().join(name), bytes).is_err() {
            return;
        }
    }
    match Tokenizer::open_with(folder.path().join(files[0].0), extra) {
        Ok(tokenizer) => use_all(&tokenizer),
        Err(error @ (Error::Io { .. } | Error::Format { .. })) => {
            let what = error.to_string();
            assert!(files.iter().any(|(name, _)| what.contains(name)), "names no file: {what}");
        }
        Err(error) => panic!("not about a file: {error}"),
    }
}

/// Encodes and decodes; errors may be what the file asks for, such as text that a vocabulary lacks.
fn use_all(tokenizer: &Tokenizer) {
    let copy = tokenizer.state().ok().map(|state| Tokenizer::from_state(&state).expect("is a state"));
    for text in TEXTS {
        for special in [Special::Parse, Special::Text, Special::Refuse] {
            let options = Options { add_special_tokens: true, special };
            let Ok(ids) = tokenizer.encode(text, options) else { continue };
            assert!(ids.iter().all(|&id| id < tokenizer.vocab_size()));
            let _ = (tokenizer.decode(&ids, false), tokenizer.decode_bytes(&ids, true));
            if let Some(copy) = &copy {
                assert_eq!(copy.encode(text, options).expect("encodes as before"), ids);
            }
            places(tokenizer, text, options, &ids);
        }
    }
}

/// Where tokens lie is within the text, and asking for it changes nothing.
fn places(tokenizer: &Tokenizer, text: &str, options: Options, ids: &[u32]) {
    let options = RowOptions { options, offsets: Offsets::Bytes, ..RowOptions::default() };
    let Ok(rows) = tokenizer.encode_rows(&[text], None, options, Some(1), &Control::default()) else { return };
    assert!(rows.ids.iter().copied().eq(ids.iter().map(|&id| i64::from(id))), "{:?} {ids:?}", rows.ids);
    for place in rows.offsets.expect("was asked for").chunks(2) {
        let range = place[0] as usize..place[1] as usize;
        assert!(text.get(range).is_some(), "{place:?} in {text:?}");
    }
}
