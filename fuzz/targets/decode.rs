//! Any ids, by every decoder: at once and as they come they are the same text.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use lmfast_text::{StreamDecoder, Tokenizer};

/// Tokens that decoders change, whole characters, and parts of some.
const TOKENS: &str = r###"{"[UNK]": 0, "He": 1, "llo": 2, "\u2581wor": 3, "\u2581": 4, "\u2581\u2581": 5, "ld</w>": 6,
    "</w>": 7, "##ing": 8, "##": 9, "<0xE2>": 10, "<0x82>": 11, "<0xAC>": 12, "<0x41>": 13, "<0xF0>": 14, "<0x9F>": 15,
    "<0xzz>": 16, "<pad>": 17, "|": 18, ".": 19, "'": 20, "n't": 21, "\u00e9": 22, "\u0120x": 23, "\u00c3": 24,
    "\u00a9": 25, "\u00e2": 26, "\u0122": 27, "": 28, " ": 29, " H": 30, "\u4e2d": 31, "\ufffd": 32, "\u0120": 33}"###;

const DECODERS: [&str; 14] = [
    "null",
    r#"{"type": "ByteLevel"}"#,
    r###"{"type": "WordPiece", "prefix": "##", "cleanup": true}"###,
    r#"{"type": "Metaspace", "replacement": "\u2581"}"#,
    r#"{"type": "BPEDecoder", "suffix": "</w>"}"#,
    r#"{"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": true}"#,
    r#"{"type": "Replace", "pattern": {"Regex": "l+|$"}, "content": "L"}"#,
    r#"{"type": "Fuse"}"#,
    r#"{"type": "Strip", "content": "H", "start": 1, "stop": 1}"#,
    r#"{"type": "ByteFallback"}"#,
    r#"{"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}"#,
    r#"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"Regex": "lo|e\u0301?"},
        "content": "0"}, {"type": "Strip", "content": "0", "start": 2, "stop": 3}]}"#,
    r#"{"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "ByteLevel"},
        {"type": "Strip", "content": "\u4e2d", "start": 1, "stop": 0}]}"#,
    r#"{"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "\u2581"},
        {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": false}]}"#,
];

static TOKENIZERS: LazyLock<Vec<Arc<Tokenizer>>> = LazyLock::new(|| {
    let special = r#"{"id": 17, "content": "<pad>", "special": true}"#;
    let tokenizer = |decoder: &&str| {
        let file = format!(
            r#"{{"version": "1.0", "added_tokens": [{special}], "decoder": {decoder},
                "model": {{"type": "WordLevel", "vocab": {TOKENS}, "unk_token": "[UNK]"}}}}"#
        );
        Arc::new(Tokenizer::from_json(&file).expect("is well-formed"))
    };
    DECODERS.iter().map(tokenizer).collect()
});

fuzz_target!(|bytes: &[u8]| {
    let [which, ids @ ..] = bytes else { return };
    let tokenizer = &TOKENIZERS[usize::from(which / 2) % DECODERS.len()];
    let skip_special_tokens = which % 2 == 1;
    // Most bytes are ids, some are too large.
    let ids: Vec<u32> = ids.iter().map(|&id| u32::from(if id < 0xF8 { id % 34 } else { id })).collect();
    let whole = tokenizer.decode(&ids, skip_special_tokens);
    let _ = tokenizer.decode_bytes(&ids, skip_special_tokens);
    let mut stream = StreamDecoder::new(Arc::clone(tokenizer), skip_special_tokens);
    let parts: Result<Vec<String>, _> = ids.iter().map(|&id| stream.push(id)).collect();
    match (whole, parts) {
        (Ok(whole), Ok(parts)) => assert_eq!(parts.concat() + &stream.finish().expect("ends"), whole),
        (whole, parts) => assert!(whole.is_err() && parts.is_err(), "{whole:?} {parts:?}"),
    }
});
