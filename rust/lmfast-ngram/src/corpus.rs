//! What is estimated from: sentences of word ids.

use lmfast_base::{Control, Error, Pages, Result};

/// The id of the unknown word, `<unk>`.
pub const UNKNOWN: u32 = 0;
/// The id of the mark before a sentence, `<s>`.
pub const BEGIN: u32 = 1;
/// The id of the mark behind a sentence, `</s>`.
pub const END: u32 = 2;
/// How many ids are taken by these; a tokenizer's token `i` is word `i + SPECIALS`.
pub const SPECIALS: u32 = 3;

/// Positions are 32 bits wide, and the sums of counts with them.
const MOST_TOKENS: usize = u32::MAX as usize;

/// Sentences one behind the other, each from `<s>` to `</s>`; no `<s>` is anywhere else.
#[derive(Debug, Default)]
pub struct Corpus {
    ids: Pages<u32>,
    vocabulary_size: u32,
}

/// An integer type that token ids come in.
pub trait TokenId: Copy + Send + Sync {
    /// The id as lmfast counts it; nothing if it is negative.
    fn widen(self) -> Option<u32>;
}

impl TokenId for u16 {
    fn widen(self) -> Option<u32> {
        Some(self.into())
    }
}

impl TokenId for u32 {
    fn widen(self) -> Option<u32> {
        Some(self)
    }
}

impl TokenId for i32 {
    fn widen(self) -> Option<u32> {
        u32::try_from(self).ok()
    }
}

impl Corpus {
    /// Documents of token ids, each a sentence: document `d` is `tokens[offsets[d]..offsets[d + 1]]`. The vocabulary is
    /// closed: all of `0..vocab_size` belong to it, seen or not.
    ///
    /// # Errors
    /// [`Error::Invalid`] for offsets that do not rise from 0 to the number of tokens, a token outside the vocabulary,
    /// no document, or more than 2^32 - 1 tokens.
    pub fn from_tokens<T: TokenId>(tokens: &[T], offsets: &[u64], vocab_size: u32, control: &Control) -> Result<Self> {
        let documents = documents(tokens, offsets)?;
        let vocabulary_size = vocabulary_size(vocab_size)?;
        let mut ids = Pages::default();
        control.begin("reading tokens", tokens.len() as u64);
        for (document, start) in documents.zip(offsets) {
            ids.extend([BEGIN].into_iter());
            for (chunk, at) in document.chunks(1 << 16).zip((*start..).step_by(1 << 16)) {
                control.check()?;
                let words = chunk.iter().zip(at..).map(|(&token, position)| word_of_token(token, vocab_size, position));
                ids.extend(words.collect::<Result<Vec<_>>>()?.into_iter());
                control.advance(chunk.len() as u64);
            }
            ids.extend([END].into_iter());
        }
        Self::new(ids, vocabulary_size)
    }

    /// Sentences of word ids that are already framed by their marks.
    #[cfg(test)]
    pub(crate) fn from_sentences(ids: &[u32], vocabulary_size: u32) -> Result<Self> {
        Self::new(ids.into(), vocabulary_size)
    }

    /// Sentences of word ids that are already framed by their marks.
    pub(crate) fn new(ids: Pages<u32>, vocabulary_size: u32) -> Result<Self> {
        if ids.is_empty() {
            return Err(Error::invalid("there is no text: a model needs at least one sentence"));
        }
        if ids.len() > MOST_TOKENS {
            return Err(Error::invalid(format!(
                "{} tokens with sentence marks: at most {MOST_TOKENS} fit in memory at once; train on a part of the text",
                ids.len()
            )));
        }
        Ok(Self { ids, vocabulary_size })
    }

    /// Every sentence's ids with its marks.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many words there are, the three special ones included.
    pub fn vocabulary_size(&self) -> u32 {
        self.vocabulary_size
    }
}

/// How many words a model has of a vocabulary of tokens.
pub(crate) fn vocabulary_size(vocab_size: u32) -> Result<u32> {
    vocab_size.checked_add(SPECIALS).filter(|&size| size < u32::MAX).ok_or_else(|| {
        let most = u32::MAX - SPECIALS - 1;
        Error::invalid(format!("vocab_size={vocab_size}: at most {most} words can be told apart"))
    })
}

/// The word id of a token.
///
/// # Errors
/// [`Error::Invalid`] if it is outside the vocabulary; `position` tells where.
pub fn word_of_token<T: TokenId>(token: T, vocab_size: u32, position: u64) -> Result<u32> {
    match token.widen() {
        Some(id) if id < vocab_size => Ok(id + SPECIALS),
        id => Err(Error::invalid(format!(
            "token {} at position {position} is outside the vocabulary of {vocab_size} tokens: the ids were made by another tokenizer",
            id.map_or("below 0".to_owned(), |id| id.to_string())
        ))),
    }
}

/// The documents of a store.
///
/// # Errors
/// [`Error::Invalid`] for offsets that do not rise from 0 to the number of tokens.
pub fn documents<'a, T>(tokens: &'a [T], offsets: &'a [u64]) -> Result<impl Iterator<Item = &'a [T]>> {
    let whole = offsets.first() == Some(&0) && offsets.last() == Some(&(tokens.len() as u64));
    if !whole || !offsets.is_sorted() {
        return Err(Error::invalid(format!(
            "offsets must rise from 0 to the number of tokens, {}: one more than there are documents",
            tokens.len()
        )));
    }
    Ok(offsets.windows(2).map(|pair| match pair {
        &[start, end] => tokens.get(start as usize..end as usize).unwrap_or_default(),
        _ => &[],
    }))
}
