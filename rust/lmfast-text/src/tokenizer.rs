//! The tokenizer: a definition, and what makes it fast.

use std::path::Path;
use std::sync::Mutex;

use lmfast_base::{AtomicFile, Control, Encode, EncodeSession, Error, Result};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::added::{AddedToken, Matcher, Special};
use crate::batch::word_behind;
use crate::bpe::Bpe;
use crate::byte_chars;
use crate::cut::{Cut, Stage};
use crate::decode::TokenBytes;
use crate::format::components::{Normalizer, PreTokenizer};
use crate::format::{Batching, BpeSettings, Definition, Extra, Model, Read, Source};
use crate::model::{BertFast, Characters, ModelEncoder, Scratch, SentencePiece, Unigram, WordPiece};
use crate::normalize::Normalizers;
use crate::post::Plans;
use crate::session::{Options, Session};
use crate::vocabulary::Vocabulary;
use crate::words::Words;

/// The names of an end of text, the first that is a special token of the vocabulary counts.
pub const END_OF_TEXT: [&str; 6] =
    ["<|endoftext|>", "<|end_of_text|>", "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>", "</s>", "<eos>", "[EOS]"];

/// Text to token ids, and back; immutable, shared by any number of threads.
///
/// ```
/// # fn main() -> lmfast_base::Result<()> {
/// use lmfast_base::{Control, source::Documents};
/// use lmfast_text::{Options, Tokenizer, train};
/// let text = ["the cat sat on the mat"; 3].into_iter().collect::<Documents>();
/// let config = train::Config { vocab_size: 270, ..train::Config::default() };
/// let tokenizer = train::train([Ok(text)].into_iter(), 0, &config, &Control::default())?;
/// let ids = tokenizer.encode("the mat", Options::default())?;
/// assert!(ids.len() < 7);
/// assert_eq!(tokenizer.decode(&ids, false)?, "the mat");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tokenizer {
    pub(crate) definition: Definition,
    /// What it was read from, where the definition is not all of it.
    source: Option<Source>,
    pub(crate) batching: Batching,
    pub(crate) encoder: ModelEncoder,
    /// Does the work of the normalizer, the pre-tokenizer and the model for text in ASCII.
    pub(crate) bert_fast: Option<BertFast>,
    pub(crate) normalizers: Normalizers,
    pub(crate) cut: Cut,
    pub(crate) plans: Plans,
    /// Added tokens looked for before and after normalization.
    pub(crate) raw: Option<Matcher>,
    pub(crate) normalized: Option<Matcher>,
    /// The ids put around a text.
    pub(crate) around: (Vec<u32>, Vec<u32>),
    size: u32,
    pub(crate) tokens: TokenBytes,
    /// Memory of sessions that have ended, for those to come.
    idle: Mutex<Vec<Scratch>>,
}

/// How many sessions' memory is kept.
const IDLE_LIMIT: usize = 16;

impl Tokenizer {
    /// Reads a file: a `tokenizer.json`, a `.tiktoken`, a `vocab.txt`, or `vocab.json` beside `merges.txt`.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] that names the field or the line.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Extra::default())
    }

    /// Reads a file, with what a file of ranks does not say.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Invalid`] where the file says it by itself.
    pub fn open_with(path: impl AsRef<Path>, extra: Extra<'_>) -> Result<Self> {
        let path = path.as_ref();
        let read = Read::open(path, extra)?;
        Self::from_read(read).map_err(|what| Error::format(path, what))
    }

    /// Reads the text of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the field.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::parse(text).map_err(Error::invalid)
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let (definition, batching) = Definition::parse(text)?;
        Ok(Self { batching, ..Self::new(definition)? })
    }

    fn from_read(read: Read) -> std::result::Result<Self, String> {
        Ok(Self { batching: read.batching, ..Self::build(read.definition, read.source)? })
    }

    /// The text of a `tokenizer.json` that `tokenizers` reads. It has no truncation and padding, which there change
    /// what every text becomes.
    pub fn to_json(&self) -> Result<String> {
        let batching = Batching::default();
        let written = if self.source.is_some() {
            self.check_special_pieces()?;
            self.definition.with_added_in_vocabulary().and_then(|definition| definition.write(&batching))
        } else {
            self.definition.write(&batching)
        };
        written.map_err(Error::invalid)
    }

    /// Refuses special tokens that the pattern leaves whole: written into the vocabulary, where `tokenizers` wants
    /// them, they would be found in ordinary text.
    fn check_special_pieces(&self) -> Result<()> {
        let Model::Bpe(BpeSettings { ignore_merges: true, .. }) = &self.definition.model else { return Ok(()) };
        for AddedToken { content, .. } in &self.definition.added_tokens {
            let mut pieces = Vec::new();
            for stage in &self.cut.stages {
                stage.split.split(content, 0, &mut pieces)?;
            }
            if pieces.first().is_some_and(|piece| *piece == (0..content.len())) {
                return Err(Error::invalid(format!(
                    "a tokenizer.json cannot hold this tokenizer: its pattern leaves {content:?} whole, so that tokenizers \
                     would take the special token for it in ordinary text; keep the file that it was read from"
                )));
            }
        }
        Ok(())
    }

    /// All that makes this tokenizer, for [`from_state`](Self::from_state).
    ///
    /// # Errors
    /// As [`to_json`](Self::to_json).
    pub fn state(&self) -> Result<Vec<u8>> {
        match &self.source {
            None => self.definition.write(&self.batching).map(String::into_bytes).map_err(Error::invalid),
            Some(source) => source.to_bytes(),
        }
    }

    /// The tokenizer of a [`state`](Self::state).
    ///
    /// # Errors
    /// [`Error::Invalid`] for bytes that are none.
    pub fn from_state(state: &[u8]) -> Result<Self> {
        let read = || {
            if Source::is_state(state) {
                return Self::from_read(Source::read(state)?);
            }
            Self::parse(std::str::from_utf8(state).map_err(|error| error.to_string())?)
        };
        read().map_err(|what| Error::invalid(format!("not the state of a tokenizer: {what}")))
    }

    /// Writes a `tokenizer.json`.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        use std::io::Write;
        let path = path.as_ref();
        let text = self.to_json()?;
        let mut file = AtomicFile::create(path)?;
        file.write_all(text.as_bytes()).map_err(Error::io(path))?;
        file.commit()
    }

    pub(crate) fn new(definition: Definition) -> std::result::Result<Self, String> {
        Self::build(definition, None)
    }

    fn build(definition: Definition, source: Option<Source>) -> std::result::Result<Self, String> {
        let size = if source.is_some() { own_added_ids(&definition) } else { added_ids(&definition) }?;
        // A byte-level BPE takes bytes as they are; one whose tokens have affixes wants them spelled.
        let takes_bytes = matches!(&definition.model, Model::Bpe(settings) if !settings.has_affixes());
        let cut = Cut::new(definition.pre_tokenizer.as_ref(), takes_bytes)?;
        let encoder = encoder(&definition, cut.byte_level, source.is_some())?;
        let normalizers =
            Normalizers::new(definition.normalizer.as_ref()).map_err(|what| format!("normalizer: {what}"))?;
        let (mut normalized, mut raw) = (Vec::new(), Vec::new());
        for token in &definition.added_tokens {
            if token.normalized {
                let spelled = normalizers.text(&token.content).map_err(|error| format!("normalizer: {error}"))?;
                normalized.push((spelled, token.clone()));
            } else {
                raw.push((token.content.clone(), token.clone()));
            }
        }
        let plans = Plans::new(definition.post_processor.as_ref(), size)?;
        Ok(Self {
            raw: Matcher::new(raw)?,
            normalized: Matcher::new(normalized)?,
            tokens: TokenBytes::new(&definition, &normalizers, size)?,
            bert_fast: bert_fast(&definition),
            definition,
            source,
            batching: Batching::default(),
            encoder,
            normalizers,
            cut,
            around: plans.around(),
            plans,
            size,
            idle: Mutex::default(),
        })
    }

    /// What its file says.
    pub(crate) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The largest id plus one.
    pub fn vocab_size(&self) -> u32 {
        self.size
    }

    /// The id of a token as its file spells it.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        let added = self.definition.added_tokens.iter().find(|added| added.content == token);
        added.map(|added| added.id).or_else(|| self.definition.vocabulary.id(token))
    }

    /// The token of an id as its file spells it.
    pub fn id_to_token(&self, id: u32) -> Option<&str> {
        let added = self.definition.added_tokens.iter().find(|added| added.id == id);
        added.map(|added| added.content.as_str()).or_else(|| self.definition.vocabulary.token(id))
    }

    /// Every token with its id, in the order of ids.
    pub fn vocab(&self) -> Vec<(&str, u32)> {
        let model = self.definition.vocabulary.iter();
        let added = self.definition.added_tokens.iter().map(|token| (token.content.as_str(), token.id));
        let mut entries: Vec<(&str, u32)> = model.chain(added).collect();
        entries.sort_unstable_by_key(|&(token, id)| (id, token));
        entries.dedup();
        entries
    }

    /// The special tokens with their ids, in the order of the file.
    pub fn special_tokens(&self) -> impl Iterator<Item = (&str, u32)> {
        let special = self.definition.added_tokens.iter().filter(|token| token.special);
        special.map(|token| (token.content.as_str(), token.id))
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a special token that [`Special::Refuse`] forbids, a word that a vocabulary without an
    /// unknown token lacks, or a pattern that does not come to an end.
    pub fn encode(&self, text: &str, options: Options) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.session_with(options).append(text, &mut ids, &Control::default())?;
        Ok(ids)
    }

    /// Whether text may be cut before a space between two ASCII letters, and its parts encoded one by one.
    pub(crate) fn encodes_words_apart(&self) -> bool {
        let [Stage { rewrites, split }] = &self.cut.stages[..] else { return false };
        let in_token = |token: &AddedToken| {
            let letters = token.content.as_bytes();
            let at_edge = [letters.first(), letters.last()].into_iter().flatten().any(u8::is_ascii_alphabetic);
            let minds_neighbours = token.lstrip || token.rstrip || token.single_word;
            // What is spelled in other characters may be looked for as these.
            token.normalized && !letters.is_ascii()
                || minds_neighbours && at_edge
                || letters.windows(2).any(|two| two[0].is_ascii_alphabetic() && two[1] == b' ')
        };
        rewrites.is_empty()
            && split.cuts_before_words()
            && self.normalizers.work_on_words_apart()
            && !self.definition.added_tokens.iter().any(in_token)
    }

    /// Opens a session; see [`Encode::session`].
    pub fn session_with(&self, options: Options) -> Session<'_> {
        // A lock held by a thread that a fork left behind is never free: then new memory is taken.
        let scratch = self.idle.try_lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
        Session::new(self, options, scratch)
    }

    /// Takes back the memory of a session.
    pub(crate) fn give_back(&self, scratch: Scratch) {
        if let Ok(mut idle) = self.idle.try_lock()
            && idle.len() < IDLE_LIMIT
        {
            idle.push(scratch);
        }
    }
}

impl Encode for Tokenizer {
    fn vocab_size(&self) -> u32 {
        self.size
    }

    fn end_of_text(&self) -> Option<u32> {
        END_OF_TEXT.iter().find_map(|name| self.special_tokens().find(|(token, _)| token == name)).map(|(_, id)| id)
    }

    fn cut(&self, text: &str, from: usize) -> usize {
        if self.encodes_words_apart() { word_behind(text.as_bytes(), from) } else { text.len() }
    }

    fn session(&self) -> Box<dyn EncodeSession + '_> {
        Box::new(self.session_with(Options { add_special_tokens: false, special: Special::Text }))
    }
}

/// Checks that added tokens have the ids that `tokenizers` would give them, and gives the largest id plus one.
fn added_ids(definition: &Definition) -> std::result::Result<u32, String> {
    let (vocabulary, mut size) = (&definition.vocabulary, definition.vocabulary.size());
    let mut next = vocabulary.len() as u32;
    let mut seen: FxHashSet<&str> = FxHashSet::default();
    for (index, token) in definition.added_tokens.iter().enumerate() {
        let wrong = |what: String| format!("added_tokens[{index}] ({:?}): {what}", token.content);
        if !seen.insert(&token.content) {
            return Err(wrong("it is there twice".to_owned()));
        }
        let expected = vocabulary.id(&token.content).unwrap_or(next);
        if token.id != expected {
            return Err(wrong(format!("its id is {}, and tokenizers would give it {expected}", token.id)));
        }
        if let Some(other) = vocabulary.token(token.id).filter(|other| *other != token.content) {
            return Err(wrong(format!("its id {expected} is that of {other:?} in model.vocab")));
        }
        next = next.max(expected + 1);
        size = size.max(expected + 1);
    }
    Ok(size)
}

/// Checks that added tokens have ids of their own, which other formats than `tokenizer.json` give freely, and gives the
/// largest id plus one.
fn own_added_ids(definition: &Definition) -> std::result::Result<u32, String> {
    let mut all: FxHashMap<u32, &str> = FxHashMap::default();
    let mut size = definition.vocabulary.size();
    let room = size.saturating_mul(3).saturating_add(65_536);
    for AddedToken { id, content, .. } in &definition.added_tokens {
        let wrong = |what: String| format!("the special token {content:?}: {what}");
        if content.is_empty() {
            return Err(wrong("it is empty, and could not be found".to_owned()));
        }
        if *id >= room {
            return Err(wrong(format!("its id {id} is out of all proportion to the number of tokens")));
        }
        let same = definition.vocabulary.token(*id).filter(|token| token != content);
        if let Some(other) = same.or(all.insert(*id, content)) {
            return Err(wrong(format!("its id {id} is that of {other:?}")));
        }
        if let Some(other) = definition.vocabulary.id(content).filter(|other| other != id) {
            return Err(wrong(format!("its id is {id}, and it is the ordinary token {other} as well")));
        }
        size = size.max(id + 1);
    }
    let mut names: Vec<&String> = definition.added_tokens.iter().map(|token| &token.content).collect();
    names.sort();
    match names.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(format!("the special token {:?} is there twice", two[0])),
        None => Ok(size),
    }
}

/// The fast way of BERT, if the definition is that: text is cleaned, and no added token is looked for in what it becomes.
fn bert_fast(definition: &Definition) -> Option<BertFast> {
    match definition {
        Definition {
            normalizer: Some(Normalizer::BertNormalizer { clean_text: true, lowercase, .. }),
            pre_tokenizer: Some(PreTokenizer::BertPreTokenizer {}),
            model: Model::WordPiece { .. },
            added_tokens,
            ..
        } if added_tokens.iter().all(|token| !token.normalized) => Some(BertFast { lowercase: *lowercase }),
        _ => None,
    }
}

/// Makes the model ready. `byte_level`: its pieces are text that is meant in the byte alphabet. `merges_are_all`: a token
/// that its own bytes become is the result of a merge.
fn encoder(
    definition: &Definition,
    byte_level: bool,
    merges_are_all: bool,
) -> std::result::Result<ModelEncoder, String> {
    let vocabulary = &definition.vocabulary;
    let spelled = || vocabulary.iter().map(|(token, id)| (token.into(), id));
    Ok(match &definition.model {
        Model::Bpe(settings) if byte_level => {
            ModelEncoder::Bpe(Box::new(byte_level_bpe(settings, vocabulary, merges_are_all)?))
        }
        Model::Bpe(settings) => ModelEncoder::Characters(Box::new(Characters::new(settings, vocabulary))),
        Model::WordPiece { unk_token, continuing_subword_prefix, max_input_chars_per_word } => {
            let model =
                WordPiece::new(vocabulary.iter(), unk_token, continuing_subword_prefix, *max_input_chars_per_word);
            ModelEncoder::WordPiece(Box::new(model.map_err(|what| format!("model.vocab: {what}"))?))
        }
        Model::Unigram { scores, unk_id, byte_fallback } => {
            let model = Unigram::new(vocabulary.iter(), scores.clone(), *unk_id, *byte_fallback);
            ModelEncoder::Unigram(Box::new(model.map_err(|what| format!("model.vocab: {what}"))?))
        }
        Model::SentencePiece(settings) => {
            let model = SentencePiece::new(settings, vocabulary).map_err(|what| format!("pieces: {what}"))?;
            ModelEncoder::SentencePiece(Box::new(model))
        }
        Model::WordLevel { unk_token } => ModelEncoder::Words(Words::new(spelled(), unk_token)),
    })
}

fn byte_level_bpe(
    settings: &BpeSettings,
    vocabulary: &Vocabulary,
    merges_are_all: bool,
) -> std::result::Result<Bpe, String> {
    let mut byte_ids = [0; 256];
    for byte in 0..=255 {
        let letter = byte_chars::to_char(byte);
        byte_ids[usize::from(byte)] = vocabulary.id(letter.encode_utf8(&mut [0; 4])).ok_or_else(|| {
            format!("model.vocab: it lacks {letter:?}, the byte {byte}: text with this byte could not be encoded")
        })?;
    }
    let mut merged = vec![false; if merges_are_all { vocabulary.size() as usize } else { 0 }];
    if merges_are_all {
        settings.merges.iter().for_each(|&(_, _, id)| merged[id as usize] = true);
    }
    let mut whole = FxHashMap::default();
    if settings.ignore_merges {
        let apart = vocabulary.iter().filter(|&(_, id)| !merged.get(id as usize).copied().unwrap_or(false));
        whole.extend(apart.filter_map(|(token, id)| Some((byte_chars::bytes(token)?.into(), id))));
    }
    let spelled = vocabulary.iter().filter_map(|(token, id)| Some((byte_chars::bytes(token)?, id)));
    Ok(Bpe::new(&byte_ids, &settings.merges, whole, &spelled.collect::<Vec<_>>()))
}
