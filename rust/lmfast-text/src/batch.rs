//! Many texts at once, on every core.

use std::ops::Range;

use lmfast_base::{Control, Result, threads};
use rayon::prelude::*;

use crate::Tokenizer;
use crate::session::Options;

/// Below this many bytes of text a thread is not worth its start.
const SMALL: usize = 1 << 16;

/// Texts are encoded this many bytes at a time, or a whole one.
const LARGE: usize = 1 << 18;

/// The ids of many texts, one behind the other, and where each text begins and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The ids.
    pub ids: Ids,
    /// The first id of each text, and the number of all ids.
    pub offsets: Vec<u64>,
}

/// Ids, in 16 bits each where the vocabulary has at most 65,536.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// Each id in 16 bits.
    Narrow(Vec<u16>),
    /// Each in 32.
    Wide(Vec<u32>),
}

/// What ids are written as.
trait Id: Copy + Default + Send {
    fn of(id: u32) -> Self;
}

impl Id for u16 {
    fn of(id: u32) -> Self {
        id as Self
    }
}

impl Id for u32 {
    fn of(id: u32) -> Self {
        id
    }
}

impl Tokenizer {
    /// The ids of many texts, the same with any number of threads. Reports the bytes of text done.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and as [`threads::pool`].
    pub fn encode_batch<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        options: Options,
        threads: Option<usize>,
        control: &Control,
    ) -> Result<Encoded> {
        let total: usize = texts.iter().map(|text| text.as_ref().len()).sum();
        control.begin("encoding", total as u64);
        let threads = threads::count(threads)?;
        let chunk_bytes = (total / (threads * 8)).clamp(SMALL, LARGE);
        let chunks = chunks(texts, chunk_bytes);
        if self.vocab_size() <= 1 << 16 {
            let (ids, offsets) = self.encode_chunks(texts, chunks, options, threads, control)?;
            Ok(Encoded { ids: Ids::Narrow(ids), offsets })
        } else {
            let (ids, offsets) = self.encode_chunks(texts, chunks, options, threads, control)?;
            Ok(Encoded { ids: Ids::Wide(ids), offsets })
        }
    }

    fn encode_chunks<T: AsRef<str> + Sync, I: Id>(
        &self,
        texts: &[T],
        chunks: Vec<Range<usize>>,
        options: Options,
        threads: usize,
        control: &Control,
    ) -> Result<(Vec<I>, Vec<u64>)> {
        let mut offsets = Vec::with_capacity(texts.len() + 1);
        offsets.push(0);
        if threads == 1 || chunks.len() <= 1 {
            let (mut ids, mut chunk_ids) = (Vec::new(), Vec::new());
            for chunk in chunks {
                chunk_ids.clear();
                let ends = self.encode_chunk(&texts[chunk], options, &mut chunk_ids, control)?;
                offsets.extend(ends.into_iter().map(|end| (ids.len() + end) as u64));
                ids.extend(chunk_ids.iter().map(|&id| I::of(id)));
            }
            return Ok((ids, offsets));
        }
        threads::pool(Some(threads))?.install(|| {
            let encode = |chunk: Range<usize>| {
                let mut ids = Vec::new();
                let ends = self.encode_chunk(&texts[chunk], options, &mut ids, control)?;
                Ok((ids, ends))
            };
            let parts: Vec<(Vec<u32>, Vec<usize>)> = chunks.into_par_iter().map(encode).collect::<Result<_>>()?;
            let mut ids = vec![I::default(); parts.iter().map(|(ids, _)| ids.len()).sum()];
            let (mut rest, mut copies, mut before) = (ids.as_mut_slice(), Vec::with_capacity(parts.len()), 0);
            for (part, ends) in parts {
                offsets.extend(ends.into_iter().map(|end| before + end as u64));
                before += part.len() as u64;
                let (to, behind) = rest.split_at_mut(part.len());
                copies.push((part, to));
                rest = behind;
            }
            copies.into_par_iter().for_each(|(part, to)| {
                for (to, id) in to.iter_mut().zip(part) {
                    *to = I::of(id);
                }
            });
            Ok((ids, offsets))
        })
    }

    /// Appends the ids of texts, and gives where those of each end.
    fn encode_chunk<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: Options,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<Vec<usize>> {
        let mut session = self.session_with(options);
        let mut ends = Vec::with_capacity(texts.len());
        for text in texts {
            session.append(text.as_ref(), ids, control)?;
            ends.push(ids.len());
            control.advance(text.as_ref().len() as u64);
        }
        Ok(ends)
    }
}

/// Cuts texts into runs of at least `chunk_bytes`, the last one apart.
fn chunks<T: AsRef<str>>(texts: &[T], chunk_bytes: usize) -> Vec<Range<usize>> {
    let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, text) in texts.iter().enumerate() {
        bytes += text.as_ref().len();
        if bytes >= chunk_bytes || index + 1 == texts.len() {
            chunks.push(start..index + 1);
            (start, bytes) = (index + 1, 0);
        }
    }
    chunks
}
