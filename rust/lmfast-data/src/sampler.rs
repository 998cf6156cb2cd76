//! Which tokens make up each batch: arithmetic on the place in the order, without any state.
//!
//! With N tokens, rows of T and batches of B rows:
//!
//! - *shuffle* and *sequential*: an epoch is the W = (N - 1) / T windows, in the order of
//!   [`Permutation`] or as they lie. Batch k has the rows k B to (k + 1) B of that order.
//! - *stateful*: the tokens are cut into B columns of C = (N - 1) / B; batch k has, of each column, tokens k T to
//!   (k + 1) T, so every row goes on where the same row of the batch before ended (truncated back-propagation through
//!   time).
//!
//! A rank of R holds a consecutive block of a batch's rows: those from `rows * rank / R` to `rows * (rank + 1) / R`.

use lmfast_base::{Error, Result};

use crate::shuffle::Permutation;

/// The order in which windows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each window once an epoch, in an order of seed and epoch.
    Shuffle,
    /// As they lie in the store.
    Sequential,
    /// Columns whose rows continue from batch to batch.
    Stateful,
}

impl Mode {
    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shuffle => "shuffle",
            Self::Sequential => "sequential",
            Self::Stateful => "stateful",
        }
    }

    /// The mode of this name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "packed" | "masked" | "pairs" => Err(Error::invalid(format!("mode={name:?} is not supported yet"))),
            _ => [Self::Shuffle, Self::Sequential, Self::Stateful]
                .into_iter()
                .find(|mode| mode.name() == name)
                .ok_or_else(|| {
                    Error::invalid(format!("mode={name:?}: 'shuffle', 'sequential' and 'stateful' are the modes"))
                }),
        }
    }
}

/// The arguments that decide every batch of a stream of tokens.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// The order.
    pub(crate) mode: Mode,
    /// Chooses the order of [`Mode::Shuffle`].
    pub(crate) seed: u64,
    /// Rows of a batch, over all ranks.
    pub(crate) batch_size: u64,
    /// Tokens of a row's inputs.
    pub(crate) seq_len: u64,
    /// Which of the ranks this is.
    pub(crate) rank: u64,
    /// How many ranks share a batch.
    pub(crate) world_size: u64,
    num_tokens: u64,
    batches_per_epoch: u64,
}

/// Where the rows of a batch begin and how many tokens their inputs have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The first token of each row.
    pub starts: Vec<u64>,
    /// Tokens of each row; one more is read, the last target.
    pub length: u64,
}

impl Sampler {
    /// Checks the arguments against each other and the data. With `drop_last`, what does not fill a batch at the end of an
    /// epoch is left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the argument, and for data that does not fill one batch.
    #[expect(clippy::too_many_arguments, reason = "the arguments that users write, checked in one place")]
    pub fn new(
        num_tokens: u64,
        mode: Mode,
        seed: u64,
        batch_size: u64,
        seq_len: u64,
        drop_last: bool,
        rank: u64,
        world_size: u64,
    ) -> Result<Self> {
        for (name, value) in [("batch_size", batch_size), ("seq_len", seq_len), ("world_size", world_size)] {
            if value == 0 {
                return Err(Error::invalid(format!("{name}=0: at least 1 is needed")));
            }
        }
        if rank >= world_size {
            return Err(Error::invalid(format!(
                "rank={rank} of world_size={world_size}: ranks are from 0 to {}",
                world_size - 1
            )));
        }
        if !batch_size.is_multiple_of(world_size) {
            return Err(Error::invalid(format!(
                "batch_size={batch_size} rows cannot be shared evenly by world_size={world_size} ranks"
            )));
        }
        let steps = num_tokens.saturating_sub(1);
        let (units, per_batch) = match mode {
            Mode::Shuffle | Mode::Sequential => (steps / seq_len, batch_size),
            Mode::Stateful => (steps / batch_size, seq_len),
        };
        let batches_per_epoch = if drop_last { units / per_batch } else { units.div_ceil(per_batch) };
        if batches_per_epoch == 0 {
            return Err(Error::invalid(format!(
                "batch_size={batch_size} rows of seq_len={seq_len} need more than the {num_tokens} tokens of the store"
            )));
        }
        Ok(Self { mode, seed, batch_size, seq_len, rank, world_size, num_tokens, batches_per_epoch })
    }

    /// Batches of an epoch, at least 1.
    pub fn batches_per_epoch(&self) -> u64 {
        self.batches_per_epoch
    }

    /// Rows of this rank in a full batch, at least 1.
    pub(crate) fn rows_of_rank(&self) -> u64 {
        self.batch_size / self.world_size
    }

    /// The order of an epoch, for [`rows`](Self::rows).
    pub fn permutation(&self, epoch: u64) -> Permutation {
        Permutation::new((self.num_tokens - 1) / self.seq_len, self.seed, epoch)
    }

    /// The rows of this rank in batch `batch`, below [`batches_per_epoch`](Self::batches_per_epoch), of the epoch that
    /// `permutation` belongs to.
    pub fn rows(&self, batch: u64, permutation: &Permutation) -> Rows {
        let steps = self.num_tokens - 1;
        let border = |rows: u64, rank: u64| (u128::from(rows) * u128::from(rank) / u128::from(self.world_size)) as u64;
        let share = |rows: u64| (border(rows, self.rank), border(rows, self.rank + 1));
        match self.mode {
            Mode::Shuffle | Mode::Sequential => {
                let first = batch * self.batch_size;
                let (from, to) = share(self.batch_size.min(steps / self.seq_len - first));
                let window = |row| if self.mode == Mode::Shuffle { permutation.at(row) } else { row };
                let starts = (first + from..first + to).map(|row| window(row) * self.seq_len).collect();
                Rows { starts, length: self.seq_len }
            }
            Mode::Stateful => {
                let column = steps / self.batch_size;
                let first = batch * self.seq_len;
                let (from, to) = share(self.batch_size);
                let starts = (from..to).map(|row| row * column + first).collect();
                Rows { starts, length: self.seq_len.min(column - first) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sampler(num_tokens: u64, mode: Mode, shape: (u64, u64), drop_last: bool, rank: (u64, u64)) -> Result<Sampler> {
        Sampler::new(num_tokens, mode, 9, shape.0, shape.1, drop_last, rank.0, rank.1)
    }

    fn epoch(sampler: &Sampler, epoch: u64) -> Vec<Rows> {
        let permutation = sampler.permutation(epoch);
        (0..sampler.batches_per_epoch()).map(|batch| sampler.rows(batch, &permutation)).collect()
    }

    proptest! {
        #[test]
        fn each_window_comes_once(num_tokens in 2u64..2000, batch in 1u64..9, length in 1u64..40, shuffled: bool, drop_last: bool) {
            let mode = if shuffled { Mode::Shuffle } else { Mode::Sequential };
            let windows = (num_tokens - 1) / length;
            let Ok(sampler) = sampler(num_tokens, mode, (batch, length), drop_last, (0, 1)) else {
                let least = if drop_last { batch } else { 1 };
                prop_assert!(windows < least);
                return Ok(());
            };
            let batches = epoch(&sampler, 3);
            let full = if drop_last { batches.len() } else { batches.len() - 1 };
            prop_assert!(batches[..full].iter().all(|rows| rows.starts.len() as u64 == batch));
            let mut starts: Vec<u64> = batches.into_iter().flat_map(|rows| rows.starts).collect();
            prop_assert_eq!(starts.len() as u64, if drop_last { windows / batch * batch } else { windows });
            prop_assert!(starts.iter().all(|start| start % length == 0 && start + length < num_tokens));
            if !shuffled {
                prop_assert!(starts.is_sorted());
            }
            starts.sort_unstable();
            starts.dedup();
            prop_assert_eq!(starts.len() as u64, if drop_last { windows / batch * batch } else { windows });
        }

        #[test]
        fn stateful_rows_continue(num_tokens in 2u64..2000, batch in 1u64..9, length in 1u64..40, drop_last: bool) {
            let Ok(sampler) = sampler(num_tokens, Mode::Stateful, (batch, length), drop_last, (0, 1)) else {
                return Ok(());
            };
            let batches = epoch(&sampler, 0);
            let mut used = vec![false; num_tokens as usize];
            for (number, rows) in batches.iter().enumerate() {
                prop_assert_eq!(rows.starts.len() as u64, batch);
                prop_assert!(rows.length == length || (!drop_last && number + 1 == batches.len() && rows.length > 0));
                for (row, &start) in rows.starts.iter().enumerate() {
                    prop_assert!(start + rows.length < num_tokens);
                    if number > 0 {
                        prop_assert_eq!(start, batches[number - 1].starts[row] + length);
                    }
                    for at in start..start + rows.length {
                        prop_assert!(!std::mem::replace(&mut used[at as usize], true), "token {} is read twice", at);
                    }
                }
            }
            let left_out = used.iter().filter(|used| !**used).count() as u64;
            let most = batch + if drop_last { batch * length } else { 0 };
            prop_assert!(left_out <= most);
        }

        #[test]
        fn ranks_put_together_are_the_batch(windows in 1u64..300, share in 1u64..5, world in 1u64..6, length in 1u64..9, stateful: bool) {
            let mode = if stateful { Mode::Stateful } else { Mode::Shuffle };
            let (num_tokens, batch) = (windows * length + 1, share * world);
            let Ok(whole) = sampler(num_tokens, mode, (batch, length), false, (0, 1)) else { return Ok(()) };
            let ranks: Vec<Sampler> = (0..world)
                .map(|rank| sampler(num_tokens, mode, (batch, length), false, (rank, world)).unwrap())
                .collect();
            for number in 0..whole.batches_per_epoch() {
                let permutation = whole.permutation(1);
                let parts: Vec<u64> = ranks.iter().flat_map(|rank| rank.rows(number, &permutation).starts).collect();
                prop_assert_eq!(parts, whole.rows(number, &permutation).starts);
            }
        }
    }

    #[test]
    fn arguments_are_refused() {
        for (shape, rank) in [
            ((0, 4), (0, 1)),
            ((4, 0), (0, 1)),
            ((4, 4), (0, 0)),
            ((4, 4), (2, 2)),
            ((4, 4), (0, 3)),
            ((1 << 62, 1 << 62), (0, 1)),
            ((1, 1 << 62), (0, 1)),
        ] {
            assert!(sampler(1000, Mode::Shuffle, shape, true, rank).is_err(), "{shape:?} {rank:?}");
        }
        for num_tokens in [0, 1] {
            assert!(sampler(num_tokens, Mode::Stateful, (1, 1), false, (0, 1)).is_err());
        }
    }
}
