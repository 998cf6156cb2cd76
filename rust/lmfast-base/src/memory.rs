//! Memory that is free, but that the allocator keeps.

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
