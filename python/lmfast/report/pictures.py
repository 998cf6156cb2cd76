"""The pictures: how the losses fell, and what a bit costs in training time and on disk.

Drawn with matplotlib's objects (no pyplot, no global state but the two settings of its SVG writer), in points, in the
few colours of `PALETTE`. An SVG keeps its text as text. `inline` turns these colours into the page's variables, so that
one drawing serves the light and the dark page.
"""

from __future__ import annotations

import io
import math
import re
import statistics
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lmfast.errors import require
from lmfast.report import units
from lmfast.report.characters import shortened
from lmfast.report.layout import Box, place, spread
from lmfast.report.ranking import finite_rows, order, same_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lmfast.report.content import Curve, Point, Row

__all__ = ["NARROW", "WIDE", "Shape", "cost_picture", "curves_picture", "inline", "png", "svg"]

PAPER, INK, MUTED, RULE = "#fffefb", "#1d1c1a", "#605b53", "#d8d3c8"
SERIES = ("#1f5fa9", "#b3421f", "#2c7a4b", "#7b479f", "#8a6500", "#a93a74")
PALETTE = {"paper": PAPER, "ink": INK, "muted": MUTED, "rule": RULE} | {f"c{i}": c for i, c in enumerate(SERIES)}
MARKERS = ("o", "s", "^", "D", "v", "P")
LETTER = 0.6  # mean width of a letter of the font, in its size
COST_LETTERS = 18
DOTS_PER_INCH = 200


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a picture in points, and of its text."""

    width: float
    height: float
    font: float
    name_letters: int


WIDE = Shape(width=560, height=310, font=8.5, name_letters=24)
NARROW = Shape(width=290, height=330, font=8.5, name_letters=11)


@dataclass(frozen=True, slots=True)
class Label:
    """The label of a line, and where the line ends."""

    seconds: float
    loss: float
    text: str
    colour: str
    weight: str


def curves_picture(rows: Sequence[Row], curves: Sequence[Curve], shape: Shape = WIDE) -> Figure | None:
    """Validation and training losses against seconds of training, n-gram models as lines across.

    Args:
        rows: The n-gram models among them are drawn; all serve to translate nats per token into bits per byte.
        curves: Points that are not finite are left out.
        shape: Its size.

    Returns:
        The picture, or None if no curve has a point to draw.
    """
    drawn = [
        (index, curve.model, train, valid)
        for index, curve in enumerate(curves)
        if (train := _drawable(curve.train), valid := _drawable(curve.valid)) != ([], [])
    ]
    if not drawn:
        return None
    lines = [row for row in rows if row["kind"] == "ngram" and units.finite(row["loss"])]
    end = max(point.seconds for _, _, train, valid in drawn for point in (*train, *valid)) or 1.0
    labels = [Label(end, row["loss"], _label(row["model"], row["loss"], shape), MUTED, "normal") for row in lines]
    for index, model, train, valid in drawn:
        last = (valid or train)[-1]
        text = _label(model, last.loss, shape)
        labels.append(Label(last.seconds, last.loss, text, SERIES[index % len(SERIES)], "bold"))

    ratio = _bits_per_nat(rows)
    letters = max(len(label.text) for label in labels)
    left = 34.0 if ratio is None else 62.0 if shape is NARROW else 84.0
    figure, axes = _frame(shape, left=left, right=22 + LETTER * 1.1 * shape.font * letters, bottom=34, top=34)
    axes.set_xlim(0, end)
    axes.set_ylim(*_loss_range([row["loss"] for row in lines], [(train, valid) for _, _, train, valid in drawn]))
    for row in lines:
        axes.plot([0, end], [row["loss"]] * 2, color=MUTED, linewidth=0.8, dashes=(1.5, 2.5))
    for index, _, train, valid in drawn:
        colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
        _line(axes, train, color=colour, linewidth=0.7, alpha=0.4)
        _line(axes, valid, color=colour, linewidth=1.6)
        last = (valid or train)[-1]
        axes.plot([last.seconds], [last.loss], color=colour, marker=marker, markersize=4.4, clip_on=False)
    _end_labels(axes, labels, shape, end)
    axes.set_xlabel("seconds of training", color=MUTED, fontsize=shape.font)
    _loss_ticks(axes, ratio, shape)
    return figure


def cost_picture(rows: Sequence[Row], shape: Shape = WIDE) -> Figure | None:
    """Bits per byte against seconds of training and against bytes on disk, side by side, both on log scales.

    Args:
        rows: Those without a finite, positive figure are left out.
        shape: Its size; a narrow one has its panels one below the other.

    Returns:
        The picture, or None where no panel has two models.
    """
    require("matplotlib", extra="torch", purpose="a picture")
    from matplotlib.ticker import FuncFormatter

    ranked = finite_rows(rows)
    wanted = (
        (
            "seconds of training",
            [(row, row["train_seconds"]) for row in ranked],
            lambda value, _: f"{value:,.12g}{units.GAP}s",
        ),
        (
            "size on disk",
            [(row, row["bytes_on_disk"]) for row in ranked],
            lambda value, _: re.sub(r"\.0+(?!\d)", "", units.bytes_(value)),
        ),
    )
    shown = [
        (title, [(row, float(x)) for row, x in pairs if x is not None and units.finite(x) and x > 0], unit)
        for title, pairs, unit in wanted
    ]
    shown = [panel for panel in shown if len(panel[1]) >= 2]
    if not shown:
        return None
    stacked = shape.width < 400
    panels = 1 if stacked else len(shown)
    figure = _figure(shape.width, shape.height * (0.8 * len(shown) if stacked else 0.9))
    values = [row["bits_per_byte"] for row in ranked]
    margin = 0.08 * ((max(values) - min(values)) or 1.0)
    for number, (title, pairs, unit) in enumerate(shown):
        column, line = (0, number) if stacked else (number, 0)
        axes = _cell(figure, column, line, panels, len(shown) if stacked else 1)
        axes.set_ylim(min(values) - margin, max(values) + margin)
        _log_range(
            axes,
            [x for _, x in pairs],
            max(len(shortened(row["model"], COST_LETTERS)) for row, _ in pairs) * LETTER * shape.font,
        )
        axes.xaxis.set_major_formatter(FuncFormatter(unit))
        axes.set_xlabel(title, color=MUTED, fontsize=shape.font)
        if column == 0:
            _heading(axes, "bits per byte", -27, shape)
        else:
            axes.tick_params(axis="y", labelleft=False)
        _cost_points(axes, pairs, shape)
    return figure


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG, the same for the same figure and name."""
    import matplotlib as mpl

    file = io.StringIO()
    with _quiet(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", facecolor=PAPER, metadata={"Date": None, "Creator": None})
    return file.getvalue()


def png(figure: Figure) -> bytes:
    """A figure as PNG, the same for the same figure."""
    file = io.BytesIO()
    with _quiet():
        figure.savefig(file, format="png", facecolor=PAPER, dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """A name may have characters that matplotlib's font lacks; a browser's fonts have them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def inline(drawing: str, prefix: str) -> str:
    """An SVG as a part of a page: without its head, in the page's colours and fonts, its ids made its own.

    Args:
        drawing: What this module drew.
        prefix: Put before every id.

    Returns:
        The `svg` element, hidden from screen readers: the page's figure has a description.
    """
    drawing = drawing[drawing.index("<svg ") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'^<svg ([^>]*?)width="[^"]*"', r"<svg \1", drawing)
    drawing = re.sub(r'^<svg ([^>]*?)height="[^"]*"', r'<svg aria-hidden="true" focusable="false" \1', drawing)
    return re.sub(r"<[^>]+>", lambda tag: _themed(tag[0], prefix), drawing)


def _themed(tag: str, prefix: str) -> str:
    """A tag in the page's colours and fonts; text between tags stays as it is."""
    for name, colour in PALETTE.items():
        tag = tag.replace(colour, f"var(--{name})")
    tag = re.sub(r"(\bid=\"|href=\"#|url\(#)", rf"\g<1>{prefix}-", tag)
    return re.sub(r"(font: (?:\w+ )*[\d.]+px) [^;\"]*", r"\1 var(--sans)", tag)


def _drawable(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if units.finite(point.loss) and units.finite(point.seconds)]


def _bits_per_nat(rows: Sequence[Row]) -> float | None:
    """Bits per byte for each nat per token; None where rows differ in their tokens, or none has both figures."""
    if not same_tokens(rows):
        return None
    for row in rows:
        if units.finite(row["loss"]) and units.finite(row["bits_per_byte"]) and row["loss"] > 0:
            return row["bits_per_byte"] / row["loss"]
    return None


def _label(model: str, loss: float, shape: Shape) -> str:
    return f"{shortened(model, shape.name_letters)}  {units.decimal(loss, 2)}"


def _loss_range(
    lines: Sequence[float], drawn: Sequence[tuple[Sequence[Point], Sequence[Point]]]
) -> tuple[float, float]:
    """The losses to show: all where the models end, but no n-gram model so bad that the others could not be told apart.

    The range is at most four times as wide as from the best end to the median one, and holds every end of a curve.
    """
    ends = [(valid or train)[-1].loss for train, valid in drawn]
    points = [point.loss for train, valid in drawn for point in (*valid, *train)]
    high = max([*lines, *(point.loss for train, valid in drawn for point in (valid or train))])
    low = min([*lines, *points])
    usual = statistics.median([*lines, *ends])
    best = min([*lines, *ends])
    if usual > best:
        high = max(min(high, best + 4 * (usual - best)), *ends)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _line(axes: Axes, points: Sequence[Point], **style: Any) -> None:
    axes.plot([point.seconds for point in points], [point.loss for point in points], **style)


def _end_labels(axes: Axes, labels: Sequence[Label], shape: Shape, end: float) -> None:
    """A label to the right of each line, all apart from each other, tied to its line's end.

    A line above the picture has its label at the top, with an arrow.
    """
    low, high = axes.get_ylim()
    wide, tall = _extent(axes)
    wanted = [(min(label.loss, high) - low) / (high - low) * tall for label in labels]
    places = spread(wanted, shape.font * 1.3, 0.0, tall)
    for label, above in zip(labels, places, strict=True):
        y = low + above / tall * (high - low)
        outside = label.loss > high
        if not outside:
            start = max(label.seconds + end * 4 / wide, 0.0)
            bend = max(start, end * (1 + 4 / wide))
            axes.plot(
                [start, bend, end * (1 + 13 / wide)] if label.seconds > 0.98 * end else [start, end * (1 + 13 / wide)],
                [label.loss, label.loss, y] if label.seconds > 0.98 * end else [label.loss, y],
                color=label.colour,
                linewidth=0.5,
                clip_on=False,
            )
        axes.text(
            end * (1 + 16 / wide),
            y,
            f"{label.text} \N{UPWARDS ARROW}" if outside else label.text,
            color=label.colour,
            fontsize=shape.font,
            fontweight=label.weight,
            va="center_baseline",
            parse_math=False,
        )


def _extent(axes: Axes) -> tuple[float, float]:
    """Width and height of axes in points."""
    share, figure = axes.get_position(), axes.get_figure(root=True)
    assert figure is not None
    return share.width * figure.get_figwidth() * 72, share.height * figure.get_figheight() * 72


def _loss_ticks(axes: Axes, ratio: float | None, shape: Shape) -> None:
    """Ticks in nats per token and, further left, the same in bits per byte."""
    if ratio is None:
        _heading(axes, "nats per token", -27, shape)
        return
    slash = "/\n" if shape is NARROW else "/"
    _heading(axes, f"nats{slash}token", -25, shape)
    _heading(axes, f"bits{slash}byte", -34, shape, align="right")
    low, high = axes.get_ylim()
    for tick in axes.get_yticks():
        if low <= tick <= high:
            axes.annotate(
                f"{tick * ratio:.2f}",
                (0, tick),
                xycoords=("axes fraction", "data"),
                xytext=(-34, 0),
                textcoords="offset points",
                ha="right",
                va="center_baseline",
                color=MUTED,
                fontsize=shape.font,
            )


def _heading(axes: Axes, text: str, offset: float, shape: Shape, align: Literal["left", "right"] = "left") -> None:
    axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(offset, 9),
        textcoords="offset points",
        ha=align,
        color=MUTED,
        fontsize=shape.font,
    )


def _cost_points(axes: Axes, pairs: Sequence[tuple[Row, float]], shape: Shape) -> None:
    """Marks with labels; n-gram models of different orders joined by a line in that sequence."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    wide, tall = _extent(axes)

    def inside(row: Row, x: float) -> tuple[float, float]:
        share = (row["bits_per_byte"] - low) / (high - low)
        return math.log(x / left) / math.log(right / left) * wide, share * tall

    path = sorted(((number, row, x) for row, x in pairs if (number := order(row)) is not None), key=lambda p: p[0])
    if len({number for number, _, _ in path}) < len(path):
        path = []
    axes.plot([x for *_, x in path], [row["bits_per_byte"] for _, row, _ in path], color=RULE, linewidth=1.0)
    for row, x in pairs:
        neural = row["kind"] == "neural"
        axes.plot(
            [x],
            [row["bits_per_byte"]],
            marker="o" if neural else "s",
            markersize=5 if neural else 4.5,
            markerfacecolor=SERIES[0] if neural else PAPER,
            markeredgecolor=SERIES[0] if neural else MUTED,
            linestyle="",
            zorder=3,
        )
    names = [shortened(row["model"], COST_LETTERS) for row, _ in pairs]
    boxes = place(
        [inside(row, x) for row, x in pairs],
        [(len(name) * LETTER * shape.font + 3, shape.font * 1.15) for name in names],
        Box(0, 0, wide, tall),
        6.0,
        [inside(row, x) for _, row, x in path],
    )
    for (row, _), name, box in zip(pairs, names, boxes, strict=True):
        axes.text(
            left * math.exp((box.left + box.right) / 2 / wide * math.log(right / left)),
            low + (box.bottom + box.top) / 2 / tall * (high - low),
            name,
            color=SERIES[0] if row["kind"] == "neural" else MUTED,
            fontsize=shape.font,
            ha="center",
            va="center",
            parse_math=False,
        )


def _log_range(axes: Axes, values: Sequence[float], label: float) -> None:
    """A log scale with room at its end for a label of this many points; ticks at powers of ten, or closer if few."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    axes.set_xscale("log")
    low, high = math.log10(min(values)), math.log10(max(values))
    share = min((label + 10) / _extent(axes)[0], 0.5)
    room = max(0.06 * (high - low), 0.15)
    low -= room
    high += max(room, (high - low) * share / (1 - share))
    axes.set_xlim(10**low, 10**high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high - low >= 1.7 else (1.0, 2.0, 5.0), numticks=5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _figure(width: float, height: float) -> Figure:
    require("matplotlib", extra="torch", purpose="a picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def _frame(shape: Shape, *, left: float, right: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes and margins in points."""
    figure = _figure(shape.width, shape.height)
    rectangle = (
        left / shape.width,
        bottom / shape.height,
        (shape.width - left - right) / shape.width,
        (shape.height - bottom - top) / shape.height,
    )
    return figure, _plain(figure.add_axes(rectangle), shape.font)


def _cell(figure: Figure, column: int, line: int, columns: int, lines: int) -> Axes:
    """The axes of one panel of a grid."""
    width, height = figure.get_figwidth() * 72, figure.get_figheight() * 72
    left, gap, bottom, top = 34.0, 44.0, 34.0, 30.0
    wide = (width - left - 12 - gap * (columns - 1)) / columns
    tall = height / lines - bottom - top
    x = left + column * (wide + gap)
    y = height - (line + 1) * (height / lines) + bottom
    return _plain(figure.add_axes((x / width, y / height, wide / width, tall / height)), WIDE.font)


def _plain(axes: Axes, font: float) -> Axes:
    """Axes with nothing on them that carries no meaning."""
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(axis="both", length=3, width=0.6, color=RULE, labelcolor=MUTED, labelsize=font, pad=3)
    axes.yaxis.grid(True, color=RULE, linewidth=0.4)
    axes.tick_params(axis="y", length=0, pad=5)
    axes.set_axisbelow(True)
    return axes
