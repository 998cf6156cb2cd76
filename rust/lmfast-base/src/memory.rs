//! Memory that others keep: the allocator what is free, the operating system what was written.

use std::fs::File;

/// Gives free memory of all threads back to the operating system, between two stages of a call that both take much.
///
/// glibc keeps what a thread has freed for that thread, so a stage on another one would come on top. Does nothing with
/// other allocators.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "a function of the C library")]
        // SAFETY: `malloc_trim` may be called at any time from any thread.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}

/// Tells the operating system that what is on disk of a file need not be kept in memory too. A program that writes much
/// within a budget then takes no more of the system's memory either, and writes faster, to memory that it wrote to before.
pub fn forget_written(file: &File) {
    #[cfg(target_os = "linux")]
    {
        // Advice only.
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
