"""The loader: batches of a store, in an order that can be resumed anywhere."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from lmfast import _core
from lmfast.data.store import TokenStore
from lmfast.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Batch", "BatchLoader"]

Mode = Literal["shuffle", "sequential", "stateful"]


class Batch(NamedTuple):
    """One batch. Both parts are contiguous and stay as they are for as long as they are held.

    Arrays or tensors, as the loader's `output` says, of its `dtype`; (B, T), or (T, B) with `layout="TB"`.
    """

    inputs: Any
    """Ids."""
    targets: Any
    """The id that follows each of the inputs."""


class BatchLoader:
    """A cursor over the batches of a store.

    A *window* is `seq_len + 1` tokens at a multiple of `seq_len`; a row's inputs are the first `seq_len` of a window,
    its targets the last. An epoch has `(num_tokens - 1) // seq_len` windows, each of which comes once.

    `for` goes on from the loader's place: at first the beginning, after a `break` or `load_state_dict` the batch that
    was not handed out yet. It ends where the number of epochs that are over is a multiple of `epochs`; another `for`
    then begins the next epochs.

    Every batch depends on the data, `seed`, the shape, `mode` and its number alone: not on threads, ranks or earlier
    calls. Threads start with the first batch and end with the loader; processes may fork at any time.

    Args:
        source: A store.
        batch_size: Rows of a batch, over all ranks.
        seq_len: Tokens of a row.
        mode: "shuffle": windows in an order of `seed` and epoch. "sequential": windows as they lie. "stateful": row b
            of each batch goes on where row b of the one before ended, for truncated back-propagation through time.
        seed: Chooses the order of "shuffle".
        rank: Which of `world_size` ranks this is; each gets a block of `batch_size // world_size` consecutive rows.
        world_size: How many ranks share a batch.
        epochs: How many epochs a `for` takes.
        layout: "BT" for (rows, time), "TB" for (time, rows).
        dtype: "int64", "int32" or "uint16".
        output: "numpy" for arrays, "torch" for tensors over the same memory.
        drop_last: Leave out what does not fill a batch at the end of an epoch; otherwise the last batch is shorter:
            in rows, which the ranks share as evenly as they can, or for "stateful" in time.
        threads: How many threads make batches, the caller included: 1 makes them when they are asked for, more make
            them ahead. If not given, one a core, at most four.

    Raises:
        ValueError: An argument that cannot be used, by name, or data that does not fill a batch.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = TokenStore.write(f"{folder}/tokens", [range(100)])
    ...     loader = BatchLoader(store, 2, 10, mode="sequential", epochs=2)
    ...     first = next(iter(loader))
    ...     state = loader.state_dict()
    ...     loader.load_state_dict(state)
    ...     len(loader), first.inputs[1, 0], next(iter(loader)).inputs[0, 0]
    (8, np.int64(10), np.int64(20))
    """

    def __init__(
        self,
        source: TokenStore,
        batch_size: int,
        seq_len: int,
        *,
        mode: Mode = "shuffle",
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        epochs: int = 1,
        layout: Literal["BT", "TB"] = "BT",
        dtype: str | np.dtype[Any] | type = "int64",
        output: Literal["numpy", "torch"] = "numpy",
        drop_last: bool = True,
        threads: int | None = None,
    ) -> None:
        if not isinstance(source, TokenStore):
            raise _unusable(source)
        if output not in ("numpy", "torch"):
            message = f"output={output!r}: 'numpy' or 'torch'"
            raise ValueError(message)
        self.source = source
        self.batch_size = _whole("batch_size", batch_size, 1)
        self.seq_len = _whole("seq_len", seq_len, 1)
        self.mode = mode
        self.seed = _whole("seed", seed, 0, 2**64)
        self.rank = _whole("rank", rank, 0)
        self.world_size = _whole("world_size", world_size, 1)
        self.epochs = _whole("epochs", epochs, 1)
        self.layout = layout
        self.dtype = dtype if isinstance(dtype, str) else np.dtype(dtype).name
        self.output = output
        self.drop_last = drop_last
        self.threads = None if threads is None else _whole("threads", threads, 1)
        self._core = _core.BatchLoader(
            source._core,
            self.batch_size,
            self.seq_len,
            mode=mode,
            seed=self.seed,
            rank=self.rank,
            world_size=self.world_size,
            drop_last=drop_last,
            layout=layout,
            dtype=self.dtype,
            threads=self.threads,
        )
        self._convert: Callable[[Any], Any] | None = None
        if output == "torch":
            self._convert = require("torch", extra="torch", purpose='output="torch"').from_numpy

    @property
    def batches_per_epoch(self) -> int:
        """Batches of one epoch."""
        return self._core.batches_per_epoch

    def __len__(self) -> int:
        """Batches of all `epochs`, wherever the cursor is."""
        return self.epochs * self._core.batches_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        """The batches from the cursor to the end of the last of `epochs`."""
        return self._batches(0, 1)

    def _batches(self, worker: int, workers: int) -> Iterator[Batch]:
        """Of each `workers` batches from the cursor on that of number `worker`; the cursor goes on by all of them."""
        core, convert = self._core, self._convert
        run = len(self)
        end = min((core.position // run + 1) * run, 2**64 - 1)
        while (parts := core.next(end, worker, workers)) is not None:
            inputs, targets = parts
            yield Batch(inputs, targets) if convert is None else Batch(convert(inputs), convert(targets))

    def state_dict(self) -> dict[str, Any]:
        """The cursor's place, as at most 256 bytes of JSON.

        It is the same on every rank, for every world size and number of threads, and counts the batches handed out.
        """
        state: dict[str, Any] = json.loads(self._core.state())
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the place of a state; the next batch is the one that followed when it was made.

        Raises:
            ValueError: A state of other data, or of another seed, mode, `seq_len` or `batch_size`.
        """
        try:
            text = json.dumps(dict(state))
        except (TypeError, ValueError) as error:
            message = f"not a state of a BatchLoader ({error})"
            raise ValueError(message) from None
        self._core.load_state(text)

    def reset(self) -> None:
        """Leave out the rest of the epoch under way; does nothing between epochs."""
        self._core.reset()

    def __reduce__(self) -> tuple[Any, ...]:
        names = ["mode", "seed", "rank", "world_size", "epochs", "layout", "dtype", "output", "drop_last", "threads"]
        options = {name: getattr(self, name) for name in names}
        return _remade, (self.source, self.batch_size, self.seq_len, options, self._core.position)

    def __repr__(self) -> str:
        done, per_epoch = self._core.position, self.batches_per_epoch
        place = f"batch {done % per_epoch:,} of {per_epoch:,} in epoch {done // per_epoch:,}"
        return f"<BatchLoader {self.mode}, {self.batch_size} x {self.seq_len}, {place}, of {self.source!r}>"


def _remade(source: TokenStore, batch_size: int, seq_len: int, options: dict[str, Any], position: int) -> BatchLoader:
    loader = BatchLoader(source, batch_size, seq_len, **options)
    loader._core.seek(position)
    return loader


def _whole(name: str, value: int, least: int, limit: int = 2**63) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        message = f"{name} is a whole number, not {type(value).__name__}"
        raise TypeError(message) from None
    if not least <= number < limit:
        message = f"{name}={number}: a whole number from {least} up was expected"
        raise ValueError(message)
    return number


def _unusable(source: object) -> Exception:
    if isinstance(source, (list, tuple)):
        return ValueError("mixtures of stores are not supported yet; give one TokenStore")
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        return ValueError(f"{name}: text on the fly is not supported yet; open a store of tokens with TokenStore.open")
    return TypeError(f"a source of batches is a TokenStore, not {type(source).__name__}")
