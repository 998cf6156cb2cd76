"""Tokens on disk, and the batches that feed a training loop.

- `TokenStore`: a file of tokens (Megatron, nanoGPT, llm.c, numpy), mapped and never copied.
- `BatchLoader`: a store's batches, shuffled or in order, resumable at every batch.
- `lmfast.data.torch.BatchDataset`: the same for `torch.utils.data.DataLoader`.

>>> import tempfile, numpy
>>> from lmfast.data import BatchLoader, TokenStore
>>> folder = tempfile.TemporaryDirectory()
>>> store = TokenStore.write(f"{folder.name}/tokens", [numpy.arange(100), numpy.arange(50)])
>>> loader = BatchLoader(store, batch_size=4, seq_len=8)
>>> inputs, targets = next(iter(loader))
>>> inputs.shape, targets.dtype, bool((inputs[:, 1:] == targets[:, :-1]).all())
((4, 8), dtype('int64'), True)
>>> folder.cleanup()
"""

from __future__ import annotations

from lmfast.data.loader import Batch, BatchLoader
from lmfast.data.store import Documents, TokenStore

__all__ = ["Batch", "BatchLoader", "Documents", "TokenStore"]
