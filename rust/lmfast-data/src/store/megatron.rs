//! The index of a Megatron store: `NAME.idx` beside `NAME.bin`.
//!
//! Layout, little-endian, after `megatron/core/datasets/indexed_dataset.py` of Megatron-LM (`_IndexWriter`):
//!
//! | bytes | content |
//! |---|---|
//! | 9 | `MMIDIDX\0\0` |
//! | 8 | version, 1 |
//! | 1 | token type: 4 int32, 8 uint16 (others are not read) |
//! | 8 | number of sequences, S |
//! | 8 | number of document borders, D + 1 |
//! | 4 S | tokens of each sequence, int32 |
//! | 8 S | byte of `NAME.bin` where each sequence begins, int64 |
//! | 8 (D + 1) | the sequence that begins each document, then S, int64 |
//! | S or 0 | a mode of each sequence, int8; not used |
//!
//! What is written has one sequence a document, as Megatron's `IndexedDatasetBuilder.add_document` gives.

use std::io::Write;
use std::path::Path;

use lmfast_base::{Error, Map, Result};

use super::TokenType;

const MAGIC: &[u8; 9] = b"MMIDIDX\0\0";
const HEADER: usize = 34;

/// An open index, its sizes checked; [`offsets`](Self::offsets) checks the rest.
#[derive(Debug)]
pub(super) struct Index {
    map: Map,
    pub(super) token_type: TokenType,
    sequences: usize,
    borders: usize,
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let map = Map::open(path)?;
        let wrong = |what: String| Err(Error::format(path, what));
        let bytes = map.bytes();
        if !bytes.starts_with(MAGIC) {
            return wrong(
                "does not begin with 'MMIDIDX': not the index of a Megatron store; move it away if the .bin beside it is of another kind".to_owned(),
            );
        }
        let (Some(version), Some(&code), Some(sequences), Some(borders)) =
            (u64_at(bytes, 9), bytes.get(17), u64_at(bytes, 18), u64_at(bytes, 26))
        else {
            return wrong(format!(
                "ends at byte {}, inside its header of {HEADER}: the file is cut short",
                bytes.len()
            ));
        };
        if version != 1 {
            return wrong(format!("version {version} at byte 9; version 1 is read"));
        }
        let token_type = match code {
            4 => TokenType::Int32,
            8 => TokenType::Uint16,
            1..=7 => return wrong(format!("token type {code} at byte 17 is not read: int32 (4) and uint16 (8) are")),
            _ => return wrong(format!("token type {code} at byte 17 does not exist: the file is damaged")),
        };
        if borders == 0 {
            return wrong("0 document borders at byte 26, at least 1 was expected: the file is damaged".to_owned());
        }
        let needed = sequences
            .checked_mul(12)
            .and_then(|size| size.checked_add(borders.checked_mul(8)?))
            .and_then(|size| size.checked_add(HEADER as u64));
        let length = bytes.len() as u64;
        if needed.is_none_or(|needed| length != needed && length != needed.saturating_add(sequences)) {
            return wrong(format!(
                "{sequences} sequences and {borders} document borders do not fit its {length} bytes: the file is cut short or damaged"
            ));
        }
        Ok(Self { token_type, sequences: sequences as usize, borders: borders as usize, map })
    }

    pub(super) fn num_documents(&self) -> usize {
        self.borders - 1
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.map.bytes()
    }

    /// How long the `.bin` must be, by the last sequence; [`offsets`](Self::offsets) proves the others.
    pub(super) fn bin_bytes(&self) -> Result<u64> {
        if self.sequences == 0 {
            return Ok(0);
        }
        let last = self.sequences - 1;
        let pointer = u64_at(self.bytes(), self.pointers_at() + 8 * last).unwrap_or(u64::MAX);
        let length = self.lengths().last().unwrap_or(-1);
        u64::try_from(length)
            .ok()
            .and_then(|length| pointer.checked_add(length.checked_mul(self.token_type.size() as u64)?))
            .ok_or_else(|| self.wrong(format!("sequence {last} has {length} tokens at byte {pointer} of the .bin")))
    }

    /// The token that begins each document, and the number of all tokens.
    pub(super) fn offsets(&self, num_tokens: u64) -> Result<Vec<u64>> {
        let mut starts = Vec::with_capacity(self.sequences + 1);
        let (mut at, size) = (0u64, self.token_type.size() as u64);
        for (sequence, (length, pointer)) in self.lengths().zip(self.long_values(self.pointers_at())).enumerate() {
            let length = u64::try_from(length)
                .map_err(|_| self.wrong(format!("sequence {sequence} has the negative length {length}")))?;
            // `at` stays far below overflow: it is at most 2^31 times the number of sequences in the file.
            if pointer.checked_div(size) != Some(at) || pointer % size != 0 {
                let expected = at.saturating_mul(size);
                return Err(self.wrong(format!(
                    "sequence {sequence} begins at byte {pointer} of the .bin, the ones before it end at {expected}"
                )));
            }
            starts.push(at);
            at = at.saturating_add(length);
        }
        if at != num_tokens {
            return Err(self.wrong(format!("its sequences have {at} tokens, the .bin has {num_tokens}")));
        }
        starts.push(at);
        let mut offsets = Vec::with_capacity(self.borders);
        let mut before = 0;
        for (document, border) in
            self.long_values(self.pointers_at() + 8 * self.sequences).take(self.borders).enumerate()
        {
            let start = usize::try_from(border).ok().and_then(|border| starts.get(border));
            let ends_right = document > 0 || border == 0;
            match start {
                Some(&start) if border >= before && ends_right => offsets.push(start),
                _ => {
                    return Err(self.wrong(format!(
                        "document border {document} is sequence {border}, after {before} of {}",
                        self.sequences
                    )));
                }
            }
            before = border;
        }
        if before != self.sequences as u64 {
            return Err(self.wrong(format!("the last document ends at sequence {before} of {}", self.sequences)));
        }
        Ok(offsets)
    }

    fn lengths(&self) -> impl DoubleEndedIterator<Item = i32> {
        let bytes = self.bytes().get(HEADER..self.pointers_at()).unwrap_or_default();
        bytes.chunks_exact(4).map(|value| value.try_into().map_or(-1, i32::from_le_bytes))
    }

    fn long_values(&self, from: usize) -> impl Iterator<Item = u64> {
        let bytes = self.bytes().get(from..).unwrap_or_default();
        bytes.chunks_exact(8).map(|value| value.try_into().map_or(u64::MAX, u64::from_le_bytes))
    }

    fn pointers_at(&self) -> usize {
        HEADER + 4 * self.sequences
    }

    fn wrong(&self, what: String) -> Error {
        Error::format(self.map.path(), what + ": the file is damaged, or belongs to another .bin")
    }
}

/// Writes the index of documents of these lengths.
pub(super) fn write(output: &mut impl Write, token_type: TokenType, lengths: &[u32]) -> std::io::Result<()> {
    let code: u8 = if token_type == TokenType::Uint16 { 8 } else { 4 };
    let count = lengths.len() as u64;
    output.write_all(MAGIC)?;
    output.write_all(&1u64.to_le_bytes())?;
    output.write_all(&[code])?;
    output.write_all(&count.to_le_bytes())?;
    output.write_all(&(count + 1).to_le_bytes())?;
    for length in lengths {
        output.write_all(&length.to_le_bytes())?;
    }
    let mut pointer = 0u64;
    for &length in lengths {
        output.write_all(&pointer.to_le_bytes())?;
        pointer += u64::from(length) * token_type.size() as u64;
    }
    for border in 0..=count {
        output.write_all(&border.to_le_bytes())?;
    }
    Ok(())
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}
