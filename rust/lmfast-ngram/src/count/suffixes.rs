//! At last the end of every n-gram is found: what lies one token further on in the corpus.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use lmfast_base::{Control, Pages, Result, prefetch};
use rayon::prelude::*;

use super::AHEAD;
use super::trie::Part;
use super::walk::Shape;
use crate::corpus::END;

/// The numbers of this many orders are written down at a time.
const WIDTH: usize = 4;

/// Finds the ends of all n-grams from trigrams up. `places` and `shapes` are those of all windows, in lexicographic order.
pub(super) fn find_suffixes(
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
