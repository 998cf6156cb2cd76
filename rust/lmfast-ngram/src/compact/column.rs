//! Numbers of one group: small ones in few bits, the others in more.
//!
//! Of `total` numbers there is first a bit each, 1 for a number of the wider kind, then all narrow numbers, then all wide
//! ones. If both widths are the same, there are only the numbers.

use lmfast_base::prefetch;

use super::bits::{self, Writer};

/// Numbers to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'a> {
    bytes: &'a [u8],
    /// The bit with which it begins, and where the numbers of either kind do.
    at: usize,
    narrow_at: usize,
    wide_at: usize,
    /// The bit behind it.
    pub(super) end: usize,
    narrow: u32,
    wide: u32,
}

impl<'a> Column<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], at: usize, total: usize, narrow: u32, wide: u32) -> Self {
        let (narrow, wide) = (narrow.min(32), wide.min(32));
        let (mut narrow_at, mut wide_at, mut num_wide) = (at, at, total);
        if narrow != wide {
            num_wide = bits::ones(bytes, at, total);
            narrow_at = at + total;
            wide_at = narrow_at + (total - num_wide) * narrow as usize;
        }
        Self { bytes, at, narrow_at, wide_at, end: wide_at + num_wide * wide as usize, narrow, wide }
    }

    /// Asks for the memory of about where a number is.
    #[inline]
    pub(super) fn prefetch(&self, place: usize) {
        prefetch(self.bytes, (self.narrow_at + place * self.narrow as usize) / 8);
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> u32 {
        if self.narrow == self.wide {
            return bits::read(self.bytes, self.at + place * self.wide as usize, self.wide);
        }
        let before = bits::ones(self.bytes, self.at, place);
        if bits::read(self.bytes, self.at + place, 1) == 1 {
            bits::read(self.bytes, self.wide_at + before * self.wide as usize, self.wide)
        } else {
            bits::read(self.bytes, self.narrow_at + (place - before) * self.narrow as usize, self.narrow)
        }
    }

    /// The place of a number in a range where numbers rise.
    #[inline]
    pub(super) fn find(&self, (start, end): (usize, usize), number: u32) -> Option<usize> {
        if self.narrow == self.wide {
            let found = self.search(self.at + start * self.wide as usize, self.wide, end - start, number)?;
            return Some(start + found);
        }
        // In the range, wide numbers lie behind narrow ones.
        let before = bits::ones(self.bytes, self.at, start);
        let wide = bits::ones(self.bytes, self.at + start, end - start);
        let narrow = end - start - wide;
        if bits::width(number) > self.narrow {
            let found = self.search(self.wide_at + before * self.wide as usize, self.wide, wide, number)?;
            Some(start + narrow + found)
        } else {
            let at = self.narrow_at + (start - before) * self.narrow as usize;
            Some(start + self.search(at, self.narrow, narrow, number)?)
        }
    }

    /// The place of a number among `count` rising ones of one width from bit `at` on.
    #[inline]
    fn search(&self, at: usize, width: u32, count: usize, number: u32) -> Option<usize> {
        let place = bits::rank(self.bytes, at, width, count, number).checked_sub(1)?;
        (bits::read(self.bytes, at + place * width as usize, width) == number).then_some(place)
    }
}

/// The widths that make numbers shortest; both the same for more numbers than `most_split`, so that none is searched for
/// long.
pub(super) fn widths(numbers: &[u32], most_split: usize) -> (u32, u32) {
    let mut of_width = [0; 33];
    for &number in numbers {
        of_width[bits::width(number) as usize] += 1;
    }
    let wide = (0..33).rev().find(|&width| of_width[width] > 0).unwrap_or(0);
    let (mut best, mut least, mut narrow_numbers) = (wide, numbers.len() * wide, 0);
    for (narrow, &count) in of_width.iter().enumerate().take(wide) {
        narrow_numbers += count;
        let bits = numbers.len() + narrow_numbers * narrow + (numbers.len() - narrow_numbers) * wide;
        if bits < least && numbers.len() <= most_split {
            (best, least) = (narrow, bits);
        }
    }
    (best as u32, wide as u32)
}

/// Appends a column of numbers of these widths.
pub(super) fn write(numbers: &[u32], (narrow, wide): (u32, u32), writer: &mut Writer) {
    if narrow == wide {
        return writer.put_all(numbers.iter().copied(), wide);
    }
    let is_wide = |number: u32| bits::width(number) > narrow;
    writer.put_all(numbers.iter().map(|&number| is_wide(number).into()), 1);
    writer.put_all(numbers.iter().copied().filter(|&number| !is_wide(number)), narrow);
    writer.put_all(numbers.iter().copied().filter(|&number| is_wide(number)), wide);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(
            numbers in prop::collection::vec(prop_oneof![4 => 0..2_u32, 2 => 0..300_u32, 1 => any::<u32>()], 0..200),
            before in 0..9_u32,
            most_split in prop_oneof![Just(10), Just(1000)],
        ) {
            let (mut writer, widths) = (Writer::default(), widths(&numbers, most_split));
            writer.put(0, before);
            write(&numbers, widths, &mut writer);
            writer.zeros(64);
            let bytes = writer.finish();
            let column = Column::new(&bytes, before as usize, numbers.len(), widths.0, widths.1);
            prop_assert_eq!((column.end + 64).div_ceil(8), bytes.len());
            for (place, &number) in numbers.iter().enumerate() {
                prop_assert_eq!(column.get(place), number);
            }
            let mut start = 0;
            for end in 1..=numbers.len() {
                if end == numbers.len() || numbers[end] <= numbers[end - 1] {
                    for place in start..end {
                        prop_assert_eq!(column.find((start, end), numbers[place]), Some(place));
                        let other = numbers[place].wrapping_add(1);
                        let expected = numbers[start..end].binary_search(&other).ok().map(|found| start + found);
                        prop_assert_eq!(column.find((start, end), other), expected);
                    }
                    start = end;
                }
            }
        }
    }
}
