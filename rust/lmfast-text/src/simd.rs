//! What portable Rust cannot say: vector instructions, chosen when the program runs.
//!
//! Each function here has a portable counterpart that gives the same result.
#![allow(unsafe_code, reason = "intrinsics")]

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi8, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8,
    };

    use crate::split::masks::{Masks, WINDOW};

    /// Whether the processor has AVX2; after the first call a load and a comparison.
    #[inline]
    pub(crate) fn has_avx2() -> bool {
        std::arch::is_x86_feature_detected!("avx2")
    }

    /// [`Masks::portable`] by AVX2. Only where [`has_avx2`].
    #[inline]
    pub(crate) fn masks(window: &[u8; WINDOW]) -> Masks {
        debug_assert!(has_avx2());
        // SAFETY: callers have asked `has_avx2`.
        unsafe { masks_avx2(window) }
    }

    /// Inlined, the compiler would take masks apart into single bits.
    #[inline(never)]
    #[target_feature(enable = "avx2")]
    unsafe fn masks_avx2(window: &[u8; WINDOW]) -> Masks {
        let (low, high) = window.split_at(WINDOW / 2);
        // SAFETY: each half has 32 bytes, and the load needs no alignment.
        let halves = unsafe { (_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())) };
        macro_rules! both {
            ($bytes:ident => $is:expr) => {{
                let $bytes = halves.0;
                let low = _mm256_movemask_epi8($is) as u32;
                let $bytes = halves.1;
                let high = _mm256_movemask_epi8($is) as u32;
                u64::from(low) | u64::from(high) << 32
            }};
        }
        let between = |bytes: __m256i, first: u8, last: u8| {
            // Bytes from `first` on are shifted to the bottom of the signed range.
            let shifted = _mm256_add_epi8(bytes, _mm256_set1_epi8(0x80_u8.wrapping_sub(first) as i8));
            _mm256_cmpgt_epi8(_mm256_set1_epi8((0x81 + (last - first)) as i8), shifted)
        };
        let equal = |bytes: __m256i, byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
        Masks {
            non_ascii: both!(bytes => bytes),
            letters: both!(bytes => between(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), b'a', b'z')),
            upper: both!(bytes => between(bytes, b'A', b'Z')),
            digits: both!(bytes => between(bytes, b'0', b'9')),
            white: both!(bytes => _mm256_or_si256(between(bytes, b'\t', b'\r'), equal(bytes, b' '))),
            newline: both!(bytes => _mm256_or_si256(equal(bytes, b'\n'), equal(bytes, b'\r'))),
            space: both!(bytes => equal(bytes, b' ')),
            apostrophe: both!(bytes => equal(bytes, b'\'')),
            slash: both!(bytes => equal(bytes, b'/')),
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{has_avx2, masks};
