//! Working files: arrays that are larger than memory.
//!
//! No name leads to such a file, so it is gone with the process however that ends. Arrays are read and written at any
//! place by many threads, whole pieces at a time.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Pod;
use rayon::prelude::*;

use crate::{Error, Map, Pages, Result};

/// Tables are read in pieces of this many bytes, by all threads.
const PIECE_BYTES: usize = 1 << 20;

/// An array of values in a file without a name. What was never written is zero.
#[derive(Debug)]
pub struct Spill<T> {
    file: File,
    folder: PathBuf,
    /// The number of values that [`append`](Self::append) has given room to.
    appended: AtomicU64,
    values: PhantomData<T>,
}

impl<T: Pod + Send + Sync> Spill<T> {
    /// An empty array whose file lies in a folder.
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder if no file can be made there.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let file = tempfile::tempfile_in(folder).map_err(Error::io(folder))?;
        Ok(Self { file, folder: folder.to_owned(), appended: AtomicU64::new(0), values: PhantomData })
    }

    /// Writes values from place `at` on.
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder, for instance if the disk is full.
    pub fn write(&self, at: u64, values: &[T]) -> Result<()> {
        write_all_at(&self.file, bytemuck::cast_slice(values), at * size_of::<T>() as u64)
            .map_err(Error::io(&self.folder))
    }

    /// Writes values behind all that were appended before, and tells their place.
    pub fn append(&self, values: &[T]) -> Result<u64> {
        let at = self.appended.fetch_add(values.len() as u64, Ordering::Relaxed);
        self.write(at, values).map(|()| at)
    }

    /// How many values were appended.
    pub fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// Reads values from place `at` on. Behind the last that was written they are zero.
    pub fn read(&self, at: u64, values: &mut [T]) -> Result<()> {
        read_at(&self.file, bytemuck::cast_slice_mut(values), at * size_of::<T>() as u64)
            .map_err(Error::io(&self.folder))
    }

    /// Reads values into memory with the current pool of threads.
    pub fn load(&self, at: u64, values: &mut [T]) -> Result<()> {
        let piece = (PIECE_BYTES / size_of::<T>()).max(1);
        let pieces = values.par_chunks_mut(piece).enumerate();
        pieces.try_for_each(|(number, values)| self.read(at + (number * piece) as u64, values))
    }

    /// A range of the array in memory.
    pub fn table(&self, range: Range<u64>) -> Result<Pages<T>> {
        let mut table = Pages::zeroed((range.end - range.start) as usize);
        self.load(range.start, &mut table).map(|()| table)
    }

    /// The first `count` values as a map, which then is the only way to the file.
    pub fn into_map(self, count: u64) -> Result<Map> {
        self.file.set_len(count * size_of::<T>() as u64).map_err(Error::io(&self.folder))?;
        Map::of_file(&self.file, &self.folder)
    }
}

/// Reads a range of an array from its beginning to its end.
#[derive(Debug)]
pub struct Stream<'a, T> {
    spill: &'a Spill<T>,
    /// What is not read yet.
    left: Range<u64>,
    buffer: Vec<T>,
    at: usize,
    capacity: usize,
}

impl<'a, T: Pod + Send + Sync> Stream<'a, T> {
    /// Reads `capacity` values at a time.
    pub fn new(spill: &'a Spill<T>, range: Range<u64>, capacity: usize) -> Self {
        Self { spill, left: range, buffer: Vec::new(), at: 0, capacity: capacity.max(1) }
    }

    /// The next value.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. Behind the end of the range it is zero.
    #[inline]
    pub fn read(&mut self) -> Result<T> {
        if let Some(&value) = self.buffer.get(self.at) {
            self.at += 1;
            return Ok(value);
        }
        self.refill()
    }

    #[cold]
    fn refill(&mut self) -> Result<T> {
        let count = (self.left.end - self.left.start).min(self.capacity as u64);
        self.buffer.resize(count as usize, T::zeroed());
        self.spill.read(self.left.start, &mut self.buffer)?;
        self.left.start += count;
        self.at = 1;
        Ok(self.buffer.first().copied().unwrap_or(T::zeroed()))
    }

    /// The value that comes some places behind the next one, if it is in memory already.
    #[inline]
    pub fn peek(&self, distance: usize) -> Option<T> {
        self.buffer.get(self.at + distance).copied()
    }

    /// Appends the next values to a vector.
    pub fn take(&mut self, count: usize, values: &mut Vec<T>) -> Result<()> {
        let ready = self.buffer.get(self.at..).unwrap_or_default();
        let ready = &ready[..ready.len().min(count)];
        values.extend_from_slice(ready);
        self.at += ready.len();
        for _ in ready.len()..count {
            values.push(self.read()?);
        }
        Ok(())
    }

    /// Passes over values.
    pub fn skip(&mut self, count: u64) {
        let ready = (self.buffer.len() - self.at) as u64;
        self.at += count.min(ready) as usize;
        self.left.start = (self.left.start + count.saturating_sub(ready)).min(self.left.end);
    }
}

/// Writes an array from some place on.
#[derive(Debug)]
pub struct Sink<'a, T> {
    spill: &'a Spill<T>,
    at: u64,
    buffer: Vec<T>,
    capacity: usize,
}

impl<'a, T: Pod + Send + Sync> Sink<'a, T> {
    /// Writes `capacity` values at a time.
    pub fn new(spill: &'a Spill<T>, at: u64, capacity: usize) -> Self {
        Self { spill, at, buffer: Vec::new(), capacity: capacity.max(1) }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<()> {
        if self.buffer.len() == self.capacity {
            self.flush()?;
        }
        self.buffer.push(value);
        Ok(())
    }

    /// Brings all values to the file.
    pub fn flush(&mut self) -> Result<()> {
        self.spill.write(self.at, &self.buffer)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], at + done as u64)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            more => done += more,
        }
    }
    Ok(())
}

/// Fills `bytes`, with zeros behind the end of the file.
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, &mut bytes[done..], at + done as u64);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, &mut bytes[done..], at + done as u64);
        match read {
            Ok(0) => {
                bytes[done..].fill(0);
                break;
            }
            Ok(more) => done += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arrays_hold_what_is_written(
            values in prop::collection::vec(any::<u32>(), 0..200),
            at in 0..50_u64,
            capacities in (1..40_usize, 1..40_usize),
            skipped in 0..60_u64,
        ) {
            let folder = tempfile::tempdir()?;
            let spill = Spill::<u32>::create(folder.path())?;
            let mut sink = Sink::new(&spill, at, capacities.0);
            values.iter().try_for_each(|&value| sink.push(value))?;
            sink.flush()?;
            let end = at + values.len() as u64;
            let expected = [vec![0; at as usize], values.clone()].concat();
            prop_assert_eq!(&*spill.table(0..end + 3)?, &[expected.clone(), vec![0; 3]].concat());
            let mut stream = Stream::new(&spill, 0..end, capacities.1);
            let mut found = Vec::new();
            for &expected in &expected {
                prop_assert!(stream.peek(0).is_none_or(|value| value == expected));
                found.push(stream.read()?);
            }
            prop_assert_eq!(&found, &expected);
            let mut stream = Stream::new(&spill, 0..end, capacities.1);
            let mut found = Vec::new();
            let first = 1.min(expected.len());
            stream.take(first, &mut found)?;
            stream.skip(skipped);
            let rest = expected.get(first + skipped as usize..).unwrap_or_default();
            stream.take(rest.len(), &mut found)?;
            prop_assert_eq!(found, [&expected[..first], rest].concat());
            prop_assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
            let map = spill.into_map(end)?;
            prop_assert_eq!(map.slice::<u32>(0, expected.len())?, &expected[..]);
        }
    }

    #[test]
    fn a_folder_that_is_not_there() {
        let error = Spill::<u8>::create("/nowhere/at/all").map(|_| ()).map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.starts_with("/nowhere/at/all: ")));
    }
}
