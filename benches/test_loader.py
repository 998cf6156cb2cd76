"""The batch loader beside nanoGPT's `get_batch` and a torch `DataLoader` over the same mapped file, in the same run.

One thread each; int64 inputs and targets. The sides shuffle differently, so what is compared before anything is timed
is that each gives windows of the file, inputs and targets one token apart. `extra_info` holds million tokens a second.

LMFAST_BENCH_TOKENS sets the size of the file (default 64 million random uint16 tokens, page cache warm).
"""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest

from lmfast import BatchLoader, TokenStore

TOKENS = int(os.environ.get("LMFAST_BENCH_TOKENS", "64_000_000"))
SHAPES = [(8, 1024), (64, 1024), (512, 64), (4, 8192)]
AMOUNT = 8_000_000
"""Tokens of a round; slow peers get a part of it."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    generator = np.random.default_rng(0)
    documents = np.array_split(generator.integers(0, 50_000, TOKENS, dtype=np.uint16), max(1, TOKENS // 1000))
    store = TokenStore.write(tmp_path_factory.mktemp("bench") / "tokens", documents, vocab_size=50_000)
    store.verify()  # and so read once
    return store


def ours(store, batch, length, **options):
    return iter(BatchLoader(store, batch, length, epochs=10**6, **{"threads": 1} | options))


def nanogpt(store, batch, length):
    """`get_batch` of nanoGPT's train.py, on a CPU."""
    torch = pytest.importorskip("torch")
    data = store.tokens
    while True:
        starts = torch.randint(len(data) - length, (batch,))
        yield tuple(
            torch.stack([torch.from_numpy(data[at + shift : at + shift + length].astype(np.int64)) for at in starts])
            for shift in (0, 1)
        )


def data_loader(store, batch, length):
    """The fastest plain dataset that was found: a batch of rows at once, by a gather where rows are short."""
    torch = pytest.importorskip("torch")
    data = store.tokens

    class Windows(torch.utils.data.Dataset):
        def __len__(self):
            return (len(data) - 1) // length

        def __getitems__(self, numbers):
            if length < 512:
                rows = data[np.array(numbers)[:, None] * length + np.arange(length + 1)].astype(np.int64)
            else:
                rows = np.empty((len(numbers), length + 1), np.int64)
                for row, number in zip(rows, numbers, strict=True):
                    row[:] = data[number * length : number * length + length + 1]
            return torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:])

    while True:
        yield from torch.utils.data.DataLoader(
            Windows(), batch_size=batch, shuffle=True, drop_last=True, collate_fn=lambda rows: rows
        )


ENGINES = {
    "lmfast": (ours, 1.0),
    "lmfast torch": (lambda *arguments: ours(*arguments, output="torch"), 1.0),
    "lmfast uint16": (lambda *arguments: ours(*arguments, dtype="uint16"), 1.0),
    "lmfast TB": (lambda *arguments: ours(*arguments, layout="TB"), 1.0),
    "lmfast 2 threads": (lambda *arguments: ours(*arguments, threads=2), 1.0),
    "torch DataLoader": (data_loader, 0.25),
    "nanoGPT": (nanogpt, 0.05),
}


def assert_windows(store, batch, length, parts, *, anywhere):
    """Every row is a stretch of the file, its targets one token on; from a multiple of the length unless `anywhere`."""
    inputs, targets = (np.asarray(part).astype(np.int64) for part in parts)
    if inputs.shape == (length, batch):
        inputs, targets = inputs.T, targets.T
    assert inputs.shape == targets.shape == (batch, length)
    step = 1 if anywhere else length
    starts = store.tokens[: TOKENS - length : step]
    for row, target in zip(inputs[:2], targets[:2], strict=True):
        places = np.flatnonzero(starts == row[0]) * step
        expected = [*row, target[-1]]
        assert any(np.array_equal(store.tokens[at : at + length + 1], expected) for at in places)
        np.testing.assert_array_equal(row[1:], target[:-1])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
@pytest.mark.parametrize("engine", ENGINES)
def test_batches(benchmark, store, shape, engine):
    make, share = ENGINES[engine]
    batches = make(store, *shape)
    assert_windows(store, *shape, next(batches), anywhere=engine == "nanoGPT")
    count = max(2, int(AMOUNT * share) // (shape[0] * shape[1]))

    def take():
        for _ in itertools.islice(batches, count):
            pass

    benchmark.group = f"{shape[0]}x{shape[1]}"
    benchmark.pedantic(take, rounds=7, warmup_rounds=1)
    if benchmark.stats:
        seconds = benchmark.stats.stats.median
        benchmark.extra_info["Mtok/s"] = round(count * shape[0] * shape[1] / seconds / 1e6)
        benchmark.extra_info["batches/s"] = round(count / seconds)


def test_first_batch(benchmark, store):
    benchmark.pedantic(lambda: next(iter(BatchLoader(TokenStore.open(store.path), 8, 1024))), rounds=20)


def test_resume(benchmark, store):
    loader = BatchLoader(store, 8, 1024)
    for _ in itertools.islice(loader, len(loader) // 2):
        pass
    state, expected = loader.state_dict(), next(iter(loader)).inputs

    def resume():
        fresh = BatchLoader(TokenStore.open(store.path), 8, 1024)
        fresh.load_state_dict(state)
        return next(iter(fresh)).inputs

    np.testing.assert_array_equal(benchmark.pedantic(resume, rounds=20), expected)


def test_write(benchmark, store, tmp_path):
    documents = [store[number] for number in range(2000)]
    written = benchmark(lambda: TokenStore.write(tmp_path / "copy", documents, vocab_size=50_000))
    np.testing.assert_array_equal(written.tokens, np.concatenate(documents))
