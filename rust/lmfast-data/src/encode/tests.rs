use super::*;
use crate::Store;
use proptest::prelude::*;

/// Every byte is an id, 256 the end of a text; it may be cut before a space.
struct Bytes;

impl Encode for Bytes {
    fn vocab_size(&self) -> u32 {
        257
    }

    fn end_of_text(&self) -> Option<u32> {
        Some(256)
    }

    fn cut(&self, text: &str, from: usize) -> usize {
        text.get(from..).and_then(|rest| rest.find(' ')).map_or(text.len(), |at| from + at)
    }

    fn session(&self) -> Box<dyn EncodeSession + '_> {
        Box::new(ByteSession)
    }
}

struct ByteSession;

impl EncodeSession for ByteSession {
    fn encode_part(&mut self, text: &str, part: Range<usize>, ids: &mut Vec<u32>, _control: &Control) -> Result<()> {
        if text == "cannot be encoded" {
            return Err(Error::invalid(format!("this text {text}")));
        }
        assert!(part.len() <= LONG_BYTES || !text[part.start + PIECE_BYTES..].contains(' '), "a part is too long");
        ids.extend(text[part].bytes().map(u32::from));
        Ok(())
    }
}

fn store(batches: Vec<Result<Documents>>, out: &Path, options: &EncodeOptions, control: &Control) -> Result<Summary> {
    encode_documents(&mut batches.into_iter(), &Bytes, out, options, |_| None, control)
}

fn batches(texts: &[String], size: usize) -> Vec<Result<Documents>> {
    texts
        .chunks(size)
        .map(|texts| {
            let mut documents: Documents = texts.iter().collect();
            documents.source_bytes = documents.text_bytes() as u64 + 1;
            Ok(documents)
        })
        .collect()
}

fn tokens(store: &Store) -> Vec<u16> {
    match store.tokens().unwrap() {
        crate::Tokens::Uint16(tokens) => tokens.to_vec(),
        _ => panic!("uint16 was expected"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn documents_stay_in_order(texts in proptest::collection::vec(".{0,40}", 0..200), size in 1usize..50, append: bool, threads in 1usize..5) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("store");
        let options = EncodeOptions { append_id: append.then_some(256), threads: Some(threads), resume: None };
        let control = Control::default();
        let summary = store(batches(&texts, size), &out, &options, &control).unwrap();
        let mut expected = Vec::new();
        let mut offsets = vec![0];
        for text in &texts {
            expected.extend(text.bytes().map(u16::from));
            expected.extend(append.then_some(256));
            offsets.push(expected.len() as u64);
        }
        let text_bytes: usize = texts.iter().map(String::len).sum();
        prop_assert_eq!(summary, Summary { documents: texts.len() as u64, tokens: expected.len() as u64, text_bytes: text_bytes as u64 });
        prop_assert_eq!(control.progress().1, text_bytes as u64 + texts.len().div_ceil(size) as u64);
        let store = Store::open(&out, None).unwrap();
        prop_assert_eq!(tokens(&store), expected);
        prop_assert_eq!(store.offsets().unwrap(), offsets);
        prop_assert_eq!(store.text_bytes(), Some(text_bytes as u64));
        prop_assert_eq!(store.vocab_size(), Some(257));
        store.verify(None, &control).unwrap();
    }
}

#[test]
fn large_batches_are_cut_and_come_together_again() {
    let texts: Vec<String> = (0..3000).map(|number| format!("{number} ").repeat(1 + number * 7 % 1000)).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for threads in [1, 2, 7] {
        let out = folder.path().join(format!("store{threads}"));
        let options = EncodeOptions { append_id: None, threads: Some(threads), resume: None };
        store(batches(&texts, 700), &out, &options, &Control::default()).unwrap();
        let parts = ["bin", "idx", "lmfast.json"].map(|suffix| std::fs::read(out.with_extension(suffix)).unwrap());
        files.push(parts);
    }
    assert!(files[0] == files[1] && files[1] == files[2], "the files depend on threads");
    assert_eq!(files[0][0].len(), 2 * texts.iter().map(String::len).sum::<usize>());
}

#[test]
fn long_documents_are_cut_and_come_together_again() {
    let long = "a long document ".repeat(3 * LONG_BYTES / 16);
    let (uncut, small) = ("x".repeat(3 * LONG_BYTES), "small".repeat(1000));
    let texts = [&small, &long, "", &uncut, &small, &small, &long, &long, &small].map(str::to_owned);
    let folder = tempfile::tempdir().unwrap();
    for (threads, batch, append_id) in [(1, 9, Some(256)), (3, 1, Some(256)), (3, 4, None)] {
        let out = folder.path().join("store");
        let control = Control::default();
        let options = EncodeOptions { append_id, threads: Some(threads), resume: None };
        let summary = store(batches(&texts, batch), &out, &options, &control).unwrap();
        let (mut expected, mut offsets) = (Vec::new(), vec![0]);
        for text in &texts {
            expected.extend(text.bytes().map(u16::from));
            expected.extend(append_id.map(|id| id as u16));
            offsets.push(expected.len() as u64);
        }
        let store = Store::open(&out, None).unwrap();
        assert!(tokens(&store) == expected, "other tokens");
        assert_eq!(store.offsets().unwrap(), offsets);
        assert_eq!(summary.text_bytes, texts.iter().map(String::len).sum::<usize>() as u64);
        assert_eq!(control.progress().1, summary.text_bytes + texts.len().div_ceil(batch) as u64);
        store.verify(None, &control).unwrap();
    }
}

#[test]
fn a_call_that_ends_within_a_long_document_is_resumed_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let long = "a long document ".repeat(9 * LONG_BYTES / 16);
    let texts: Vec<String> = (0..20).flat_map(|number| [format!("document {number}"), long.clone()]).collect();
    let whole = folder.path().join("whole");
    store(batches(&texts, 1), &whole, &EncodeOptions::default(), &Control::default()).unwrap();
    let out = folder.path().join("store");
    let resume = EncodeOptions {
        resume: Some(Resume { key: "one".to_owned(), every: Duration::ZERO }),
        threads: Some(2),
        append_id: None,
    };
    for patience in [40, 80, 160] {
        let control = Control::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(patience));
                control.cancel();
            });
            let outcome = store(batches(&texts, 1), &out, &resume, &control);
            assert!(matches!(outcome, Ok(_) | Err(Error::Interrupted)));
        });
    }
    store(batches(&texts, 1), &out, &resume, &Control::default()).unwrap();
    for suffix in ["bin", "idx", "lmfast.json"] {
        let (one, other) = (std::fs::read(whole.with_extension(suffix)), std::fs::read(out.with_extension(suffix)));
        assert!(one.unwrap() == other.unwrap(), "{suffix}");
    }
}

#[test]
fn a_text_that_cannot_be_encoded_ends_the_call() {
    let mut texts = vec!["fine".repeat(1000); 3000];
    texts[1500] = "cannot be encoded".to_owned();
    for threads in [1, 3] {
        let folder = tempfile::tempdir().unwrap();
        let (out, control) = (folder.path().join("store"), Control::default());
        let options = EncodeOptions { append_id: None, threads: Some(threads), resume: None };
        let error = store(batches(&texts, 7), &out, &options, &control).unwrap_err();
        assert_eq!(error.to_string(), "this text cannot be encoded");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..500).map(|number| format!("document {number}").repeat(900)).collect();
    let fails = || {
        let mut batches = batches(&texts, 5);
        batches.insert(40, Err(Error::invalid("the source fails")));
        batches
    };
    let out = folder.path().join("store");
    for threads in [1, 3] {
        let options = EncodeOptions { append_id: None, threads: Some(threads), resume: None };
        let error = store(fails(), &out, &options, &Control::default()).unwrap_err();
        assert_eq!(error.to_string(), "the source fails");
    }
    let control = Control::default();
    control.cancel();
    let outcome = store(batches(&texts, 5), &out, &EncodeOptions::default(), &control);
    assert!(matches!(outcome, Err(Error::Interrupted)));
    let options = EncodeOptions { append_id: Some(257), ..EncodeOptions::default() };
    assert!(store(Vec::new(), &out, &options, &Control::default()).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
}

#[test]
fn an_interrupted_call_is_resumed_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..400).map(|number| format!("document {number}").repeat(1 + number)).collect();
    let whole = folder.path().join("whole");
    store(batches(&texts, 5), &whole, &EncodeOptions::default(), &Control::default()).unwrap();
    let out = folder.path().join("store");
    let resume = |key: &str| EncodeOptions {
        resume: Some(Resume { key: key.to_owned(), every: Duration::ZERO }),
        threads: Some(2),
        append_id: None,
    };
    let interrupt = |after: usize, key: &str| {
        let control = Control::default();
        let _ = std::fs::remove_file(out.with_extension("bin"));
        let mut fails = batches(&texts, 5);
        fails.truncate(after);
        fails.push(Err(Error::Interrupted));
        assert!(matches!(store(fails, &out, &resume(key), &control), Err(Error::Interrupted)));
        assert!(!out.with_extension("bin").exists());
    };
    let journal = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.path().join(".store.journal")).unwrap()).unwrap()
    };
    let documents = || journal()["documents"].as_u64().unwrap();
    interrupt(20, "one");
    let first = documents();
    interrupt(60, "one");
    assert!(first <= documents());
    interrupt(1, "another");
    assert!(documents() <= 5, "another key begins anew");
    interrupt(70, "one");
    // Tokens that the journal does not vouch for are cut off.
    let partial = folder.path().join(".store.bin.partial");
    let mut bytes = std::fs::read(&partial).unwrap();
    bytes.extend([7; 1001]);
    std::fs::write(&partial, &bytes).unwrap();
    store(batches(&texts, 5), &out, &resume("one"), &Control::default()).unwrap();
    for suffix in ["bin", "idx", "lmfast.json"] {
        let (one, other) = (std::fs::read(whole.with_extension(suffix)), std::fs::read(out.with_extension(suffix)));
        assert!(one.unwrap() == other.unwrap(), "{suffix}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6, "files are left");
    // A damaged part is not gone on from, and a wrong source leaves nothing.
    interrupt(70, "one");
    bytes[10] ^= 1;
    std::fs::write(&partial, &bytes).unwrap();
    store(batches(&texts, 5), &out, &resume("one"), &Control::default()).unwrap_or_else(|error| panic!("{error}"));
    assert!(std::fs::read(out.with_extension("bin")).unwrap() == std::fs::read(whole.with_extension("bin")).unwrap());
    let wrong = vec![Err(Error::invalid("the source fails"))];
    store(wrong, &out, &resume("one"), &Control::default()).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6, "files are left");
}
