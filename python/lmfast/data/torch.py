"""Batches for `torch.utils.data.DataLoader`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lmfast.data.loader import Batch, BatchLoader
from lmfast.errors import require

require("torch", extra="torch", purpose="lmfast.data.torch")

from torch.utils.data import IterableDataset, get_worker_info  # noqa: E402

if TYPE_CHECKING:
    from lmfast.data.store import TokenStore

__all__ = ["BatchDataset"]


class BatchDataset(IterableDataset[Batch]):
    """The batches of a `BatchLoader` as an `IterableDataset` of whole batches.

    For `DataLoader(dataset, batch_size=None, num_workers=W)`: worker w gives every W-th batch, so that their batches
    come in the order of the loader for any number of workers. No worker is needed for speed.

    In a worker, `state_dict` is the place behind the batches that all workers have given as often as this one; loaded
    into every worker's copy, or into the dataset before the workers start, they go on from there.

    Args:
        source: A store.
        batch_size: Rows of a batch, over all ranks.
        seq_len: Tokens of a row.
        options: Those of `BatchLoader`; `output` is "torch" unless given, `threads` 1.
    """

    def __init__(self, source: TokenStore, batch_size: int, seq_len: int, **options: Any) -> None:
        super().__init__()
        options.setdefault("output", "torch")
        options.setdefault("threads", 1)
        self._loader = BatchLoader(source, batch_size, seq_len, **options)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of this worker, or all where there are no workers."""
        worker = get_worker_info()
        if worker is None:
            return iter(self._loader)
        return self._loader._batches(worker.id, worker.num_workers)

    def __len__(self) -> int:
        """Batches of all epochs, of all workers together."""
        return len(self._loader)

    def state_dict(self) -> dict[str, Any]:
        """As `BatchLoader.state_dict`."""
        return self._loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As `BatchLoader.load_state_dict`."""
        self._loader.load_state_dict(state)
