//! Memory of batches, used again as soon as nobody holds it, so that a running loader asks the operating system for
//! none and writes where the caches are warm.

use std::sync::{Arc, Mutex};

use bytemuck::{Pod, Zeroable};

/// A cache line: buffers begin and parts of them are cut at one.
#[derive(Debug, Clone, Copy, Zeroable, Pod)]
#[repr(C, align(64))]
pub(crate) struct Line([u64; 8]);

impl Line {
    pub(crate) const BYTES: usize = size_of::<Self>();
}

/// Buffers that are free, the last returned first.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Mutex<Vec<Vec<Line>>>,
    most: usize,
}

impl Pool {
    /// A pool that keeps at most `most` free buffers.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), most })
    }

    /// A buffer of this many lines, with whatever was in it before.
    pub(crate) fn take(self: &Arc<Self>, lines: usize) -> Buffer {
        // Never waits: after a fork the lock may be held by a thread that does not exist any more.
        let used = self.free.try_lock().ok().and_then(|mut free| free.pop());
        let mut memory = used.unwrap_or_default();
        memory.resize(lines, Line::zeroed());
        Buffer { memory, pool: self.clone() }
    }
}

/// Memory that goes back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    memory: Vec<Line>,
    pool: Arc<Pool>,
}

impl Buffer {
    pub(crate) fn lines(&self) -> &[Line] {
        &self.memory
    }

    pub(crate) fn lines_mut(&mut self) -> &mut [Line] {
        &mut self.memory
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Ok(mut free) = self.pool.free.try_lock()
            && free.len() < self.pool.most
        {
            free.push(std::mem::take(&mut self.memory));
        }
    }
}
