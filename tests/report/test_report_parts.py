"""Tables, the passage and the places of labels."""

from __future__ import annotations

import io
import itertools
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmfast.report import Passage, Row, print_table, table_markdown
from lmfast.report.layout import Box, place, spread
from lmfast.report.passage import level, panels, pieces
from lmfast.report.units import bytes_, count, duration

if TYPE_CHECKING:
    from collections.abc import Callable


def test_terminal_table_fits_eighty_columns(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmfast.report.tables.WIDE", 80)
    file = io.StringIO()
    print_table(rows, file=file)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if "MB" in line] == [row["model"] for row in rows]
    assert "\N{HORIZONTAL ELLIPSIS}" not in file.getvalue()


def test_terminal_table_shows_names_as_they_are(make_row: Callable[..., Row]) -> None:
    file = io.StringIO()
    print_table([make_row("[bold]a[/bold]\x1b[31m", 3.0)], file=file)
    assert "[bold]a[/bold]<U+001B>[31m" in file.getvalue()


def test_markdown(rows: list[Row], make_row: Callable[..., Row]) -> None:
    lines = table_markdown([*rows, make_row("a|b\n<b>*", math.nan)]).splitlines()
    assert len(lines) == 2 + 6
    assert {line.replace("\\|", "").count("|") for line in lines} == {9}
    assert "| **1.231** |" in lines[6]
    assert lines[7].startswith("| a\\|b &lt;b>\\* | nan |")


def test_best_is_marked_only_among_comparable_rows(make_row: Callable[..., Row]) -> None:
    assert "**" not in table_markdown([make_row("a", 3.0)])
    table = table_markdown([make_row("a", 3.0), make_row("b", 4.0, tokens=5, bits_per_byte=0.5)])
    assert "**0.500**" in table
    assert "**3.000**" not in table


def test_figures_round_into_the_next_unit() -> None:
    assert count(999_499).split("\N{NO-BREAK SPACE}") == ["999", "k"]
    assert count(999_500).split("\N{NO-BREAK SPACE}") == ["1.00", "M"]
    assert bytes_(999.6).split("\N{NO-BREAK SPACE}") == ["1.00", "kB"]
    assert duration(3599.7).split("\N{NO-BREAK SPACE}") == ["1", "h", "00", "min"]
    assert duration(1e-9).split("\N{NO-BREAK SPACE}") == ["<", "0.001", "s"]


@settings(deadline=None)
@given(st.lists(st.binary(min_size=0, max_size=4), max_size=30))
def test_pieces_are_the_text(tokens: list[bytes]) -> None:
    cut = pieces(tokens)
    assert "".join(piece.text for piece in cut) == b"".join(tokens).decode("utf-8", "replace")
    assert [index for piece in cut for index in range(piece.start, piece.stop)] == list(range(len(tokens)))


@settings(deadline=None)
@given(st.text("a\n\u00e9\u20ac\U0001f642", max_size=20), st.data())
def test_no_character_is_cut(text: str, data: st.DataObject) -> None:
    whole = text.encode("utf-8", "replace")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=9)))
    tokens = [whole[a:b] for a, b in itertools.pairwise([0, *cuts, len(whole)])]
    assert "".join(piece.text for piece in pieces(tokens)) == whole.decode()


def test_panel(passage: Passage) -> None:
    ngram, gpt = panels(passage)
    assert (ngram.model, ngram.predicted) == ("3-gram", 9)
    assert ngram.mean_bits == pytest.approx(39.3 / 9)
    assert gpt.mean_bits == pytest.approx(39.3 / 18)
    assert '<span class="t given"' in ngram.html
    assert "(2 tokens together): 7.50 bits, probability 0.55%" in ngram.html
    assert '):<span class="end"></span>\n</span>' in ngram.html
    assert ngram.hardest[0][1] == "13.0"


def test_impossible_token() -> None:
    (panel,) = panels(Passage([b"a", b"b"], {"m": (math.inf, 1.0)}))
    assert 'class="t s6"' in panel.html
    assert "probability 0" in panel.html
    assert level(0.0) == 0


@settings(deadline=None)
@given(
    st.lists(st.floats(min_value=-50, max_value=150), max_size=14),
    st.floats(min_value=0, max_value=30),
)
def test_spread_keeps_order_gaps_and_bounds(wanted: list[float], gap: float) -> None:
    positions = spread(wanted, gap, 0.0, 100.0)
    assert all(-1e-6 <= position <= 100 + 1e-6 for position in positions)
    room = min(gap, 100 / max(len(wanted) - 1, 1))
    ranked = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for first, second in itertools.pairwise(ranked):
        assert positions[second] - positions[first] >= room - 1e-6


def test_spread_moves_only_what_must() -> None:
    assert spread([10.0, 50.0, 51.0], 10.0, 0.0, 100.0) == pytest.approx([10.0, 45.5, 55.5])


def test_place_avoids_overlaps() -> None:
    points = [(50.0, 50.0), (52.0, 50.0), (50.0, 54.0), (95.0, 50.0)]
    boxes = place(points, [(20.0, 8.0)] * 4, Box(0, 0, 100, 100), 5.0)
    assert all(a.overlap(b) == 0 for a, b in itertools.combinations(boxes, 2))
    assert boxes[3].right <= 100


def test_place_keeps_off_a_line() -> None:
    points = [(20.0, 50.0), (80.0, 50.0)]
    boxes = place(points, [(30.0, 8.0)] * 2, Box(0, 0, 120, 100), 5.0, line=points)
    assert all(box.bottom > 50 or box.top < 50 or box.left > 80 for box in boxes)
