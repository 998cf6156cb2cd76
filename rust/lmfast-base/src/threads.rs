//! How many threads a call uses.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result};

/// The number of threads for a call: as asked, or else the environment's `LMFAST_NUM_THREADS`, or else every core.
pub fn count(asked: Option<usize>) -> Result<usize> {
    match (asked, std::env::var("LMFAST_NUM_THREADS")) {
        (Some(0), _) => Err(Error::invalid("threads=0: at least one thread is needed (None means every core)")),
        (Some(number), _) => Ok(number),
        (None, Ok(text)) => text.trim().parse().ok().filter(|&number| number > 0).ok_or_else(|| {
            Error::invalid(format!("LMFAST_NUM_THREADS={text:?}: a whole number from 1 up was expected"))
        }),
        (None, Err(_)) => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// A pool that lives for one call. No thread outlives it, so a process may fork between calls.
pub fn pool(asked: Option<usize>) -> Result<ThreadPool> {
    let threads = count(asked)?;
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::invalid(format!("{threads} threads could not be started: {error}")))
}
