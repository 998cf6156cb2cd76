//! Then the windows of a bucket are sorted, each packed into 128-bit limbs.

use std::cmp::Ordering;

use crate::corpus::END;

/// Bits for the place of a window.
const PLACE_BITS: usize = 32;

/// How words are packed.
#[derive(Clone, Copy)]
pub(crate) struct Packing {
    pub(super) order: usize,
    bits: usize,
    per_limb: usize,
}

impl Packing {
    /// For windows of as many words as the order, each of as many bits.
    pub(crate) fn new(order: usize, bits: usize) -> Self {
        Self { order, bits, per_limb: 128 / bits }
    }

    /// The bits of every word of a vocabulary.
    pub(crate) fn bits(vocabulary_size: u32) -> usize {
        (u32::BITS - vocabulary_size.leading_zeros()) as usize
    }

    /// How many limbs a record needs.
    pub(crate) fn limbs(&self) -> usize {
        let in_last = (128 - PLACE_BITS) / self.bits;
        (self.order - 1).saturating_sub(in_last).div_ceil(self.per_limb) + 1
    }
}

/// A window: the words behind its first from the highest bits down, 0 behind `</s>`, and its place in the lowest bits.
#[derive(Clone, Copy)]
pub(crate) struct Record<const LIMBS: usize>([u128; LIMBS]);

impl<const LIMBS: usize> Record<LIMBS> {
    pub(crate) fn new(ids: &[u32], place: u32, packing: Packing) -> Self {
        let mut limbs = [0; LIMBS];
        let start = place as usize + 1;
        let window = ids.get(start..ids.len().min(start + packing.order - 1)).unwrap_or_default();
        'limbs: for (limb, words) in limbs.iter_mut().zip(window.chunks(packing.per_limb)) {
            let mut shift = 128;
            for &word in words {
                shift -= packing.bits;
                *limb |= u128::from(word) << shift;
                if word == END {
                    break 'limbs;
                }
            }
        }
        limbs[LIMBS - 1] |= u128::from(place);
        Self(limbs)
    }

    /// Sorts windows of a bucket, no two of which have the same place.
    pub(crate) fn sort(records: &mut [Self]) {
        records.sort_unstable_by(|a, b| if a.is_before(b) { Ordering::Less } else { Ordering::Greater });
    }

    fn is_before(&self, other: &Self) -> bool {
        for (mine, theirs) in self.0.iter().zip(&other.0) {
            if mine != theirs {
                return mine < theirs;
            }
        }
        false
    }

    pub(super) fn place(&self) -> u32 {
        self.0[LIMBS - 1] as u32
    }

    /// The word at some distance behind the first, from 0 up.
    pub(crate) fn word(&self, distance: usize, packing: Packing) -> u32 {
        let (limb, place) =
            if LIMBS == 1 { (0, distance) } else { (distance / packing.per_limb, distance % packing.per_limb) };
        let mask = u32::MAX >> (u32::BITS as usize - packing.bits);
        (self.0[limb] >> (128 - packing.bits * (place + 1))) as u32 & mask
    }

    /// How many words behind the first this has in common with another window of the bucket; all there can be if they are
    /// the same.
    pub(crate) fn shared(&self, other: &Self, packing: Packing) -> usize {
        let all = packing.order - 1;
        for (limb, (mine, theirs)) in self.0.iter().zip(&other.0).enumerate() {
            if mine != theirs {
                let words = (mine ^ theirs).leading_zeros() / packing.bits as u32;
                return (limb * packing.per_limb + words as usize).min(all);
            }
        }
        all
    }
}
