//! Asking for memory before it is read.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// Asks for the cache line in which `values[at]` lies, which is soon to be read; nothing happens where there is no such
/// value. Many reads all over a large table then wait together and not one after the other.
#[inline]
pub fn prefetch<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(at) {
        #[expect(unsafe_code, reason = "an instruction that portable Rust has no name for")]
        // SAFETY: a prefetch reads nothing, and SSE belongs to every x86-64.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

/// [`prefetch`] for what is read only after some hundred others: into the second cache, for the first is small.
#[inline]
pub fn prefetch_far<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(at) {
        #[expect(unsafe_code, reason = "an instruction that portable Rust has no name for")]
        // SAFETY: a prefetch reads nothing, and SSE belongs to every x86-64.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}
