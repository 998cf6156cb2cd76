//! The loader: a cursor over the batches of a store.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lmfast_base::{Error, Map, Result};
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Dtype, Layout};
use crate::buffer::Pool;
use crate::prefetch::{Make, Prefetcher};
use crate::sampler::{Mode, Rows, Sampler};
use crate::store::Store;

/// Batches made ahead take at most about this much memory.
const AHEAD_BYTES: u64 = 64 << 20;
/// Threads that are used unless another number is asked for: two make more batches than any model takes.
const MOST_THREADS: usize = 4;
/// No disk answers within this time.
const NO_DISK: Duration = Duration::from_micros(50);
/// So many rows at first are asked for early in any case, for a file that was not read yet.
const FIRST_EAGER_ROWS: u64 = 512;
/// After a batch that was waited for, this many are asked for early.
const EAGER_BATCHES: u32 = 1000;
/// How many rows ahead a disk is asked to read.
const EAGER_ROWS: u64 = 64;
const VERSION: u32 = 1;

/// How batches are made, over what [`Sampler`] decides.
#[derive(Debug, Clone, Copy)]
pub struct LoaderOptions {
    /// The type of the ids.
    pub dtype: Dtype,
    /// Which dimension is the first.
    pub layout: Layout,
    /// How many threads make batches, the caller's included; None: as many as cores, at most four.
    pub threads: Option<usize>,
}

/// A cursor over the batches of all epochs, 0, 1, 2 and so on without end.
///
/// It counts the batches that were handed out. They come in order, made ahead by threads that start with the first and
/// end with the loader.
pub struct Loader {
    store: Arc<Store>,
    sampler: Sampler,
    options: LoaderOptions,
    threads: usize,
    cursor: Mutex<Cursor>,
}

struct Cursor {
    /// Batches handed out, over all epochs.
    handed_out: u64,
    /// Makes the batches from a place on.
    source: Option<Source>,
}

struct Source {
    batches: Prefetcher<Maker>,
    /// The batch that it gives next, and how far the one after is.
    next: u64,
    stride: u64,
}

/// Makes every `stride`-th batch from `first` on.
struct Maker {
    store: Arc<Store>,
    sampler: Sampler,
    options: LoaderOptions,
    pool: Arc<Pool>,
    first: u64,
    stride: u64,
    /// For how many batches more the disk is asked early.
    eager: AtomicU32,
}

/// What [`Loader::state`] writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    fingerprint: String,
    mode: String,
    seq_len: u64,
    batch_size: u64,
    seed: u64,
    epoch: u64,
    batch: u64,
}

impl Loader {
    /// A loader at the first batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `threads` of 0, or ids that may not fit the type of the batches.
    pub fn new(store: Arc<Store>, sampler: Sampler, options: LoaderOptions) -> Result<Self> {
        let count = lmfast_base::threads::count(options.threads)?;
        let threads = if options.threads.is_some() { count } else { count.min(MOST_THREADS) };
        let ids = store.vocab_size().unwrap_or(u64::MAX).min(store.token_type().capacity());
        if options.dtype == Dtype::Uint16 && ids > options.dtype.capacity() {
            return Err(Error::invalid(format!(
                "dtype='uint16': {} holds {} tokens, which may not fit; use 'int32' or 'int64'",
                store.path().display(),
                store.token_type().name()
            )));
        }
        let cursor = Mutex::new(Cursor { handed_out: 0, source: None });
        Ok(Self { store, sampler, options, threads, cursor })
    }

    /// The arguments that decide the batches.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Where the data comes from.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Batches handed out so far, over all epochs.
    pub fn position(&self) -> u64 {
        self.lock().handed_out
    }

    /// Goes to the place behind this many batches.
    pub fn seek(&self, position: u64) {
        self.lock().handed_out = position;
    }

    /// The next batch before number `end`, or None when there is none: then the cursor is at `end`.
    ///
    /// As `worker` of `workers`, who each have a loader of their own at the same place, it gives that one of the next
    /// `workers` batches and goes on behind them all.
    pub fn next(
        &self,
        end: u64,
        (worker, workers): (u64, u64),
        still_wanted: &dyn Fn() -> Result<()>,
    ) -> Result<Option<Batch>> {
        let mut cursor = self.lock();
        let number = cursor.handed_out.saturating_add(worker);
        if number >= end {
            cursor.handed_out = cursor.handed_out.max(end);
            return Ok(None);
        }
        cursor.source.take_if(|source| source.batches.is_stale() || (source.next, source.stride) != (number, workers));
        let source = match &mut cursor.source {
            Some(source) => source,
            none => none.insert(self.start(number, workers)?),
        };
        let end_of_source = (end - source.batches.maker().first).div_ceil(workers);
        let batch = match source.batches.next(end_of_source, still_wanted) {
            Ok(batch) => batch,
            Err(error) => {
                // The source has gone on, the cursor has not: the next call begins anew.
                cursor.source = None;
                return Err(error);
            }
        };
        source.next = number.saturating_add(workers);
        cursor.handed_out = cursor.handed_out.saturating_add(workers).min(end);
        Ok(Some(batch))
    }

    /// The place as JSON of at most 256 bytes: the same on every rank, for every world size and number of threads.
    pub fn state(&self, fingerprint: u128) -> Result<String> {
        let handed_out = self.position();
        let state = State {
            version: VERSION,
            fingerprint: format!("{fingerprint:032x}"),
            mode: self.sampler.mode.name().to_owned(),
            seq_len: self.sampler.seq_len,
            batch_size: self.sampler.batch_size,
            seed: self.sampler.seed,
            epoch: handed_out / self.sampler.batches_per_epoch(),
            batch: handed_out % self.sampler.batches_per_epoch(),
        };
        serde_json::to_string(&state).map_err(|error| Error::invalid(error.to_string()))
    }

    /// Goes to the place of a state.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not a state, or one of other data or another order of batches.
    pub fn load_state(&self, text: &str, fingerprint: u128) -> Result<()> {
        let state: State = serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("not a state of a BatchLoader ({error})")))?;
        if state.version != VERSION {
            return Err(Error::invalid(format!("a state of version {}; this lmfast knows {VERSION}", state.version)));
        }
        let sampler = &self.sampler;
        let differs = |name: &str, of_state: &dyn std::fmt::Display, of_loader: &dyn std::fmt::Display| {
            Err(Error::invalid(format!(
                "the state has {name}={of_state}, the loader {name}={of_loader}: they order batches differently"
            )))
        };
        if state.mode != sampler.mode.name() {
            return differs("mode", &state.mode, &sampler.mode.name());
        }
        if state.seq_len != sampler.seq_len {
            return differs("seq_len", &state.seq_len, &sampler.seq_len);
        }
        if state.batch_size != sampler.batch_size {
            return differs("batch_size", &state.batch_size, &sampler.batch_size);
        }
        if state.seed != sampler.seed && sampler.mode == Mode::Shuffle {
            return differs("seed", &state.seed, &sampler.seed);
        }
        if state.fingerprint != format!("{fingerprint:032x}") {
            return Err(Error::invalid(format!(
                "the state belongs to other data than {} has now: its fingerprint is {}, not {fingerprint:032x}",
                self.store.path().display(),
                state.fingerprint
            )));
        }
        let place =
            state.epoch.checked_mul(sampler.batches_per_epoch()).and_then(|place| place.checked_add(state.batch));
        match place {
            Some(place) if state.batch <= sampler.batches_per_epoch() => {
                self.seek(place);
                Ok(())
            }
            _ => Err(Error::invalid(format!(
                "the state is at batch {} of epoch {}, an epoch has {} batches: it is damaged",
                state.batch,
                state.epoch,
                sampler.batches_per_epoch()
            ))),
        }
    }

    /// Goes to the start of the next epoch; stays where an epoch has not begun.
    pub fn reset(&self) {
        let mut cursor = self.lock();
        let per_epoch = self.sampler.batches_per_epoch();
        cursor.handed_out = cursor.handed_out.div_ceil(per_epoch).saturating_mul(per_epoch);
    }

    fn start(&self, first: u64, stride: u64) -> Result<Source> {
        let rows = self.sampler.rows_of_rank();
        let bytes = rows.saturating_mul(self.sampler.seq_len).saturating_mul(16).max(1);
        let ahead = (2 * self.threads as u64).min(AHEAD_BYTES / bytes).max(1);
        let maker = Maker {
            store: self.store.clone(),
            sampler: self.sampler.clone(),
            options: self.options,
            pool: Pool::new(ahead as usize + 2),
            first,
            stride,
            eager: AtomicU32::new((FIRST_EAGER_ROWS / rows) as u32),
        };
        if self.sampler.mode == Mode::Shuffle {
            self.store.will_be_read_at_random();
        }
        if rows <= FIRST_EAGER_ROWS {
            (0..=maker.batches_ahead()).for_each(|batch| maker.ask_for(batch));
        }
        Ok(Source { batches: Prefetcher::new(maker, self.threads, ahead)?, next: first, stride })
    }

    fn lock(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maker {
    fn rows(&self, number: u64) -> Option<Rows> {
        let place = self.first.checked_add(number.checked_mul(self.stride)?)?;
        let per_epoch = self.sampler.batches_per_epoch();
        Some(self.sampler.rows(place % per_epoch, &self.sampler.permutation(place / per_epoch)))
    }

    fn batches_ahead(&self) -> u64 {
        EAGER_ROWS.div_ceil(self.sampler.rows_of_rank())
    }

    /// Asks for the rows of a batch, so that the disk has them when they are read.
    fn ask_for(&self, number: u64) {
        if let Some(rows) = self.rows(number) {
            for &start in &rows.starts {
                self.store.will_need(start as usize, rows.length as usize + 1);
            }
        }
    }
}

impl Make for Maker {
    type Output = Batch;

    fn make(&self, number: u64) -> Result<Batch> {
        let rows =
            self.rows(number).ok_or_else(|| Error::invalid("the loader has come to the last of 2^64 batches"))?;
        let eager = self.eager.load(Ordering::Relaxed);
        if eager > 0 {
            self.eager.store(eager - 1, Ordering::Relaxed);
            self.ask_for(number.saturating_add(self.batches_ahead()));
        }
        let start = Instant::now();
        let batch = Batch::read(&self.store, &rows, self.options.dtype, self.options.layout, &self.pool)?;
        if eager == 0 && start.elapsed() > NO_DISK && waited_for_disk() {
            self.eager.store(EAGER_BATCHES, Ordering::Relaxed);
            for later in 1..=self.batches_ahead() {
                self.ask_for(number.saturating_add(later));
            }
        }
        Ok(batch)
    }
}

/// Whether this thread had to wait for a disk since it last asked.
fn waited_for_disk() -> bool {
    thread_local! {
        static BEFORE: Cell<Option<u64>> = const { Cell::new(None) };
    }
    let now = Map::disk_waits();
    BEFORE.replace(Some(now)).is_some_and(|before| before != now)
}

#[cfg(test)]
mod tests;
