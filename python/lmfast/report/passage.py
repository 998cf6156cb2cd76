"""The validation passage, token by token, as HTML that shows how surprised a model was.

Input: tokens as bytes, bits of each. Output: markup in which every piece of text is escaped. The scale of colours is
fixed, so that panels, and reports, can be compared: a level is a range of bits, whose bounds are probabilities.
"""

from __future__ import annotations

import bisect
import codecs
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from lmfast.report import units
from lmfast.report.characters import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmfast.report.content import Passage

__all__ = ["BOUNDS", "Panel", "Piece", "level", "panels", "pieces"]

BOUNDS = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0)
"""Level i + 1 begins at BOUNDS[i] bits: a probability of 1/2, 1/4, 1/16, 1/64, 1/256, 1/4096."""

HARDEST = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole characters: one token, or several that share a character."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Panel:
    """The passage as one model saw it."""

    model: str
    html: str
    """Markup, escaped."""
    mean_bits: float
    """Over the predicted tokens; nan if there is none."""
    predicted: int
    hardest: Sequence[tuple[str, str]]
    """The pieces with the most bits, as (text, bits)."""


def pieces(tokens: Sequence[bytes]) -> list[Piece]:
    r"""Cut the bytes of tokens into the smallest runs of tokens that are whole characters.

    Bytes that are no UTF-8 become U+FFFD.

    >>> [(piece.text, piece.stop - piece.start) for piece in pieces([b"a ", b"\xe2\x82", b"\xac", b"!"])]
    [('a ', 1), ('\u20ac', 2), ('!', 1)]
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found: list[Piece] = []
    start, text = 0, ""
    for index, token in enumerate(tokens):
        last = index == len(tokens) - 1
        text += decoder.decode(token, final=last)
        if last or not decoder.getstate()[0]:
            found.append(Piece(text, start, index + 1))
            start, text = index + 1, ""
    return found


def level(bits: float) -> int:
    """The step of the scale that a surprisal falls on.

    >>> level(0.3), level(1.0), level(7.9), level(float("inf"))
    (0, 1, 4, 6)
    """
    return bisect.bisect_right(BOUNDS, bits)


def panels(passage: Passage) -> list[Panel]:
    """One panel a model, in the order of the passage's models."""
    cut = pieces(passage.tokens)
    return [_panel(cut, model, bits) for model, bits in passage.surprisals.items()]


def _panel(cut: Sequence[Piece], model: str, bits: Sequence[float]) -> Panel:
    known = [value for value in bits if not math.isnan(value)]
    summed = [(piece, _sum(bits[piece.start : piece.stop])) for piece in cut]
    hardest = sorted((pair for pair in summed if not math.isnan(pair[1])), key=lambda pair: -pair[1])[:HARDEST]
    return Panel(
        model=model,
        html="".join(_span(piece, value) for piece, value in summed),
        mean_bits=sum(known) / len(known) if known else math.nan,
        predicted=len(known),
        hardest=[(_quoted(piece.text), units.decimal(value, 1)) for piece, value in hardest],
    )


def _sum(bits: Sequence[float]) -> float:
    """The bits of the predicted tokens among these; nan if there is none."""
    known = [value for value in bits if not math.isnan(value)]
    return sum(known) if known else math.nan


def _span(piece: Piece, bits: float) -> str:
    together = f" ({piece.stop - piece.start} tokens together)" if piece.stop - piece.start > 1 else ""
    said = f"{_quoted(piece.text)}{together}"
    if math.isnan(bits):
        return f'<span class="t given" title="{escape(said)}: given, not predicted">{_shown(piece.text)}</span>'
    shown = units.decimal(bits, 2)
    said = f"{said}: {shown} bits, probability {_probability(bits)}"
    return f'<span class="t s{level(bits)}" data-b="{shown}" title="{escape(said)}">{_shown(piece.text)}</span>'


def _probability(bits: float) -> str:
    if math.isinf(bits):
        return "0"
    return units.percent(2.0**-bits)


def _quoted(text: str) -> str:
    """Text on one line between quotation marks."""
    for character, name in (("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"), ("\t", "\N{RIGHTWARDS ARROW}")):
        text = text.replace(character, name)
    return f"\N{LEFT SINGLE QUOTATION MARK}{visible(text)}\N{RIGHT SINGLE QUOTATION MARK}"


def _shown(text: str) -> str:
    """Text as it stands, line ends marked so that their colour can be seen."""
    return "".join(_marked(text))


def _marked(text: str) -> Iterator[str]:
    for character in text:
        if character == "\n":
            yield '<span class="end"></span>\n'
        elif character == "\t":
            yield '<span class="tab">\t</span>'
        elif (seen := visible(character)) != character:
            yield f'<span class="control">{escape(seen)}</span>'
        else:
            yield escape(character)
