//! Many texts at once, on every core.

use std::ops::Range;

use bytemuck::Pod;
use lmfast_base::{Control, Result, threads, vec_in_pages, zeros_in_pages};
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
trait Id: Pod + Send {
    fn of(id: u32) -> Self;

    /// The ids themselves, if they are written in 32 bits.
    fn wide(ids: &mut Vec<Self>) -> Option<&mut Vec<u32>>;

    /// What is written of ids, which may be gone then.
    fn take(ids: &mut Vec<u32>) -> Vec<Self>;
}

impl Id for u16 {
    fn of(id: u32) -> Self {
        id as Self
    }

    fn wide(_: &mut Vec<Self>) -> Option<&mut Vec<u32>> {
        None
    }

    fn take(ids: &mut Vec<u32>) -> Vec<Self> {
        ids.iter().map(|&id| Self::of(id)).collect()
    }
}

impl Id for u32 {
    fn of(id: u32) -> Self {
        id
    }

    fn wide(ids: &mut Vec<Self>) -> Option<&mut Vec<u32>> {
        Some(ids)
    }

    fn take(ids: &mut Vec<u32>) -> Vec<Self> {
        std::mem::take(ids)
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
        let chunks = chunks(texts, chunk_bytes, threads > 1 && self.encodes_words_apart());
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
        chunks: Vec<Chunk>,
        options: Options,
        threads: usize,
        control: &Control,
    ) -> Result<(Vec<I>, Vec<u64>)> {
        let mut offsets = Vec::with_capacity(texts.len() + 1);
        offsets.push(0);
        if threads == 1 || chunks.len() <= 1 {
            let total: usize = texts.iter().map(|text| text.as_ref().len()).sum();
            // A token has more than two bytes in most text; what is not written takes no memory, and goes back.
            let (mut ids, mut chunk_ids) = (vec_in_pages(total / 2), Vec::new());
            for chunk in chunks {
                if let Some(ids) = I::wide(&mut ids) {
                    let ends = self.encode_chunk(texts, &chunk, options, ids, control)?;
                    offsets.extend(ends.into_iter().map(|end| end as u64));
                    continue;
                }
                chunk_ids.clear();
                let ends = self.encode_chunk(texts, &chunk, options, &mut chunk_ids, control)?;
                offsets.extend(ends.into_iter().map(|end| (ids.len() + end) as u64));
                ids.extend(chunk_ids.iter().map(|&id| I::of(id)));
            }
            ids.shrink_to_fit();
            return Ok((ids, offsets));
        }
        threads::pool(Some(threads))?.install(|| {
            let encode = |wide: &mut Vec<u32>, chunk: Chunk| {
                wide.clear();
                // What is not written takes no memory.
                wide.reserve(LARGE / 2);
                let ends = self.encode_chunk(texts, &chunk, options, wide, control)?;
                Ok((I::take(wide), ends))
            };
            let parts: Vec<(Vec<I>, Vec<usize>)> =
                chunks.into_par_iter().map_init(Vec::new, encode).collect::<Result<_>>()?;
            let count = parts.iter().map(|(ids, _)| ids.len()).sum();
            // Each thread is the first to write its part.
            let mut ids = zeros_in_pages(count);
            let (mut rest, mut copies, mut before) = (ids.as_mut_slice(), Vec::with_capacity(parts.len()), 0);
            for (part, ends) in parts {
                offsets.extend(ends.into_iter().map(|end| before + end as u64));
                before += part.len() as u64;
                let (to, behind) = rest.split_at_mut(part.len());
                copies.push((part, to));
                rest = behind;
            }
            copies.into_par_iter().for_each(|(part, to)| {
                to.copy_from_slice(&part);
            });
            Ok((ids, offsets))
        })
    }

    /// Appends the ids of a chunk, and gives where those of each text end that ends in it.
    fn encode_chunk<T: AsRef<str>>(
        &self,
        texts: &[T],
        chunk: &Chunk,
        options: Options,
        ids: &mut Vec<u32>,
        control: &Control,
    ) -> Result<Vec<usize>> {
        let mut session = self.session_with(options);
        let mut ends = Vec::with_capacity(chunk.texts.len());
        for text in &texts[chunk.texts.clone()] {
            let text = text.as_ref();
            let part = chunk.part.clone().unwrap_or(0..text.len());
            session.append_part(text, part.clone(), ids, control)?;
            if part.end == text.len() {
                ends.push(ids.len());
            }
            control.advance(part.len() as u64);
        }
        Ok(ends)
    }
}

/// What one thread encodes at a time.
struct Chunk {
    texts: Range<usize>,
    /// Of the only text, these bytes; nothing for whole texts.
    part: Option<Range<usize>>,
}

/// Cuts texts into runs of at least `chunk_bytes`, the last one apart; and, if `within` texts, long ones between words.
fn chunks<T: AsRef<str>>(texts: &[T], chunk_bytes: usize, within: bool) -> Vec<Chunk> {
    let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, text) in texts.iter().enumerate() {
        let text = text.as_ref();
        if within && text.len() > 2 * chunk_bytes {
            if start < index {
                chunks.push(Chunk { texts: start..index, part: None });
            }
            let mut from = 0;
            while from < text.len() {
                let end = word_behind(text.as_bytes(), from + chunk_bytes);
                chunks.push(Chunk { texts: index..index + 1, part: Some(from..end) });
                from = end;
            }
            (start, bytes) = (index + 1, 0);
            continue;
        }
        bytes += text.len();
        if bytes >= chunk_bytes || index + 1 == texts.len() {
            chunks.push(Chunk { texts: start..index + 1, part: None });
            (start, bytes) = (index + 1, 0);
        }
    }
    chunks
}

/// The first place from `from` on of a space between two ASCII letters, or the end.
pub(crate) fn word_behind(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let found = rest
        .windows(3)
        .position(|three| three[0].is_ascii_alphabetic() && three[1] == b' ' && three[2].is_ascii_alphabetic());
    found.map_or(bytes.len(), |at| from + at + 1)
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::split;
    use crate::train::{Config, tests::tokenizer_of};
    use lmfast_base::source::Documents;
    use lmfast_base::{Encode, encode_each};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn threads_change_nothing(parts in prop::collection::vec("[a-e' .\n\u{e9}]{0,9}|<\\|endoftext\\|>", 1..60)) {
            let word = parts.concat();
            let texts = [word.clone(), String::new(), format!("{word} ").repeat(300_000 / (word.len() + 1)), word];
            let tokenizer = tokenizer_of(&texts, &Config { vocab_size: 300, ..Config::default() });
            prop_assert!(tokenizer.encodes_words_apart());
            let encode = |threads| {
                tokenizer.encode_batch(&texts, Options::default(), Some(threads), &Control::default()).expect("encodes")
            };
            prop_assert_eq!(encode(1), encode(3));
        }
    }

    proptest! {
        #[test]
        fn a_run_of_documents_has_the_ids_of_each(
            texts in prop::collection::vec(crate::split::strategies::text(), 0..40), long in "[a-e .\n\u{e9}]{0,3000}",
            last in prop::option::of(Just(7)), start in 0..3_usize, pattern in 0..3_usize
        ) {
            let pattern = [split::gpt2::PATTERN, split::cl100k::PATTERN, split::o200k::PATTERN][pattern].to_owned();
            let documents: Documents = texts.iter().chain([&long]).chain(&texts).collect();
            let learned = [texts.concat(), "some words".to_owned()];
            let config = Config { vocab_size: 300, pattern: Some(pattern), ..Config::default() };
            let tokenizer = tokenizer_of(&learned, &config);
            let range = start.min(documents.len())..documents.len();
            let (mut ids, mut lengths, mut expected, mut expected_lengths) = (vec![1, 2], vec![9], vec![1, 2], vec![9]);
            let control = Control::default();
            for _ in 0..2 {
                let (ids, lengths, mut session) = (&mut ids, &mut lengths, tokenizer.session());
                session.encode_run(&documents, range.clone(), last, ids, lengths, &control).expect("encodes");
                let (ids, lengths) = (&mut expected, &mut expected_lengths);
                encode_each(&mut *session, &documents, range.clone(), last, ids, lengths, &control).expect("encodes");
            }
            prop_assert_eq!(ids, expected);
            prop_assert_eq!(lengths, expected_lengths);
        }
    }

    #[test]
    fn long_texts_are_cut_between_words() {
        let text = "one two\n three ".repeat(20_000);
        let chunks = chunks(&["a", &text, "b"], SMALL, true);
        let parts: Vec<Range<usize>> = chunks.iter().filter_map(|chunk| chunk.part.clone()).collect();
        assert!(parts.len() > 2 && chunks.len() == parts.len() + 2);
        assert_eq!(parts.iter().map(|part| &text[part.clone()]).collect::<String>(), text);
        assert!(parts[1..].iter().all(|part| text[part.clone()].starts_with(' ')));
    }
}
