//! Where pieces end, for cutters that leave nothing out.

use super::BATCH;
use super::masks::WINDOW;

/// Room for those that count, for what the last window adds to them, and for what it writes beside.
const ROOM: usize = Ends::MOST + 1 + WINDOW;

/// Pieces that lie side by side: where the first begins, and where each ends, in bytes.
#[derive(Debug)]
pub struct Ends {
    /// The beginning, then the ends; what is behind the last of them means nothing.
    borders: Box<[usize; ROOM]>,
    count: usize,
}

impl Default for Ends {
    fn default() -> Self {
        Self { borders: Box::new([0; ROOM]), count: 0 }
    }
}

impl Ends {
    /// How many pieces it may come to hold.
    pub const MOST: usize = BATCH + WINDOW;

    /// Forgets all pieces; the next begins at `from`.
    #[inline]
    pub(crate) fn begin(&mut self, from: usize) {
        self.borders[0] = from;
        self.count = 0;
    }

    /// Whether so many pieces are held that no window should add to them.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.count >= BATCH
    }

    /// How many pieces are held.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The end of the last piece.
    #[inline]
    pub(crate) fn last(&self) -> usize {
        self.borders[self.count]
    }

    /// Adds the end of a piece, if it is not [full](Self::is_full).
    #[inline]
    pub(crate) fn push(&mut self, end: usize) {
        self.count += 1;
        self.borders[self.count] = end;
    }

    /// Room for [`WINDOW`] ends, if it is not [full](Self::is_full); those that count are then [added](Self::add).
    #[inline]
    pub(crate) fn room(&mut self) -> Option<&mut [usize; WINDOW]> {
        self.borders[self.count + 1..].first_chunk_mut()
    }

    /// Adds what was written to the [room](Self::room).
    #[inline]
    pub(crate) fn add(&mut self, count: usize) {
        self.count += count;
    }

    /// Where the first piece begins, and where each ends.
    #[inline]
    pub(crate) fn borders(&self) -> &[usize] {
        &self.borders[..=self.count]
    }
}
