"""`lmfast ngram` on models: train otherwise, prune, mix, convert, look into; and what corpora share."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from tests.conftest import made_text

from lmfast import NgramModel
from lmfast.cli.__main__ import main
from lmfast.ngram.options import Smoothing


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ngram")
    (folder / "text.txt").write_text("".join(made_text()), "utf-8")
    (folder / "other.txt").write_text("".join(made_text(seed=3)), "utf-8")
    (folder / "tune.txt").write_text("".join(made_text(5, seed=1)), "utf-8")
    for name in ("text", "other"):
        source, target = str(folder / f"{name}.txt"), str(folder / f"{name}.lmn")
        assert main(["ngram", "train", source, "--order", "3", "--out", target, "--quiet"]) == 0
    return folder


def answer(capsys: pytest.CaptureFixture[str], *command: object) -> dict:
    capsys.readouterr()
    assert main([*map(str, ["ngram", *command]), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *command: object) -> str:
    capsys.readouterr()
    assert main([*map(str, ["ngram", *command])]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_other_smoothings(folder, capsys, tmp_path):
    train = ["train", folder / "text.txt", "--order", 3, "--out", tmp_path / "m.lmn"]
    for options, expected in [
        ([], "modified_kneser_ney"),
        (["--smoothing", "witten_bell"], "witten_bell"),
        (["--smoothing", "add_k", "--k", 0.5], "add_k k=0.5"),
        (["--smoothing", "stupid_backoff", "--alpha", 0.3], "stupid_backoff alpha=0.3"),
        (["--smoothing", "absolute_discounting", "--discount", 0.6], "absolute_discounting discount=0.6"),
    ]:
        assert answer(capsys, *train, *options)["smoothing"] == expected
        assert answer(capsys, "info", tmp_path / "m.lmn")["smoothing"] == expected
    assert "k=0.5" in refused(capsys, *train, "--k", 0.5)
    answer(capsys, *train, "--smoothing", "stupid_backoff")
    assert "perplexity" in refused(capsys, "eval", tmp_path / "m.lmn", "--text", folder / "tune.txt")
    answer(capsys, *train, "--smoothing", "maximum_likelihood")
    assert answer(capsys, "eval", tmp_path / "m.lmn", "--text", folder / "tune.txt")["with_unknown"] is None


def test_standard_input(folder, capsys, tmp_path, monkeypatch):
    text = (folder / "text.txt").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    answer(capsys, "train", "-", "--order", 3, "--out", tmp_path / "m.lmn")
    assert (tmp_path / "m.lmn").read_bytes() == (folder / "text.lmn").read_bytes()
    monkeypatch.setattr("sys.stdin", io.StringIO("a b\na b c\n"))
    assert answer(capsys, "count", "-", "--order", 2, "--top", 1)["top"] == [{"ngram": "a b", "count": 2}]


def test_smoothing_that_there_is_not(folder, capsys, tmp_path):
    message = refused(capsys, "train", folder / "text.txt", "--smoothing", "laplace", "--out", tmp_path / "m.lmn")
    assert all(name in message for name in ("laplace", *get_args(Smoothing)))
    assert not (tmp_path / "m.lmn").exists()


@pytest.mark.parametrize("memory", ["16M", "1.5GB", "1%", 20_000_000])
def test_memory_changes_no_byte(folder, capsys, tmp_path, memory):
    (tmp_path / "working").mkdir()
    within = ["--memory", memory, "--temporary-folder", tmp_path / "working"]
    train = ["train", folder / "text.txt", "--order", 3, "--prune", 0, 1, "--out"]
    count = ["count", folder / "text.txt", "--order", 2, "--out"]
    for command, name in ((train, "m.lmn"), (train, "m.arpa"), (count, "counts.tsv")):
        plain = answer(capsys, *command, tmp_path / name)
        expected = (tmp_path / name).read_bytes()
        budgeted = answer(capsys, *command, tmp_path / name, *within)
        assert (tmp_path / name).read_bytes() == expected
        for result in (plain, budgeted):
            result.pop("seconds", None)
        assert budgeted == plain
    assert not list((tmp_path / "working").iterdir())


@pytest.mark.parametrize("memory", ["much", "0", "-1G", "1X", "512MM"])
@pytest.mark.parametrize("verb", ["train", "count"])
def test_memory_that_is_no_size(folder, capsys, tmp_path, verb, memory):
    out = tmp_path / ("m.lmn" if verb == "train" else "counts.tsv")
    assert "memory=" in refused(capsys, verb, folder / "text.txt", "--out", out, f"--memory={memory}")
    assert not out.exists()


def test_memory_is_for_kneser_ney(folder, capsys, tmp_path):
    command = [
        "train",
        folder / "text.txt",
        "--smoothing",
        "witten_bell",
        "--memory",
        "1G",
        "--out",
        tmp_path / "m.lmn",
    ]
    assert "witten_bell" in refused(capsys, *command)


def test_working_folder_that_is_not_there(folder, capsys, tmp_path):
    command = ["count", folder / "text.txt", "--memory", "16M", "--temporary-folder", tmp_path / "absent"]
    assert "absent" in refused(capsys, *command)


def test_prune(folder, capsys, tmp_path):
    made = answer(capsys, "prune", folder / "text.lmn", "--threshold", 1e-4, "--out", tmp_path / "m.arpa")
    assert made["counts_before"] == answer(capsys, "info", folder / "text.lmn")["counts"]
    assert made["counts"] == answer(capsys, "info", tmp_path / "m.arpa")["counts"]
    assert made["counts"][0] == made["counts_before"][0]
    assert made["counts"][2] < made["counts_before"][2]
    assert "threshold" in refused(capsys, "prune", folder / "text.lmn", "--threshold", 0, "--out", tmp_path / "n.lmn")
    assert not (tmp_path / "n.lmn").exists()


def test_interpolate(folder, capsys, tmp_path):
    models, out = [folder / "text.lmn", folder / "other.lmn"], tmp_path / "m.lmn"
    made = answer(capsys, "interpolate", *models, "--tune", folder / "tune.txt", "--out", out)
    assert sum(made["weights"]) == pytest.approx(1)
    figures = [answer(capsys, "eval", model, "--text", folder / "tune.txt")["with_unknown"] for model in [*models, out]]
    assert figures[2] < min(figures[:2])
    again = answer(capsys, "interpolate", *models, "--weights", *made["weights"], "--out", tmp_path / "n.lmn")
    assert again["counts"] == made["counts"] == answer(capsys, "info", out)["counts"]
    assert "weights" in refused(capsys, "interpolate", *models, "--weights", 0.5, 0.6, "--out", out)


def test_convert_and_filter(folder, capsys, tmp_path):
    words = NgramModel.load(folder / "text.lmn").vocabulary
    listed = answer(capsys, "info", folder / "text.lmn", "--vocabulary")["vocabulary"]
    assert listed == list(words)
    (tmp_path / "words.txt").write_text("\n".join(words[3:9]))
    steps = [folder / "text.lmn", *(tmp_path / name for name in ("a.arpa", "b.arpa.gz", "c.lmn", "d.arpa"))]
    for source, target in itertools.pairwise(steps):
        answer(capsys, "convert", source, target)
    assert steps[1].read_bytes() == steps[4].read_bytes()
    made = answer(capsys, "convert", folder / "text.lmn", tmp_path / "f.lmn", "--vocabulary", tmp_path / "words.txt")
    assert made["counts"][0] == 9
    assert answer(capsys, "info", tmp_path / "f.lmn", "--vocabulary")["vocabulary"] == list(words[:9])


def test_overlap(folder, capsys, tmp_path):
    lines = (folder / "text.txt").read_text("utf-8").splitlines()
    taken = next(line for line in lines if len(line.split()) >= 5)
    (tmp_path / "test.txt").write_text(f"{taken.upper()}!\nnothing of all this is in there at all\n", "utf-8")
    command = ["count", folder / "text.txt", "--overlap", tmp_path / "test.txt", "--lines", "--order", 5]
    made = answer(capsys, *command, "--out", tmp_path / "found.tsv")
    assert made["reference_documents_found"] == 1
    assert made["reference_found"] == [0]
    assert lines.index(taken) in [row["document"] for row in made["found"]]
    rows = np.loadtxt(tmp_path / "found.tsv", dtype=int, ndmin=2)
    assert rows.tolist() == [[row["document"], row["ngrams"]] for row in made["found"]]
    assert answer(capsys, *command, "--exact")["reference_documents_found"] == 0
    assert answer(capsys, *command[:-2])["order"] == 13
    assert "99-gram" in refused(capsys, *command[:-1], 99)
