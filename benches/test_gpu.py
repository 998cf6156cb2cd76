"""Training on a GPU: does a step wait for its batch?

Each model is trained by `lmfast.Trainer` with batches from the BatchLoader, and by the same loop with one batch that
lies on the device already, unchecked, which is the most that any loader can reach. The share of the second's speed that
the first has is what counts; nanoGPT's `get_batch` and a torch DataLoader feed the same loop beside them. `extra_info`
holds thousand tokens a second and, of lmfast and the peers, that share.

The device is waited for at both ends of a turn. Needs a CUDA device.
"""

from __future__ import annotations

import itertools
import statistics
import time

import numpy as np
import pytest

from lmfast import BatchLoader, TokenStore, Trainer, models

torch = pytest.importorskip("torch")

from lmfast.training.feed import Feed  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
VOCABULARY = 10_000
TURNS = 3


def tutorial():
    return models.SmallLanguageModel(vocab_size=VOCABULARY, embed_size=256, hidden_size=512, num_layers=2)


def gpt2(layers, heads, width, length):
    def build():
        sizes = {"n_layer": layers, "n_head": heads, "n_embd": width, "n_positions": length}
        return models.build("gpt2", vocab_size=VOCABULARY, dropout=0.0, **sizes)

    return build


# name: model, rows, tokens of a row, precision, steps of a turn
PLANS = {
    "tutorial LSTM 64x32 float32": (tutorial, 64, 32, "float32", 300),
    "GPT 7M 64x256 bfloat16": (gpt2(4, 4, 256, 256), 64, 256, "bfloat16", 150),
    "GPT 93M 16x1024 bfloat16": (gpt2(12, 12, 768, 1024), 16, 1024, "bfloat16", 30),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    generator = np.random.default_rng(0)
    documents = np.array_split(generator.integers(0, VOCABULARY, 64_000_000, dtype=np.uint16), 64_000)
    return TokenStore.write(tmp_path_factory.mktemp("bench") / "tokens", documents, vocab_size=VOCABULARY)


def resident(store, rows, length):
    """One batch, on the device from the beginning."""
    batch = next(iter(BatchLoader(store, rows, length, output="torch")))
    return itertools.repeat(tuple(part.cuda() for part in batch))


def lmfast_loader(store, rows, length):
    return BatchLoader(store, rows, length, output="torch", epochs=10**6)


def nanogpt(store, rows, length):
    """`get_batch` of nanoGPT's train.py."""
    data = store.tokens
    while True:
        starts = torch.randint(len(data) - length, (rows,))
        yield tuple(
            torch.stack([torch.from_numpy(data[at + shift : at + shift + length].astype(np.int64)) for at in starts])
            for shift in (0, 1)
        )


def data_loader(store, rows, length):
    """A map-style dataset of windows behind four workers, as torchtitan and Hugging Face's examples have it."""
    data = store.tokens

    class Windows(torch.utils.data.Dataset):
        def __len__(self):
            return (len(data) - 1) // length

        def __getitem__(self, number):
            row = torch.from_numpy(data[number * length : number * length + length + 1].astype(np.int64))
            return row[:-1], row[1:]

    while True:
        yield from torch.utils.data.DataLoader(
            Windows(), batch_size=rows, shuffle=True, drop_last=True, num_workers=4, persistent_workers=True
        )


FEEDS = {"resident": resident, "lmfast": lmfast_loader, "nanoGPT": nanogpt, "DataLoader": data_loader}


class Turned:
    """Batches in the layout of a model that wants time before rows."""

    def __init__(self, source):
        self.source = source

    def __iter__(self):
        for inputs, targets in self.source:
            yield inputs.t(), targets.t()


def speed(plan, feed, store, patch):
    """Tokens a second, after a warm-up of a tenth of the steps."""
    build, rows, length, precision, steps = PLANS[plan]
    torch.manual_seed(0)
    model, source = build(), FEEDS[feed](store, rows, length)
    if feed != "lmfast" and not getattr(model, "batch_first", True):
        source = Turned(source)
    source = source if feed == "lmfast" else iter(source)
    if feed == "resident":
        patch.setattr(Feed, "check", lambda *_: None)
    options = {"lr": 1e-4, "precision": precision, "device": "cuda", "log_every": 1000, "progress": False}
    Trainer(model, source, budget=f"{max(3, steps // 10)} steps", **options).fit()
    torch.cuda.synchronize()
    start = time.perf_counter()
    result = Trainer(model, source, budget=f"{steps} steps", **options).fit()
    torch.cuda.synchronize()
    assert result.steps == steps
    return steps * rows * length / (time.perf_counter() - start)


@pytest.mark.parametrize("plan", PLANS)
def test_training(benchmark, store, plan, monkeypatch):
    if not benchmark.enabled:
        pytest.skip("a benchmark")
    speeds = {feed: [] for feed in FEEDS}
    for _, feed in itertools.product(range(TURNS), FEEDS):
        with monkeypatch.context() as patch:
            speeds[feed].append(speed(plan, feed, store, patch))
    medians = {feed: statistics.median(values) for feed, values in speeds.items()}
    benchmark.pedantic(lambda: None, rounds=1)
    for feed, value in medians.items():
        share = "" if feed == "resident" else f", {value / medians['resident']:.1%} of resident"
        benchmark.extra_info[feed] = f"{value / 1e3:.0f} ktok/s{share}"
        print(f"{plan:30} {feed:12} {benchmark.extra_info[feed]}")
