//! Text to sentences of word ids, by the rules of `lmplz`.
//!
//! A line is a sentence, a blank line an empty one. Words are separated by NUL, tab, carriage return and space, and are
//! numbered as they first appear, behind `<unk>` 0, `<s>` 1 and `</s>` 2.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use lmfast_base::source::Documents;
use lmfast_base::{Control, Error, Pages, Result};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::corpus::{BEGIN, Corpus, END, UNKNOWN};
use crate::external::Spool;
use crate::text::Words;
use crate::vocabulary::{Builder, Lookup, Vocabulary};

/// What a `<unk>` spelled out in the text is. The sentence marks `<s>` and `</s>` are left out by [`Skip`](Self::Skip)
/// and refused by the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The unknown word itself, which then has counts.
    Unknown,
    /// An ordinary word.
    Word,
    /// White space.
    Skip,
    /// An error.
    Error,
    /// An ordinary word, and so are the sentence marks.
    AllWords,
}

/// Provisional ids of words that one batch saw first start here.
const NEW: u32 = 1 << 31;

/// Collects text.
#[derive(Debug)]
pub struct Reader {
    unknown: Unknown,
    vocabulary: Builder,
    /// The ids of sentence marks that are ordinary words.
    marks: Vec<(&'static str, Option<u32>)>,
    ids: Pages<u32>,
    /// Where the ids go after each group of batches; nothing keeps them in memory.
    spool: Option<Spool>,
}

impl Reader {
    /// Holds no text yet.
    pub fn new(unknown: Unknown) -> Self {
        let marks = vec![("<s>", None), ("</s>", None)];
        Self { unknown, vocabulary: Builder::new(), marks, ids: Pages::default(), spool: None }
    }

    /// The same, with the sentences in a working file in a folder.
    ///
    /// # Errors
    /// [`Error::Io`] if no file can be made there.
    pub fn spooling(unknown: Unknown, folder: &Path) -> Result<Self> {
        Ok(Self { spool: Some(Spool::create(folder)?), ..Self::new(unknown) })
    }

    /// Reads documents. `file` is where they come from, one a line, for messages. Uses the current pool of threads; the
    /// outcome does not depend on it.
    ///
    /// # Errors
    /// What `batches` fails with; a word that [`Unknown`] refuses.
    pub fn read(
        &mut self,
        batches: impl Iterator<Item = Result<Documents>> + Send,
        file: Option<&Path>,
        control: &Control,
    ) -> Result<()> {
        let mut batches = batches;
        let mut documents_before = 0;
        let recent: Vec<Mutex<Recent>> = (0..rayon::current_num_threads()).map(|_| Mutex::default()).collect();
        let mut group = take(&mut batches)?;
        while !group.is_empty() {
            control.check()?;
            let lookup = self.vocabulary.lookup();
            let read = |documents| {
                let thread = rayon::current_thread_index().unwrap_or(0);
                let mut recent = recent[thread].lock().unwrap_or_else(PoisonError::into_inner);
                Part::read(documents, lookup, &mut recent, self.unknown)
            };
            let (parts, next) = rayon::join(|| group.par_iter().map(read).collect::<Vec<_>>(), || take(&mut batches));
            for (documents, part) in group.iter().zip(parts) {
                let part = part.map_err(|refused| refused.error(documents_before, file))?;
                let new: Vec<u32> = part.words.iter().map(|word| self.word(word)).collect();
                if self.vocabulary.len() > NEW as usize {
                    return Err(Error::invalid(format!("more than {NEW} different words: is this text?")));
                }
                self.ids.extend(part.ids.iter().map(|&id| if id < NEW { id } else { new[(id - NEW) as usize] }));
                documents_before += documents.len() as u64;
                control.advance(documents.source_bytes);
            }
            if let Some(spool) = &mut self.spool {
                spool.push(&self.ids)?;
                self.ids.clear();
            }
            group = next?;
        }
        Ok(())
    }

    /// The id of a word that a batch saw first, which is new if the word is.
    fn word(&mut self, word: &str) -> u32 {
        match self.marks.iter_mut().find(|(mark, _)| *mark == word) {
            Some((_, id)) => *id.get_or_insert_with(|| self.vocabulary.append(word)),
            None => self.vocabulary.find_or_append(word),
        }
    }

    /// Whether there is no sentence yet.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.spool.as_ref().is_none_or(Spool::is_empty)
    }

    /// The sentences, and the words behind their ids.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no sentence or there are too many tokens.
    pub fn finish(self) -> Result<(Corpus, Vocabulary)> {
        let corpus = Corpus::new(self.ids, self.vocabulary.len() as u32)?;
        Ok((corpus, self.vocabulary.finish()))
    }

    /// The sentences of a reader that is [`spooling`](Self::spooling), and the words behind their ids.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no sentence.
    pub fn finish_spooled(self) -> Result<(Spool, Vocabulary)> {
        let size = self.vocabulary.len() as u32;
        let spool = self.spool.ok_or_else(|| Error::invalid("the text was read into memory"))?;
        Ok((spool.closed(size)?, self.vocabulary.finish()))
    }
}

/// Takes some batches.
fn take(batches: &mut impl Iterator<Item = Result<Documents>>) -> Result<Vec<Documents>> {
    batches.take(4 * rayon::current_num_threads()).collect()
}

/// Short words that a thread met lately, under their hashes: what most look-ups find, in memory that is near.
pub(crate) struct Recent {
    /// A word's bytes in the lower ones, its length in the highest; and its id.
    slots: Vec<(u128, u32)>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: vec![(0, 0); 1 << Self::BITS] }
    }
}

impl Recent {
    const BITS: u32 = 14;

    /// A word of up to 15 bytes as a number.
    pub(crate) fn pack(word: &[u8]) -> Option<u128> {
        let mut bytes = [0; 16];
        bytes.get_mut(..15)?.get_mut(..word.len())?.copy_from_slice(word);
        bytes[15] = word.len() as u8;
        Some(u128::from_le_bytes(bytes))
    }

    /// The number of a word of up to 15 bytes within a text.
    #[inline]
    pub(crate) fn pack_at(text: &[u8], start: usize, end: usize) -> Option<u128> {
        let length = end - start;
        match text.get(start..start + 16) {
            Some(bytes) if length < 16 => {
                let bytes = u128::from_le_bytes(bytes.try_into().ok()?);
                Some(bytes & !(u128::MAX << (8 * length)) | (length as u128) << 120)
            }
            _ => Self::pack(&text[start..end]),
        }
    }

    /// The id of a word that is kept.
    #[inline]
    pub(crate) fn get(&mut self, packed: u128) -> Option<u32> {
        let &mut (kept, id) = self.slot(packed);
        (kept == packed).then_some(id)
    }

    /// Keeps a word in place of the one in its slot.
    pub(crate) fn keep(&mut self, packed: u128, id: u32) {
        *self.slot(packed) = (packed, id);
    }

    #[inline]
    fn slot(&mut self, packed: u128) -> &mut (u128, u32) {
        let folded = packed as u64 ^ (packed >> 64) as u64;
        let hash = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &mut self.slots[(hash >> (u64::BITS - Self::BITS)) as usize]
    }
}

/// The sentences of one batch; the words it saw first have the ids from [`NEW`] on.
struct Part<'a> {
    ids: Vec<u32>,
    words: Vec<&'a str>,
}

impl<'a> Part<'a> {
    fn read(
        documents: &'a Documents,
        lookup: Lookup<'_>,
        recent: &mut Recent,
        unknown: Unknown,
    ) -> std::result::Result<Self, Refused> {
        let mut part = Self { ids: Vec::with_capacity(documents.text_bytes() / 4), words: Vec::new() };
        let mut seen = FxHashMap::default();
        for (document, number) in documents.iter().zip(0..) {
            for (line, line_number) in lines(document).zip(0..) {
                part.ids.push(BEGIN);
                for (start, end) in Words::new(line.as_bytes()) {
                    let packed = Recent::pack_at(line.as_bytes(), start, end);
                    if let Some(id) = packed.and_then(|packed| recent.get(packed)) {
                        part.ids.push(id);
                        continue;
                    }
                    let word = &line[start..end];
                    let special = Special::of(word);
                    if let Some(special) = &special {
                        match (special, unknown) {
                            (_, Unknown::Skip) => continue,
                            (Special::Unknown, Unknown::Unknown) => {
                                part.ids.push(UNKNOWN);
                                continue;
                            }
                            (Special::Unknown, Unknown::Word) | (_, Unknown::AllWords) => {}
                            _ => return Err(Refused { word: word.to_owned(), document: number, line: line_number }),
                        }
                    }
                    let id = if special.is_none() { lookup.find(word.as_bytes()) } else { None };
                    if let (Some(packed), Some(id)) = (packed, id) {
                        recent.keep(packed, id);
                    }
                    part.ids.push(id.unwrap_or_else(|| {
                        *seen.entry(word).or_insert_with(|| {
                            part.words.push(word);
                            NEW + part.words.len() as u32 - 1
                        })
                    }));
                }
                part.ids.push(END);
            }
        }
        Ok(part)
    }
}

enum Special {
    Unknown,
    Mark,
}

impl Special {
    fn of(word: &str) -> Option<Self> {
        match word {
            "<unk>" => Some(Self::Unknown),
            "<s>" | "</s>" => Some(Self::Mark),
            _ => None,
        }
    }
}

struct Refused {
    word: String,
    document: u64,
    line: u64,
}

impl Refused {
    fn error(&self, documents_before: u64, file: Option<&Path>) -> Error {
        let (word, document) = (&self.word, documents_before + self.document + 1);
        let way_out = if word == "<unk>" {
            "choose what it is to be with unk='unknown', 'word' or 'skip'"
        } else {
            "sentence marks are added by the model; rename it in the text or leave it out with unk='skip'"
        };
        let what = format!("the text spells out {word:?}, which has a meaning of its own: {way_out}");
        match file {
            Some(path) => Error::format(path, format!("line {document}: {what}")),
            None => Error::invalid(format!("line {} of document {document}: {what}", self.line + 1)),
        }
    }
}

/// The lines of a document. A line end at the very end begins no further line; an empty document is an empty line.
pub fn lines(document: &str) -> impl Iterator<Item = &str> {
    document.strip_suffix('\n').unwrap_or(document).split('\n')
}

/// The words of a line, or of a text whose line ends are white space.
pub fn split(line: &str) -> impl Iterator<Item = &str> {
    Words::new(line.as_bytes()).map(|(start, end)| &line[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(documents: &[&str], unknown: Unknown) -> Result<(Vec<u32>, Vec<String>)> {
        let mut reader = Reader::new(unknown);
        let batches: Vec<Result<Documents>> =
            documents.chunks(2).map(|chunk| Ok(chunk.iter().copied().collect::<Documents>())).collect();
        reader.read(batches.into_iter(), None, &Control::default())?;
        let (corpus, vocabulary) = reader.finish()?;
        let words = (0..vocabulary.len() as u32).map(|id| vocabulary.word(id).to_owned()).collect();
        Ok((corpus.ids().to_vec(), words))
    }

    #[test]
    fn words_are_numbered_as_they_first_appear() -> Result<()> {
        let (ids, words) = read(&["b a\n\nb\0c\td\r\n", "", "a e", " e  b\u{b}\n"], Unknown::Error)?;
        assert_eq!(words[3..], ["b", "a", "c", "d", "e", "b\u{b}"]);
        assert_eq!(ids, [1, 3, 4, 2, 1, 2, 1, 3, 5, 6, 2, 1, 2, 1, 4, 7, 2, 1, 7, 8, 2]);
        Ok(())
    }

    #[test]
    fn spelled_unknown_words() -> Result<()> {
        let text = ["a <unk> b"];
        assert_eq!(read(&text, Unknown::Unknown)?.0, [1, 3, 0, 4, 2]);
        assert_eq!(read(&text, Unknown::Word)?.0, [1, 3, 4, 5, 2]);
        assert_eq!(read(&text, Unknown::Skip)?.0, [1, 3, 4, 2]);
        let message = read(&["x", "a\nb <unk>"], Unknown::Error).map(|_| ()).map_err(|error| error.to_string());
        assert!(message.is_err_and(|message| message.starts_with("line 2 of document 2: ")));
        assert!(read(&["</s>"], Unknown::Word).is_err());
        assert_eq!(read(&["<s> a </s>"], Unknown::Skip)?.0, [1, 3, 2]);
        assert!(read(&[], Unknown::Word).is_err());
        Ok(())
    }
}
