//! Token files without document boundaries: nanoGPT's, llm.c's and numpy's.
//!
//! - nanoGPT `.bin` (`data/openwebtext/prepare.py`): tokens and nothing else, uint16.
//! - llm.c `.bin` (`llmc/dataloader.h`, `dev/data/data_common.py`): 256 int32 of header, of which the first three are
//!   magic, version and number of tokens: 20240520, 1 for uint16 tokens, 20240801, 7 for uint32.
//! - `.npy` (numpy's `lib/format.py`, versions 1 to 3): `\x93NUMPY`, two bytes of version, the header's length in 2
//!   (version 1) or 4 bytes, a Python dict with `descr`, `fortran_order` and `shape`, then the array.

use lmfast_base::{Error, Map, Result};

use super::TokenType;

/// Bytes before the tokens of an llm.c file.
pub(super) const LLMC_HEADER: usize = 1024;
/// The first number of an llm.c file of uint16 tokens, and its version.
const LLMC_UINT16: (i32, i32) = (20_240_520, 1);
/// The same for uint32 tokens.
const LLMC_UINT32: (i32, i32) = (20_240_801, 7);
const LLMC_EVALUATION: i32 = 20_240_522;
const NPY_MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Where the tokens of a file lie, and of which type and number they are.
pub(super) struct Span {
    pub(super) token_type: TokenType,
    pub(super) start: usize,
    pub(super) count: usize,
}

/// The magic number of an llm.c file, if this is one.
pub(super) fn llmc_magic(map: &Map) -> Option<i32> {
    let magic = i32_at(map.bytes(), 0)?;
    [LLMC_UINT16.0, LLMC_UINT32.0, LLMC_EVALUATION].contains(&magic).then_some(magic)
}

/// Reads the header of an llm.c file.
pub(super) fn llmc(map: &Map, magic: i32) -> Result<Span> {
    let wrong = |what: String| Err(Error::format(map.path(), what));
    let (token_type, expected) = match magic {
        magic if magic == LLMC_UINT16.0 => (TokenType::Uint16, LLMC_UINT16.1),
        magic if magic == LLMC_UINT32.0 => (TokenType::Uint32, LLMC_UINT32.1),
        _ => {
            return wrong(
                "an evaluation file of llm.c, which holds questions and answers, not a stream of tokens".to_owned(),
            );
        }
    };
    let length = map.bytes().len();
    if length < LLMC_HEADER {
        return wrong(format!("ends at byte {length}, inside llm.c's header of {LLMC_HEADER}: the file is cut short"));
    }
    let (version, count) = (i32_at(map.bytes(), 4).unwrap_or(-1), i32_at(map.bytes(), 8).unwrap_or(-1));
    if version != expected {
        return wrong(format!(
            "version {version} at byte 4; llm.c's files of {} tokens have {expected}",
            token_type.name()
        ));
    }
    match usize::try_from(count) {
        Ok(count) if (length - LLMC_HEADER) as u64 == count as u64 * token_type.size() as u64 => {
            Ok(Span { token_type, start: LLMC_HEADER, count })
        }
        _ => wrong(format!(
            "its header promises {count} tokens at byte 8, {} bytes follow it: the file is cut short or damaged",
            length - LLMC_HEADER
        )),
    }
}

/// The header of an llm.c file.
pub(super) fn llmc_header(token_type: TokenType, count: i32) -> [u8; LLMC_HEADER] {
    let (magic, version) = if token_type == TokenType::Uint16 { LLMC_UINT16 } else { LLMC_UINT32 };
    let mut header = [0; LLMC_HEADER];
    for (place, value) in header.chunks_exact_mut(4).zip([magic, version, count]) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    header
}

/// A file that is nothing but tokens.
pub(super) fn headerless(map: &Map, token_type: TokenType) -> Result<Span> {
    let (length, size) = (map.bytes().len(), token_type.size());
    if length == 0 {
        return Err(Error::format(map.path(), "an empty file, tokens were expected"));
    }
    if length % size != 0 {
        return Err(Error::format(
            map.path(),
            format!(
                "{length} bytes are no whole number of {} tokens of {size}: cut short, or of another type (dtype=)",
                token_type.name()
            ),
        ));
    }
    Ok(Span { token_type, start: 0, count: length / size })
}

/// Whether a file begins as numpy's do.
pub(super) fn is_npy(map: &Map) -> bool {
    map.bytes().starts_with(NPY_MAGIC)
}

/// Reads the header of a `.npy` file of one dimension.
pub(super) fn npy(map: &Map) -> Result<Span> {
    let bytes = map.bytes();
    let wrong = |what: String| Error::format(map.path(), what);
    let (start, length) = match (bytes.get(6), bytes.get(8..12)) {
        (Some(1), Some(&[low, high, ..])) => (10, usize::from(u16::from_le_bytes([low, high]))),
        (Some(2 | 3), Some(&[a, b, c, d])) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        (Some(version), Some(_)) => {
            return Err(wrong(format!("version {version} at byte 6; versions 1 to 3 of .npy are read")));
        }
        _ => return Err(wrong("ends inside numpy's header: the file is cut short".to_owned())),
    };
    let end = start + length;
    let header = bytes
        .get(start..end)
        .and_then(|header| std::str::from_utf8(header).ok())
        .ok_or_else(|| wrong(format!("numpy's header of {length} bytes is cut short or damaged")))?;
    let value = |name: &str| {
        let (_, rest) = header.split_once(&format!("'{name}':"))?;
        Some(rest.trim_start())
    };
    let token_type = match value("descr").and_then(|rest| rest.split('\'').nth(1)) {
        Some("<u2") => TokenType::Uint16,
        Some("<i4") => TokenType::Int32,
        Some("<u4") => TokenType::Uint32,
        other => {
            let name = other.unwrap_or("of several fields");
            return Err(wrong(format!("an array of type {name}: tokens are uint16, int32 or uint32 (.astype)")));
        }
    };
    let count = value("shape")
        .and_then(|rest| rest.strip_prefix('(')?.split_once(')'))
        .and_then(|(shape, _)| shape.trim_end().strip_suffix(',')?.trim().parse::<usize>().ok())
        .ok_or_else(|| wrong("not an array of one dimension (.reshape(-1))".to_owned()))?;
    let expected = count.checked_mul(token_type.size()).and_then(|size| size.checked_add(end));
    if expected != Some(bytes.len()) {
        let found = bytes.len() - end;
        return Err(wrong(format!(
            "its header promises {count} {} tokens, {found} bytes follow it: cut short or damaged",
            token_type.name()
        )));
    }
    Ok(Span { token_type, start: end, count })
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4)?.try_into().ok().map(i32::from_le_bytes)
}
