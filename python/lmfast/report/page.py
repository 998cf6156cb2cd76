"""Writes the page and its pictures.

The page is `template.html` filled by jinja2 with autoescaping. It loads nothing: pictures are inline, and a content
security policy allows no script but the page's own, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmfast.errors import require
from lmfast.report import units
from lmfast.report.characters import visible
from lmfast.report.findings import findings
from lmfast.report.passage import BOUNDS, panels
from lmfast.report.pictures import NARROW, WIDE, cost_picture, curves_picture, inline, png, svg
from lmfast.report.ranking import COLUMNS, best_figures, by_kind, figure, finite_rows, same_tokens

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from lmfast.report.content import Curve, Report, Row, Sample

__all__ = ["render", "write_report"]


PICTURES = ("curves", "cost")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture of the page: SVG for a wide and for a narrow page, and PNG."""

    name: str
    wide: str
    narrow: str
    png: bytes


def write_report(folder: str | os.PathLike[str], report: Report) -> Path:
    """Write `report.html` and the pictures it shows, as SVG and PNG files.

    All is made before the first file is replaced, the page last; a failure leaves the folder as it was.

    Args:
        folder: Made if missing. An earlier report in it is replaced; other files stay.
        report: What to show.

    Returns:
        The path of `report.html`.

    Raises:
        MissingDependencyError: jinja2 or matplotlib is not installed.
        OSError: The folder cannot be written.
    """
    drawings = _draw(report)
    files = {"report.html": render(report, drawings).encode("utf-8", "replace")}
    for drawing in drawings:
        files[f"{drawing.name}.svg"] = drawing.wide.encode()
        files[f"{drawing.name}.png"] = drawing.png
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".report-", dir=folder) as made:
        for name, content in files.items():
            Path(made, name).write_bytes(content)
        for name in reversed(files):
            Path(made, name).replace(folder / name)
    for name in {f"{picture}.{kind}" for picture in PICTURES for kind in ("svg", "png")} - set(files):
        (folder / name).unlink(missing_ok=True)  # an earlier report's
    return folder / "report.html"


def render(report: Report, drawings: Sequence[Drawing]) -> str:
    """The page as HTML."""
    jinja2 = require("jinja2", extra="torch", purpose="the report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "bytes": units.bytes_,
        "count": units.count,
        "decimal": units.decimal,
        "duration": units.duration,
        "visible": visible,
        "sha256": lambda script: base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode(),
    }
    source = importlib.resources.files("lmfast.report").joinpath("template.html").read_text(encoding="utf-8")
    rendered: str = environment.from_string(source).render(_variables(report, drawings))
    return rendered


def _draw(report: Report) -> list[Drawing]:
    pairs = (
        [curves_picture(report.rows, report.curves, shape) for shape in (WIDE, NARROW)],
        [cost_picture(report.rows, shape) for shape in (WIDE, NARROW)],
    )
    return [
        Drawing(name, svg(wide, name), svg(narrow, name), png(wide))
        for name, (wide, narrow) in zip(PICTURES, pairs, strict=True)
        if wide and narrow
    ]


def _variables(report: Report, drawings: Sequence[Drawing]) -> dict[str, Any]:
    rows = report.rows
    ranked = finite_rows(rows)
    seen = panels(report.passage) if report.passage and report.passage.tokens else []
    best_first = [row["model"] for row in ranked]
    rank = {model: place for place, model in reversed(list(enumerate(best_first)))}
    chosen = min(range(len(seen)), key=lambda index: rank.get(seen[index].model, len(rank)), default=0)
    longest = max((row["bits_per_byte"] for row in ranked), default=0.0)
    return {
        "report": report,
        "findings": findings(rows, report.curves),
        "columns": COLUMNS,
        "groups": by_kind(rows),
        "figure": figure,
        "best": best_figures(rows),
        "bar": lambda row: _bar(row, longest),
        "same_tokens": same_tokens(rows),
        "drawings": dict.fromkeys(PICTURES)
        | {
            drawing.name: {
                "wide": inline(drawing.wide, f"{drawing.name}-wide"),
                "narrow": inline(drawing.narrow, f"{drawing.name}-narrow"),
            }
            for drawing in drawings
        },
        "curves_alt": _curves_alt(rows, report.curves),
        "cost_alt": _cost_alt(rows),
        "ngrams": [row for row in rows if row["kind"] == "ngram"],
        "undrawn": [curve.model for curve in report.curves if not _has_point(curve)],
        "panels": seen,
        "chosen": chosen,
        "scale": list(_scale()),
        "sample_groups": _by_prompt(report.samples),
        "longest_stage": max((stage.seconds for stage in report.stages if units.finite(stage.seconds)), default=0.0),
        "command": shlex.join(report.command),
    }


def _bar(row: Row, longest: float) -> float:
    """The length of a row's bar, in percent of the longest."""
    value = row["bits_per_byte"]
    return 100 * value / longest if units.finite(value) and longest > 0 and value > 0 else 0.0


def _has_point(curve: Curve) -> bool:
    return any(units.finite(point.loss) for point in (*curve.train, *curve.valid))


def _scale() -> Iterator[tuple[int, str, str]]:
    """The steps of the passage's scale: (level, bits, the least probability of that step)."""
    for number, (low, high) in enumerate(zip((0.0, *BOUNDS), BOUNDS, strict=False)):
        yield number, f"{low:g}\N{EN DASH}{high:g}", f"1/{2**high:g}"
    yield len(BOUNDS), f"{BOUNDS[-1]:g}+", "rarer"


def _by_prompt(samples: Sequence[Sample]) -> list[tuple[str, list[tuple[str, list[Sample]]]]]:
    """Samples by prompt, then by model, both in the order of their first appearance."""
    groups: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        groups.setdefault(sample.prompt, {}).setdefault(sample.model, []).append(sample)
    return [(prompt, list(models.items())) for prompt, models in groups.items()]


def _curves_alt(rows: Sequence[Row], curves: Sequence[Curve]) -> str:
    """The picture of the curves in words."""
    parts = []
    for curve in curves:
        points = [point for point in (curve.valid or curve.train) if units.finite(point.loss)]
        if points:
            kind = "validation" if curve.valid else "training"
            parts.append(
                f"{curve.model}: {kind} loss from {units.decimal(points[0].loss, 2)} to "
                f"{units.decimal(points[-1].loss, 2)} in {units.duration(points[-1].seconds)}"
            )
    lines = [row for row in rows if row["kind"] == "ngram" and units.finite(row["loss"])]
    if lines:
        parts.append(
            "n-gram models for comparison: "
            + ", ".join(f"{row['model']} {units.decimal(row['loss'], 2)}" for row in lines)
        )
    return visible(f"Loss in nats per token against seconds of training. {'; '.join(parts)}.")


def _cost_alt(rows: Sequence[Row]) -> str:
    """The picture of costs in words."""
    parts = (
        f"{row['model']}: {units.decimal(row['bits_per_byte'], 2)} bits per byte, "
        f"{units.duration(row['train_seconds'])} of training, {units.bytes_(row['bytes_on_disk'])}"
        for row in finite_rows(rows)
    )
    return visible(f"Bits per byte against seconds of training and bytes on disk. {'; '.join(parts)}.")
