//! Large tables in memory that the processor finds quickly.
//!
//! A table of some megabytes that is read all over costs, besides the cache, a look into the page table for nearly every
//! read. Where the operating system has pages of 2 MiB, such a table asks for them before it is first written.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU32;

use bytemuck::Pod;
use memmap2::MmapMut;

/// The size of a huge page, and where it begins.
const HUGE: usize = 2 << 20;

/// A table of values, all zero at first, that takes memory as it is written.
pub struct Pages<T> {
    /// Nothing for an empty table.
    map: Option<MmapMut>,
    /// Where the values begin, in bytes.
    start: usize,
    count: usize,
    values: PhantomData<T>,
}

impl<T: Pod> Pages<T> {
    /// A table of `count` zeros.
    ///
    /// # Panics
    /// If the system has no memory, as every allocation.
    pub fn zeroed(count: usize) -> Self {
        let bytes = count * size_of::<T>();
        if bytes == 0 {
            return Self::default();
        }
        let spare = if bytes >= HUGE { HUGE } else { 0 };
        let map = match MmapMut::map_anon(bytes + spare) {
            Ok(map) => map,
            Err(error) => panic!("no memory for a table of {bytes} bytes: {error}"),
        };
        let start = if spare == 0 { 0 } else { map.as_ptr().align_offset(HUGE).min(spare) };
        #[cfg(target_os = "linux")]
        if spare > 0 {
            // Advice that is not taken costs speed alone.
            let _ = map.advise_range(memmap2::Advice::HugePage, start, bytes);
        }
        Self { map: Some(map), start, count, values: PhantomData }
    }
}

/// An empty vector with room for `count` values, in pages of 2 MiB where it is large and the system has them: fresh
/// memory is cheaper so, and what is written once costs little else.
pub fn vec_in_pages<T: Pod>(count: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(count);
    let room = values.spare_capacity_mut();
    let skipped = room.as_ptr().cast::<u8>().align_offset(HUGE);
    let bytes = size_of_val(room).saturating_sub(skipped) / HUGE * HUGE;
    #[cfg(target_os = "linux")]
    if bytes > 0 {
        #[expect(unsafe_code, reason = "advice about memory that no map of ours holds")]
        // SAFETY: the bytes lie within the room, which is ours alone; the advice changes no byte of it, and where it is
        // not taken that costs speed alone.
        unsafe {
            libc::madvise(room.as_mut_ptr().cast::<u8>().add(skipped).cast(), bytes, libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = bytes;
    values
}

impl Pages<u32> {
    /// The values for many threads to write at once.
    pub fn as_atomic(&mut self) -> &[AtomicU32] {
        let values: *mut [u32] = &raw mut **self;
        #[expect(unsafe_code, reason = "what the standard library's unstable `AtomicU32::from_mut_slice` does")]
        // SAFETY: both types have the same size and alignment, and the exclusive borrow lasts as long as the shared one.
        unsafe {
            &*(values as *const [AtomicU32])
        }
    }
}

impl<T: Pod> From<&[T]> for Pages<T> {
    fn from(values: &[T]) -> Self {
        let mut pages = Self::zeroed(values.len());
        pages.copy_from_slice(values);
        pages
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { map: None, start: 0, count: 0, values: PhantomData }
    }
}

impl<T: Pod> Deref for Pages<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.map {
            Some(map) => bytemuck::cast_slice(&map[self.start..self.start + self.count * size_of::<T>()]),
            None => &[],
        }
    }
}

impl<T: Pod> DerefMut for Pages<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.map {
            Some(map) => bytemuck::cast_slice_mut(&mut map[self.start..self.start + self.count * size_of::<T>()]),
            None => &mut [],
        }
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pages({} values)", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_the_room_that_was_asked_for() {
        for count in [0, 1, 3_000_000] {
            let mut values = vec_in_pages::<u32>(count);
            assert!(values.is_empty() && values.capacity() >= count);
            values.extend(0..count as u32);
            assert!(values.iter().copied().eq(0..count as u32));
        }
    }

    #[test]
    fn tables_of_any_size_are_zero_and_keep_what_is_written() {
        for count in [0, 1, 1000, 600_000] {
            let mut table = Pages::<u64>::zeroed(count);
            assert_eq!(table.len(), count);
            assert!(table.iter().all(|&value| value == 0));
            if let Some(last) = table.last_mut() {
                *last = 7;
            }
            assert_eq!(table.iter().sum::<u64>(), if count == 0 { 0 } else { 7 });
        }
    }
}
