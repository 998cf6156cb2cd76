//! Models of `SentencePiece`: the message `ModelProto` of its `sentencepiece_model.proto`.
//!
//! Only the fields that encoding and decoding depend on are read, straight from the bytes of the message. What they ask
//! for and is not supported is refused by name.

use rustc_hash::FxHashSet;

use super::{Definition, Model};
use crate::added::AddedToken;
use crate::normalize::CharsMap;
use crate::vocabulary::Vocabulary;

/// The most bytes of a piece: every cut of it is looked up.
const LONGEST: usize = 1024;

/// What a piece is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// How pieces are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Unigram,
    Bpe,
}

/// A piece beside its spelling; its id is its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) score: f32,
    pub(crate) kind: Kind,
}

/// What a model says beside its vocabulary.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the file format, each on its own")]
pub(crate) struct Settings {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) algorithm: Algorithm,
    pub(crate) byte_fallback: bool,
    /// What the unknown token is decoded to.
    pub(crate) unk_surface: String,
    /// The table of the normalizer.
    pub(crate) chars_map: Option<CharsMap>,
    pub(crate) add_dummy_prefix: bool,
    pub(crate) remove_extra_whitespaces: bool,
    pub(crate) escape_whitespaces: bool,
}

/// Reads a file.
///
/// # Errors
/// Names the field, or the byte where the message breaks off.
pub(crate) fn parse(bytes: &[u8]) -> Result<Definition, String> {
    let mut spellings: Vec<(String, u32)> = Vec::new();
    let mut settings = Settings {
        pieces: Vec::new(),
        algorithm: Algorithm::Unigram,
        byte_fallback: false,
        unk_surface: " \u{2047} ".to_owned(),
        chars_map: None,
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
    };
    let mut message = Message::new(bytes);
    while let Some((number, value)) = message.next()? {
        match number {
            1 => {
                let id = settings.pieces.len();
                let (spelling, piece) =
                    piece(value.bytes("pieces")?).map_err(|what| format!("pieces[{id}]: {what}"))?;
                spellings.push((spelling, id as u32));
                settings.pieces.push(piece);
            }
            2 => {
                trainer(&mut settings, value.bytes("trainer_spec")?).map_err(|what| format!("trainer_spec: {what}"))?;
            }
            3 => normalizer(&mut settings, value.bytes("normalizer_spec")?)
                .map_err(|what| format!("normalizer_spec: {what}"))?,
            5 => {
                let mut denormalizer = Message::new(value.bytes("denormalizer_spec")?);
                while let Some((number, value)) =
                    denormalizer.next().map_err(|what| format!("denormalizer_spec: {what}"))?
                {
                    if number == 2 && !value.bytes("precompiled_charsmap")?.is_empty() {
                        return Err("denormalizer_spec.precompiled_charsmap: it is not supported".to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    check(&settings, &spellings)?;
    let is_special = |id: u32| matches!(settings.pieces[id as usize].kind, Kind::Control | Kind::Unknown);
    let special = spellings.iter().filter(|&&(_, id)| is_special(id));
    Ok(Definition {
        added_tokens: special.map(|(piece, id)| AddedToken::special(*id, piece)).collect(),
        normalizer: None,
        pre_tokenizer: None,
        post_processor: None,
        decoder: None,
        vocabulary: Vocabulary::new(spellings).map_err(|what| format!("pieces: {what}"))?,
        model: Model::SentencePiece(Box::new(settings)),
    })
}

fn piece(bytes: &[u8]) -> Result<(String, Piece), String> {
    let (mut spelling, mut piece) = (String::new(), Piece { score: 0.0, kind: Kind::Normal });
    let mut message = Message::new(bytes);
    while let Some((number, value)) = message.next()? {
        match number {
            1 => spelling = value.text("piece")?,
            2 => piece.score = value.float("score")?,
            3 => {
                piece.kind = match value.number("type")? {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    other => return Err(format!("type: {other} is not known")),
                }
            }
            _ => {}
        }
    }
    if spelling.is_empty() || spelling.len() > LONGEST || spelling.contains('\0') {
        return Err(format!("piece: {} bytes: between 1 and {LONGEST} are wanted, none of them zero", spelling.len()));
    }
    if !piece.score.is_finite() {
        return Err(format!("score: {} is not a finite number", piece.score));
    }
    Ok((spelling, piece))
}

fn trainer(settings: &mut Settings, bytes: &[u8]) -> Result<(), String> {
    let mut message = Message::new(bytes);
    while let Some((number, value)) = message.next()? {
        match number {
            3 => {
                settings.algorithm = match value.number("model_type")? {
                    1 => Algorithm::Unigram,
                    2 => Algorithm::Bpe,
                    3 => return Err("model_type: WORD is not supported, only UNIGRAM and BPE".to_owned()),
                    4 => return Err("model_type: CHAR is not supported, only UNIGRAM and BPE".to_owned()),
                    other => return Err(format!("model_type: {other} is not known")),
                }
            }
            24 if value.number("treat_whitespace_as_suffix")? != 0 => {
                return Err("treat_whitespace_as_suffix: it is not supported".to_owned());
            }
            35 => settings.byte_fallback = value.number("byte_fallback")? != 0,
            44 => settings.unk_surface = value.text("unk_surface")?,
            _ => {}
        }
    }
    Ok(())
}

fn normalizer(settings: &mut Settings, bytes: &[u8]) -> Result<(), String> {
    let mut message = Message::new(bytes);
    while let Some((number, value)) = message.next()? {
        match number {
            2 => {
                let table = value.bytes("precompiled_charsmap")?;
                settings.chars_map = if table.is_empty() {
                    None
                } else {
                    Some(CharsMap::new(table).map_err(|what| format!("precompiled_charsmap: {what}"))?)
                };
            }
            3 => settings.add_dummy_prefix = value.number("add_dummy_prefix")? != 0,
            4 => settings.remove_extra_whitespaces = value.number("remove_extra_whitespaces")? != 0,
            5 => settings.escape_whitespaces = value.number("escape_whitespaces")? != 0,
            _ => {}
        }
    }
    Ok(())
}

/// The rules of `ModelInterface::InitializePieces`.
fn check(settings: &Settings, spellings: &[(String, u32)]) -> Result<(), String> {
    let pieces = &settings.pieces;
    if pieces.is_empty() {
        return Err("pieces: there is none: this is no model of SentencePiece".to_owned());
    }
    if pieces.iter().filter(|piece| piece.kind == Kind::Unknown).count() != 1 {
        return Err("pieces: one of the type UNKNOWN is wanted".to_owned());
    }
    let bytes: FxHashSet<&str> = spellings
        .iter()
        .filter(|&&(_, id)| pieces[id as usize].kind == Kind::Byte)
        .map(|(spelling, _)| spelling.as_str())
        .collect();
    let known = (0..=255).filter(|&byte| bytes.contains(crate::model::byte_token(byte).as_str())).count();
    match (settings.byte_fallback, bytes.len(), known) {
        (true, 256, 256) | (false, 0, _) => Ok(()),
        (true, _, known) => Err(format!("pieces: {known} of 256 bytes are there, and byte_fallback wants all")),
        (false, ..) => Err("pieces: there are bytes, and trainer_spec.byte_fallback is not set".to_owned()),
    }
}

/// The value of a field.
enum Value<'a> {
    Number(u64),
    Fixed(u32),
    Wide,
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(&self, name: &str) -> Result<&'a [u8], String> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(format!("{name}: bytes are wanted")) }
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let text = std::str::from_utf8(self.bytes(name)?);
        text.map(str::to_owned).map_err(|error| format!("{name}: not UTF-8 ({error})"))
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        if let Self::Number(number) = self { Ok(*number) } else { Err(format!("{name}: a whole number is wanted")) }
    }

    fn float(&self, name: &str) -> Result<f32, String> {
        if let Self::Fixed(bits) = self { Ok(f32::from_bits(*bits)) } else { Err(format!("{name}: a float is wanted")) }
    }
}

/// A message of Protocol Buffers, field by field.
struct Message<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The number and the value of the next field; nothing at the end.
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, String> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Wide
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Fixed(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
            kind => {
                return Err(format!(
                    "byte {start}: the field type {kind} is not known: this is no model of SentencePiece"
                ));
            }
        };
        if key >> 3 == 0 {
            return Err(format!("byte {start}: the field number 0 is not known: this is no model of SentencePiece"));
        }
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(|| {
            format!("byte {}: a field of {length} bytes, of which {} are there: is it cut short?", self.at, rest.len())
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(format!("byte {start}: a number of more than 64 bits"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A field of bytes.
    pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length > 0x7F {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend_from_slice(bytes);
        field
    }

    /// A piece of a model.
    pub(crate) fn piece(spelling: &str, score: f32, kind: u8) -> Vec<u8> {
        let mut piece = field(1, spelling.as_bytes());
        piece.push(2 << 3 | 5);
        piece.extend(score.to_le_bytes());
        piece.extend([3 << 3, kind]);
        field(1, &piece)
    }

    #[test]
    fn the_message_is_read() {
        let pieces = [piece("<unk>", 0.0, 2), piece("<s>", 0.0, 3), piece("\u{2581}a", -1.5, 1)].concat();
        let trainer = field(2, &[3 << 3, 2, 24 << 3 & 0x7F | 0x80, 24 >> 4, 0]);
        let definition = parse(&[pieces, trainer, field(3, &[3 << 3, 0])].concat()).expect("is well-formed");
        assert_eq!(definition.vocabulary.id("\u{2581}a"), Some(2));
        let special: Vec<&str> = definition.added_tokens.iter().map(|token| token.content.as_str()).collect();
        assert_eq!(special, ["<unk>", "<s>"]);
        let Model::SentencePiece(settings) = definition.model else { panic!("another model") };
        assert_eq!((settings.algorithm, settings.add_dummy_prefix), (Algorithm::Bpe, false));
        assert_eq!(settings.pieces[2], Piece { score: -1.5, kind: Kind::Normal });
    }

    #[test]
    fn what_is_wrong_is_named() {
        let whole = piece("<unk>", 0.0, 2);
        for (bytes, what) in [
            (Vec::new(), "pieces: there is none"),
            (piece("a", 0.0, 1), "UNKNOWN"),
            (whole[..5].to_vec(), "cut short"),
            (b"\x0a\xff\xff\xff\xff\x7fabc".to_vec(), "cut short"),
            ([&whole[..], b"\x0b"].concat(), "field type 3"),
            ([0xFF; 12].to_vec(), "64 bits"),
            (piece("a", f32::NAN, 1), "pieces[0]: score"),
            (piece("", 0.0, 1), "pieces[0]: piece"),
            (piece("a", 0.0, 9), "pieces[0]: type: 9"),
            ([whole.clone(), field(2, &[3 << 3, 4])].concat(), "model_type: CHAR"),
            ([whole.clone(), field(2, &[0xC0, 1, 1])].concat(), "treat_whitespace_as_suffix"),
            ([whole.clone(), field(2, &[0x98, 2, 1])].concat(), "0 of 256 bytes"),
            ([whole.clone(), piece("<0x00>", 0.0, 6)].concat(), "byte_fallback"),
            ([whole.clone(), whole.clone()].concat(), "UNKNOWN"),
            ([whole.clone(), piece("a", 0.0, 1), piece("a", 0.0, 1)].concat(), "twice"),
            ([whole.clone(), field(5, &field(2, b"x"))].concat(), "denormalizer_spec.precompiled_charsmap"),
            ([whole.clone(), field(3, &field(2, b"x"))].concat(), "normalizer_spec: precompiled_charsmap"),
        ] {
            let error = parse(&bytes).expect_err(what);
            assert!(error.contains(what), "{what}: {error}");
        }
    }
}
