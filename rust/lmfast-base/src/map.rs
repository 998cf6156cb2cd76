//! Read-only memory maps with checked, typed views.
#![expect(unsafe_code, reason = "mapping a file is the one thing here that the compiler cannot check")]

use std::fs::File;
use std::path::{Path, PathBuf};

use bytemuck::Pod;

use crate::{Error, Result};

/// A file mapped into memory, read-only. Pages are read when first touched, so opening takes no time at any size.
#[derive(Debug)]
pub struct Map {
    path: PathBuf,
    bytes: Option<memmap2::Mmap>,
}

impl Map {
    /// Maps a whole file. An empty file is an empty map.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path).map_err(Error::io(&path))?;
        let metadata = file.metadata().map_err(Error::io(&path))?;
        if metadata.is_dir() {
            return Err(Error::format(&path, "this is a folder, a file was expected"));
        }
        if metadata.len() == 0 {
            return Ok(Self { path, bytes: None });
        }
        // SAFETY: the map is read-only and lives as long as `self`. As with every map, another process that cuts the
        // file short makes a read fault; lmfast itself replaces files by renaming and never writes into one in place.
        let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io(&path))?;
        Ok(Self { path, bytes: Some(bytes) })
    }

    /// The file behind the map.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole content.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }

    /// `count` values of `T`, little-endian, from byte `offset` on.
    ///
    /// # Errors
    /// [`Error::Format`] if the file ends before, or `offset` is not a multiple of `T`'s alignment.
    pub fn slice<T: Pod>(&self, offset: usize, count: usize) -> Result<&[T]> {
        let end = count.checked_mul(size_of::<T>()).and_then(|length| length.checked_add(offset));
        let bytes = end.and_then(|end| self.bytes().get(offset..end)).ok_or_else(|| {
            let (size, length) = (size_of::<T>(), self.bytes().len());
            Error::format(
                &self.path,
                format!("{count} values of {size} bytes at byte {offset} reach past its end at byte {length}: the file is cut short or damaged"),
            )
        })?;
        if bytes.is_empty() {
            return Ok(&[]); // which an empty map would not align
        }
        bytemuck::try_cast_slice(bytes).map_err(|error| {
            Error::format(&self.path, format!("values at byte {offset} cannot be read in place: {error}"))
        })
    }

    /// Tells the operating system that the map will be read in no order, so that it does not read ahead.
    pub fn advise_random(&self) {
        #[cfg(unix)]
        if let Some(bytes) = &self.bytes {
            // Advice only: a kernel that refuses it still serves the pages.
            let _ = bytes.advise(memmap2::Advice::Random);
        }
    }

    /// Asks the operating system to keep and map the file in large blocks, which makes reads all over it faster.
    pub fn advise_huge(&self) {
        #[cfg(target_os = "linux")]
        if let Some(bytes) = &self.bytes {
            // Advice only.
            let _ = bytes.advise(memmap2::Advice::HugePage);
        }
    }

    /// Asks the operating system to begin reading a range of bytes, without waiting for it.
    pub fn advise_will_need(&self, offset: usize, length: usize) {
        #[cfg(unix)]
        if let Some(bytes) = &self.bytes {
            // Advice only: what is not read now is read when touched.
            let _ = bytes.advise_range(memmap2::Advice::WillNeed, offset, length);
        }
    }

    /// How often this thread, since it began, touched a mapped page and had to wait for a disk; 0 where the operating
    /// system does not tell.
    pub fn disk_waits() -> u64 {
        #[cfg(target_os = "linux")]
        {
            let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
            // SAFETY: the call writes a whole `rusage` to where it is pointed, unless it fails, which is told by its
            // result.
            let usage =
                unsafe { (libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) == 0).then(|| usage.assume_init()) };
            usage.map_or(0, |usage| usage.ru_majflt as u64)
        }
        #[cfg(not(target_os = "linux"))]
        0
    }
}
