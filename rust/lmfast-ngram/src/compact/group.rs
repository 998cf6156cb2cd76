//! The children of 32 consecutive contexts of one order.
//!
//! | bits | content |
//! |---|---|
//! | 6 | width of a word |
//! | 6 | width of a value |
//! | 1 | whether the borders are numbers |
//! | 1 | whether there are sums |
//! | 2 | 0 |
//! | 32 + children, or 32 times 32 | borders: for each context as many zeros as it has children, then a one; or, as numbers, how many children it and the contexts before it have |
//! | 32, if there are sums | for each context whether it has sums |
//! | children times width of a word | the words, rising within a context |
//! | children times width of a value | the values |
//! | ... | sums of contexts, or the contexts' own values |
//!
//! All widths are those of the largest number in the group, but for borders.

use super::bits::{self, Writer};

/// How many contexts a group has.
pub(super) const CONTEXTS: u32 = 32;
/// Groups of more children have their borders as numbers, so that none is searched for long.
const MOST_IN_UNARY: usize = 512;
/// Groups start at multiples of this many bytes.
pub(super) const ALIGNMENT: usize = 4;
const HEADER: usize = 16;
const SUM: usize = 64;

/// A group to be read. Whatever the bytes are, reading ends and stays within them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    bytes: &'a [u8],
    total: usize,
    header: u32,
    /// The bit behind the borders, where the words begin, or the flags of sums.
    borders_end: usize,
}

impl<'a> Group<'a> {
    /// The group that begins with these bytes and has `total` children.
    #[inline]
    pub(super) fn new(bytes: &'a [u8], total: u32) -> Self {
        let (header, total) = (bits::read(bytes, 0, HEADER as u32), total as usize);
        let borders = if header >> 12 & 1 == 1 { 32 * CONTEXTS as usize } else { CONTEXTS as usize + total };
        Self { bytes, total, header, borders_end: HEADER + borders }
    }

    fn word_width(&self) -> u32 {
        (self.header & 63).min(32)
    }

    fn value_width(&self) -> u32 {
        (self.header >> 6 & 63).min(32)
    }

    fn words_at(&self) -> usize {
        self.borders_end + if self.header >> 13 & 1 == 1 { CONTEXTS as usize } else { 0 }
    }

    fn values_at(&self) -> usize {
        self.words_at() + self.total * self.word_width() as usize
    }

    fn values_end(&self) -> usize {
        self.values_at() + self.total * self.value_width() as usize
    }

    /// The children of a context of the group, as places in it.
    #[inline]
    pub(super) fn children(&self, context: u32) -> (usize, usize) {
        let (start, end) = if self.header >> 12 & 1 == 1 {
            let border = |number: u32| bits::read(self.bytes, HEADER + 32 * number as usize, 32) as usize;
            (context.checked_sub(1).map_or(0, border), border(context))
        } else {
            self.children_in_unary(context)
        };
        (start.min(self.total), end.clamp(start.min(self.total), self.total))
    }

    /// Searches the one that ends the context before, and the one behind it.
    #[inline]
    fn children_in_unary(&self, context: u32) -> (usize, usize) {
        let load = |base: usize| bits::word(self.bytes, (HEADER + base) / 8);
        let (mut base, mut left, limit) = (0, context, self.total + CONTEXTS as usize);
        let mut word = load(base);
        while word.count_ones() < left && base < limit {
            left -= word.count_ones();
            base += 64;
            word = load(base);
        }
        let mut start = 0;
        if left > 0 {
            (1..left).for_each(|_| word &= word.wrapping_sub(1));
            start = base + word.trailing_zeros() as usize + 1;
            word &= word.wrapping_sub(1);
        }
        while word == 0 && base < limit {
            base += 64;
            word = load(base);
        }
        let end = base + word.trailing_zeros() as usize;
        (start.wrapping_sub(context as usize), end.wrapping_sub(context as usize))
    }

    /// The word of a child.
    #[inline]
    pub(super) fn word(&self, child: usize) -> u32 {
        let width = self.word_width();
        bits::read(self.bytes, self.words_at() + child * width as usize, width)
    }

    /// The value of a child.
    #[inline]
    pub(super) fn value(&self, child: usize) -> u32 {
        let width = self.value_width();
        bits::read(self.bytes, self.values_at() + child * width as usize, width)
    }

    /// The child of a range that has a word.
    #[inline]
    pub(super) fn find(&self, (start, end): (usize, usize), word: u32) -> Option<usize> {
        let (at, width) = (self.words_at(), self.word_width());
        let (mut start, mut left) = (start, end - start);
        // The word is at `start` or later, if at all.
        while left > 1 {
            let half = left / 2;
            if bits::read(self.bytes, at + (start + half) * width as usize, width) <= word {
                start += half;
            }
            left -= half;
        }
        (left == 1 && bits::read(self.bytes, at + start * width as usize, width) == word).then_some(start)
    }

    /// The sums of a context, if it has any.
    #[inline]
    pub(super) fn sums(&self, context: u32) -> Option<[f32; 2]> {
        if self.header >> 13 & 1 == 0 {
            return None;
        }
        let flags = bits::read(self.bytes, self.borders_end, 32);
        if flags >> context & 1 == 0 {
            return None;
        }
        let at = self.values_end() + SUM * (flags & ((1 << context) - 1)).count_ones() as usize;
        Some([0, 32].map(|half| f32::from_bits(bits::read(self.bytes, at + half, 32))))
    }

    /// The value of a context, of this width.
    #[inline]
    pub(super) fn context_value(&self, context: u32, width: u32) -> u32 {
        bits::read(self.bytes, self.values_end() + (context * width) as usize, width)
    }
}

/// A group to be written.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// How many children the contexts so far have; at most 32 contexts.
    pub(super) borders: Vec<u32>,
    pub(super) words: Vec<u32>,
    pub(super) values: Vec<u32>,
    /// The sums of the contexts that have any, with their numbers.
    pub(super) sums: Vec<(u32, [f32; 2])>,
    /// The value of each context, in a group without sums.
    pub(super) context_values: Vec<u32>,
}

impl Contents {
    pub(super) fn clear(&mut self) {
        self.borders.clear();
        self.words.clear();
        self.values.clear();
        self.sums.clear();
        self.context_values.clear();
    }

    /// Appends the group; values of children have `value_width`, or the least possible, those of contexts
    /// `context_width`.
    pub(super) fn write(&self, writer: &mut Writer, value_width: Option<u32>, context_width: u32) {
        let least = |numbers: &[u32]| bits::width(numbers.iter().copied().max().unwrap_or(0));
        let (word_width, value_width) = (least(&self.words), value_width.unwrap_or_else(|| least(&self.values)));
        let in_numbers = self.words.len() > MOST_IN_UNARY;
        writer.put(word_width, 6);
        writer.put(value_width, 6);
        writer.put(in_numbers.into(), 1);
        writer.put((!self.sums.is_empty()).into(), 1);
        writer.put(0, 2);
        let (all, mut before) = (self.words.len() as u32, 0);
        for context in 0..CONTEXTS as usize {
            let border = self.borders.get(context).copied().unwrap_or(all);
            if in_numbers {
                writer.put(border, 32);
            } else {
                writer.zeros((border - before) as usize);
                writer.put(1, 1);
            }
            before = border;
        }
        if !self.sums.is_empty() {
            writer.put(self.sums.iter().fold(0, |flags, (context, _)| flags | 1 << context), 32);
        }
        self.words.iter().for_each(|&word| writer.put(word, word_width));
        self.values.iter().for_each(|&value| writer.put(value, value_width));
        self.sums.iter().flat_map(|(_, sums)| sums).for_each(|sum| writer.put(sum.to_bits(), 32));
        self.context_values.iter().for_each(|&value| writer.put(value, context_width));
        writer.align(ALIGNMENT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_come_back(
            sizes in prop::collection::vec(prop_oneof![6 => 0..4_usize, 2 => 0..100_usize, 1 => 0..900_usize], 1..33),
            step in 1..5000_u32,
            with_sums in any::<bool>(),
        ) {
            let mut contents = Contents::default();
            for (&size, context) in sizes.iter().zip(0..) {
                for place in 0..size as u32 {
                    contents.words.push(place * step + context);
                    contents.values.push((place * step) >> 3);
                }
                contents.borders.push(contents.words.len() as u32);
                if with_sums && size > 2 {
                    contents.sums.push((context, [size as f32, 0.5 * step as f32]));
                }
                if !with_sums {
                    contents.context_values.push(size as u32);
                }
            }
            let mut writer = Writer::default();
            contents.write(&mut writer, None, 10);
            writer.zeros(64);
            let bytes = writer.finish();
            let group = Group::new(&bytes, contents.words.len() as u32);
            let mut before = 0;
            for ((&size, &border), context) in sizes.iter().zip(&contents.borders).zip(0..) {
                let range = group.children(context);
                prop_assert_eq!(range, (before, border as usize));
                for child in range.0..range.1 {
                    prop_assert_eq!(group.word(child), contents.words[child]);
                    prop_assert_eq!(group.value(child), contents.values[child]);
                    prop_assert_eq!(group.find(range, contents.words[child]), Some(child));
                }
                if step > 1 {
                    prop_assert_eq!(group.find(range, context + 1), None);
                }
                if with_sums {
                    prop_assert_eq!(group.sums(context), (size > 2).then_some([size as f32, 0.5 * step as f32]));
                } else {
                    prop_assert_eq!(group.context_value(context, 10), size as u32);
                }
                before = border as usize;
            }
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..80), total in prop_oneof![0..400_u32, any::<u32>()]) {
            let group = Group::new(&bytes, total);
            for context in 0..CONTEXTS {
                let (start, end) = group.children(context);
                prop_assert!(start <= end && end <= total as usize);
                let _ = (group.find((start, end), 7), group.word(start), group.value(end), group.sums(context));
                let _ = group.context_value(context, 32);
            }
        }
    }
}
