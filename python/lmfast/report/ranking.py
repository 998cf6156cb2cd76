"""Which rows can be compared, which figure of a column is the best, and in which order models are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from lmfast.report import units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lmfast.report.content import Row

__all__ = ["COLUMNS", "KINDS", "Column", "best_figures", "by_kind", "figure", "finite_rows", "order", "same_tokens"]

KINDS = {"ngram": "N-gram models", "neural": "Neural models"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of models."""

    key: str
    title: str
    unit: str
    show: Callable[[float | None], str]
    best: Callable[[Sequence[float]], float] | None
    """Which of the figures is the best one; None where neither end is."""
    per_token: bool = False
    """Whether the figure depends on how the text is cut into tokens."""


COLUMNS = (
    Column("bits_per_byte", "Bits per byte", "", lambda value: units.decimal(value, 3), min),
    Column("perplexity", "Perplexity", "per token", lambda value: units.decimal(value, 2), min, per_token=True),
    Column("loss", "Loss", "nats/token", lambda value: units.decimal(value, 3), min, per_token=True),
    Column("size", "Size", "parameters or n-grams", units.count, None),
    Column("bytes_on_disk", "On disk", "", units.bytes_, min),
    Column("train_seconds", "Training", "", units.duration, min),
    Column("tokens_per_second", "Speed", "tokens/s", units.count, max),
)


def by_kind(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows in groups, n-grams first; within a group as given, for callers give them in a telling sequence.

    Returns:
        (title of the group, its rows) without empty groups.
    """
    groups = [(title, [row for row in rows if row["kind"] == kind]) for kind, title in KINDS.items()]
    other = [row for row in rows if row["kind"] not in KINDS]
    return [(title, members) for title, members in [*groups, ("Other models", other)] if members]


def finite_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a finite number of bits per byte, best first; equal ones as given."""
    return sorted((row for row in rows if units.finite(row["bits_per_byte"])), key=lambda row: row["bits_per_byte"])


def same_tokens(rows: Sequence[Row]) -> bool:
    """Whether all rows count the same number of tokens, so that figures per token can be compared."""
    return len({row["tokens"] for row in rows}) <= 1


def best_figures(rows: Sequence[Row]) -> dict[str, str]:
    """For each column with a best figure, that figure as it is shown.

    Two rows that show the same are both best. Nothing is best where there is nothing to compare with.
    """
    best: dict[str, str] = {}
    for column in COLUMNS:
        values = [value for row in rows if (value := figure(row, column)) is not None and units.finite(value)]
        if column.best is None or len(values) < 2 or (column.per_token and not same_tokens(rows)):
            continue
        best[column.key] = column.show(column.best(values))
    return best


def figure(row: Row, column: Column) -> float | None:
    """What a row has in a column; None where it has nothing."""
    return cast("Mapping[str, float | None]", row).get(column.key)


def order(row: Row) -> int | None:
    """The order of an n-gram model as its name says it.

    >>> row = {"model": "5-gram", "kind": "ngram"}
    >>> order(row), order({**row, "model": "unigram"}), order({**row, "model": "kn"})
    (5, 1, None)
    """
    if row["kind"] != "ngram":
        return None
    if match := re.search(r"(?<![\d.])(\d{1,2})[-_ ]?gram", row["model"], re.IGNORECASE):
        return int(match[1])
    if match := re.search(r"(uni|bi|tri)gram", row["model"], re.IGNORECASE):
        return {"uni": 1, "bi": 2, "tri": 3}[match[1].lower()]
    return None
