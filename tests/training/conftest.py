"""Batches that can be learnt, and a loader that keeps its place."""

from __future__ import annotations

import numpy as np
import pytest

VOCABULARY = 23


def make_batches(count, rows=4, length=8, seed=0, masked=False):
    generator = np.random.default_rng(seed)
    ids, jumps = generator.integers(VOCABULARY, size=count * rows * length + 1), generator.random(count * rows * length)
    for index in range(1, len(ids)):
        ids[index] = ids[index] if jumps[index - 1] < 0.1 else (5 * ids[index - 1] + 3) % VOCABULARY
    inputs, targets = (part.reshape(count, rows, length).copy() for part in (ids[:-1], ids[1:]))
    if masked:  # each row counts another number of targets, so that a mean of means is not the mean
        targets[np.arange(length) >= 1 + np.arange(count * rows).reshape(count, rows, 1) * 7 % length] = -100
    return list(zip(inputs, targets, strict=True))


class Loader:
    """A cursor over batches, in an order of its own each epoch, with the face of a BatchLoader."""

    def __init__(self, batches, mode="shuffle", layout="BT", epochs=1):
        self.batches, self.mode, self.layout, self.epochs, self.taken = batches, mode, layout, epochs, 0

    def __len__(self):
        return len(self.batches) * self.epochs

    def __iter__(self):
        if self.taken == 0 or self.taken % len(self):
            yield from self._rest()
        else:  # at an end: the next epochs
            yield self._next()
            yield from self._rest()

    def _rest(self):
        while self.taken == 0 or self.taken % len(self):
            yield self._next()

    def _next(self):
        epoch, index = divmod(self.taken, len(self.batches))
        self.taken += 1
        if self.mode == "shuffle":
            index = np.random.default_rng(epoch).permutation(len(self.batches))[index]
        inputs, targets = self.batches[index]
        return (inputs.T, targets.T) if self.layout == "TB" else (inputs, targets)

    def state_dict(self):
        return {"taken": self.taken}

    def load_state_dict(self, state):
        self.taken = state["taken"]


@pytest.fixture
def batches():
    return make_batches


@pytest.fixture
def loader():
    return Loader


@pytest.fixture(autouse=True)
def one_thread():
    """Models this small only wait for each other's threads."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
