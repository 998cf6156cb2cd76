//! A hash index over the n-grams, for scoring many words.
//!
//! A step through the trie waits for memory several times, one after the other. Here an n-gram of two words or more lies
//! in a bucket of 64 bytes, one cache line, with all that scoring needs of it, and the bucket follows from the n-gram's
//! context and last word. A context is known by its number: a word's id, or behind those the slot where the context itself
//! lies. Once the contexts that end before a word are known, so are the buckets of all n-grams that may end with it, and
//! [`walk`] asks for all of them at once, for many sentences in turns.
//!
//! | table | values | of |
//! |---|---|---|
//! | `unigrams` | log10 probability, log10 back-off weight | each word |
//! | `middle` | [`Middle`] | the n-grams that may be contexts, from two words up, orders mixed |
//! | `highest` | [`Highest`] | the n-grams of the highest order, if that is not 1 |
//!
//! The key of an n-gram is `context * words + word`, a number of [`Keys::bits`] bits, which [`Keys::mix`] permutes. The
//! upper part of the outcome is the bucket, its lower 32 bits are kept beside the n-gram and tell it from every other in
//! that bucket and the [`MOST_STEPS`] before it: nothing is ever found that is not there. What has no room in its bucket
//! lies in the first one behind that has.
//!
//! A back-off weight of -0 marks an n-gram that no longer one begins with and whose weight is 0: it need not be a context.

mod build;
mod walk;

#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};
use lmfast_base::prefetch;

pub(crate) use walk::Piece;

use crate::model::Column;

/// N-grams in a [`Middle`].
const MIDDLE_SLOTS: usize = 5;
/// N-grams in a [`Highest`].
const HIGHEST_SLOTS: usize = 7;
/// How many buckets behind its own an n-gram may lie.
const MOST_STEPS: u32 = 63;

/// N-grams that may be contexts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Middle {
    tags: [u32; MIDDLE_SLOTS],
    log10_probs: [f32; MIDDLE_SLOTS],
    backoffs: [f32; MIDDLE_SLOTS],
    /// How many slots are in use; one more where the next bucket holds some that belong here.
    used: u32,
}

/// N-grams of the highest order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Highest {
    tags: [u32; HIGHEST_SLOTS],
    log10_probs: [f32; HIGHEST_SLOTS],
    /// As in [`Middle`].
    used: u32,
    unused: u32,
}

/// The sizes that decide where an n-gram lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Shape {
    /// How many words there are.
    pub(crate) words: u64,
    /// Buckets of [`Index::middle`] that n-grams belong to; [`MOST_STEPS`] more lie behind them.
    pub(crate) middle: u64,
    /// The same of [`Index::highest`].
    pub(crate) highest: u64,
    /// The length of the longest n-grams.
    pub(crate) order: u64,
    /// 1 if the end of every n-gram is in the model, as in all that were estimated; else 0, and a foreign ARPA file left
    /// some out.
    pub(crate) closed: u64,
}

impl Shape {
    /// How many buckets each table has; nothing if there cannot be such an index.
    pub(crate) fn buckets(&self) -> Option<[usize; 2]> {
        let all = |buckets: u64| u32::try_from(buckets + u64::from(MOST_STEPS)).ok().map(|buckets| buckets as usize);
        let fits = self.middle < 1 << 32 && self.highest < 1 << 32;
        (fits && Keys::new(self).is_some()).then(|| Some([all(self.middle)?, all(self.highest)?]))?
    }
}

/// How n-grams become numbers.
#[derive(Debug, Clone, Copy)]
struct Keys {
    words: u64,
    /// The numbers are below 2 to this power.
    bits: u32,
    middle: u64,
    highest: u64,
    /// The number of a context that is not there: past all others, so that no n-gram has it.
    no_context: u32,
}

impl Keys {
    /// Nothing where tags would not tell n-grams apart, or contexts have no numbers.
    fn new(shape: &Shape) -> Option<Self> {
        let slots = shape.middle.checked_add(MOST_STEPS.into())?.checked_mul(MIDDLE_SLOTS as u64)?;
        let no_context = u32::try_from(slots.checked_add(shape.words)?).ok()?;
        let last = (u64::from(no_context) + 1).checked_mul(shape.words)?;
        let bits = u64::BITS - last.leading_zeros();
        let keys = Self { words: shape.words, bits, middle: shape.middle, highest: shape.highest, no_context };
        let distinct = |buckets: u64| buckets >= keys.fewest_buckets();
        (shape.words > 0 && distinct(shape.middle) && distinct(shape.highest)).then_some(keys)
    }

    /// Of so many buckets, [`MOST_STEPS`] + 1 have fewer than 2^32 keys.
    fn fewest_buckets(&self) -> u64 {
        1 << self.bits.saturating_sub(u32::BITS - (MOST_STEPS + 1).ilog2())
    }

    /// The key of an n-gram, permuted: as products with odd numbers, and a number with its upper half upon the lower, are
    /// different for different keys.
    #[inline]
    fn mix(&self, context: u32, word: u32) -> u64 {
        let mask = u64::MAX >> (u64::BITS - self.bits);
        let mut mixed = u64::from(context).wrapping_mul(self.words).wrapping_add(word.into());
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask;
        mixed ^= mixed >> self.bits.div_ceil(2);
        mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) & mask
    }

    /// Which of `buckets` a permuted key belongs to.
    #[inline]
    fn bucket(&self, mixed: u64, buckets: u64) -> u32 {
        let fraction = mixed << (u64::BITS - self.bits);
        ((u128::from(fraction) * u128::from(buckets)) >> u64::BITS) as u32
    }
}

/// The index of a model.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) shape: Shape,
    keys: Keys,
    pub(crate) unigrams: Column<[f32; 2]>,
    pub(crate) middle: Column<Middle>,
    pub(crate) highest: Column<Highest>,
}

impl Index {
    /// An index whose tables lie in a file; nothing if the tables have not the sizes of the shape.
    pub(crate) fn of_tables(
        shape: Shape,
        unigrams: Column<[f32; 2]>,
        middle: Column<Middle>,
        highest: Column<Highest>,
    ) -> Option<Self> {
        let found = [middle.as_slice().len(), highest.as_slice().len()];
        let fits = shape.buckets() == Some(found) && unigrams.as_slice().len() as u64 == shape.words;
        let keys = Keys::new(&shape).filter(|_| fits)?;
        Some(Self { shape, keys, unigrams, middle, highest })
    }

    fn tables(&self) -> Tables<'_> {
        Tables {
            keys: self.keys,
            order: self.shape.order as usize,
            closed: self.shape.closed == 1,
            unigrams: self.unigrams.as_slice(),
            middle: self.middle.as_slice(),
            highest: self.highest.as_slice(),
        }
    }
}

/// Where an n-gram lies, if it is in the model.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    bucket: u32,
    tag: u32,
}

/// What was found of an n-gram that may be a context.
#[derive(Debug, Clone, Copy)]
struct Found {
    context: u32,
    log10_prob: f32,
    backoff: f32,
}

/// The index for many look-ups, which never leave the tables, whatever these hold.
#[derive(Clone, Copy)]
struct Tables<'a> {
    keys: Keys,
    order: usize,
    closed: bool,
    unigrams: &'a [[f32; 2]],
    middle: &'a [Middle],
    highest: &'a [Highest],
}

impl Tables<'_> {
    #[inline]
    fn unigram(&self, word: u32) -> Found {
        let [log10_prob, backoff] = self.unigrams.get(word as usize).copied().unwrap_or_default();
        Found { context: word, log10_prob, backoff }
    }

    /// Where an n-gram of `order` words lies, which is asked for.
    #[inline]
    fn place(&self, order: usize, context: u32, word: u32) -> Place {
        let mixed = self.keys.mix(context, word);
        let place = |buckets| Place { bucket: self.keys.bucket(mixed, buckets), tag: mixed as u32 };
        if order < self.order {
            let place = place(self.keys.middle);
            prefetch(self.middle, place.bucket as usize);
            place
        } else {
            let place = place(self.keys.highest);
            prefetch(self.highest, place.bucket as usize);
            place
        }
    }

    #[inline]
    fn middle(&self, place: Place) -> Option<Found> {
        for bucket in place.bucket..=place.bucket + MOST_STEPS {
            let Middle { tags, log10_probs, backoffs, used } = self.middle.get(bucket as usize)?;
            let at = find(tags, place.tag);
            if at < MIDDLE_SLOTS && (at as u32) < *used {
                let context = self.keys.words as u32 + bucket * MIDDLE_SLOTS as u32 + at as u32;
                return Some(Found { context, log10_prob: log10_probs[at], backoff: backoffs[at] });
            }
            if *used <= MIDDLE_SLOTS as u32 {
                return None;
            }
        }
        None
    }

    #[inline]
    fn highest(&self, place: Place) -> Option<f32> {
        for bucket in place.bucket..=place.bucket + MOST_STEPS {
            let Highest { tags, log10_probs, used, .. } = self.highest.get(bucket as usize)?;
            let at = find(tags, place.tag);
            if at < HIGHEST_SLOTS && (at as u32) < *used {
                return Some(log10_probs[at]);
            }
            if *used <= HIGHEST_SLOTS as u32 {
                return None;
            }
        }
        None
    }
}

/// The first slot with a tag, or a number past the last; without a jump on what is found.
#[inline]
fn find<const SLOTS: usize>(tags: &[u32; SLOTS], tag: u32) -> usize {
    let mut at = SLOTS;
    for slot in (0..SLOTS).rev() {
        at = if tags[slot] == tag { slot } else { at };
    }
    at
}
