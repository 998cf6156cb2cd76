//! Arrays that are in memory or lie in a mapped file.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use lmfast_base::{Map, Pages, Result};

/// An array of plain values.
#[derive(Debug)]
pub(crate) enum Column<T> {
    Owned(Vec<T>),
    Pages(Pages<T>),
    Mapped { map: Arc<Map>, offset: usize, count: usize },
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl<T> From<Vec<T>> for Column<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Owned(values)
    }
}

impl<T: Pod> Column<T> {
    /// `count` values from byte `offset` of a file on.
    ///
    /// # Errors
    /// As [`Map::slice`].
    pub(crate) fn mapped(map: &Arc<Map>, offset: usize, count: usize) -> Result<Self> {
        map.slice::<T>(offset, count)?;
        Ok(Self::Mapped { map: Arc::clone(map), offset, count })
    }

    /// Lets go of a range of mapped values that are not read again soon.
    pub(crate) fn release(&self, range: Range<usize>) {
        if let Self::Mapped { map, offset, .. } = self {
            map.release(offset + range.start * size_of::<T>(), range.len() * size_of::<T>());
        }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Owned(values) => values,
            Self::Pages(values) => values,
            // The range was checked when the column was made, and a map never changes its size.
            Self::Mapped { map, offset, count } => map.slice(*offset, *count).unwrap_or_default(),
        }
    }
}
