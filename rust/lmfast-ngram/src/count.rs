//! Stage 1: every n-gram that occurs, as a trie.
//!
//! Input: the corpus. Output: the n-grams of all orders in *lexicographic order* of word ids, first word first, so that the
//! successors of a context lie together; and of each n-gram how often it occurs and which n-gram of the order below is its
//! end.
//!
//! At every token but `</s>` begins a window of as many words as the order, or fewer, up to the `</s>` of its sentence. Each
//! beginning of a window is an n-gram of a lower order, so one sort of the windows gives the n-grams of *every* order.
//! Windows are first put into buckets by their first word; then each bucket is sorted by the words behind it, packed into
//! 128-bit limbs together with the window's place, and a walk along the sorted windows writes the trie down.
//!
//! The end of an n-gram is what lies one token further on in the corpus. So each window writes the numbers of its n-grams
//! down at its place, a few orders at a time, and each new n-gram reads its end there.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use bytemuck::{Pod, Zeroable};
use lmfast_base::{Control, Error, Pages, Result, prefetch};
use rayon::prelude::*;

use crate::corpus::{BEGIN, Corpus, END};

/// The highest order that can be estimated.
pub(crate) const MOST_ORDERS: usize = 20;

/// The trie is cut into about this many parts, the units of parallel work.
const PARTS: usize = 256;

/// The numbers of this many orders are written down at a time.
const WIDTH: usize = 4;

/// How many windows ahead memory is asked for.
const AHEAD: usize = 16;

/// Bits for the place of a window.
const PLACE_BITS: usize = 32;

/// The n-grams of one order in a part of the trie.
#[derive(Debug, Default)]
pub(crate) struct Level {
    /// The last word of each; for unigrams, which are numbered by their ids, nothing.
    pub(crate) words: Vec<u32>,
    /// How often each occurs; nothing for the orders between the lowest and the highest, unless asked for.
    pub(crate) tokens: Vec<u32>,
    /// For each the first of its successors in the part's next level, and behind the last how many that level has; nothing
    /// for the highest order.
    pub(crate) children: Vec<u32>,
    /// For each the number of the n-gram without its first word among all of the order below; nothing for unigrams, and for
    /// bigrams, whose end is their last word.
    suffixes: Vec<u32>,
}

impl Level {
    /// For each n-gram from bigrams up, its end.
    pub(crate) fn suffixes(&self) -> &[u32] {
        if self.suffixes.is_empty() { &self.words } else { &self.suffixes }
    }
}

/// The n-grams that begin with one of some consecutive words.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) first_words: Range<u32>,
    /// One for each order from 1 up.
    pub(crate) levels: Vec<Level>,
    /// How many n-grams of each order lie in the parts before this one.
    pub(crate) bases: Vec<u32>,
}

impl Part {
    /// How many n-grams a level has.
    pub(crate) fn size(&self, level: usize) -> usize {
        if level == 0 { self.first_words.len() } else { self.levels[level].words.len() }
    }
}

/// The trie.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) parts: Vec<Part>,
    /// How many n-grams there are of each order.
    pub(crate) sizes: Vec<usize>,
    /// The part that has the n-grams that begin with `<s>`, and which of its n-grams of each order these are.
    pub(crate) begin: (usize, Vec<Range<usize>>),
}

impl Counted {
    fn new(parts: Vec<Part>, sizes: Vec<usize>) -> Self {
        let index = parts.partition_point(|part| part.first_words.end <= BEGIN);
        let part = &parts[index];
        let place = (BEGIN - part.first_words.start) as usize;
        let mut ranges = Vec::with_capacity(sizes.len());
        ranges.push(place..place + 1);
        for level in 1..sizes.len() {
            let (children, below) = (&part.levels[level - 1].children, &ranges[level - 1]);
            ranges.push(children[below.start] as usize..children[below.end] as usize);
        }
        Self { parts, sizes, begin: (index, ranges) }
    }

    /// Gives the memory of a level back that is no longer needed.
    pub(crate) fn forget(&mut self, level: usize) {
        self.parts.par_iter_mut().for_each(|part| part.levels[level] = Level::default());
    }

    /// The number of an n-gram among those of its order, if it is there.
    pub(crate) fn find(&self, words: &[u32]) -> Option<u32> {
        let (&first, rest) = words.split_first()?;
        let part = &self.parts[self.parts.partition_point(|part| part.first_words.end <= first)];
        let mut at = (first - part.first_words.start) as usize;
        for (word, levels) in rest.iter().zip(part.levels.windows(2)) {
            let children = levels[0].children[at] as usize..levels[0].children[at + 1] as usize;
            at = children.start + levels[1].words[children.clone()].binary_search(word).ok()?;
        }
        Some(part.bases[rest.len()] + at as u32)
    }
}

/// How a window relates to the one before it in its bucket.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Shape {
    /// How many first words both have in common.
    shared: u8,
    /// How many words it has.
    length: u8,
}

/// Counts the n-grams of every order up to `order`. `all` asks for how often those of every order occur. Uses the current
/// pool of threads.
///
/// # Errors
/// [`Error::Invalid`] for 2^32 n-grams of one order or more.
pub(crate) fn count(corpus: &Corpus, order: usize, all: bool, control: &Control) -> Result<Counted> {
    let bits = Packing::bits(corpus.vocabulary_size());
    match Packing::new(order, bits).limbs() {
        1 => count_wide::<1>(corpus, order, bits, all, control),
        2 => count_wide::<2>(corpus, order, bits, all, control),
        3 => count_wide::<3>(corpus, order, bits, all, control),
        _ => count_wide::<5>(corpus, order, bits, all, control),
    }
}

fn count_wide<const LIMBS: usize>(
    corpus: &Corpus,
    order: usize,
    bits: usize,
    all: bool,
    control: &Control,
) -> Result<Counted> {
    let mut tokens = occurrences(corpus);
    if order == 1 {
        // `<s>` is only ever a context.
        tokens[BEGIN as usize] = 0;
        let levels = vec![Level { tokens, ..Level::default() }];
        let size = corpus.vocabulary_size();
        let part = Part { first_words: 0..size, levels, bases: vec![0] };
        return Ok(Counted::new(vec![part], vec![size as usize]));
    }
    let packing = Packing::new(order, bits);
    let mut places = buckets(corpus.ids(), 0..corpus.ids().len(), &tokens, control)?;
    let mut shapes = Pages::<Shape>::zeroed(places.len());
    control.begin("counting n-grams", places.len() as u64);
    let work = parts(&tokens, &mut places, &mut shapes);
    let counted = work.into_par_iter().map_init(Vec::new, |records, (first_words, places, shapes)| {
        let lowest_counted = if all || first_words.contains(&BEGIN) { 1 } else { order - 1 };
        let mut levels = Levels::new(order, lowest_counted);
        let (mut places, mut shapes) = (places, shapes);
        for word in first_words.clone() {
            let size = bucket_size(&tokens, word);
            let (bucket_places, bucket_shapes);
            (bucket_places, places) = places.split_at_mut(size);
            (bucket_shapes, shapes) = shapes.split_at_mut(size);
            levels.unigram(tokens[word as usize]);
            control.check()?;
            let ids = corpus.ids();
            records.clear();
            records.extend(bucket_places.iter().enumerate().map(|(number, &place)| {
                if let Some(&ahead) = bucket_places.get(number + AHEAD) {
                    prefetch(ids, ahead as usize + 1);
                }
                Record::<LIMBS>::new(ids, place, packing)
            }));
            Record::sort(records);
            levels.walk(records, packing, bucket_places, bucket_shapes);
            control.advance(size as u64);
        }
        Ok(Part { first_words, levels: levels.finish(), bases: Vec::new() })
    });
    let mut parts: Vec<Part> = counted.collect::<Result<_>>()?;
    let mut sizes = vec![0; order];
    for part in &mut parts {
        part.bases = sizes.iter().map(|&size| size as u32).collect();
        for (level, size) in sizes.iter_mut().enumerate() {
            *size += part.size(level);
        }
    }
    if let Some(level) = sizes.iter().position(|&size| size >= u32::MAX as usize) {
        let order = level + 1;
        return Err(Error::invalid(format!("more than {} {order}-grams: train on a part of the text", u32::MAX)));
    }
    find_suffixes(corpus.ids().len(), order, &mut parts, &places, &shapes, control)?;
    Ok(Counted::new(parts, sizes))
}

/// How often each word occurs.
fn occurrences(corpus: &Corpus) -> Vec<u32> {
    let mut tokens = vec![0; corpus.vocabulary_size() as usize];
    for &id in corpus.ids() {
        tokens[id as usize] += 1;
    }
    tokens
}

/// How many windows begin with a word.
pub(crate) fn bucket_size(tokens: &[u32], word: u32) -> usize {
    if word == END { 0 } else { tokens[word as usize] as usize }
}

/// The places in `own` of all tokens but `</s>`, by their word; `tokens` is how often each word occurs there.
pub(crate) fn buckets(ids: &[u32], own: Range<usize>, tokens: &[u32], control: &Control) -> Result<Pages<u32>> {
    let mut next = Vec::with_capacity(tokens.len());
    let mut total = 0;
    for word in 0..tokens.len() as u32 {
        next.push(total);
        total += bucket_size(tokens, word);
    }
    let mut places = Pages::zeroed(total);
    // Every thread goes through all tokens and takes those whose words are its own.
    let threads = rayon::current_num_threads();
    let (mut shares, mut first, mut left) = (Vec::new(), 0, &mut *places);
    for thread in 1..=threads {
        let last =
            if thread == threads { next.len() } else { next.partition_point(|&at| at < total / threads * thread) };
        let start = next.get(first).copied().unwrap_or(total);
        let end = next.get(last).copied().unwrap_or(total);
        let mine;
        (mine, left) = left.split_at_mut(end - start);
        shares.push((first..last, start, mine));
        first = last;
    }
    shares.into_par_iter().try_for_each(|(words, start, mine)| {
        let mut next: Vec<u32> = next[words.clone()].iter().map(|at| (at - start) as u32).collect();
        for (ids, place) in ids[own.clone()].chunks(1 << 16).zip((own.start as u32..).step_by(1 << 16)) {
            control.check()?;
            for (&id, place) in ids.iter().zip(place..) {
                if let Some(at) = next.get_mut((id as usize).wrapping_sub(words.start))
                    && id != END
                {
                    mine[*at as usize] = place;
                    *at += 1;
                }
            }
        }
        Ok(())
    })?;
    Ok(places)
}

/// Cuts the words, and what the windows that begin with them have, into parts with about as many windows each.
fn parts<'a>(
    tokens: &[u32],
    places: &'a mut [u32],
    shapes: &'a mut [Shape],
) -> Vec<(Range<u32>, &'a mut [u32], &'a mut [Shape])> {
    let share = places.len().div_ceil(PARTS).max(1);
    let (mut parts, mut places, mut shapes) = (Vec::new(), places, shapes);
    let (mut first, mut size) = (0, 0);
    for word in 0..tokens.len() as u32 {
        size += bucket_size(tokens, word);
        if size >= share || word as usize == tokens.len() - 1 {
            let (part_places, part_shapes);
            (part_places, places) = places.split_at_mut(size);
            (part_shapes, shapes) = shapes.split_at_mut(size);
            parts.push((first..word + 1, part_places, part_shapes));
            (first, size) = (word + 1, 0);
        }
    }
    parts
}

/// How words are packed.
#[derive(Clone, Copy)]
pub(crate) struct Packing {
    order: usize,
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

    fn place(&self) -> u32 {
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

/// The levels of a part while they grow.
struct Levels {
    levels: Vec<Level>,
    lowest_counted: usize,
}

impl Levels {
    fn new(order: usize, lowest_counted: usize) -> Self {
        Self { levels: (0..order).map(|_| Level::default()).collect(), lowest_counted }
    }

    /// Begins the bucket of a word.
    fn unigram(&mut self, tokens: u32) {
        let children = self.levels[1].words.len() as u32;
        self.levels[0].tokens.push(tokens);
        self.levels[0].children.push(children);
    }

    /// Appends the n-grams of a bucket, whose windows are sorted.
    fn walk<const LIMBS: usize>(
        &mut self,
        records: &[Record<LIMBS>],
        packing: Packing,
        places: &mut [u32],
        shapes: &mut [Shape],
    ) {
        let order = packing.order;
        // Where the n-gram of each level that the walk is inside of began.
        let mut begun = [0; MOST_ORDERS];
        let (mut length, mut before) = (1, None::<&Record<LIMBS>>);
        for (((number, record), place), shape) in (0_u32..).zip(records).zip(places).zip(shapes) {
            let words = before.map_or(0, |before| record.shared(before, packing));
            let is_same = before.is_some() && words == order - 1;
            let shared = if is_same { length } else { words + 1 };
            self.close(shared..length, &begun, number);
            if !is_same {
                length = shared;
                let mut word = BEGIN;
                while word != END && length < order {
                    word = record.word(length - 1, packing);
                    let children = self.levels.get(length + 1).map(|above| above.words.len() as u32);
                    self.levels[length].words.push(word);
                    self.levels[length].children.extend(children);
                    begun[length] = number;
                    length += 1;
                }
            }
            *shape = Shape { shared: shared as u8, length: length as u8 };
            *place = record.place();
            before = Some(record);
        }
        self.close(1..length, &begun, records.len() as u32);
    }

    /// Ends the n-grams of some levels, given where each began and where all end.
    fn close(&mut self, levels: Range<usize>, begun: &[u32], end: u32) {
        for level in levels.start.max(self.lowest_counted)..levels.end {
            let begun = begun.get(level).copied().unwrap_or(end);
            self.levels[level].tokens.push(end - begun);
        }
    }

    fn finish(mut self) -> Vec<Level> {
        for level in 1..self.levels.len() {
            let children = self.levels[level].words.len() as u32;
            self.levels[level - 1].children.push(children);
        }
        self.levels
    }
}

/// Finds the ends of all n-grams from trigrams up. `places` and `shapes` are those of all windows, in lexicographic order.
fn find_suffixes(
    tokens: usize,
    order: usize,
    parts: &mut [Part],
    places: &[u32],
    shapes: &[Shape],
    control: &Control,
) -> Result<()> {
    let mut ranges = Vec::with_capacity(parts.len());
    for part in &*parts {
        let start = ranges.last().map_or(0, |range: &Range<usize>| range.end);
        let end_mark = part.first_words.contains(&END);
        let size = part.levels[0].tokens.iter().map(|&tokens| tokens as usize).sum::<usize>();
        let skipped =
            if end_mark { part.levels[0].tokens[(END - part.first_words.start) as usize] as usize } else { 0 };
        ranges.push(start..start + size - skipped);
    }
    let mut lowest = 1;
    while lowest + 1 < order {
        let width = WIDTH.min(order - 1 - lowest);
        let levels = lowest..lowest + width;
        let mut numbers = Pages::<u32>::zeroed(tokens * width);
        let numbers = numbers.as_atomic();
        parts.par_iter().zip(&ranges).try_for_each(|(part, range)| {
            control.check()?;
            // The number behind that of the n-gram of each level that the walk is inside of.
            let mut next: Vec<u32> = part.bases[levels.clone()].to_vec();
            for (&place, shape) in places[range.clone()].iter().zip(&shapes[range.clone()]) {
                let (shared, length) = (usize::from(shape.shared), usize::from(shape.length));
                for level in shared.max(levels.start)..length.min(levels.end) {
                    next[level - lowest] += 1;
                }
                let at = place as usize * width;
                for (number, next) in numbers[at..at + width].iter().zip(&next).take(length.saturating_sub(lowest)) {
                    number.store(next - 1, Relaxed);
                }
            }
            Ok(())
        })?;
        parts.par_iter_mut().zip(&ranges).try_for_each(|(part, range)| {
            control.check()?;
            for level in levels.clone() {
                let size = part.size(level + 1);
                part.levels[level + 1].suffixes.reserve_exact(size);
            }
            let places = &places[range.clone()];
            for ((number, &place), shape) in places.iter().enumerate().zip(&shapes[range.clone()]) {
                if let Some(&ahead) = places.get(number + AHEAD) {
                    prefetch(numbers, (ahead as usize + 1) * width);
                }
                let (shared, length) = (usize::from(shape.shared), usize::from(shape.length));
                let at = (place as usize + 1) * width;
                for level in shared.max(levels.start + 1)..length.min(levels.end + 1) {
                    let number = numbers[at + level - 1 - lowest].load(Relaxed);
                    part.levels[level].suffixes.push(number);
                }
            }
            Ok(())
        })?;
        lowest += width;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// How often each n-gram of an order occurs.
    fn expected(sentences: &[Vec<u32>], order: usize) -> BTreeMap<Vec<u32>, u32> {
        let mut grams = BTreeMap::new();
        for window in sentences.iter().flat_map(|sentence| sentence.windows(order)) {
            *grams.entry(window.to_vec()).or_default() += 1;
        }
        grams
    }

    /// The words of every n-gram, by order and number.
    fn spelled(counted: &Counted) -> Vec<Vec<Vec<u32>>> {
        let mut levels = vec![Vec::new(); counted.sizes.len()];
        for part in &counted.parts {
            let mut below: Vec<Vec<u32>> = part.first_words.clone().map(|word| vec![word]).collect();
            for level in 1..levels.len() {
                let mut grams = Vec::new();
                for (context, children) in below.iter().zip(part.levels[level - 1].children.windows(2)) {
                    for &word in &part.levels[level].words[children[0] as usize..children[1] as usize] {
                        grams.push([context.as_slice(), &[word]].concat());
                    }
                }
                levels[level - 1].append(&mut below);
                below = grams;
            }
            levels[counted.sizes.len() - 1].append(&mut below);
        }
        levels
    }

    proptest! {
        #[test]
        fn the_trie_holds_what_a_map_does(
            sentences in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0_u32), 3_u32..7], 0..9), 1..20),
            order in 1..15_usize,
            wide in prop::sample::select(vec![7, 1000, 1_000_000, 2_000_000_000]),
            all in any::<bool>(),
        ) {
            let sentences: Vec<Vec<u32>> =
                sentences.iter().map(|words| [&[BEGIN], words.as_slice(), &[END]].concat()).collect();
            let corpus = Corpus::from_sentences(&sentences.concat(), 7)?;
            let bits = (u32::BITS - u32::leading_zeros(wide)) as usize;
            let counted = match (order - 1) * bits {
                0..=96 => count_wide::<1>(&corpus, order, bits, all, &Control::default())?,
                _ => count_wide::<5>(&corpus, order, bits, all, &Control::default())?,
            };
            let found = spelled(&counted);
            for (level, found) in found.iter().enumerate() {
                let expected = expected(&sentences, level + 1);
                let unigrams: Vec<Vec<u32>> = (0..7).map(|word| vec![word]).collect();
                let words = if level == 0 { unigrams } else { expected.keys().cloned().collect() };
                prop_assert_eq!(found, &words);
                prop_assert_eq!(found.len(), counted.sizes[level]);
                for (number, words) in (0..).zip(found) {
                    prop_assert_eq!(counted.find(words), Some(number));
                }
            }
            prop_assert_eq!(counted.find(&[3, BEGIN][..order.min(2)]), (order == 1).then_some(3));
            let (part, ranges) = &counted.begin;
            for (level, found) in found.iter().enumerate() {
                let base = counted.parts[*part].bases[level] as usize;
                let begin = base + ranges[level].start..base + ranges[level].end;
                prop_assert!((0..).zip(found).all(|(number, words)| begin.contains(&number) == (words[0] == BEGIN)));
            }
            for part in &counted.parts {
                for (level, tokens) in part.levels.iter().map(|level| &level.tokens).enumerate() {
                    if level == 0 || level == order - 1 || all || part.first_words.contains(&BEGIN) {
                        prop_assert_eq!(tokens.len(), part.size(level));
                        let grams = &found[level][part.bases[level] as usize..][..tokens.len()];
                        let expected = expected(&sentences, level + 1);
                        for (words, tokens) in grams.iter().zip(tokens).filter(|(words, _)| *words != &[BEGIN]) {
                            prop_assert_eq!(*tokens, expected.get(words).copied().unwrap_or_default());
                        }
                    }
                    if level > 0 {
                        let grams = &found[level][part.bases[level] as usize..][..part.size(level)];
                        for (words, &suffix) in grams.iter().zip(part.levels[level].suffixes()) {
                            prop_assert_eq!(&found[level - 1][suffix as usize], &words[1..]);
                        }
                    }
                }
            }
        }
    }
}
