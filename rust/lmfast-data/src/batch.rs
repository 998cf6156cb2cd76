//! Batches: tokens of a store, widened into memory of their own.

use std::hint::black_box;
use std::sync::Arc;

use bytemuck::Pod;
use lmfast_base::{Error, Result};

use crate::buffer::{Buffer, Line, Pool};
use crate::sampler::Rows;
use crate::store::{Store, Tokens};

/// Rows that are read side by side.
const GROUP: usize = 16;
/// Times that are turned at once.
const TILE: usize = 32;

/// The type of a batch's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// What torch's embeddings and losses take.
    Int64,
    /// Half the memory.
    Int32,
    /// A quarter, to be widened on a device.
    Uint16,
}

impl Dtype {
    /// The type that numpy calls `name`.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "int64" => Ok(Self::Int64),
            "int32" => Ok(Self::Int32),
            "uint16" => Ok(Self::Uint16),
            _ => Err(Error::invalid(format!("dtype={name:?}: batches are int64, int32 or uint16"))),
        }
    }

    /// How many ids it can tell apart.
    pub fn capacity(self) -> u64 {
        match self {
            Self::Int64 => 1 << 63,
            Self::Int32 => 1 << 31,
            Self::Uint16 => 1 << 16,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Int64 => 8,
            Self::Int32 => 4,
            Self::Uint16 => 2,
        }
    }
}

/// A type that batches can have.
pub trait Element: Pod {
    /// Its name at run time.
    const DTYPE: Dtype;
}

impl Element for i64 {
    const DTYPE: Dtype = Dtype::Int64;
}

impl Element for i32 {
    const DTYPE: Dtype = Dtype::Int32;
}

impl Element for u16 {
    const DTYPE: Dtype = Dtype::Uint16;
}

/// Which of a batch's two dimensions is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Rows, then time: (B, T).
    RowsFirst,
    /// Time, then rows: (T, B).
    TimeFirst,
}

impl Layout {
    /// The layout that users call `name`.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "BT" => Ok(Self::RowsFirst),
            "TB" => Ok(Self::TimeFirst),
            _ => Err(Error::invalid(format!("layout={name:?}: 'BT' (rows, time) or 'TB' (time, rows)"))),
        }
    }
}

/// Inputs and targets, each contiguous and beginning at a cache line.
#[derive(Debug)]
pub struct Batch {
    buffer: Buffer,
    shape: [usize; 2],
    dtype: Dtype,
}

impl Batch {
    /// Reads the rows of a batch. The ids must fit `dtype`.
    pub(crate) fn read(store: &Store, rows: &Rows, dtype: Dtype, layout: Layout, pool: &Arc<Pool>) -> Result<Self> {
        let (count, length) = (rows.starts.len(), rows.length as usize);
        let shape = if layout == Layout::RowsFirst { [count, length] } else { [length, count] };
        let mut batch = Self { buffer: pool.take(2 * lines_of(shape, dtype)), shape, dtype };
        if store.token_type().capacity() > dtype.capacity() {
            check_fits(store, rows, dtype)?;
        }
        macro_rules! widen {
            ($tokens:expr, $($element:ty),+) => {
                match dtype {
                    $(<$element as Element>::DTYPE => {
                        let (inputs, targets) = batch.split_mut::<$element>();
                        #[allow(clippy::cast_lossless, reason = "lossless for some of these types, checked for the others")]
                        widen($tokens, rows, layout, inputs, targets, |id| id as $element)
                    })+
                }
            };
        }
        match store.tokens()? {
            Tokens::Uint16(tokens) => widen!(tokens, i64, i32, u16),
            Tokens::Int32(tokens) => widen!(tokens, i64, i32, u16),
            Tokens::Uint32(tokens) => widen!(tokens, i64, i32, u16),
        }
        Ok(batch)
    }

    /// (rows, time), or (time, rows) for [`Layout::TimeFirst`].
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// The type of the ids.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Inputs and targets, in the order of [`shape`](Self::shape); empty if `T` is not the type of the ids.
    pub fn split<T: Element>(&self) -> (&[T], &[T]) {
        let (inputs, targets) = self.buffer.lines().split_at(lines_of(self.shape, self.dtype));
        let count = if T::DTYPE == self.dtype { self.shape[0] * self.shape[1] } else { 0 };
        (&bytemuck::cast_slice(inputs)[..count], &bytemuck::cast_slice(targets)[..count])
    }

    /// As [`split`](Self::split), to be written to. The memory stays where it is as long as the batch lives.
    pub fn split_mut<T: Element>(&mut self) -> (&mut [T], &mut [T]) {
        let (inputs, targets) = self.buffer.lines_mut().split_at_mut(lines_of(self.shape, self.dtype));
        let count = if T::DTYPE == self.dtype { self.shape[0] * self.shape[1] } else { 0 };
        (&mut bytemuck::cast_slice_mut(inputs)[..count], &mut bytemuck::cast_slice_mut(targets)[..count])
    }
}

fn lines_of(shape: [usize; 2], dtype: Dtype) -> usize {
    (shape[0] * shape[1] * dtype.size()).div_ceil(Line::BYTES)
}

/// Refuses ids that a narrower type would change.
fn check_fits(store: &Store, rows: &Rows, dtype: Dtype) -> Result<()> {
    let tokens = store.tokens()?;
    for &start in &rows.starts {
        let (start, end) = (start as usize, (start + rows.length) as usize + 1);
        if let Some((at, id)) = tokens.find_outside(start, end, dtype.capacity()) {
            let what = format!("token {at} is {id}, which {dtype:?} batches cannot hold; use dtype='int64'");
            return Err(Error::format(store.path(), what));
        }
    }
    Ok(())
}

/// Copies each row to `inputs` and, one token later, to `targets`.
fn widen<S: Copy + Into<i64>, D: Pod>(
    tokens: &[S],
    rows: &Rows,
    layout: Layout,
    inputs: &mut [D],
    targets: &mut [D],
    convert: impl Fn(S) -> D + Copy,
) {
    let (count, length) = (rows.starts.len(), rows.length as usize);
    let row = |start: u64| &tokens[start as usize..=start as usize + length];
    for (group, starts) in rows.starts.chunks(GROUP).enumerate() {
        touch(starts.iter().map(|&start| row(start)));
        let first = group * GROUP;
        match layout {
            Layout::RowsFirst => {
                let span = first * length..(first + starts.len()) * length;
                let inputs = inputs[span.clone()].chunks_exact_mut(length);
                let targets = targets[span].chunks_exact_mut(length);
                for ((&start, inputs), targets) in starts.iter().zip(inputs).zip(targets) {
                    let row = row(start);
                    for (place, &id) in inputs.iter_mut().zip(row) {
                        *place = convert(id);
                    }
                    for (place, &id) in targets.iter_mut().zip(&row[1..]) {
                        *place = convert(id);
                    }
                }
            }
            Layout::TimeFirst => {
                // Rows are turned in tiles that stay in the first cache.
                let mut tile = [[D::zeroed(); GROUP]; TILE];
                for (number, lines) in inputs.chunks_mut(TILE * count).enumerate() {
                    for (column, &start) in starts.iter().enumerate() {
                        for (line, &id) in tile.iter_mut().zip(&row(start)[number * TILE..length]) {
                            line[column] = convert(id);
                        }
                    }
                    for (line, turned) in lines.chunks_exact_mut(count).zip(&tile) {
                        line[first..first + starts.len()].copy_from_slice(&turned[..starts.len()]);
                    }
                }
            }
        }
    }
    if layout == Layout::TimeFirst && count > 0 {
        // What follows the inputs of one time are the inputs of the next.
        let (before, last) = targets.split_at_mut((length - 1) * count);
        before.copy_from_slice(&inputs[count..]);
        for (place, &start) in last.iter_mut().zip(&rows.starts) {
            *place = convert(tokens[start as usize + length]);
        }
    }
}

/// Reads the beginnings of rows, so that their cache misses, which are most of the time of short rows, overlap.
fn touch<'a, S: Copy + Into<i64> + 'a>(rows: impl Iterator<Item = &'a [S]>) {
    const LINES: usize = 4;
    let step = Line::BYTES / size_of::<S>();
    let sum: i64 = rows.map(|row| row.iter().step_by(step).take(LINES).map(|&id| id.into()).sum::<i64>()).sum();
    black_box(sum);
}
