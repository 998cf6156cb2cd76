//! How wide a token lies on disk.

use lmfast_base::{Error, Result};
use serde::{Deserialize, Serialize};

/// The type of a store's tokens, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    /// Ids below 65,536.
    Uint16,
    /// Ids below 2^31, as Megatron writes larger vocabularies.
    Int32,
    /// Ids below 2^32.
    Uint32,
}

impl TokenType {
    /// The type that numpy calls `name`.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "uint16" => Ok(Self::Uint16),
            "int32" => Ok(Self::Int32),
            "uint32" => Ok(Self::Uint32),
            _ => Err(Error::invalid(format!("dtype={name:?}: tokens are uint16, int32 or uint32"))),
        }
    }

    /// numpy's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uint16 => "uint16",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
        }
    }

    /// Bytes of a token.
    pub fn size(self) -> usize {
        match self {
            Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 => 4,
        }
    }

    /// How many ids it can tell apart.
    pub fn capacity(self) -> u64 {
        match self {
            Self::Uint16 => 1 << 16,
            Self::Int32 => 1 << 31,
            Self::Uint32 => 1 << 32,
        }
    }
}

/// All tokens of a store, in place.
#[derive(Debug, Clone, Copy)]
pub enum Tokens<'a> {
    /// See [`TokenType::Uint16`].
    Uint16(&'a [u16]),
    /// See [`TokenType::Int32`].
    Int32(&'a [i32]),
    /// See [`TokenType::Uint32`].
    Uint32(&'a [u32]),
}

impl Tokens<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Uint16(tokens) => tokens.len(),
            Self::Int32(tokens) => tokens.len(),
            Self::Uint32(tokens) => tokens.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens as they lie on disk.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Uint16(tokens) => bytemuck::cast_slice(tokens),
            Self::Int32(tokens) => bytemuck::cast_slice(tokens),
            Self::Uint32(tokens) => bytemuck::cast_slice(tokens),
        }
    }

    /// The first position from `start` on, before `end`, of a token that is negative or not below `vocab_size`.
    pub fn find_outside(&self, start: usize, end: usize, vocab_size: u64) -> Option<(usize, i64)> {
        fn find<T: Copy>(tokens: &[T], outside: impl Fn(T) -> bool) -> Option<usize> {
            // The whole stretch first, without a branch a token; it nearly always holds nothing.
            if tokens.iter().fold(false, |found, &token| found | outside(token)) {
                tokens.iter().position(|&token| outside(token))
            } else {
                None
            }
        }
        match self {
            Self::Uint16(tokens) => {
                let limit = vocab_size.min(1 << 16) as u32;
                let at = find(&tokens[start..end], |token| u32::from(token) >= limit)?;
                Some((start + at, tokens[start + at].into()))
            }
            Self::Int32(tokens) => {
                let limit = vocab_size.min(1 << 31) as u32;
                let at = find(&tokens[start..end], |token| token as u32 >= limit)?;
                Some((start + at, tokens[start + at].into()))
            }
            Self::Uint32(tokens) => {
                let at = find(&tokens[start..end], |token| u64::from(token) >= vocab_size)?;
                Some((start + at, tokens[start + at].into()))
            }
        }
    }
}
