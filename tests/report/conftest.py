"""Rows, curves, a passage and samples as a run gives them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable

import pytest

from lmfast.report import (
    Curve,
    Machine,
    Passage,
    Point,
    Report,
    Row,
    Sample,
    Stage,
    TextFacts,
    TokenizerFacts,
)

BYTES_PER_TOKEN = 3.4
MakeRow = Callable[..., Row]


def make_row(model: str, loss: float, kind: str | None = None, **changes: object) -> Row:
    row = {
        "model": model,
        "kind": kind or ("ngram" if "gram" in model else "neural"),
        "size": 1_200_000,
        "bytes_on_disk": 4_800_000,
        "train_seconds": 0.5 if "gram" in model else 40.0,
        "tokens_per_second": 250_000.0,
        "tokens": 98_311,
        "loss": loss,
        "perplexity": math.exp(loss) if loss < 700 else math.inf,
        "bits_per_byte": loss / math.log(2) / BYTES_PER_TOKEN,
    }
    return row | changes  # type: ignore[return-value]


def make_curve(model: str, last: float, points: int = 10) -> Curve:
    losses = [last + 4 * math.exp(-4 * k / max(points - 1, 1)) - 4 * math.exp(-4) for k in range(points)]
    drawn = [Point(4.0 * (k + 1), 100 * (k + 1), 9_000 * (k + 1), loss) for k, loss in enumerate(losses)]
    return Curve(model, train=[point._replace(loss=point.loss - 0.1) for point in drawn], valid=drawn)


@pytest.fixture(name="make_row", scope="session")
def _make_row() -> MakeRow:
    return make_row


@pytest.fixture(name="make_curve", scope="session")
def _make_curve() -> Callable[..., Curve]:
    return make_curve


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    losses = {"1-gram": 6.3, "2-gram": 4.0, "3-gram": 3.3, "LSTM": 3.1, "GPT": 2.9}
    return [make_row(model, loss) for model, loss in losses.items()]


@pytest.fixture(scope="session")
def passage() -> Passage:
    tokens = (b"def", b" f", b"(x", b"):\n", b"    ", b"return", b" x", b"\xe2\x82", b"\xac", b"\n")
    bits = (math.nan, 1.5, 3.0, 0.2, 0.1, 5.0, 9.0, 7.0, 0.5, 13.0)
    return Passage(tokens, {"3-gram": bits, "GPT": tuple(b / 2 for b in bits)}, origin="f.py")


@pytest.fixture(scope="session")
def report(rows: list[Row], passage: Passage) -> Report:
    return Report(
        rows=rows,
        curves=[make_curve("LSTM", 3.1), make_curve("GPT", 2.9)],
        passage=passage,
        samples=[Sample(row["model"], "def ", "f(x):\n    return x") for row in rows],
        text=TextFacts(["a.txt"], documents=12, bytes=4_000_000, train_tokens=1_100_000, valid_tokens=98_311),
        tokenizer=TokenizerFacts("byte-level BPE", vocabulary_size=4096, bytes_per_token=BYTES_PER_TOKEN),
        stages=[Stage("Train GPT", 40.0), Stage("Count", 0.5)],
        versions={"lmfast": "0.1.0"},
        command=["lmfast", "demo", "--out", "a folder"],
        machine=Machine(cores=2, device="cpu"),
        date=datetime.datetime(2026, 1, 2, 3, 4),
    )
