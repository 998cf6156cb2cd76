//! Numbers of any width up to 32 bits, one behind the other.

/// The `width` bits from bit `at` on, the lowest first; 0 where fewer than 8 bytes are left.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize, width: u32) -> u32 {
    (word(bytes, at / 8) >> (at % 8) & ((1 << width) - 1)) as u32
}

/// The 8 bytes from one on, as a number; 0 where fewer are left.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// How many of `count` bits from bit `at` on are 1.
#[inline]
pub(super) fn ones(bytes: &[u8], at: usize, count: usize) -> usize {
    let (mut done, mut sum) = (0, 0);
    while done < count {
        let width = (count - done).min(56);
        let word = word(bytes, (at + done) / 8) >> ((at + done) % 8);
        sum += (word & ((1 << width) - 1)).count_ones() as usize;
        done += width;
    }
    sum
}

/// How many of `count` rising numbers of `width` bits from bit `at` on are at most this one.
#[inline]
pub(super) fn rank(bytes: &[u8], at: usize, width: u32, count: usize, number: u32) -> usize {
    if count == 0 {
        return 0;
    }
    // The first `start` are at most the number, those from `start + left` on are more.
    let (mut start, mut left) = (0, count);
    while left > 1 {
        let half = left / 2;
        if read(bytes, at + (start + half) * width as usize, width) <= number {
            start += half;
        }
        left -= half;
    }
    start + usize::from(read(bytes, at + start * width as usize, width) <= number)
}

/// How many bits the numbers up to this one need.
pub(super) fn width(largest: u32) -> u32 {
    u32::BITS - largest.leading_zeros()
}

/// Bytes to which numbers are appended.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The bits that make no byte yet, the lowest first.
    pending: u64,
    filled: u32,
}

impl Writer {
    /// Appends a number that fits into `width` bits, at most 32.
    pub(super) fn put(&mut self, number: u32, width: u32) {
        self.pending |= u64::from(number) << self.filled;
        self.filled += width;
        while self.filled >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.filled -= 8;
        }
    }

    /// Appends numbers of one width.
    pub(super) fn put_all(&mut self, numbers: impl Iterator<Item = u32>, width: u32) {
        for number in numbers {
            self.put(number, width);
        }
    }

    /// Appends `count` zero bits.
    pub(super) fn zeros(&mut self, count: usize) {
        for _ in 0..count / 32 {
            self.put(0, 32);
        }
        self.put(0, count as u32 % 32);
    }

    /// Fills up with zeros to a multiple of `alignment` bytes; gives the bytes so far.
    pub(super) fn align(&mut self, alignment: usize) -> usize {
        self.put(0, self.filled.wrapping_neg() % 8);
        while !self.bytes.len().is_multiple_of(alignment) {
            self.bytes.push(0);
        }
        self.bytes.len()
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.align(1);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<u32>(), 0..33_u32), 0..40)) {
            let (mut writer, mut places, mut at) = (Writer::default(), Vec::new(), 0);
            for &(number, width) in &numbers {
                let number = (u64::from(number) & ((1 << width) - 1)) as u32;
                writer.put(number, width);
                places.push((at, number, width));
                at += width as usize;
            }
            writer.zeros(70);
            let bytes = writer.finish();
            for (at, number, width) in places {
                prop_assert_eq!(read(&bytes, at, width), number);
                prop_assert!(super::width(number) <= width);
            }
        }
    }

    #[test]
    fn reading_past_the_end() {
        assert_eq!((read(&[255; 7], 0, 8), read(&[255; 8], 7, 9), read(&[255; 8], usize::MAX, 4)), (0, 511, 0));
    }
}
