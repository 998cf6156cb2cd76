"""States: exact at every step, in other processes, for other worlds, and refused where they do not belong."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.conftest import write_megatron

from lmfast import BatchLoader, TokenStore

MODES = ["shuffle", "sequential", "stateful"]


def copies(batches):
    return [batch.inputs.tobytes() + batch.targets.tobytes() for batch in batches]


def go_on(path, state, options, queue):
    """In another process: the rest of the epochs from a state on."""
    loader = BatchLoader(TokenStore.open(path), 5, 13, **options)
    loader.load_state_dict(json.loads(state))
    queue.put(copies(loader))


@pytest.mark.parametrize("mode", MODES)
def test_every_step(store, mode):
    options = {"mode": mode, "epochs": 2, "seed": 2**64 - 1}
    loader = BatchLoader(store, 5, 13, **options)
    expected, states = copies(BatchLoader(store, 5, 13, **options)), [loader.state_dict()]
    states.extend(loader.state_dict() for _ in loader)
    assert len(states) == len(loader) + 1
    for step in [*range(0, len(loader), 7), loader.batches_per_epoch, len(loader) - 1]:
        text = json.dumps(states[step])
        assert len(text) <= 256
        other = BatchLoader(store, 5, 13, threads=1 + step % 3, **options)
        other.load_state_dict(json.loads(text))
        assert other.state_dict() == states[step]
        assert copies(other) == expected[step:], f"{mode} goes on otherwise after step {step}"
        assert other.state_dict() == states[-1]


def test_the_state_counts_what_was_handed_out(store):
    loader = BatchLoader(store, 5, 13, threads=4)
    iterator = iter(loader)
    for step in range(10):
        assert loader.state_dict()["batch"] == step
        next(iterator)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(0, 30), min_size=1, max_size=8), threads=st.integers(1, 3))
def test_saved_and_loaded_again_and_again(store, steps, threads):
    expected, found, state = copies(BatchLoader(store, 5, 13, epochs=20)), [], None
    for count in steps:
        loader = BatchLoader(store, 5, 13, epochs=20, threads=threads)
        if state is not None:
            loader.load_state_dict(state)
        found += copies(itertools.islice(iter(loader), count))
        state = loader.state_dict()
    assert found == expected[: len(found)]


def test_a_hundred_cycles(store):
    loader, reference = BatchLoader(store, 5, 13), iter(BatchLoader(store, 5, 13, epochs=10))
    for _ in range(100):
        assert copies([next(iter(loader))]) == copies([next(reference)])
        state = json.loads(json.dumps(loader.state_dict()))
        loader = BatchLoader(store, 5, 13, threads=2)
        loader.load_state_dict(state)


def test_back_and_forth_in_one_loader(store):
    loader = BatchLoader(store, 5, 13, epochs=3, threads=3)
    everything, states = [], []
    for batch in loader:
        everything += copies([batch])
        states.append(loader.state_dict())
    for step in (40, 3, 3, len(states) - 2, 0):
        loader.load_state_dict(states[step])
        assert copies(itertools.islice(iter(loader), 4)) == everything[step + 1 : step + 5]


def test_in_another_process(store_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for mode in MODES:
        options = {"mode": mode, "epochs": 2}
        loader = BatchLoader(TokenStore.open(store_path), 5, 13, **options)
        running = iter(loader)
        for _ in range(loader.batches_per_epoch - 1):
            next(running)
        state = json.dumps(loader.state_dict())
        process = context.Process(target=go_on, args=(str(store_path), state, options, queue))
        process.start()
        found = queue.get(timeout=60)
        process.join()
        assert found == copies(running)


@pytest.mark.parametrize("mode", MODES)
def test_other_worlds_and_thread_counts(store, mode):
    whole = list(BatchLoader(store, 12, 7, mode=mode, epochs=2))
    place, found = 0, []
    state = None
    for world, steps in ((1, 3), (4, 20), (3, 1), (12, 17), (2, 10**6)):
        ranks = [
            BatchLoader(store, 12, 7, mode=mode, epochs=2, rank=rank, world_size=world, threads=1 + rank % 2)
            for rank in range(world)
        ]
        for loader in ranks:
            if state is not None:
                loader.load_state_dict(state)
        runs = [list(itertools.islice(iter(loader), steps)) for loader in ranks]
        states = [loader.state_dict() for loader in ranks]
        assert all(other == states[0] for other in states), "the state differs between ranks"
        state = states[0]
        for parts in zip(*runs, strict=True):
            found.append(np.concatenate([part.inputs for part in parts]))
            place += 1
    assert place == len(whole)
    for inputs, batch in zip(found, whole, strict=True):
        np.testing.assert_array_equal(inputs, batch.inputs)


def test_pickled_loaders_keep_their_place(store):
    loader = BatchLoader(store, 5, 13, mode="stateful", layout="TB", dtype="int32", epochs=2)
    next(iter(loader))
    other = pickle.loads(pickle.dumps(loader))
    assert copies(other) == copies(loader)
    assert repr(other) == repr(loader)


def test_states_that_do_not_belong(store, tmp_path):
    loader = BatchLoader(store, 5, 13, seed=3)
    next(iter(loader))
    state = loader.state_dict()
    other = {"store": store, "batch_size": 5, "seq_len": 13, "seed": 3}
    changed = TokenStore.write(tmp_path / "changed", [store.tokens.astype(int) + 1], vocab_size=65_499)
    for options, word in (
        ({"seq_len": 12}, "seq_len"),
        ({"batch_size": 4}, "batch_size"),
        ({"seed": 4}, "seed"),
        ({"mode": "sequential"}, "mode"),
        ({"store": changed}, "other data"),
    ):
        arguments = other | options
        with pytest.raises(ValueError, match=word):
            BatchLoader(arguments.pop("store"), **arguments).load_state_dict(state)
    for wrong in (
        {},
        {"epoch": 1},
        state | {"batch": -1},
        state | {"batch": 2**63},
        state | {"epoch": 2**63},
        state | {"epoch": 2**70},
        state | {"batch": 1.5},
        state | {"batch": float("nan")},
        state | {"version": 2},
        state | {"fingerprint": None},
        state | {"fingerprint": object()},
        state | {"more": 1},
    ):
        with pytest.raises(ValueError, match="state"):
            loader.load_state_dict(wrong)
    assert loader.state_dict() == state, "a refused state moves nothing"


def test_a_file_of_equal_size_is_other_data(tmp_path):
    documents = [np.arange(500), np.arange(300)]
    path = write_megatron(tmp_path / "store.bin", documents)
    times = path.stat()
    state = BatchLoader(TokenStore.open(path), 4, 8).state_dict()
    documents[1][7] += 1
    write_megatron(path, documents)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ValueError, match=r"other data than .*store\.bin"):
        BatchLoader(TokenStore.open(path), 4, 8).load_state_dict(state)
