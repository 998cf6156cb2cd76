//! Many texts at once, on every core.

use std::ops::Range;

use lmfast_base::{Control, Result, threads};
use rayon::prelude::*;

use crate::Tokenizer;
use crate::session::Options;

/// Below this many bytes of text a thread is not worth its start.
const SMALL: usize = 1 << 16;

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

impl Ids {
    fn extend(&mut self, ids: &[u32]) {
        match self {
            Self::Narrow(all) => all.extend(ids.iter().map(|&id| id as u16)),
            Self::Wide(all) => all.extend_from_slice(ids),
        }
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
        let narrow = self.vocab_size() <= 1 << 16;
        let mut encoded =
            Encoded { ids: if narrow { Ids::Narrow(Vec::new()) } else { Ids::Wide(Vec::new()) }, offsets: vec![0] };
        let chunk_bytes = (total / (threads * 8)).clamp(SMALL, 1 << 22);
        let chunks = chunks(texts, chunk_bytes);
        let encode = |chunk: Range<usize>| self.encode_chunk(&texts[chunk], options, control);
        if threads == 1 || chunks.len() <= 1 {
            for chunk in chunks {
                encoded.push(&encode(chunk)?);
            }
        } else {
            let parts: Vec<Chunk> =
                threads::pool(Some(threads))?.install(|| chunks.into_par_iter().map(encode).collect::<Result<_>>())?;
            for part in &parts {
                encoded.push(part);
            }
        }
        Ok(encoded)
    }

    fn encode_chunk<T: AsRef<str>>(&self, texts: &[T], options: Options, control: &Control) -> Result<Chunk> {
        let mut session = self.session_with(options);
        let mut chunk = Chunk::default();
        for text in texts {
            session.append(text.as_ref(), &mut chunk.ids, control)?;
            chunk.ends.push(chunk.ids.len());
            control.advance(text.as_ref().len() as u64);
        }
        Ok(chunk)
    }
}

#[derive(Default)]
struct Chunk {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

impl Encoded {
    fn push(&mut self, chunk: &Chunk) {
        let before = self.offsets.last().copied().unwrap_or_default();
        self.ids.extend(&chunk.ids);
        self.offsets.extend(chunk.ends.iter().map(|&end| before + end as u64));
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
