"""What the figures say, in a few sentences computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmfast.report import units
from lmfast.report.ranking import finite_rows, order, same_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmfast.report.content import Curve, Row

__all__ = ["findings"]

MOST = 5
LEARNING_SHARE = 0.01  # a fall of the loss by this share in the last quarter of training is told


def findings(rows: Sequence[Row], curves: Sequence[Curve] = ()) -> list[str]:
    """At most five sentences, the most important first.

    Figures count as equal where the table shows them as equal (three decimals of bits per byte).

    Args:
        rows: Any set of rows.
        curves: The curves of neural models among them.

    Returns:
        Plain sentences, not escaped for any format.

    >>> findings([])
    ['No model was measured.']
    """
    if not rows:
        return ["No model was measured."]
    ranked = finite_rows(rows)
    sentences = [
        _best(ranked, len(rows)),
        _kinds(ranked),
        _unigram(ranked),
        _undefined(rows),
        _orders(ranked),
        _still_learning(ranked, curves),
        _tokens(rows),
    ]
    return [sentence for sentence in sentences if sentence][:MOST]


def names(rows: Sequence[Row]) -> str:
    """Model names as a list in prose.

    >>> names([{"model": "LSTM"}, {"model": "GRU"}, {"model": "GPT"}])
    'LSTM, GRU and GPT'
    """
    models = [row["model"] for row in rows]
    return models[0] if len(models) == 1 else f"{', '.join(models[:-1])} and {models[-1]}"


def _bits(row: Row) -> str:
    return units.decimal(row["bits_per_byte"], 3)


def _equal(first: Row, second: Row) -> bool:
    return _bits(first) == _bits(second)


def _more(worse: Row, better: Row) -> str:
    """By how much the first needs more bits than the second."""
    if better["bits_per_byte"] <= 0:
        return ""
    ratio = worse["bits_per_byte"] / better["bits_per_byte"]
    return f"{units.times(ratio)} as many as" if ratio >= 2 else f"{units.percent(ratio - 1)} more than"


def _best(ranked: list[Row], measured: int) -> str:
    if not ranked:
        return ""
    ties = [row for row in ranked if _equal(row, ranked[0])]
    share = ranked[0]["bits_per_byte"] / 8
    size = f", enough to compress it to {units.percent(share)} of its size" if share < 1 else ""
    if measured == 1:
        return f"{names(ties)} needs {_bits(ranked[0])} bits for each byte of the text{size}."
    if len(ranked) == 1:
        return f"{names(ties)} is the only model with a finite loss: {_bits(ranked[0])} bits per byte{size}."
    if len(ties) > 1:
        return f"{names(ties)} predict the text equally well: {_bits(ranked[0])} bits per byte{size}."
    return f"{names(ties)} predicts the text best: {_bits(ranked[0])} bits per byte{size}."


def _kinds(ranked: list[Row]) -> str:
    """The best n-gram model against the best neural one."""
    ngram = next((row for row in ranked if row["kind"] == "ngram"), None)
    neural = next((row for row in ranked if row["kind"] == "neural"), None)
    if ngram is None or neural is None:
        return ""
    if _equal(ngram, neural):
        sentence = f"The best n-gram model, {ngram['model']}, is as good as the best neural model, {neural['model']}"
    else:
        kind, worse, better = (
            ("n-gram", ngram, neural) if neural["bits_per_byte"] < ngram["bits_per_byte"] else ("neural", neural, ngram)
        )
        compared = f", {more} {better['model']}" if (more := _more(worse, better)) else ""
        sentence = f"The best {kind} model, {worse['model']}, needs {_bits(worse)}{compared}"
    return sentence + _training(ngram, neural) + "."


def _training(ngram: Row, neural: Row) -> str:
    """How long both were trained, where both times are known."""
    ngram_seconds, neural_seconds = ngram["train_seconds"], neural["train_seconds"]
    if ngram_seconds is None or neural_seconds is None:
        return ""
    if not (units.finite(ngram_seconds) and units.finite(neural_seconds) and min(ngram_seconds, neural_seconds) > 0):
        return ""
    faster, slower = sorted((ngram_seconds, neural_seconds))
    if slower / faster < 1.5:
        return f"; training took {units.duration(ngram_seconds)} and {units.duration(neural_seconds)}"
    model, other = (ngram, neural) if ngram_seconds < neural_seconds else (neural, ngram)
    return (
        f"; {model['model']} was trained in {units.duration(faster)}, "
        f"{other['model']} in {units.duration(slower)}, {units.times(slower / faster)} as long"
    )


def _unigram(ranked: list[Row]) -> str:
    """Whether the neural models learned more than how frequent each token is."""
    unigram = next((row for row in ranked if order(row) == 1), None)
    neural = [row for row in ranked if row["kind"] == "neural"]
    if unigram is None or not neural:
        return ""
    behind = [row for row in neural if row["bits_per_byte"] >= unigram["bits_per_byte"] or _equal(row, unigram)]
    base = f"{unigram['model']}, which sees no context ({_bits(unigram)})"
    if behind:
        return f"{names(behind)} {'does' if len(behind) == 1 else 'do'} not beat {base}."
    best = neural[0]["bits_per_byte"]
    if len(neural) == 1:
        return f"{names(neural)} saves {units.percent(1 - best / unigram['bits_per_byte'])} of the bits of {base}."
    worst = neural[-1]["bits_per_byte"]
    least, most = (units.percent(1 - value / unigram["bits_per_byte"]) for value in (worst, best))
    saved = least if least == most else f"{least.removesuffix('%')} to {most}"
    return f"Every neural model beats {base}; they save {saved} of its bits."


def _orders(ranked: list[Row]) -> str:
    """What longer contexts bring to the n-gram models."""
    known = sorted(
        ((number, row) for row in ranked if (number := order(row)) is not None),
        key=lambda pair: (pair[0], pair[1]["bits_per_byte"]),
    )
    if len({number for number, _ in known}) < 2:
        return ""
    first, last = known[0][1], known[-1][1]
    best = min((row for _, row in known), key=lambda row: row["bits_per_byte"])
    if _equal(best, first):
        ends = f"{first['model']} needs {_bits(first)}, {last['model']} {_bits(last)}"
        return f"Longer contexts bring the n-gram models nothing: {ends}."
    fall = f"From {first['model']} to {best['model']} the n-gram models go from {_bits(first)} to {_bits(best)}"
    if best is last:
        return f"{fall}."
    if _equal(best, last):
        return f"{fall}; the longer context of {last['model']} brings nothing more."
    return f"{fall}; with {last['model']} it rises again, to {_bits(last)}."


def _undefined(rows: Sequence[Row]) -> str:
    lost = [row for row in rows if not units.finite(row["bits_per_byte"])]
    if not lost:
        return ""
    if len(lost) == len(rows):
        return "No model has a finite loss, so none can be compared."
    has, is_ = ("has", "is") if len(lost) == 1 else ("have", "are")
    return f"{names(lost)} {has} no finite loss and {is_} left out of every comparison."


def _still_learning(ranked: list[Row], curves: Sequence[Curve]) -> str:
    """Models whose validation loss was still falling when training ended."""
    learning = [row for row in ranked if any(curve.model == row["model"] and _falling(curve) for curve in curves)]
    if not learning:
        return ""
    losses, them = ("loss was", "it") if len(learning) == 1 else ("losses were", "them")
    return (
        f"When training ended, the validation {losses} still falling for {names(learning)}: "
        f"more training may lower {them} further."
    )


def _falling(curve: Curve) -> bool:
    points = [point for point in curve.valid if units.finite(point.loss)]
    if len(points) < 4:
        return False
    span = points[-1].seconds - points[0].seconds
    before = next((p for p in reversed(points) if p.seconds <= points[-1].seconds - span / 4), points[0])
    lowest = min(point.loss for point in points)
    return points[-1].loss == lowest and points[-1].loss < (1 - LEARNING_SHARE) * before.loss


def _tokens(rows: Sequence[Row]) -> str:
    if same_tokens(rows):
        return ""
    return (
        "The models cut the text into different tokens, so only bits per byte can be compared, not perplexity or loss."
    )
