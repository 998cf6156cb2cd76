"""The sentences are right for any set of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmfast.report import Curve, Row, findings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def test_no_rows() -> None:
    assert findings([]) == ["No model was measured."]


def test_one_model(make_row: Callable[..., Row]) -> None:
    assert findings([make_row("GPT", 2.0, bits_per_byte=1.6)]) == [
        "GPT needs 1.600 bits for each byte of the text, enough to compress it to 20% of its size."
    ]


def test_one_model_worse_than_no_model(make_row: Callable[..., Row]) -> None:
    assert findings([make_row("GPT", 40.0, bits_per_byte=9.0)]) == ["GPT needs 9.000 bits for each byte of the text."]


def test_neural_best(rows: list[Row]) -> None:
    sentences = findings(rows)
    assert sentences[0].startswith("GPT predicts the text best: 1.231 bits per byte")
    assert sentences[1] == (
        "The best n-gram model, 3-gram, needs 1.400, 14% more than GPT; "
        "3-gram was trained in 0.50\N{NO-BREAK SPACE}s, GPT in 40.0\N{NO-BREAK SPACE}s, 80 times as long."
    )
    assert (
        sentences[2]
        == "Every neural model beats 1-gram, which sees no context (2.673); they save 51 to 54% of its bits."
    )
    assert sentences[3] == "From 1-gram to 3-gram the n-gram models go from 2.673 to 1.400."


def test_ngram_best(make_row: Callable[..., Row]) -> None:
    sentences = findings([make_row("2-gram", 3.0, train_seconds=None), make_row("GPT", 6.6)])
    assert sentences[0].startswith("2-gram predicts the text best")
    assert sentences[1] == "The best neural model, GPT, needs 2.801, 2.2 times as many as 2-gram."


def test_neural_no_better_than_unigram(make_row: Callable[..., Row]) -> None:
    rows = [make_row("unigram", 5.0), make_row("LSTM", 5.0), make_row("GRU", 5.5), make_row("GPT", 4.0)]
    assert "LSTM and GRU do not beat unigram, which sees no context (2.122)." in findings(rows)


def test_ties(make_row: Callable[..., Row]) -> None:
    sentences = findings([make_row("2-gram", 3.0), make_row("GPT", 3.0 + 1e-6)])
    assert sentences[0].startswith("2-gram and GPT predict the text equally well: 1.273 bits per byte")
    assert sentences[1].startswith("The best n-gram model, 2-gram, is as good as the best neural model, GPT;")


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        ((6.0, 4.0, 3.0), "From 1-gram to 3-gram the n-gram models go from 2.546 to 1.273."),
        (
            (6.0, 3.0, 3.5),
            "From 1-gram to 2-gram the n-gram models go from 2.546 to 1.273; with 3-gram it rises again, to 1.485.",
        ),
        ((6.0, 3.0, 3.0), "the longer context of 3-gram brings nothing more."),
        ((3.0, 3.5, 4.0), "Longer contexts bring the n-gram models nothing: 1-gram needs 1.273, 3-gram 1.697."),
    ],
)
def test_longer_contexts(losses: Sequence[float], sentence: str, make_row: Callable[..., Row]) -> None:
    found = findings([make_row(f"{n}-gram", loss) for n, loss in enumerate(losses, start=1)])
    assert found[-1].endswith(sentence)
    assert len(found) == 2  # nothing about neural models


def test_losses_that_are_not_finite(make_row: Callable[..., Row]) -> None:
    rows = [make_row("2-gram", 3.0), make_row("RNN", math.nan), make_row("GPT", math.inf)]
    sentences = findings(rows)
    assert sentences[0].startswith("2-gram is the only model with a finite loss")
    assert sentences[1] == "RNN and GPT have no finite loss and are left out of every comparison."
    assert findings(rows[1:]) == ["No model has a finite loss, so none can be compared."]


def test_still_falling(make_row: Callable[..., Row], make_curve: Callable[..., Curve]) -> None:
    rows = [make_row("GPT", 3.0), make_row("LSTM", 3.2)]
    flat = make_curve("LSTM", 3.2)
    flat = Curve("LSTM", valid=[point._replace(loss=3.2) for point in flat.valid])
    sentences = findings(rows, [make_curve("GPT", 3.0), flat])
    assert (
        sentences[-1]
        == "When training ended, the validation loss was still falling for GPT: more training may lower it further."
    )
    assert len(findings(rows, [flat])) == 1


def test_different_tokens(make_row: Callable[..., Row]) -> None:
    sentences = findings([make_row("a", 3.0), make_row("b", 4.0, tokens=7)])
    assert "only bits per byte can be compared" in sentences[-1]


numbers = st.one_of(st.floats(min_value=0, max_value=30), st.sampled_from([math.nan, math.inf, 0.0]))
times = st.one_of(st.none(), st.floats(min_value=0), st.just(math.nan))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["1-gram", "2-gram", "LSTM", "x"]), numbers, times), max_size=7))
def test_any_rows(make_row: Callable[..., Row], drawn: list[tuple[str, float, Any]]) -> None:
    rows = [make_row(name, loss, train_seconds=seconds) for name, loss, seconds in drawn]
    sentences = findings(rows)
    assert 1 <= len(sentences) <= 5
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in sentences)
    finite = [row["bits_per_byte"] for row in rows if math.isfinite(row["bits_per_byte"])]
    if finite:
        assert f"{min(finite):,.3f}" in sentences[0]
