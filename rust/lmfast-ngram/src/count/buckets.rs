//! First, windows are put into buckets by their first word, and these into parts.

use std::ops::Range;

use lmfast_base::{Control, Pages, Result};
use rayon::prelude::*;

use super::walk::Shape;
use crate::corpus::{Corpus, END};

/// The trie is cut into about this many parts, the units of parallel work.
const PARTS: usize = 256;

/// How often each word occurs.
pub(super) fn occurrences(corpus: &Corpus) -> Vec<u32> {
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
pub(super) fn parts<'a>(
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
