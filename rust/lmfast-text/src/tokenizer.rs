//! The tokenizer: a definition, and what makes it fast.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Mutex;

use lmfast_base::{AtomicFile, Control, Encode, EncodeSession, Error, Result};
use rustc_hash::{FxHashMap, FxHashSet};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::added::{Matcher, Special};
use crate::bpe::{Bpe, Scratch};
use crate::byte_chars;
use crate::cut::Cut;
use crate::decode::TokenBytes;
use crate::format::components::{Normalizer, PostProcessor};
use crate::format::{Definition, Model};
use crate::model::ModelEncoder;
use crate::session::{Options, Session};
use crate::split::Split;
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
    definition: Definition,
    pub(crate) encoder: ModelEncoder,
    pub(crate) split: Box<dyn Split>,
    pub(crate) add_prefix_space: bool,
    normalize: bool,
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
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] that names the field.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Error::format(path, format!("not a tokenizer.json: {}", error.utf8_error())))?;
        Self::parse(&text).map_err(|what| Error::format(path, what))
    }

    /// Reads the text of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the field.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::parse(text).map_err(Error::invalid)
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        Self::new(Definition::parse(text)?)
    }

    /// The text of a `tokenizer.json` that `tokenizers` reads.
    pub fn to_json(&self) -> Result<String> {
        self.definition.write().map_err(|error| Error::invalid(format!("the tokenizer cannot be written: {error}")))
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
        let size = added_ids(&definition)?;
        let cut = Cut::new(definition.pre_tokenizer.as_ref())?;
        let encoder = match &definition.model {
            Model::Bpe(_) if !cut.byte_level => {
                return Err(
                    "pre_tokenizer: a BPE model is supported with ByteLevel as the last step, and this has none"
                        .to_owned(),
                );
            }
            Model::WordLevel { .. } if cut.byte_level => {
                return Err("pre_tokenizer: ByteLevel before a WordLevel model is not supported".to_owned());
            }
            Model::Bpe(_) => ModelEncoder::Bpe(Box::new(byte_level_bpe(&definition)?)),
            Model::WordLevel { unk_token } => ModelEncoder::Words(Words::new(
                definition.vocabulary.iter().map(|(token, id)| (token.into(), id)),
                unk_token,
            )),
        };
        let normalize = definition.normalizer.as_ref().is_some_and(composes);
        let (normalized, raw): (Vec<_>, Vec<_>) =
            definition.added_tokens.iter().cloned().partition(|token| token.normalized);
        let composed = |content: &str| if normalize { content.nfc().collect() } else { content.to_owned() };
        let around =
            definition.post_processor.as_ref().map_or(Ok(<(Vec<u32>, Vec<u32>)>::default()), PostProcessor::around);
        let around = around.map_err(|what| format!("post_processor: {what}"))?;
        if let Some(id) = around.0.iter().chain(&around.1).find(|&&id| id >= size) {
            return Err(format!("post_processor: the id {id} is not in the vocabulary of {size}"));
        }
        Ok(Self {
            raw: Matcher::new(raw.into_iter().map(|token| (token.content.clone(), token)).collect())?,
            normalized: Matcher::new(normalized.into_iter().map(|token| (composed(&token.content), token)).collect())?,
            tokens: TokenBytes::new(&definition, size),
            definition,
            encoder,
            split: cut.split,
            add_prefix_space: cut.add_prefix_space,
            normalize,
            around,
            size,
            idle: Mutex::default(),
        })
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

    /// Opens a session; see [`Encode::session`].
    pub fn session_with(&self, options: Options) -> Session<'_> {
        // A lock held by a thread that a fork left behind is never free: then new memory is taken.
        let scratch = self.idle.try_lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
        Session::new(self, options, scratch)
    }

    /// Takes back the memory of a session.
    pub(crate) fn give_back(&self, scratch: Scratch) {
        if let Ok(mut idle) = self.idle.try_lock() {
            if idle.len() < IDLE_LIMIT {
                idle.push(scratch);
            }
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

    fn session(&self) -> Box<dyn EncodeSession + '_> {
        Box::new(self.session_with(Options { add_special_tokens: false, special: Special::Text }))
    }
}

impl Tokenizer {
    /// The text as added tokens and pieces are looked for in it.
    pub(crate) fn normalized_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.normalize || text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(text.nfc().collect())
        }
    }
}

/// Whether any step composes; there is no other.
fn composes(normalizer: &Normalizer) -> bool {
    match normalizer {
        Normalizer::Nfc {} => true,
        Normalizer::Sequence { normalizers } => normalizers.iter().any(composes),
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

fn byte_level_bpe(definition: &Definition) -> std::result::Result<Bpe, String> {
    let Model::Bpe(settings) = &definition.model else { return Err("model.type: BPE is wanted".to_owned()) };
    let mut byte_ids = [0; 256];
    for byte in 0..=255 {
        let letter = byte_chars::to_char(byte);
        byte_ids[usize::from(byte)] = definition.vocabulary.id(letter.encode_utf8(&mut [0; 4])).ok_or_else(|| {
            format!("model.vocab: it lacks {letter:?}, the byte {byte}: text with this byte could not be encoded")
        })?;
    }
    let mut whole = FxHashMap::default();
    if settings.ignore_merges {
        let spelled =
            definition.vocabulary.iter().filter_map(|(token, id)| Some((byte_chars::bytes(token)?.into(), id)));
        whole.extend(spelled);
    }
    let spelled = definition.vocabulary.iter().filter_map(|(token, id)| Some((byte_chars::bytes(token)?, id)));
    Ok(Bpe::new(&byte_ids, &settings.merges, whole, &spelled.collect::<Vec<_>>()))
}
