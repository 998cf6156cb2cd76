"""The rows as a table for a terminal and for Markdown."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, TextIO

from lmfast.report.characters import visible
from lmfast.report.ranking import COLUMNS, best_figures, by_kind, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmfast.report.content import Row

__all__ = ["print_table", "table_markdown"]

WIDE = 200  # columns, where the output is no terminal


def print_table(rows: Sequence[Row], *, file: TextIO | None = None) -> None:
    """Print the rows for people: n-grams first, figures aligned, the best of each column in bold.

    Args:
        rows: What `lmfast compare` and `lmfast demo` measured.
        file: Where to print; standard output if None.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = sys.stdout if file is None else file
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else WIDE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Model", overflow="fold", min_width=6)
    for column in COLUMNS:
        table.add_column(Text("\n".join([*column.title.split(), *column.unit.split()])), justify="right", no_wrap=True)
    best = best_figures(rows)
    for _, members in by_kind(rows):
        for row in members:
            shown = [(column.show(figure(row, column)), best.get(column.key)) for column in COLUMNS]
            table.add_row(
                Text(visible(row["model"])), *(Text(text, "bold" if text == top else "") for text, top in shown)
            )
        table.add_section()
    console.print(table)


def table_markdown(rows: Sequence[Row]) -> str:
    r"""The rows as a Markdown table (GitHub's dialect), the best of each column in bold.

    >>> row = {"model": "a|b", "kind": "ngram", "size": 10, "bytes_on_disk": 100, "train_seconds": 1.0,
    ...        "tokens_per_second": 50_000.0, "tokens": 9, "loss": 2.0, "perplexity": 7.39, "bits_per_byte": 1.5}
    >>> print(table_markdown([row]).splitlines()[-1].replace("\N{NO-BREAK SPACE}", " "))
    | a\|b | 1.500 | 7.39 | 2.000 | 10 | 100 B | 1.00 s | 50.0 k |
    """
    best = best_figures(rows)
    heads = ["Model", *(f"{column.title} ({column.unit})" if column.unit else column.title for column in COLUMNS)]
    lines = [heads, ["---", *("---:" for _ in COLUMNS)]]
    for _, members in by_kind(rows):
        for row in members:
            shown = [(column.show(figure(row, column)), best.get(column.key)) for column in COLUMNS]
            lines.append([_escaped(row["model"]), *(f"**{text}**" if text == top else text for text, top in shown)])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _escaped(name: str) -> str:
    """A name that Markdown shows as it is."""
    text = visible(name.replace("\n", " ")).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", text)
