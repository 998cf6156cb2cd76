//! Stores against bytes laid out by hand, and what a damaged file may do: be refused.

use std::fs;
use std::path::{Path, PathBuf};

use lmfast_base::Control;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// The index of documents, field by field as the format's table has it.
fn index_bytes(code: u8, lengths: &[i32], pointers: &[i64], borders: &[i64]) -> Vec<u8> {
    let mut bytes = b"MMIDIDX\0\0".to_vec();
    bytes.extend(1u64.to_le_bytes());
    bytes.push(code);
    bytes.extend((lengths.len() as u64).to_le_bytes());
    bytes.extend((borders.len() as u64).to_le_bytes());
    bytes.extend(lengths.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(pointers.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(borders.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// The files of documents as Megatron's builder writes them.
fn megatron_bytes(documents: &[Vec<u32>], wide: bool) -> (Vec<u8>, Vec<u8>) {
    let size = if wide { 4 } else { 2 };
    let lengths: Vec<i32> = documents.iter().map(|document| document.len() as i32).collect();
    let mut pointers = Vec::new();
    let mut at = 0;
    for length in &lengths {
        pointers.push(at);
        at += i64::from(*length) * size;
    }
    let borders: Vec<i64> = (0..=documents.len() as i64).collect();
    let tokens = documents.iter().flatten();
    let bin = if wide {
        tokens.flat_map(|&id| (id as i32).to_le_bytes()).collect()
    } else {
        tokens.flat_map(|&id| (id as u16).to_le_bytes()).collect()
    };
    (bin, index_bytes(if wide { 4 } else { 8 }, &lengths, &pointers, &borders))
}

fn write(path: &Path, documents: &[Vec<u32>], format: Format, vocab_size: u64) -> Result<crate::Summary> {
    let mut writer = Writer::create(path, WriteOptions { format, vocab_size })?;
    let (some, rest) = documents.split_at(documents.len() / 2);
    for documents in [some, rest] {
        let lengths: Vec<u64> = documents.iter().map(|document| document.len() as u64).collect();
        writer.push(&documents.concat(), &lengths)?;
    }
    writer.finish(None)
}

fn ids(store: &Store) -> Vec<u32> {
    match store.tokens().unwrap() {
        Tokens::Uint16(tokens) => tokens.iter().map(|&id| id.into()).collect(),
        Tokens::Int32(tokens) => tokens.iter().map(|&id| id as u32).collect(),
        Tokens::Uint32(tokens) => tokens.to_vec(),
    }
}

fn fingerprint(path: &Path) -> u128 {
    Store::open(path, None).unwrap().fingerprint(&Control::default()).unwrap()
}

fn documents(vocab_size: u32) -> impl Strategy<Value = Vec<Vec<u32>>> {
    proptest::collection::vec(proptest::collection::vec(0..vocab_size, 0..30), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn megatron_is_written_byte_for_byte(documents in documents(65_000), wide: bool) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.bin");
        let vocab_size = if wide { 65_500 } else { 65_499 };
        write(&path, &documents, Format::Megatron, vocab_size).unwrap();
        let (bin, index) = megatron_bytes(&documents, wide);
        prop_assert!(fs::read(&path).unwrap() == bin);
        prop_assert!(fs::read(path.with_extension("idx")).unwrap() == index);
        let store = Store::open(&path, None).unwrap();
        prop_assert_eq!(ids(&store), documents.concat());
        prop_assert_eq!(store.num_documents(), documents.len());
        for (document, border) in documents.iter().zip(store.offsets().unwrap().windows(2)) {
            prop_assert_eq!(document, &ids(&store)[border[0] as usize..border[1] as usize]);
        }
        store.verify(None, &Control::default()).unwrap();
    }

    #[test]
    fn fingerprints_are_those_of_the_content(documents in documents(300), format in 0usize..3, change: prop::sample::Index) {
        let format = [Format::Megatron, Format::NanoGpt, Format::LlmC][format];
        prop_assume!(documents.iter().any(|document| !document.is_empty()));
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.bin");
        write(&path, &documents, format, 300).unwrap();
        let noted = fingerprint(&path);
        fs::remove_file(folder.path().join("store.lmfast.json")).unwrap();
        prop_assert_eq!(fingerprint(&path), noted, "with and without a sidecar");
        // A file of equal size, one bit of one token changed.
        let mut bytes = fs::read(&path).unwrap();
        let start = if format == Format::LlmC { 1024 } else { 0 };
        let at = start + change.index(bytes.len() - start);
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        prop_assert_ne!(fingerprint(&path), noted, "another content");
    }

    /// Any byte of any file changed, or any file cut: an error or a store that can be read, never a crash.
    #[test]
    fn damage_never_panics(documents in documents(300), which in 0usize..4, at: prop::sample::Index, to: u8, cut: bool) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.bin");
        let format = if which == 3 { Format::LlmC } else { Format::Megatron };
        write(&path, &documents, format, 300).unwrap();
        let victim = [path.clone(), path.with_extension("idx"), path.with_extension("lmfast.json"), path.clone()][which].clone();
        let mut bytes = fs::read(&victim).unwrap();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        let unchanged = !cut && bytes[at] == to;
        if cut { bytes.truncate(at) } else { bytes[at] = to }
        fs::write(&victim, bytes).unwrap();
        let outcome = Store::open(&path, None).and_then(|store| {
            store.offsets()?;
            store.fingerprint(&Control::default())?;
            store.verify(None, &Control::default())
        });
        if unchanged {
            outcome.unwrap();
        } else if let Err(error) = outcome {
            prop_assert!(error.to_string().contains("store."), "{} names no file", error);
        } else {
            // What no checksum covers: white space and unused fields of the sidecar, reserved words of llm.c's header.
            prop_assert!(which >= 2, "the change at byte {} of {} was not noticed", at, victim.display());
        }
    }
}

#[test]
fn plain_files_are_told_by_content() {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let tokens: Vec<u8> = [1u16, 2, 65_535].iter().flat_map(|id| id.to_le_bytes()).collect();
    let wide: Vec<u8> = [1u32, 2, u32::MAX].iter().flat_map(|id| id.to_le_bytes()).collect();
    let header = |magic: i32, version: i32, count: i32| {
        let mut bytes: Vec<u8> = [magic, version, count].iter().flat_map(|value| value.to_le_bytes()).collect();
        bytes.resize(1024, 0);
        bytes
    };
    let npy = |text: &str| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        // numpy fills up its header with spaces, so that the array begins at a multiple of 64 bytes.
        let length = (10 + text.len()).next_multiple_of(64) - 10;
        bytes.extend((length as u16).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.resize(10 + length, b' ');
        bytes
    };
    let cases: [(PathBuf, Format, TokenType, Vec<u32>); 6] = [
        (put("nano.bin", &tokens), Format::NanoGpt, TokenType::Uint16, vec![1, 2, 65_535]),
        (put("anything", &tokens), Format::NanoGpt, TokenType::Uint16, vec![1, 2, 65_535]),
        (
            put("c.bin", &[header(20_240_520, 1, 3), tokens.clone()].concat()),
            Format::LlmC,
            TokenType::Uint16,
            vec![1, 2, 65_535],
        ),
        (
            put("wide.bin", &[header(20_240_801, 7, 3), wide.clone()].concat()),
            Format::LlmC,
            TokenType::Uint32,
            vec![1, 2, u32::MAX],
        ),
        (
            put("a.npy", &[npy("{'descr': '<u4', 'fortran_order': False, 'shape': (3,), }"), wide.clone()].concat()),
            Format::Npy,
            TokenType::Uint32,
            vec![1, 2, u32::MAX],
        ),
        (
            put("b.npy", &[npy("{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }"), tokens.clone()].concat()),
            Format::Npy,
            TokenType::Uint16,
            vec![1, 2, 65_535],
        ),
    ];
    for (path, format, token_type, expected) in cases {
        let store = Store::open(&path, None).unwrap();
        assert_eq!((store.format(), store.token_type(), ids(&store)), (format, token_type, expected));
        assert_eq!((store.num_documents(), store.offsets().unwrap()), (1, &[0, 3][..]));
        store.verify(None, &Control::default()).unwrap();
        let error = store.verify(Some(60_000), &Control::default()).unwrap_err().to_string();
        assert!(error.contains("token 2, in document 0"), "{error}");
    }
    let as_wide = Store::open(&put("w.bin", &wide), Some(TokenType::Uint32)).unwrap();
    assert_eq!(ids(&as_wide), [1, 2, u32::MAX]);
    let as_signed = Store::open(&put("s.bin", &wide), Some(TokenType::Int32)).unwrap();
    assert!(as_signed.verify(None, &Control::default()).unwrap_err().to_string().contains("is -1"));
    assert!(Store::open(&folder.path().join("wide.bin"), Some(TokenType::Uint16)).is_err(), "dtype against the header");

    let hostile = [
        put("empty.bin", b""),
        put("odd.bin", &tokens[..5]),
        put("count.bin", &[header(20_240_520, 1, 4), tokens.clone()].concat()),
        put("negative.bin", &[header(20_240_520, 1, -3), tokens.clone()].concat()),
        put("version.bin", &[header(20_240_520, 7, 3), tokens.clone()].concat()),
        put("header.bin", &header(20_240_520, 1, 3)[..100]),
        put("evaluation.bin", &header(20_240_522, 1, 0)),
        put("magic.npy", b"\x93NUMPY"),
        put("raw.npy", &tokens),
        put("two.npy", &npy("{'descr': '<u2', 'fortran_order': False, 'shape': (3, 1), }")),
        put("float.npy", &npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }")),
        put("short.npy", &npy("{'descr': '<u2', 'fortran_order': False, 'shape': (4,), }")),
        put("huge.npy", &npy("{'descr': '<u4', 'fortran_order': False, 'shape': (4611686018427387904,), }")),
        put("header.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}"),
        put("store.ds", &tokens),
        put("text.jsonl", b"{}"),
        folder.path().join("absent.bin"),
        folder.path().to_owned(),
    ];
    for path in hostile {
        let error = Store::open(&path, None).map(|store| ids(&store)).unwrap_err().to_string();
        assert!(error.contains(&*path.file_name().unwrap().to_string_lossy()), "{error}");
    }
}

#[test]
fn damaged_indices_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.bin");
    let (lengths, pointers, borders) = ([3, 2, 4], [0i64, 6, 10], [0i64, 1, 2, 3]);
    fs::write(&path, [0; 18]).unwrap();
    let open = |index: &[u8]| {
        fs::write(path.with_extension("idx"), index).unwrap();
        Store::open(&path, None).and_then(|store| store.offsets().map(<[u64]>::to_vec))
    };
    let good = index_bytes(8, &lengths, &pointers, &borders);
    assert_eq!(open(&good).unwrap(), [0, 3, 5, 9]);
    assert_eq!(open(&[good.clone(), vec![0; 3]].concat()).unwrap(), [0, 3, 5, 9], "with modes");
    assert_eq!(open(&index_bytes(8, &lengths, &pointers, &[0, 2, 3])).unwrap(), [0, 5, 9], "two sequences a document");
    assert_eq!(open(&index_bytes(8, &lengths, &pointers, &[0, 0, 3])).unwrap(), [0, 0, 9], "a document of none");
    let with = |at: usize, bytes: &[u8]| {
        let mut index = good.clone();
        index[at..at + bytes.len()].copy_from_slice(bytes);
        index
    };
    let hostile = [
        with(3, b"X"),
        with(9, &[2]),
        with(17, &[5]),
        with(17, &[99]),
        with(17, &[4]),
        with(18, &(1u64 << 62).to_le_bytes()),
        with(18, &u64::MAX.to_le_bytes()),
        with(26, &0u64.to_le_bytes()),
        with(26, &(1u64 << 61).to_le_bytes()),
        good[..20].to_vec(),
        good[..good.len() - 1].to_vec(),
        [good.clone(), vec![0; 4]].concat(),
        index_bytes(8, &[3, -2, 4], &pointers, &borders),
        index_bytes(8, &lengths, &[0, 6, 11], &borders),
        index_bytes(8, &lengths, &[0, 8, 10], &borders),
        index_bytes(8, &lengths, &[-4, 6, 10], &borders),
        index_bytes(8, &lengths, &[0, 6, 1 << 40], &borders),
        index_bytes(8, &[3, 3, 4], &pointers, &borders),
        index_bytes(8, &lengths, &pointers, &[1, 1, 2, 3]),
        index_bytes(8, &lengths, &pointers, &[0, 2, 1, 3]),
        index_bytes(8, &lengths, &pointers, &[0, 1, 2, 4]),
        index_bytes(8, &lengths, &pointers, &[0, 1, 2, 2]),
        index_bytes(8, &lengths, &pointers, &[0, -1, 2, 3]),
        index_bytes(8, &lengths, &pointers, &[]),
        Vec::new(),
    ];
    for (number, index) in hostile.iter().enumerate() {
        let error = open(index).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains("store.")), "case {number}: {error:?}");
    }
}

#[test]
fn names_without_suffix_get_one() {
    let folder = TempDir::new().unwrap();
    let name = folder.path().join("v1.5");
    write(&name, &[vec![1, 2]], Format::Megatron, 10).unwrap();
    for name in ["v1.5", "v1.5.bin", "v1.5.idx"] {
        assert_eq!(ids(&Store::open(&folder.path().join(name), None).unwrap()), [1, 2], "{name}");
    }
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["v1.5.bin", "v1.5.idx", "v1.5.lmfast.json"]);
}

#[test]
fn a_store_replaced_by_another_is_noticed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.bin");
    write(&path, &[vec![1, 2, 3]], Format::NanoGpt, 10).unwrap();
    fs::write(&path, [9; 8]).unwrap();
    let error = Store::open(&path, None).unwrap_err().to_string();
    assert!(error.contains("replaced") && error.contains("store.lmfast.json"), "{error}");
    // Written anew by lmfast, in another format, nothing of the old one is left to disturb.
    write(&path, &[vec![1, 2], vec![3]], Format::Megatron, 10).unwrap();
    write(&path, &[vec![4, 5]], Format::LlmC, 10).unwrap();
    let store = Store::open(&path, None).unwrap();
    assert_eq!((store.format(), ids(&store)), (Format::LlmC, vec![4, 5]));
    store.verify(None, &Control::default()).unwrap();
}

#[test]
fn blocks_are_checked_where_they_differ() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.bin");
    let tokens = 25 * sidecar::BLOCK_BYTES / 2 + 77;
    let mut writer = Writer::create(&path, WriteOptions { format: Format::NanoGpt, vocab_size: 1000 }).unwrap();
    for from in (0..tokens).step_by(999_983) {
        let ids: Vec<u16> = (from..tokens.min(from + 999_983)).map(|at| (at * 7 % 1000) as u16).collect();
        writer.push(&ids, &[ids.len() as u64]).unwrap();
    }
    writer.finish(None).unwrap();
    Store::open(&path, None).unwrap().verify(None, &Control::default()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = 13 * sidecar::BLOCK_BYTES + 5;
    bytes[at] ^= 2;
    fs::write(&path, bytes).unwrap();
    let error = Store::open(&path, None).unwrap().verify(Some(65_536), &Control::default()).unwrap_err().to_string();
    assert!(error.contains(&format!("bytes {} to", 13 * sidecar::BLOCK_BYTES)), "{error}");
    let control = Control::default();
    control.cancel();
    assert!(matches!(Store::open(&path, None).unwrap().verify(None, &control), Err(Error::Interrupted)));
}

#[test]
fn ids_that_do_not_fit_are_refused_by_document() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.bin");
    let attempt = |format, vocab_size, documents: &[Vec<i64>]| {
        let mut writer = Writer::create(&path, WriteOptions { format, vocab_size })?;
        let lengths: Vec<u64> = documents.iter().map(|document| document.len() as u64).collect();
        writer.push(&documents.concat(), &lengths)
    };
    for (documents, number) in
        [(vec![vec![1], vec![], vec![2, 10]], 2), (vec![vec![-1], vec![2]], 0), (vec![vec![1, 2], vec![1 << 40, 3]], 1)]
    {
        let error = attempt(Format::Megatron, 10, &documents).unwrap_err().to_string();
        assert!(error.starts_with(&format!("document {number} ")), "{error}");
    }
    for (format, vocab_size) in
        [(Format::NanoGpt, 65_537), (Format::Megatron, (1 << 31) + 1), (Format::LlmC, 0), (Format::Npy, 10)]
    {
        assert!(attempt(format, vocab_size, &[vec![1]]).is_err(), "{format:?} {vocab_size}");
    }
    assert!(attempt(Format::Megatron, 10, &[vec![9], vec![0]]).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "what is not finished leaves nothing");
}
