//! Text to a store: reading, encoding and writing at once, in bounded memory, the same bytes at any number of threads.
//!
//! One thread reads batches of documents and cuts them into pieces; the pool's threads, each with an encoder of its
//! own, turn pieces into ids; the caller's thread writes them in the order they were read. A piece is read only when a
//! ticket is free, and its ticket comes back when it is written, so that one slow piece cannot pile up the others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lmfast_base::source::Documents;
use lmfast_base::{Control, Encode, EncodeSession, Error, Result, threads};

use crate::store::{Format, WriteOptions, Writer};

/// A piece ends with the document that reaches this many bytes of text.
const PIECE_BYTES: usize = 256 << 10;
/// How long a thread waits before it looks whether the call was cancelled.
const PATIENCE: Duration = Duration::from_millis(50);

/// How text becomes a store.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncodeOptions {
    /// The id that ends every document.
    pub append_id: Option<u32>,
    /// How many threads encode; None: every core.
    pub threads: Option<usize>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many documents.
    pub documents: u64,
    /// How many tokens, those appended included.
    pub tokens: u64,
    /// Bytes of text, 0 where the store was not made from text.
    pub text_bytes: u64,
}

/// Documents to be encoded, with what to report when they are written.
struct Piece {
    number: u64,
    documents: Arc<Documents>,
    range: Range<usize>,
    source_bytes: u64,
}

/// Documents as ids.
struct Encoded {
    ids: Vec<u32>,
    lengths: Vec<u64>,
    text_bytes: u64,
    source_bytes: u64,
}

/// Encodes documents to the Megatron store `out` (see [`bin_path`](crate::bin_path)).
///
/// The caller begins the stage of `control`; this advances it by the bytes of the source.
///
/// # Errors
/// Those of the documents, of the files, and [`Error::Invalid`] for an `append_id` outside the vocabulary. Nothing is
/// left of a store that failed.
pub fn encode_documents(
    documents: impl Iterator<Item = Result<Documents>> + Send,
    encoder: &dyn Encode,
    out: &Path,
    options: EncodeOptions,
    control: &Control,
) -> Result<Summary> {
    let vocab_size = u64::from(encoder.vocab_size());
    if let Some(id) = options.append_id.filter(|&id| u64::from(id) >= vocab_size) {
        return Err(Error::invalid(format!("the id {id} is to end each document, vocab_size is {vocab_size}")));
    }
    let mut writer = Writer::create(out, WriteOptions { format: Format::Megatron, vocab_size })?;
    let pool = threads::pool(options.threads)?;
    let in_flight = 4 * pool.current_num_threads() + 4;
    let (tickets, free_tickets) = bounded(in_flight);
    for _ in 0..in_flight {
        let _ = tickets.send(());
    }
    let (to_encode, pieces) = bounded(in_flight);
    let (to_write, encoded) = bounded(in_flight);
    let text_bytes = thread::scope(|scope| {
        let reader = scope.spawn(move || read(documents, &to_encode, &free_tickets, control));
        scope.spawn(move || pool.broadcast(|_| encode(encoder, options.append_id, &pieces, &to_write, control)));
        let written = write(&mut writer, &encoded, &tickets, control);
        // Without these the reader may wait for ever for a ticket, or an encoder for a place.
        drop((tickets, encoded));
        match reader.join() {
            // A reader that failed explains why there was less to write.
            Ok(read) => read.and(written),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    control.check()?;
    writer.finish(Some(text_bytes))
}

/// Cuts documents into pieces, numbered in order. Ends early, without an error, when nobody wants more.
fn read(
    documents: impl Iterator<Item = Result<Documents>>,
    to_encode: &Sender<Piece>,
    tickets: &Receiver<()>,
    control: &Control,
) -> Result<()> {
    let mut number = 0;
    for batch in documents {
        let documents = Arc::new(batch?);
        let mut start = 0;
        let mut source_bytes = documents.source_bytes;
        while start < documents.len() || source_bytes > 0 {
            let mut bytes = 0;
            let sizes = (start..documents.len()).map_while(|index| documents.get(index)).map(str::len);
            let count = sizes
                .take_while(|size| {
                    bytes < PIECE_BYTES && {
                        bytes += size;
                        true
                    }
                })
                .count();
            let range = start..start + count;
            start += count;
            loop {
                control.check()?;
                match tickets.recv_timeout(PATIENCE) {
                    Ok(()) => break,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
            // All of a batch's bytes count with its first piece.
            let piece = Piece { number, documents: documents.clone(), range, source_bytes };
            source_bytes = 0;
            number += 1;
            if to_encode.send(piece).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One thread of the pool.
fn encode(
    encoder: &dyn Encode,
    append_id: Option<u32>,
    pieces: &Receiver<Piece>,
    to_write: &Sender<(u64, Result<Encoded>)>,
    control: &Control,
) {
    let mut session = encoder.session();
    for piece in pieces {
        let number = piece.number;
        let encoded = encode_piece(session.as_mut(), append_id, piece, control);
        let failed = encoded.is_err();
        if to_write.send((number, encoded)).is_err() || failed {
            return;
        }
    }
}

fn encode_piece(
    session: &mut dyn EncodeSession,
    append_id: Option<u32>,
    piece: Piece,
    control: &Control,
) -> Result<Encoded> {
    let Piece { documents, range, source_bytes, .. } = piece;
    let mut encoded =
        Encoded { ids: Vec::new(), lengths: Vec::with_capacity(range.len()), text_bytes: 0, source_bytes };
    for document in range.filter_map(|index| documents.get(index)) {
        control.check()?;
        let before = encoded.ids.len();
        session.encode(document, &mut encoded.ids, control)?;
        encoded.ids.extend(append_id);
        encoded.lengths.push((encoded.ids.len() - before) as u64);
        encoded.text_bytes += document.len() as u64;
    }
    Ok(encoded)
}

/// Writes pieces in order; gives the bytes of text. Fails as the first piece, in the order of the text, that failed.
fn write(
    writer: &mut Writer,
    encoded: &Receiver<(u64, Result<Encoded>)>,
    tickets: &Sender<()>,
    control: &Control,
) -> Result<u64> {
    let mut waiting = BTreeMap::new();
    let (mut next, mut text_bytes) = (0, 0);
    for (number, piece) in encoded {
        control.check()?;
        waiting.insert(number, piece);
        while let Some(piece) = waiting.remove(&next) {
            let piece = piece?;
            writer.push(&piece.ids, &piece.lengths)?;
            control.advance(piece.source_bytes);
            text_bytes += piece.text_bytes;
            next += 1;
            let _ = tickets.try_send(());
        }
    }
    Ok(text_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use proptest::prelude::*;

    /// Every byte is an id, 256 the end of a text.
    struct Bytes;

    impl Encode for Bytes {
        fn vocab_size(&self) -> u32 {
            257
        }

        fn end_of_text(&self) -> Option<u32> {
            Some(256)
        }

        fn session(&self) -> Box<dyn EncodeSession + '_> {
            Box::new(ByteSession)
        }
    }

    struct ByteSession;

    impl EncodeSession for ByteSession {
        fn encode(&mut self, text: &str, ids: &mut Vec<u32>, _control: &Control) -> Result<()> {
            if text == "cannot be encoded" {
                return Err(Error::invalid(format!("this text {text}")));
            }
            ids.extend(text.bytes().map(u32::from));
            Ok(())
        }
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
            let options = EncodeOptions { append_id: append.then_some(256), threads: Some(threads) };
            let control = Control::default();
            let summary = encode_documents(batches(&texts, size).into_iter(), &Bytes, &out, options, &control).unwrap();
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
            let options = EncodeOptions { append_id: None, threads: Some(threads) };
            encode_documents(batches(&texts, 700).into_iter(), &Bytes, &out, options, &Control::default()).unwrap();
            let parts = ["bin", "idx", "lmfast.json"].map(|suffix| std::fs::read(out.with_extension(suffix)).unwrap());
            files.push(parts);
        }
        assert!(files[0] == files[1] && files[1] == files[2], "the files depend on threads");
        assert_eq!(files[0][0].len(), 2 * texts.iter().map(String::len).sum::<usize>());
    }

    #[test]
    fn a_text_that_cannot_be_encoded_ends_the_call() {
        let mut texts = vec!["fine".repeat(1000); 3000];
        texts[1500] = "cannot be encoded".to_owned();
        for threads in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let (out, control) = (folder.path().join("store"), Control::default());
            let options = EncodeOptions { append_id: None, threads: Some(threads) };
            let error = encode_documents(batches(&texts, 7).into_iter(), &Bytes, &out, options, &control).unwrap_err();
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
            let options = EncodeOptions { append_id: None, threads: Some(threads) };
            let error = encode_documents(fails().into_iter(), &Bytes, &out, options, &Control::default()).unwrap_err();
            assert_eq!(error.to_string(), "the source fails");
        }
        let control = Control::default();
        control.cancel();
        let outcome =
            encode_documents(batches(&texts, 5).into_iter(), &Bytes, &out, EncodeOptions::default(), &control);
        assert!(matches!(outcome, Err(Error::Interrupted)));
        let options = EncodeOptions { append_id: Some(257), threads: None };
        assert!(encode_documents(std::iter::empty(), &Bytes, &out, options, &Control::default()).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
    }
}
