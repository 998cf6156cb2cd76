"""The whole demo, small: everything is there, the figures are sound, the same seed gives the same run."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import made_text

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from lmfast import TokenStore, evaluate, load
from lmfast.cli.__main__ import main
from lmfast.comparison import tokenizer_of
from lmfast.demo.plan import neural_plans

ROW = {
    *("model", "kind", "size", "bytes_on_disk", "train_seconds", "tokens_per_second"),
    *("tokens", "loss", "perplexity", "bits_per_byte"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of the demo with the same seed."""
    folder = tmp_path_factory.mktemp("demo")
    text = folder / "text.jsonl"
    text.write_text("".join(json.dumps({"text": text}) + "\n" for text in made_text(200)), encoding="utf-8")
    command = ["demo", "--text", str(text), "--vocab-size", "600", "--budget", "150 steps", "--quiet"]
    for name in "ab":
        assert main([*command, "--out", str(folder / name)]) == 0
    return [folder / name for name in "ab"]


def metrics(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


def test_everything_is_there(runs: list[Path]) -> None:
    found = metrics(runs[0])
    assert {"rows", "text", "versions", "command"} <= found.keys()
    assert [row["model"] for row in found["rows"]] == [*(f"{n}-gram" for n in range(1, 6)), "LSTM", "GRU", "GPT"]
    assert all(row.keys() == ROW for row in found["rows"])
    page = (runs[0] / "report.html").read_text(encoding="utf-8")
    assert all(row["model"] in page for row in found["rows"])
    assert "://" not in page.replace("http://www.w3.org", "")  # the name of SVG, which nobody fetches
    assert (runs[0] / "curves.png").read_bytes().startswith(b"\x89PNG")
    left = [path.name for path in runs[0].rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
    assert left == []


def test_figures_are_sound(runs: list[Path]) -> None:
    found = metrics(runs[0])
    rows = {row["model"]: row for row in found["rows"]}
    assert len({row["tokens"] for row in rows.values()}) == 1
    for row in rows.values():
        assert row["perplexity"] == pytest.approx(math.exp(row["loss"]))
        bits = row["loss"] * row["tokens"] / math.log(2) / found["text"]["valid_bytes"]
        assert row["bits_per_byte"] == pytest.approx(bits)
        assert row["bytes_on_disk"] > 1000
    assert rows["3-gram"]["loss"] < rows["2-gram"]["loss"] < rows["1-gram"]["loss"]
    assert rows["LSTM"]["loss"] < rows["1-gram"]["loss"]


def test_the_same_seed_gives_the_same_run(runs: list[Path]) -> None:
    first, second = ({row["model"]: row["loss"] for row in metrics(run)["rows"]} for run in runs)
    assert first == second
    for name in ("tokenizer.json", "tokens/train.bin", "models/5-gram.lmn", "models/LSTM/model.safetensors"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name


def test_saved_models_are_those_of_the_table(runs: list[Path]) -> None:
    valid = TokenStore.open(runs[0] / "tokens" / "valid.bin")
    for row in metrics(runs[0])["rows"]:
        path = runs[0] / "models" / (f"{row['model']}.lmn" if row["kind"] == "ngram" else row["model"])
        found = evaluate(load(path), valid, tokenizer=tokenizer_of(path))
        assert found.loss == pytest.approx(row["loss"], rel=1e-6)


def test_batches_fit_the_text() -> None:
    for gpu, tokens in itertools.product((False, True), (2, 40, 300, 5000, 10**6)):
        for plan in neural_plans(600, tokens=tokens, gpu=gpu):
            assert 1 <= plan.batch_size * plan.seq_len < tokens
    assert [plan.batch_size * plan.seq_len for plan in neural_plans(600, tokens=10**6, gpu=True)] == [64 * 256] * 3


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "short.txt").write_text("a")
    (tmp_path / "text.txt").write_text("".join(made_text(20)))
    (tmp_path / "file").write_text("")
    for command, told in (
        (["--text", str(tmp_path / "absent.txt")], "absent.txt"),
        (["--text", str(tmp_path / "short.txt")], "too short"),
        (["--text", str(tmp_path / "text.txt"), "--vocab-size", "1000000"], "vocab_size"),
        (["--text", str(tmp_path / "text.txt"), "--budget", "soon"], "budget"),
        (["--text", str(tmp_path / "text.txt"), "--out", str(tmp_path / "file" / "run")], str(tmp_path / "file")),
    ):
        out = [] if "--out" in command else ["--out", str(tmp_path / "run")]
        assert main(["demo", *command, *out, "--quiet"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert told in error


def test_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from lmfast.cli.__main__ import main; sys.exit(main({}))"
    for command in (["demo"], ["train", "gru", "--store", "x.bin", "--out", "y"]):
        done = subprocess.run([sys.executable, "-c", code.format(command)], capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert "[torch]" in done.stderr
