"""The page: well formed, complete, inert whatever is in it, and alone."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import math
import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lmfast.errors import MissingDependencyError
from lmfast.report import Curve, Passage, Point, Report, Row, Sample, Stage, TextFacts, TokenizerFacts, write_report

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

VOID = {"meta", "input", "br", "link", "img"}
HOSTILE = "</pre><script>alert('1')</script><img src=x onerror=alert(2)>\"'&amp;\x00\u202e{{ 7*7 }}$x^2$]]>"


class Page(HTMLParser):
    """Checks the nesting and keeps what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: list[list[list[str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def page_of(folder: Path, report: Report) -> Page:
    return Page(write_report(folder, report).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, report: Report) -> Path:
    return write_report(tmp_path_factory.mktemp("written"), report)


@pytest.fixture(scope="module")
def text(written: Path) -> str:
    return written.read_text(encoding="utf-8")


def test_everything_is_there(text: str, report: Report) -> None:
    page = Page(text)
    names = [cells[0] for cells in page.tables[0][1:] if len(cells) > 1]
    assert names == [row["model"] for row in report.rows]
    assert [len(cells) for cells in page.tables[0]] == [8, 1, 8, 8, 8, 1, 8, 8]
    gpt = page.tables[0][-1]
    assert gpt[1:] == [
        "1.231 (best)",
        "18.17 (best)",
        "2.900 (best)",
        "1.20\xa0M",
        "4.80\xa0MB (best)",
        "40.0\xa0s",
        "250\xa0k (best)",
    ]
    for shown in ("f(x):\n    return x", "byte-level BPE", "lmfast demo --out 'a folder'", "2026-01-02", "4.00\xa0MB"):
        assert shown in page.text
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")


def test_ids_are_unique_and_references_lead_somewhere(text: str) -> None:
    page = Page(text)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.tags:
        for key in ("for", "aria-labelledby"):
            assert attrs.get(key, ids[0]) in ids
        for reference in re.findall(r"url\(#([^)]+)\)", " ".join(value or "" for value in attrs.values())):
            assert reference in ids
        if "xlink:href" in attrs:
            assert (attrs["xlink:href"] or "").removeprefix("#") in ids


def test_loads_nothing(text: str) -> None:
    page = Page(text)
    assert not [tag for tag, _ in page.tags if tag in ("link", "img", "iframe", "object")]
    assert not [attrs for _, attrs in page.tags if "src" in attrs]
    assert not re.search(r"@import|url\((?!#)", text)


def test_the_one_script_is_the_one_allowed(text: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_hostile_text_is_inert(tmp_path: Path, report: Report, make_row: Callable[..., Row]) -> None:
    names = [HOSTILE, "2-gram " + HOSTILE]
    hostile = Report(
        rows=[make_row(names[0], 3.0, kind="neural"), make_row(names[1], 4.0, train_seconds=1.0)],
        title=HOSTILE,
        curves=[Curve(HOSTILE, valid=[Point(1.0, 1, 1, 4.0), Point(2.0, 2, 2, 3.0)])],
        passage=Passage([HOSTILE.encode(), b"<script>"], {HOSTILE: (math.nan, 3.0)}, origin=HOSTILE),
        samples=[Sample(HOSTILE, HOSTILE, HOSTILE)],
        text=TextFacts([HOSTILE], 1, 1, 1, 1),
        tokenizer=TokenizerFacts(HOSTILE, 1, 1.0),
        stages=[Stage(HOSTILE, 1.0)],
        versions={HOSTILE: HOSTILE},
        command=[HOSTILE],
        speed=HOSTILE,
    )
    page = page_of(tmp_path, hostile)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "img" not in {tag for tag, _ in page.tags}
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
    assert "\x00" not in page.text
    assert "\u202e" not in page.text
    assert "49" not in page.tables[0][2][0]
    assert page.text.count("<U+202E>") >= 10
    for name in ("curves.svg", "cost.svg"):
        root = ET.parse(tmp_path / name).getroot()
        assert not [element for element in root.iter() if element.tag.endswith(("script", "img"))]


def test_pictures_are_valid(written: Path, report: Report) -> None:
    folder = written.parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "cost.png", "cost.svg", "curves.png", "curves.svg", "report.html",
    ]  # fmt: skip
    for name in ("curves", "cost"):
        png = (folder / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        assert int.from_bytes(png[16:20], "big") > 1000
        svg = ET.parse(folder / f"{name}.svg").getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        shown = "".join(svg.itertext())
        assert all(row["model"] in shown for row in report.rows)


def test_same_report_same_bytes(tmp_path: Path, written: Path, report: Report) -> None:
    write_report(tmp_path, report)
    for path in written.parent.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_failure_changes_nothing(tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(rows=rows[:1])
    write_report(tmp_path, report)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_report(tmp_path, dataclasses.replace(report, title="another"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pictures_of_an_earlier_report_do_not_stay(tmp_path: Path, rows: list[Row]) -> None:
    for name in ("curves.svg", "curves.png", "cost.svg", "metrics.json"):
        (tmp_path / name).write_text("")
    write_report(tmp_path, Report(rows=rows[:1]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "report.html"]


@pytest.mark.parametrize(
    ("losses", "pictures"),
    [
        ({}, []),
        ({"GPT": 3.0}, ["curves"]),
        ({"2-gram": math.nan, "GPT": math.inf}, []),
        ({f"{n}-gram": 4.0 for n in range(1, 6)}, ["cost"]),
        ({f"model {n} \N{GRINNING FACE} " + "long " * 30: 3 + n / 1e4 for n in range(12)}, ["cost", "curves"]),
    ],
)
def test_edges(tmp_path: Path, losses: dict[str, float], pictures: list[str], make_row: Any, make_curve: Any) -> None:
    rows = [make_row(model, loss, train_seconds=1.0 + i) for i, (model, loss) in enumerate(losses.items())]
    curves = [make_curve(row["model"], row["loss"], points=1) for row in rows if row["kind"] == "neural"]
    samples = [Sample(row["model"], "", "") for row in rows]
    passage = Passage([], {row["model"]: () for row in rows})
    page = page_of(tmp_path, Report(rows=rows, curves=curves, samples=samples, passage=passage))
    assert sum(len(cells) > 1 for cells in page.tables[0]) == 1 + len(rows)
    assert sorted(path.stem for path in tmp_path.glob("*.svg")) == pictures
    if samples:
        assert "nothing: the model ended the text at once" in page.text


def test_missing_figures(tmp_path: Path, make_row: Callable[..., Row]) -> None:
    rows = [make_row("a", 3.0, train_seconds=None, tokens_per_second=None), make_row("b", 4.0, train_seconds=math.nan)]
    page = page_of(tmp_path, Report(rows=rows))
    assert page.tables[0][2][6:] == ["\N{EN DASH}", "\N{EN DASH}"]
    assert page.tables[0][3][6] == "nan"


def test_a_picture_in_the_page_has_its_colours_and_keeps_its_text() -> None:
    from lmfast.report.pictures import PALETTE, inline

    text = f"{PALETTE['c0']} id="
    drawn = inline(
        f'<?xml?>\n<svg width="9pt" height="9pt"><g id="a" style="fill: {PALETTE["ink"]}">{text}</g></svg>', "p"
    )
    assert ' width="' not in drawn
    assert f'<g id="p-a" style="fill: var(--ink)">{text}</g>' in drawn
    assert 'aria-hidden="true"' in drawn


def test_a_missing_package_is_named(tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"jinja2.*\[torch\]"):
        write_report(tmp_path / "new", Report(rows=rows[:1]))
    assert not (tmp_path / "new").exists()
