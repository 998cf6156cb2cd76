//! Batches made ahead by threads, handed out in order.
//!
//! Batches are claimed one by one, by helper threads and by the consumer itself: whoever asks for a batch that nobody
//! has begun makes it, and while one that is under way is not ready makes a later one. So `threads=1` starts no thread
//! at all, and n threads make batches on n cores however fast they are taken. Only so many
//! batches are made before they are asked for.
//!
//! A process that forks loses the threads: [`Prefetcher::is_stale`] tells, and a stale one touches no lock when dropped.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lmfast_base::{Error, Result};

/// How long a wait lasts before the consumer is asked whether it still wants to wait.
const PATIENCE: Duration = Duration::from_millis(50);

/// Makes things by number.
pub(crate) trait Make: Send + Sync + 'static {
    /// What is made.
    type Output: Send + 'static;

    /// Makes number `number`; it depends on the number alone.
    fn make(&self, number: u64) -> Result<Self::Output>;
}

/// The numbers 0, 1, 2 ... of a [`Make`], in order.
pub(crate) struct Prefetcher<M: Make> {
    shared: Arc<Shared<M>>,
    threads: Vec<JoinHandle<()>>,
    process: u32,
}

struct Shared<M: Make> {
    maker: M,
    ahead: u64,
    queue: Mutex<Queue<M::Output>>,
    work: Condvar,
    ready: Condvar,
}

struct Queue<T> {
    /// The next number that nobody has begun.
    unclaimed: u64,
    /// The next number to hand out.
    next: u64,
    /// Numbers from here on are not made ahead.
    end: u64,
    made: BTreeMap<u64, Result<T>>,
    stopped: bool,
}

impl<T> Queue<T> {
    fn claim(&mut self, ahead: u64) -> Option<u64> {
        let claimable = self.unclaimed < self.end.min(self.next.saturating_add(ahead));
        claimable.then(|| {
            self.unclaimed += 1;
            self.unclaimed - 1
        })
    }
}

impl<M: Make> Prefetcher<M> {
    /// Starts `threads - 1` helpers that make numbers up to `ahead` (at least 1) beyond those asked for.
    pub(crate) fn new(maker: M, threads: usize, ahead: u64) -> Result<Self> {
        let queue = Queue { unclaimed: 0, next: 0, end: 0, made: BTreeMap::new(), stopped: false };
        let (work, ready) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { maker, ahead, queue: Mutex::new(queue), work, ready });
        let mut prefetcher = Self { shared, threads: Vec::new(), process: std::process::id() };
        for _ in 1..threads {
            let shared = prefetcher.shared.clone();
            let thread = std::thread::Builder::new().name("lmfast-batches".to_owned()).spawn(move || shared.help());
            // Dropping what is there stops the threads that did start.
            prefetcher.threads.push(thread.map_err(|error| {
                Error::invalid(format!("threads={threads}: the operating system starts no more ({error})"))
            })?);
        }
        Ok(prefetcher)
    }

    /// Whether the threads stayed behind in the process that this one was forked from.
    pub(crate) fn is_stale(&self) -> bool {
        self.process != std::process::id()
    }

    /// What makes the numbers.
    pub(crate) fn maker(&self) -> &M {
        &self.shared.maker
    }

    /// The next number, which must be below `end`; those from `end` on are not wanted yet. `still_wanted` is asked every
    /// [`PATIENCE`] of waiting.
    pub(crate) fn next(&self, end: u64, still_wanted: &dyn Fn() -> Result<()>) -> Result<M::Output> {
        let shared = &*self.shared;
        let mut queue = shared.lock();
        if queue.end != end {
            queue.end = end;
            shared.work.notify_all();
        }
        let wanted = queue.next;
        loop {
            if let Some(output) = queue.made.remove(&wanted) {
                self.go_on(&mut queue);
                return output;
            }
            if let Some(number) = queue.claim(shared.ahead) {
                drop(queue);
                let output = shared.make(number);
                queue = shared.lock();
                if number == wanted {
                    self.go_on(&mut queue);
                    return output;
                }
                queue.made.insert(number, output);
            } else {
                let (guard, waited) =
                    shared.ready.wait_timeout(queue, PATIENCE).unwrap_or_else(PoisonError::into_inner);
                queue = guard;
                if waited.timed_out() {
                    drop(queue);
                    still_wanted()?;
                    queue = shared.lock();
                }
            }
        }
    }

    /// Notes that the next number is handed out.
    fn go_on(&self, queue: &mut Queue<M::Output>) {
        queue.next += 1;
        // Helpers sleep until half of what they may make is missing, and so wake up for several at once.
        if !self.threads.is_empty() && queue.unclaimed - queue.next <= self.shared.ahead / 2 {
            self.shared.work.notify_all();
        }
    }
}

impl<M: Make> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, Queue<M::Output>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic would leave the consumer waiting for ever, so it becomes an error.
    fn make(&self, number: u64) -> Result<M::Output> {
        catch_unwind(AssertUnwindSafe(|| self.maker.make(number)))
            .unwrap_or_else(|_| Err(Error::invalid(format!("internal error in lmfast: batch {number} cannot be made"))))
    }

    fn help(&self) {
        let mut queue = self.lock();
        while !queue.stopped {
            if let Some(number) = queue.claim(self.ahead) {
                drop(queue);
                let output = self.make(number);
                queue = self.lock();
                queue.made.insert(number, output);
                if number == queue.next {
                    self.ready.notify_one();
                }
            } else {
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl<M: Make> Drop for Prefetcher<M> {
    fn drop(&mut self) {
        let threads = std::mem::take(&mut self.threads);
        if self.is_stale() {
            // The threads do not exist here: nothing to stop, to wait for, or to free.
            std::mem::forget(threads);
            std::mem::forget(self.shared.clone());
            return;
        }
        self.shared.lock().stopped = true;
        self.shared.work.notify_all();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Makes squares, some of them slowly, and counts.
    struct Squares {
        made: Arc<AtomicU64>,
    }

    impl Make for Squares {
        type Output = u64;

        fn make(&self, number: u64) -> Result<u64> {
            self.made.fetch_add(1, Ordering::SeqCst);
            if number % 7 == 3 {
                std::thread::sleep(Duration::from_micros(300));
            }
            match number {
                50 => Err(Error::invalid("fifty")),
                60 => panic!("sixty"),
                _ => Ok(number * number),
            }
        }
    }

    const PATIENT: &dyn Fn() -> Result<()> = &|| Ok(());

    #[test]
    fn order_is_kept_and_errors_come_in_their_place() {
        for threads in 1..=4 {
            let made = Arc::new(AtomicU64::new(0));
            let prefetcher = Prefetcher::new(Squares { made: made.clone() }, threads, 5).unwrap();
            for number in 0..200 {
                let output = prefetcher.next(1 << 40, PATIENT);
                match number {
                    50 | 60 => assert!(output.is_err()),
                    _ => assert_eq!(output.unwrap(), number * number),
                }
                assert!(made.load(Ordering::SeqCst) <= number + 1 + 5, "more is made than may be ahead");
            }
        }
    }

    #[test]
    fn nothing_is_made_past_the_end() {
        let made = Arc::new(AtomicU64::new(0));
        let prefetcher = Prefetcher::new(Squares { made: made.clone() }, 3, 8).unwrap();
        for number in 0..10 {
            assert_eq!(prefetcher.next(10, PATIENT).unwrap(), number * number);
        }
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(made.load(Ordering::SeqCst), 10);
        assert_eq!(prefetcher.next(20, PATIENT).unwrap(), 100, "and goes on when the end moves");
    }

    #[test]
    fn dropping_stops_the_threads() {
        let made = Arc::new(AtomicU64::new(0));
        let prefetcher = Prefetcher::new(Squares { made: made.clone() }, 4, 8).unwrap();
        prefetcher.next(1 << 40, PATIENT).unwrap();
        drop(prefetcher);
        assert_eq!(Arc::strong_count(&made), 1, "a thread still holds the maker");
    }

    #[test]
    fn a_wait_can_be_given_up() {
        struct Slow;
        impl Make for Slow {
            type Output = u64;
            fn make(&self, number: u64) -> Result<u64> {
                std::thread::sleep(Duration::from_millis(300));
                Ok(number)
            }
        }
        let prefetcher = Prefetcher::new(Slow, 2, 1).unwrap();
        prefetcher.next(9, PATIENT).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        assert!(matches!(prefetcher.next(9, &|| Err(Error::Interrupted)), Err(Error::Interrupted)));
        assert_eq!(prefetcher.next(9, PATIENT).unwrap(), 1, "what was given up comes next");
    }
}
