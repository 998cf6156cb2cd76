"""What every long call promises: progress, and the exceptions of a caller's own code as they were."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from tests.conftest import made_text

import lmfast
from lmfast import _core

SETTINGS = {
    "pattern": "gpt2",
    "special_tokens": ["<|endoftext|>"],
    "min_frequency": 2,
    "tie_order": None,
    "limit_alphabet": None,
    "initial_alphabet": [],
    "max_token_length": None,
    "lowercase": None,
    "byte_fallback": None,
    "continue_from": None,
    "text_field": "text",
    "text_column": "text",
    "cleaning": None,
    "threads": None,
}


class Own(Exception):
    """An exception that lmfast does not know."""


def slow(documents: int = 40) -> Iterator[str]:
    for text in made_text(documents):
        time.sleep(0.01)
        yield text


def test_progress_is_told_while_the_call_runs() -> None:
    told = []

    def tell(*state: object) -> None:
        told.append((threading.current_thread(), *state))

    _core.Tokenizer.train(slow(), 300, "bpe", **SETTINGS, progress=tell)
    assert len(told) >= 3
    assert {thread for thread, *_ in told} == {threading.main_thread()}
    assert {stage for _, stage, *_ in told} >= {"counting"}


def test_an_exception_of_the_progress_callback_ends_the_call() -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise Own(stage)

    begin = time.perf_counter()
    with pytest.raises(Own):
        _core.Tokenizer.train(slow(500), 300, "bpe", **SETTINGS, progress=stop)
    assert time.perf_counter() - begin < 2


def test_an_exception_of_the_documents_comes_back_as_it_was() -> None:
    def documents() -> Iterator[str]:
        yield "some text"
        raise Own("half way")

    with pytest.raises(Own, match="half way"):
        lmfast.Tokenizer.train(documents(), 300)
    with pytest.raises(Own, match="half way"):
        lmfast.NgramModel.train(documents(), 2)


def test_other_threads_go_on_meanwhile() -> None:
    """The interpreter lock is free while Rust works."""
    text = ["".join(made_text(3000))]
    counted = 0
    done = threading.Event()

    def work() -> None:
        lmfast.Tokenizer.train(text, 600)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.wait(0.001):
        counted += 1
    thread.join()
    assert counted > 3


def test_a_list_of_ids_may_be_made_while_another_is() -> None:
    tokenizer = lmfast.Tokenizer.train(["the cat sat on the mat"] * 3, 269)
    expected = tokenizer.encode("the cat")
    seen: list[list[int]] = []
    before = gc.get_threshold()

    def during_collection(phase: str, info: dict[str, int]) -> None:
        seen.append(tokenizer.encode("the cat"))

    gc.callbacks.append(during_collection)
    gc.set_threshold(1)
    try:
        rows = tokenizer.encode_batch(["the cat"] * 50)
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(during_collection)
    assert seen
    assert rows == [expected] * 50
    assert all(ids == expected for ids in seen)


def test_a_single_long_text_can_be_interrupted() -> None:
    tokenizer = lmfast.Tokenizer.train(["ab" * 50, "ba" * 50, "abab"], 262)
    letters = bytes(97 + byte % 2 for byte in range(256))
    text = random.Random(0).randbytes(60_000_000).translate(letters).decode()

    def interrupt() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        tokenizer.encode_array([text], threads=1)
    assert time.perf_counter() - begin < 2
    thread.join()
