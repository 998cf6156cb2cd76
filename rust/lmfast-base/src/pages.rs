//! Large tables in memory that the processor finds quickly.
//!
//! A table of some megabytes that is read all over costs, besides the cache, a look into the page table for nearly every
//! read. Where the operating system has pages of 2 MiB, such a table asks for them before it is first written.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use bytemuck::Pod;
use memmap2::MmapMut;

/// The size of a huge page, and where it begins.
const HUGE: usize = 2 << 20;

/// How many [`Recycling`]s there are.
static USERS: AtomicUsize = AtomicUsize::new(0);

/// The memory of tables that are gone, while there is a [`Recycling`]; nothing without one.
static FREED: Mutex<Freed> = Mutex::new(Freed { maps: Vec::new() });

struct Freed {
    maps: Vec<MmapMut>,
}

impl Freed {
    /// Does something with it, unless another thread is at it: none waits, so none can wait for ever in a process that was
    /// forked meanwhile.
    fn with<R>(work: impl FnOnce(&mut Self) -> R) -> Option<R> {
        FREED.try_lock().ok().map(|mut freed| work(&mut freed))
    }

    /// Takes memory of so many bytes: a map of up to twice as many, or else the largest smaller one, which grows. Where
    /// there is none, larger maps are given back to the system, so that they and a new one take no more memory than tables
    /// did before.
    ///
    /// Beside it, how many of its bytes have to be made zero: the first ones. Those that it grew by are.
    fn take(bytes: usize) -> Option<(MmapMut, usize)> {
        let (found, spare) = Self::with(|freed| {
            let maps = freed.maps.iter().enumerate().filter(|(_, map)| map.len() <= 2 * bytes);
            // The smallest of those that are large enough, or else the largest.
            let best = maps.min_by_key(|(_, map)| (map.len() < bytes, map.len().abs_diff(bytes))).map(|(at, _)| at);
            let spare = if best.is_none() { std::mem::take(&mut freed.maps) } else { Vec::new() };
            (best.map(|at| freed.maps.swap_remove(at)), spare)
        })?;
        drop(spare);
        let mut map = found?;
        let used = map.len().min(bytes);
        stretch(&mut map, bytes).then_some((map, used))
    }

    fn keep(map: MmapMut) {
        let mut map = Some(map);
        Self::with(|freed| freed.maps.extend(map.take_if(|_| USERS.load(SeqCst) > 0)));
    }
}

/// Makes a map longer by zeros, wherever it may come to lie; whether that was possible. If not, it is as before.
fn stretch(map: &mut MmapMut, bytes: usize) -> bool {
    #[cfg(target_os = "linux")]
    if map.len() < bytes {
        #[expect(unsafe_code, reason = "the map may move, and nothing may point into it")]
        // SAFETY: the map is borrowed exclusively.
        return unsafe { map.remap(bytes, memmap2::RemapOptions::new().may_move(true)) }.is_ok();
    }
    map.len() >= bytes
}

/// While there is one, in whichever thread, tables take the memory of those that are gone: to write zeros to it takes a
/// tenth of the time that the system takes for as much memory that is new.
#[derive(Debug)]
pub struct Recycling(());

impl Recycling {
    /// Begins to keep memory.
    #[must_use = "memory is kept as long as this lives"]
    pub fn new() -> Self {
        USERS.fetch_add(1, SeqCst);
        Self(())
    }
}

impl Default for Recycling {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Recycling {
    fn drop(&mut self) {
        if USERS.fetch_sub(1, SeqCst) > 1 {
            return;
        }
        // Others hold it for moments; in a process that was forked in such a one, for ever, and what it keeps stays.
        for _ in 0..1000 {
            if let Some(maps) = Freed::with(|freed| std::mem::take(&mut freed.maps)) {
                drop(maps);
                return;
            }
            std::thread::yield_now();
        }
    }
}

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
        // Whole huge pages, which a map grows by, and one more to begin where a huge page does.
        let spare = if bytes >= HUGE { HUGE } else { 0 };
        let length = if spare > 0 { bytes.next_multiple_of(HUGE) + spare } else { bytes };
        if spare > 0
            && let Some((mut map, used)) = Freed::take(length)
        {
            map[..used].fill(0);
            let start = map.as_ptr().align_offset(HUGE).min(spare);
            return Self { map: Some(map), start, count, values: PhantomData };
        }
        let map = match MmapMut::map_anon(length) {
            Ok(map) => map,
            Err(error) => panic!("no memory for a table of {bytes} bytes: {error}"),
        };
        let start = if spare == 0 { 0 } else { map.as_ptr().align_offset(HUGE).min(spare) };
        #[cfg(target_os = "linux")]
        if spare > 0 {
            // Advice that is not taken costs speed alone.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Self { map: Some(map), start, count, values: PhantomData }
    }

    /// Appends values. The table at least doubles when it has no room for them.
    pub fn extend(&mut self, values: impl ExactSizeIterator<Item = T>) {
        let (start, end) = (self.count, self.count + values.len());
        let room = self.map.as_ref().map_or(0, |map| (map.len() - self.start) / size_of::<T>());
        if end > room {
            self.grow(end.max(2 * room));
        }
        self.count = end;
        self[start..].iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
    }

    /// Forgets all values, but keeps their memory for others.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Makes room for so many values.
    fn grow(&mut self, count: usize) {
        let bytes = (self.start + count * size_of::<T>()).next_multiple_of(HUGE);
        if !self.map.as_mut().is_some_and(|map| map.len() > HUGE && stretch(map, bytes)) {
            let mut larger = Self::zeroed(count);
            larger[..self.count].copy_from_slice(self);
            larger.count = self.count;
            *self = larger;
        }
    }
}

/// An empty vector with room for `count` values, in pages of 2 MiB where it is large and the system has them: fresh
/// memory is cheaper so, and what is written once costs little else.
pub fn vec_in_pages<T: Pod>(count: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(count);
    ask_for_huge_pages(values.spare_capacity_mut());
    values
}

/// As many zeros, in pages as those of [`vec_in_pages`], which take memory when they are first written.
pub fn zeros_in_pages<T: Pod>(count: usize) -> Vec<T> {
    let mut values = vec![T::zeroed(); count];
    ask_for_huge_pages(&mut values);
    values
}

fn ask_for_huge_pages<T>(room: &mut [T]) {
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

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        if let Some(map) = self.map.take_if(|map| map.len() > HUGE) {
            Freed::keep(map);
        }
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
            assert_eq!(zeros_in_pages::<u32>(count), vec![0; count]);
        }
    }

    #[test]
    fn tables_in_memory_that_was_used_are_zero_too() {
        let recycling = Recycling::new();
        for count in [3_000_000, 2_000_000, 5_000_000, 5_100_000, 600_000, 9_000_000, 1, 9_000_000] {
            let (mut one, mut other) = (Pages::<u32>::zeroed(count), Pages::<u32>::zeroed(count / 2));
            assert!(one.iter().chain(&*other).all(|&value| value == 0), "{count}");
            one.fill(7);
            other.fill(u32::MAX);
        }
        drop(recycling);
    }

    #[test]
    fn tables_grow() {
        let mut table = Pages::<u32>::default();
        let mut expected = Vec::new();
        for count in [0, 1, 10, 1000, 700_000, 3, 5_000_000] {
            let values = expected.len() as u32..expected.len() as u32 + count;
            table.extend(values.clone());
            expected.extend(values);
            assert_eq!(&*table, &expected);
        }
        table.clear();
        table.extend([7, 8].into_iter());
        assert_eq!(&*table, &[7, 8]);
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
