"""What every long call promises: progress, and the exceptions of a caller's own code as they were."""

from __future__ import annotations

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
