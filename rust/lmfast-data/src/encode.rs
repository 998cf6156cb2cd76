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
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use lmfast_base::source::Documents;
use lmfast_base::{Control, Encode, EncodeSession, Error, Result, threads};

use crate::store::{Format, WriteOptions, Writer};

/// A piece ends with the document that reaches this many bytes of text.
const PIECE_BYTES: usize = 256 << 10;
/// A document of more is cut into pieces, where its encoder says.
const LONG_BYTES: usize = 2 * PIECE_BYTES;
/// Tokens are flushed to the disk whenever so many were written, so that the last flush finds little left to do.
const FLUSH_TOKENS: usize = 16 << 20;
/// How long a thread waits before it looks whether the call was cancelled.
const PATIENCE: Duration = Duration::from_millis(50);

/// How text becomes a store.
#[derive(Debug, Clone, Default)]
pub struct EncodeOptions {
    /// The id that ends every document.
    pub append_id: Option<u32>,
    /// How many threads encode; None: every core.
    pub threads: Option<usize>,
    /// Where a call may be resumed.
    pub resume: Option<Resume>,
}

/// How an interrupted call is resumed.
#[derive(Debug, Clone)]
pub struct Resume {
    /// A digest of the source and of every setting: a call with the same key goes on where the last one stopped.
    pub key: String,
    /// How long a call works between two notes of how far it is.
    pub every: Duration,
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
    /// Of a long document, these bytes.
    part: Option<Range<usize>>,
    source_bytes: u64,
}

/// Documents as ids.
struct Encoded {
    ids: Vec<u32>,
    /// Of each document that ends in the piece, its ids there.
    lengths: Vec<u64>,
    text_bytes: u64,
    source_bytes: u64,
}

/// Encodes documents to the Megatron store `out` (see [`bin_path`](crate::bin_path)).
///
/// The caller begins the stage of `control`; this advances it by the bytes of the source. `cleaning` is asked in the end
/// for what the sidecar is to say about how the documents were cleaned.
///
/// A call with [`EncodeOptions::resume`] that is cancelled, killed or refused by the operating system leaves its work in
/// hidden files. The next one with the same key passes over as many documents as they hold and goes on, to the same
/// bytes; one with another key begins anew.
///
/// # Errors
/// Those of the documents, of the files, and [`Error::Invalid`] for an `append_id` outside the vocabulary. Nothing else
/// is left of a store that failed.
pub fn encode_documents<S: Iterator<Item = Result<Documents>> + Send>(
    documents: &mut S,
    encoder: &dyn Encode,
    out: &Path,
    options: &EncodeOptions,
    cleaning: impl FnOnce(&S) -> Option<serde_json::Value>,
    control: &Control,
) -> Result<Summary> {
    let vocab_size = u64::from(encoder.vocab_size());
    let append_id = options.append_id;
    if let Some(id) = append_id.filter(|&id| u64::from(id) >= vocab_size) {
        return Err(Error::invalid(format!("the id {id} is to end each document, vocab_size is {vocab_size}")));
    }
    let pool = threads::pool(options.threads)?;
    let (writer, done, text_bytes) = match &options.resume {
        Some(resume) => Writer::resume(out, vocab_size, &resume.key, control)?,
        None => (Writer::create(out, WriteOptions { format: Format::Megatron, vocab_size })?, 0, 0),
    };
    let every = options.resume.as_ref().map(|resume| resume.every);
    let (flush, flushes) = bounded(1);
    let mut output = Output { writer, text_bytes, every, noted: Instant::now(), flush, unflushed: 0 };
    let handle = output.writer.handle()?;
    let in_flight = 4 * pool.current_num_threads() + 4;
    let (tickets, free_tickets) = bounded(in_flight);
    for _ in 0..in_flight {
        let _ = tickets.send(());
    }
    let (to_encode, pieces) = bounded(in_flight);
    let (to_write, encoded) = bounded(in_flight);
    let (outcome, mut writer, text_bytes) = thread::scope(|scope| {
        let source = &mut *documents;
        let reader = scope.spawn(move || read(source, encoder, done, &to_encode, &free_tickets, control));
        scope.spawn(move || pool.broadcast(|_| encode(encoder, append_id, &pieces, &to_write, control)));
        let flusher = scope.spawn(move || flushes.iter().try_for_each(|()| handle.sync_data()));
        let written = output.write(&encoded, &tickets, control);
        // Without these the reader may wait for ever for a ticket, or an encoder for a place.
        drop((tickets, encoded));
        let Output { writer, text_bytes, flush, .. } = output;
        drop(flush);
        // The operating system tells a failed flush once: here, and not to the writer.
        let flushed = flusher.join().map(|flushed| flushed.map_err(Error::io(writer.path())));
        let outcome = match (reader.join(), flushed) {
            // A reader that failed explains why there was less to write.
            (Ok(read), Ok(flushed)) => read.and(written).and(flushed),
            (Err(panic), _) | (_, Err(panic)) => std::panic::resume_unwind(panic),
        };
        (outcome, writer, text_bytes)
    });
    match outcome.and_then(|()| control.check()) {
        Ok(()) => {
            writer.set_cleaning(cleaning(documents));
            writer.finish(Some(text_bytes))
        }
        Err(error) => {
            if matches!(error, Error::Interrupted | Error::Io { .. }) {
                writer.leave(text_bytes);
            } else {
                writer.discard();
            }
            Err(error)
        }
    }
}

/// Cuts documents into pieces, numbered in order, but for the first `done`, which are written already. Ends early,
/// without an error, when nobody wants more.
fn read(
    documents: impl Iterator<Item = Result<Documents>>,
    encoder: &dyn Encode,
    mut done: u64,
    to_encode: &Sender<Piece>,
    tickets: &Receiver<()>,
    control: &Control,
) -> Result<()> {
    let mut number = 0;
    for batch in documents {
        let documents = Arc::new(batch?);
        let mut start = documents.len().min(usize::try_from(done).unwrap_or(usize::MAX));
        done -= start as u64;
        let (mut source_bytes, mut from) = (documents.source_bytes, 0);
        while start < documents.len() || source_bytes > 0 {
            let long = documents.get(start).filter(|document| document.len() > LONG_BYTES);
            let (range, part) = if let Some(document) = long {
                let end = encoder.cut(document, from + PIECE_BYTES);
                (start..start + 1, Some(std::mem::replace(&mut from, end)..end))
            } else {
                (start..start + run(&documents, start), None)
            };
            // A long document begins anew behind its last part.
            if part.is_none() || long.is_some_and(|document| document.len() == from) {
                (start, from) = (range.end, 0);
            }
            loop {
                control.check()?;
                match tickets.recv_timeout(PATIENCE) {
                    Ok(()) => break,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
            // All of a batch's bytes count with its first piece.
            let piece = Piece { number, documents: documents.clone(), range, part, source_bytes };
            source_bytes = 0;
            number += 1;
            if to_encode.send(piece).is_err() {
                return Ok(());
            }
        }
    }
    if done > 0 {
        return Err(Error::invalid(format!("the source has {done} documents less than when its encoding began")));
    }
    Ok(())
}

/// How many documents from `start` on, none of them long, make a piece.
fn run(documents: &Documents, start: usize) -> usize {
    let mut bytes = 0;
    let sizes = (start..documents.len()).map_while(|index| documents.get(index)).map(str::len);
    let fits = |&size: &usize| {
        let fits = bytes < PIECE_BYTES && size <= LONG_BYTES;
        bytes += size;
        fits
    };
    sizes.take_while(fits).count()
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
    let Piece { documents, range, part, source_bytes, .. } = piece;
    let mut encoded =
        Encoded { ids: Vec::new(), lengths: Vec::with_capacity(range.len()), text_bytes: 0, source_bytes };
    let Some(part) = part else {
        encoded.text_bytes = range.clone().filter_map(|index| documents.get(index)).map(|text| text.len() as u64).sum();
        let Encoded { ids, lengths, .. } = &mut encoded;
        session.encode_run(&documents, range, append_id, ids, lengths, control)?;
        return Ok(encoded);
    };
    let document = documents.get(range.start).unwrap_or_default();
    encoded.text_bytes = part.len() as u64;
    let is_last = part.end == document.len();
    session.encode_part(document, part, &mut encoded.ids, control)?;
    if is_last {
        encoded.ids.extend(append_id);
        encoded.lengths.push(encoded.ids.len() as u64);
    }
    Ok(encoded)
}

/// The caller's end.
struct Output {
    writer: Writer,
    text_bytes: u64,
    every: Option<Duration>,
    noted: Instant,
    flush: Sender<()>,
    unflushed: usize,
}

impl Output {
    /// Writes pieces in order. Fails as the first piece, in the order of the text, that failed.
    fn write(
        &mut self,
        encoded: &Receiver<(u64, Result<Encoded>)>,
        tickets: &Sender<()>,
        control: &Control,
    ) -> Result<()> {
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for (number, piece) in encoded {
            control.check()?;
            waiting.insert(number, piece);
            while let Some(piece) = waiting.remove(&next) {
                let piece = piece?;
                let is_within_document = piece.lengths.is_empty();
                if is_within_document {
                    self.writer.push_part(&piece.ids)?;
                } else {
                    self.writer.push(&piece.ids, &piece.lengths)?;
                }
                control.advance(piece.source_bytes);
                self.text_bytes += piece.text_bytes;
                next += 1;
                let _ = tickets.try_send(());
                self.unflushed += piece.ids.len();
                if self.unflushed >= FLUSH_TOKENS {
                    match self.flush.try_send(()) {
                        Ok(()) => self.unflushed = 0,
                        Err(TrySendError::Full(())) => {}
                        // A flush has failed, and tells why.
                        Err(TrySendError::Disconnected(())) => return Ok(()),
                    }
                }
                if !is_within_document && self.every.is_some_and(|every| self.noted.elapsed() >= every) {
                    self.writer.checkpoint(self.text_bytes)?;
                    self.noted = Instant::now();
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
