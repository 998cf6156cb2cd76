//! The line between a long call and whoever waits for it: cancelling in one direction, progress in the other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Error, Result};

/// Shared by a long call, which asks [`check`](Self::check) and reports [`advance`](Self::advance), and its caller,
/// which may [`cancel`](Self::cancel) and read [`progress`](Self::progress).
///
/// ```
/// let control = lmfast_base::Control::default();
/// control.begin("counting", 10);
/// control.advance(4);
/// assert_eq!(control.progress(), ("counting", 4, 10));
/// control.cancel();
/// assert!(control.check().is_err());
/// ```
#[derive(Debug, Default)]
pub struct Control {
    cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
    stage: Mutex<&'static str>,
}

impl Control {
    /// Asks the call to stop; its next [`check`](Self::check) fails.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails with [`Error::Interrupted`] once the caller has cancelled. Costs one relaxed load: long loops ask at least
    /// every few milliseconds.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Starts a stage of the work: a verb for people, and how many units it has (0: unknown).
    pub fn begin(&self, stage: &'static str, total: u64) {
        let mut current = self.stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *current = stage;
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Adds to what the current stage has done.
    pub fn advance(&self, units: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
    }

    /// The current stage, the units done and the units in all (0: unknown).
    pub fn progress(&self) -> (&'static str, u64, u64) {
        let stage = *self.stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (stage, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}
