"""Tensors, and the dataset inside torch's DataLoader."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from lmfast import Batch, BatchLoader, TokenStore

torch = pytest.importorskip("torch")

from lmfast.data.torch import BatchDataset  # noqa: E402 - needs torch

SHAPE = 5, 13


def copies(batches):
    return [batch.inputs.numpy().tobytes() + batch.targets.numpy().tobytes() for batch in batches]


@pytest.fixture
def expected(store):
    return copies(BatchLoader(store, *SHAPE, output="torch"))


def test_tensors_are_the_arrays(store):
    for dtype, layout in itertools.product(("int64", "int32", "uint16"), ("BT", "TB")):
        options = {"dtype": dtype, "layout": layout}
        arrays = BatchLoader(store, *SHAPE, **options)
        for batch, other in zip(BatchLoader(store, *SHAPE, output="torch", **options), arrays, strict=True):
            for tensor, array in zip(batch, other, strict=True):
                assert tensor.dtype == getattr(torch, dtype)
                np.testing.assert_array_equal(tensor.numpy(), array)
                assert tensor.view(-1).shape == (array.size,), "contiguous, as losses want it"


def test_tensors_own_their_memory(store):
    held = [(batch, copies([batch])) for batch in BatchLoader(store, *SHAPE, output="torch", epochs=3)]
    assert all(copies([batch]) == before for batch, before in held)


def test_a_loss_takes_them(store):
    inputs, targets = next(iter(BatchLoader(store, *SHAPE, layout="TB", output="torch")))
    model = torch.nn.Sequential(torch.nn.Embedding(50_000, 2), torch.nn.Linear(2, 50_000))
    torch.nn.functional.cross_entropy(model(inputs).view(-1, 50_000), targets.view(-1)).backward()


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_any_number_of_workers(store, expected, workers):
    dataset = BatchDataset(store, *SHAPE)
    assert isinstance(dataset, torch.utils.data.IterableDataset)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers)
    assert len(loader) == len(expected)
    batches = list(loader)
    assert all(isinstance(batch, Batch) for batch in batches)
    assert copies(batches) == expected


def test_a_spawned_worker(store, expected):
    loader = torch.utils.data.DataLoader(
        BatchDataset(store, *SHAPE), batch_size=None, num_workers=1, multiprocessing_context="spawn"
    )
    assert copies(loader) == expected


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_state_goes_to_all_workers(store, expected, workers):
    first = BatchDataset(store, *SHAPE)
    assert copies(itertools.islice(iter(first), 7)) == expected[:7]
    second = BatchDataset(store, *SHAPE)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    rest = torch.utils.data.DataLoader(second, batch_size=None, num_workers=workers)
    assert copies(rest) == expected[7:]


def test_options_reach_the_loader(store):
    dataset = BatchDataset(store, *SHAPE, mode="stateful", layout="TB", output="numpy")
    assert next(iter(dataset)).inputs.shape == (13, 5)
    with pytest.raises(ValueError, match="mode"):
        BatchDataset(store, *SHAPE, mode="other")
    assert TokenStore.open(store.path).num_tokens == store.num_tokens
