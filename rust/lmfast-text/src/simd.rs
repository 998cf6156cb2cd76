//! What portable Rust cannot say: vector instructions, chosen when the program runs.
//!
//! Each function here has a portable counterpart that gives the same result.
#![allow(unsafe_code, reason = "intrinsics")]
#![allow(clippy::inline_always, reason = "compiled once for each kind of processor, with its instructions")]

use crate::split::Ends;
use crate::split::classes::KIND_BITS;
use crate::split::masks::{Masks, WINDOW};
use crate::split::window::{Scheme, tile as tile_by};

/// What a scanner asks of a processor.
pub(crate) trait Lanes {
    /// [`Masks::portable`].
    fn masks(window: &[u8; WINDOW]) -> Masks;

    /// [`Masks::bits`].
    fn bits(bytes: &[u8; WINDOW]) -> [u64; KIND_BITS];

    /// Writes `base` and the place of each bit, from the lowest on; what is written behind them means nothing.
    fn places(bits: u64, base: usize, room: &mut [usize; WINDOW]);
}

/// Any processor.
pub(crate) struct Portable;

impl Lanes for Portable {
    #[inline(always)]
    fn masks(window: &[u8; WINDOW]) -> Masks {
        Masks::portable(window)
    }

    #[inline(always)]
    fn bits(bytes: &[u8; WINDOW]) -> [u64; KIND_BITS] {
        Masks::bits(bytes)
    }

    #[inline(always)]
    fn places(mut bits: u64, base: usize, room: &mut [usize; WINDOW]) {
        for some in room.chunks_exact_mut(8) {
            for place in some {
                *place = base + bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }
}

/// [`Masks::portable`] by what the processor has.
#[inline]
pub(crate) fn masks(window: &[u8; WINDOW]) -> Masks {
    #[cfg(target_arch = "x86_64")]
    if x86::has_avx2() {
        return x86::masks(window);
    }
    Masks::portable(window)
}

/// For each byte whether it is one of some ASCII characters.
#[inline]
pub(crate) fn any_of(window: &[u8; WINDOW], characters: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    return x86::any_of(window, characters);
    #[cfg(not(target_arch = "x86_64"))]
    Masks::any_of(window, characters)
}

/// [`tile_by`] what the processor has.
#[inline]
pub(crate) fn tile<S: Scheme>(scheme: &S, text: &str, ends: &mut Ends) {
    #[cfg(target_arch = "x86_64")]
    if x86::has_avx512() {
        return x86::tile_avx512(scheme, text, ends);
    } else if x86::has_avx2() {
        return x86::tile_avx2(scheme, text, ends);
    }
    tile_by::<S, Portable>(scheme, text, ends);
}

/// [`tile_by`] everything that this processor has.
#[cfg(test)]
pub(crate) fn tile_by_each<S: Scheme>(scheme: &S, text: &str) -> Vec<Vec<usize>> {
    let all = |tile: &dyn Fn(&mut Ends)| {
        let (mut borders, mut ends) = (vec![0], Ends::default());
        while ends.last() < text.len() {
            ends.begin(ends.last());
            tile(&mut ends);
            borders.extend_from_slice(&ends.borders()[1..]);
        }
        borders
    };
    let mut each = vec![all(&|ends| tile_by::<S, Portable>(scheme, text, ends))];
    #[cfg(target_arch = "x86_64")]
    {
        if x86::has_avx2() {
            each.push(all(&|ends| x86::tile_avx2(scheme, text, ends)));
        }
        if x86::has_avx512() {
            each.push(all(&|ends| x86::tile_avx512(scheme, text, ends)));
        }
    }
    each
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[allow(clippy::wildcard_imports, reason = "the names of intrinsics say where they come from")]
    use std::arch::x86_64::*;

    use super::{Ends, KIND_BITS, Lanes, Masks, Portable, Scheme, WINDOW, tile_by};

    /// Whether the processor has AVX2 and what came before it; after the first call a load and a comparison.
    #[inline]
    pub(super) fn has_avx2() -> bool {
        std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("lzcnt")
            && std::arch::is_x86_feature_detected!("popcnt")
    }

    /// Whether it has those parts of AVX-512 that work on bytes.
    #[inline]
    pub(super) fn has_avx512() -> bool {
        has_avx2()
            && std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vbmi2")
    }

    /// [`Masks::any_of`] by SSE2, which every x86-64 has.
    #[inline]
    pub(super) fn any_of(window: &[u8; WINDOW], characters: &[u8]) -> u64 {
        #[target_feature(enable = "sse2")]
        #[inline]
        fn inner(window: &[u8; WINDOW], characters: &[u8]) -> u64 {
            let mut found = 0;
            for (index, bytes) in window.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: there are 16 bytes, and the load needs no alignment.
                let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
                let mut any = _mm_setzero_si128();
                for &character in characters {
                    any = _mm_or_si128(any, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(character as i8)));
                }
                found |= (_mm_movemask_epi8(any) as u64) << (16 * index);
            }
            found
        }
        // SAFETY: SSE2 belongs to every x86-64.
        unsafe { inner(window, characters) }
    }

    struct Avx2;

    impl Lanes for Avx2 {
        #[inline(always)]
        fn masks(window: &[u8; WINDOW]) -> Masks {
            // SAFETY: only `tile_avx2` names this type.
            unsafe { masks_avx2(window) }
        }

        #[inline(always)]
        fn bits(bytes: &[u8; WINDOW]) -> [u64; KIND_BITS] {
            // SAFETY: only `tile_avx2` names this type.
            unsafe { bits_avx2(bytes) }
        }

        #[inline(always)]
        fn places(bits: u64, base: usize, room: &mut [usize; WINDOW]) {
            Portable::places(bits, base, room);
        }
    }

    struct Avx512;

    impl Lanes for Avx512 {
        #[inline(always)]
        fn masks(window: &[u8; WINDOW]) -> Masks {
            // SAFETY: only `tile_avx512` names this type.
            unsafe { masks_avx512(window) }
        }

        #[inline(always)]
        fn bits(bytes: &[u8; WINDOW]) -> [u64; KIND_BITS] {
            // SAFETY: only `tile_avx512` names this type.
            unsafe { bits_avx512(bytes) }
        }

        #[inline(always)]
        fn places(bits: u64, base: usize, room: &mut [usize; WINDOW]) {
            // SAFETY: only `tile_avx512` names this type.
            unsafe { places_avx512(bits, base, room) }
        }
    }

    pub(super) fn tile_avx2<S: Scheme>(scheme: &S, text: &str, ends: &mut Ends) {
        #[target_feature(enable = "avx2,bmi1,lzcnt,popcnt")]
        fn inner<S: Scheme>(scheme: &S, text: &str, ends: &mut Ends) {
            tile_by::<S, Avx2>(scheme, text, ends);
        }
        assert!(has_avx2());
        // SAFETY: just asked.
        unsafe { inner(scheme, text, ends) }
    }

    pub(super) fn tile_avx512<S: Scheme>(scheme: &S, text: &str, ends: &mut Ends) {
        #[target_feature(enable = "avx2,bmi1,lzcnt,popcnt,avx512f,avx512bw,avx512vbmi2")]
        fn inner<S: Scheme>(scheme: &S, text: &str, ends: &mut Ends) {
            tile_by::<S, Avx512>(scheme, text, ends);
        }
        assert!(has_avx512());
        // SAFETY: just asked.
        unsafe { inner(scheme, text, ends) }
    }

    /// [`Masks::portable`] by AVX2. Only where [`has_avx2`].
    #[inline]
    pub(super) fn masks(window: &[u8; WINDOW]) -> Masks {
        debug_assert!(has_avx2());
        // SAFETY: callers have asked `has_avx2`.
        unsafe { masks_avx2(window) }
    }

    /// Inlined, the compiler would take masks apart into single bits.
    #[inline(never)]
    #[target_feature(enable = "avx2")]
    fn masks_avx2(window: &[u8; WINDOW]) -> Masks {
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
            continued: both!(bytes => between(bytes, 0x80, 0xBF)),
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

    #[inline]
    #[target_feature(enable = "avx2")]
    fn bits_avx2(bytes: &[u8; WINDOW]) -> [u64; KIND_BITS] {
        let (low, high) = bytes.split_at(WINDOW / 2);
        // SAFETY: each half has 32 bytes, and the load needs no alignment.
        let halves = unsafe { [_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())] };
        std::array::from_fn(|bit| {
            let wanted = _mm_cvtsi64_si128(7 - bit as i64);
            let [low, high] = halves.map(|half| _mm256_movemask_epi8(_mm256_sll_epi16(half, wanted)) as u32);
            u64::from(low) | u64::from(high) << 32
        })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn bits_avx512(bytes: &[u8; WINDOW]) -> [u64; KIND_BITS] {
        // SAFETY: there are 64 bytes, and the load needs no alignment.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        std::array::from_fn(|bit| in_register(_mm512_test_epi8_mask(bytes, _mm512_set1_epi8(1 << bit))))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn masks_avx512(window: &[u8; WINDOW]) -> Masks {
        // SAFETY: the window has 64 bytes, and the load needs no alignment.
        let bytes = unsafe { _mm512_loadu_si512(window.as_ptr().cast()) };
        let all = |byte: u8| _mm512_set1_epi8(byte as i8);
        let between = |bytes: __m512i, first: u8, last: u8| {
            in_register(_mm512_cmple_epu8_mask(_mm512_sub_epi8(bytes, all(first)), all(last - first)))
        };
        let equal = |byte: u8| in_register(_mm512_cmpeq_epi8_mask(bytes, all(byte)));
        let space = equal(b' ');
        Masks {
            non_ascii: in_register(_mm512_movepi8_mask(bytes)),
            continued: between(bytes, 0x80, 0xBF),
            letters: between(_mm512_or_si512(bytes, all(0x20)), b'a', b'z'),
            upper: between(bytes, b'A', b'Z'),
            digits: between(bytes, b'0', b'9'),
            white: between(bytes, b'\t', b'\r') | space,
            newline: equal(b'\n') | equal(b'\r'),
            space,
            apostrophe: equal(b'\''),
            slash: equal(b'/'),
        }
    }

    /// The same bits in a general register, whatever the compiler knows of where they come from: it would go on in mask
    /// registers, whose shifts are slow.
    #[inline(always)]
    fn in_register(mut bits: u64) -> u64 {
        // SAFETY: no instruction.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) bits, options(pure, nomem, nostack, preserves_flags));
        }
        bits
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn places_avx512(bits: u64, base: usize, room: &mut [usize; WINDOW]) {
        const ALL: [u8; WINDOW] = {
            let (mut all, mut at) = ([0; WINDOW], 0);
            while at < WINDOW {
                all[at] = at as u8;
                at += 1;
            }
            all
        };
        // SAFETY: the constant has 64 bytes, and the load needs no alignment.
        let all = unsafe { _mm512_loadu_si512(ALL.as_ptr().cast()) };
        let places = _mm512_maskz_compress_epi8(bits, all);
        let base = _mm512_set1_epi64(base as i64);
        let mut write = |number: usize, places: __m128i| {
            let wide = _mm512_add_epi64(_mm512_cvtepu8_epi64(places), base);
            // SAFETY: the room has 64 places of eight bytes, of which these are the `number`th eight, below 8.
            unsafe { _mm512_storeu_si512(room.as_mut_ptr().add(8 * number).cast(), wide) };
        };
        let first = _mm512_castsi512_si128(places);
        write(0, first);
        write(1, _mm_srli_si128::<8>(first));
        let count = bits.count_ones();
        if count > 16 {
            let next = _mm512_extracti32x4_epi32::<1>(places);
            write(2, next);
            write(3, _mm_srli_si128::<8>(next));
            if count > 32 {
                let next = _mm512_extracti32x4_epi32::<2>(places);
                write(4, next);
                write(5, _mm_srli_si128::<8>(next));
                let next = _mm512_extracti32x4_epi32::<3>(places);
                write(6, next);
                write(7, _mm_srli_si128::<8>(next));
            }
        }
    }
}
