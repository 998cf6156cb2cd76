//! The children of 32 consecutive contexts of one order.
//!
//! | bits | content |
//! |---|---|
//! | 6, 6 | widths of narrow and wide words |
//! | 6, 6 | widths of narrow and wide values |
//! | 1 | whether there are sums |
//! | 7 | 0 |
//! | 32 + children, or 32 times 32 | borders: for each context as many zeros as it has children, then a one; in a group of more than 512 children, numbers: how many children the context and those before it have |
//! | 32, if there are sums | for each context whether it has sums |
//! | ... | in a group of more than 512 children the words of children 0, 64, 128 and so on, of the wider width |
//! | ... | the words, rising within a context: a [column](super::column) |
//! | ... | the values: another |
//! | ... | for each context that has sums the denominator and the back-off weight; or for each context its value |

use lmfast_base::prefetch;

use super::bits::{self, Writer};
use super::column::{self, Column};

/// How many contexts a group has.
pub(super) const CONTEXTS: u32 = 32;
/// Groups of more children have borders that are numbers, and columns of one width, so that nothing is searched for long.
const MOST_TO_SEARCH: usize = 512;
/// Groups of more children have a sample of their words: one in this many.
const SAMPLE: usize = 64;
/// Groups start at multiples of this many bytes.
pub(super) const ALIGNMENT: usize = 4;
const HEADER: usize = 32;
const SUMS: usize = 64;

/// A group to be read. Whatever the bytes are, reading ends and stays within them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    bytes: &'a [u8],
    total: usize,
    header: u32,
    /// The bit behind the borders, where the words begin, or the flags of sums.
    borders_end: usize,
    /// The bit where the sample of words begins, and how wide they are.
    sample: (usize, u32),
    words: Column<'a>,
    values: Column<'a>,
}

impl<'a> Group<'a> {
    /// The group that begins with these bytes and has `total` children.
    #[inline]
    pub(super) fn new(bytes: &'a [u8], total: u32) -> Self {
        let header = bits::read(bytes, 0, HEADER as u32);
        // No more than can be there.
        let total = (total as usize).min(8 * bytes.len());
        let is_large = total > MOST_TO_SEARCH;
        let borders = if is_large { 32 * CONTEXTS as usize } else { CONTEXTS as usize + total };
        let borders_end = HEADER + borders;
        let sample_at = borders_end + if header >> 24 & 1 == 1 { CONTEXTS as usize } else { 0 };
        let column = |at, widths: u32| {
            let (narrow, wide) = (widths & 63, widths >> 6 & 63);
            Column::new(bytes, at, total, if is_large { wide } else { narrow }, wide)
        };
        let sample = (sample_at, (header >> 6 & 63).min(32));
        let sample_size = if is_large { total.div_ceil(SAMPLE) } else { 0 };
        let words = column(sample_at + sample_size * sample.1 as usize, header);
        let values = column(words.end, header >> 12);
        Self { bytes, total, header, borders_end, sample, words, values }
    }

    /// The children of a context of the group, as places in it.
    #[inline]
    pub(super) fn children(&self, context: u32) -> (usize, usize) {
        let (start, end) = if self.total > MOST_TO_SEARCH {
            let border = |number: u32| bits::read(self.bytes, HEADER + 32 * number as usize, 32) as usize;
            (context.checked_sub(1).map_or(0, border), border(context))
        } else {
            self.children_in_unary(context)
        };
        (start.min(self.total), end.clamp(start.min(self.total), self.total))
    }

    /// Asks for the memory of a range of a context's children, or of what [`narrow`](Self::narrow) reads first.
    #[inline]
    pub(super) fn prefetch(&self, (start, end): (usize, usize)) {
        if self.total > MOST_TO_SEARCH && end - start > SAMPLE {
            let middle = usize::midpoint(start, end) / SAMPLE;
            prefetch(self.bytes, (self.sample.0 + middle * self.sample.1 as usize) / 8);
        } else {
            self.words.prefetch(start);
            self.values.prefetch(start);
        }
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
        (start.saturating_sub(context as usize), end.saturating_sub(context as usize))
    }

    /// The word of a child.
    #[inline]
    pub(super) fn word(&self, child: usize) -> u32 {
        self.words.get(child)
    }

    /// The value of a child.
    #[inline]
    pub(super) fn value(&self, child: usize) -> u32 {
        self.values.get(child)
    }

    /// A part of a range of a context's children, small enough to search, in which a word is if it is in the range.
    #[inline]
    pub(super) fn narrow(&self, (start, end): (usize, usize), word: u32) -> (usize, usize) {
        if self.total <= MOST_TO_SEARCH || end - start <= SAMPLE {
            return (start, end);
        }
        // Samples inside the range, and how many of them are at most the word.
        let (first, last, (at, width)) = (start / SAMPLE + 1, (end - 1) / SAMPLE, self.sample);
        let behind = first + bits::rank(self.bytes, at + first * width as usize, width, last + 1 - first, word);
        let from = if behind == first { start } else { (behind - 1) * SAMPLE };
        (from, end.min(behind * SAMPLE))
    }

    /// The child that has a word, of a range of a context's children.
    #[inline]
    pub(super) fn find(&self, range: (usize, usize), word: u32) -> Option<usize> {
        self.words.find(range, word)
    }

    /// The denominator and the back-off weight of a context, if it has any.
    #[inline]
    pub(super) fn sums(&self, context: u32) -> Option<[f32; 2]> {
        if self.header >> 24 & 1 == 0 {
            return None;
        }
        let flags = bits::read(self.bytes, self.borders_end, 32);
        if flags >> context & 1 == 0 {
            return None;
        }
        let at = self.values.end + SUMS * (flags & ((1 << context) - 1)).count_ones() as usize;
        let number = |at| f32::from_bits(bits::read(self.bytes, at, 32));
        Some([number(at), number(at + 32)])
    }

    /// The value of a context, of this width.
    #[inline]
    pub(super) fn context_value(&self, context: u32, width: u32) -> u32 {
        bits::read(self.bytes, self.values.end + (context * width) as usize, width)
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
        let words = column::widths(&self.words, MOST_TO_SEARCH);
        let values = value_width.map_or_else(|| column::widths(&self.values, MOST_TO_SEARCH), |width| (width, width));
        let in_numbers = self.words.len() > MOST_TO_SEARCH;
        for width in [words.0, words.1, values.0, values.1] {
            writer.put(width, 6);
        }
        writer.put((!self.sums.is_empty()).into(), 1);
        writer.put(0, 7);
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
        if in_numbers {
            writer.put_all(self.words.iter().copied().step_by(SAMPLE), words.1);
        }
        column::write(&self.words, words, writer);
        column::write(&self.values, values, writer);
        writer.put_all(self.sums.iter().flat_map(|(_, sums)| sums.map(f32::to_bits)), 32);
        writer.put_all(self.context_values.iter().copied(), context_width);
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
                    let near = group.narrow(range, contents.words[child]);
                    prop_assert_eq!(group.find(near, contents.words[child]), Some(child));
                }
                if step > 1 {
                    prop_assert_eq!(group.find(group.narrow(range, context + 1), context + 1), None);
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
                let _ = (group.find(group.narrow((start, end), 7), 7), group.word(start), group.value(end), group.sums(context));
                let _ = group.context_value(context, 32);
            }
        }
    }
}
