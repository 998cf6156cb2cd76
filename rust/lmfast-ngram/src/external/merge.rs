//! Merging one part of all sorted runs.

use lmfast_base::Result;

use super::runs::Reader;

/// The windows of one part of all runs in order, each with its count over all.
pub(super) struct Merge<'a> {
    readers: Vec<Reader<'a>>,
    /// Readers that are not at their end, by number: a heap whose first has the smallest window.
    heap: Vec<usize>,
    order: usize,
}

impl<'a> Merge<'a> {
    /// Windows have at most as many words as the order.
    pub(super) fn new(readers: Vec<Reader<'a>>, order: usize) -> Result<Self> {
        let mut merge = Self { readers, heap: Vec::new(), order };
        for number in 0..merge.readers.len() {
            if merge.readers[number].advance(order)? {
                merge.heap.push(number);
            }
        }
        for at in (0..merge.heap.len()).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    /// Replaces the words by those of the next window; tells how many first words it has in common with the one before it,
    /// and how often it occurs. Nothing if there is none.
    pub(super) fn next(&mut self, words: &mut Vec<u32>) -> Result<Option<(usize, u64)>> {
        let Some(&first) = self.heap.first() else { return Ok(None) };
        let found = self.readers[first].words();
        let shared = words.iter().zip(found).take_while(|(a, b)| a == b).count();
        words.truncate(shared);
        words.extend_from_slice(&found[shared..]);
        let mut count = self.readers[first].count;
        self.advance_first()?;
        while let Some(&first) = self.heap.first().filter(|&&first| self.readers[first].words() == &**words) {
            count += self.readers[first].count;
            self.advance_first()?;
        }
        Ok(Some((shared, count)))
    }

    fn advance_first(&mut self) -> Result<()> {
        if !self.readers[self.heap[0]].advance(self.order)? {
            self.heap.swap_remove(0);
        }
        self.sink(0);
        Ok(())
    }

    /// Moves a reader down to where all below it have larger windows.
    fn sink(&mut self, start: usize) {
        let mut at = start;
        loop {
            let words = |at: usize| self.heap.get(at).map(|&number| self.readers[number].words());
            let children = [2 * at + 1, 2 * at + 2];
            let smaller = match (words(children[0]), words(children[1])) {
                (Some(left), Some(right)) if right < left => children[1],
                (Some(_), _) => children[0],
                _ => return,
            };
            if words(smaller) >= words(at) {
                return;
            }
            self.heap.swap(at, smaller);
            at = smaller;
        }
    }
}
