"""The command line from end to end, as a user and as a script types it."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import made_text

from lmfast.cli.__main__ import main, parser


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, a tokenizer and a token store, made by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in made_text()), "utf-8")
    (folder / "lines.txt").write_text("".join(made_text()), "utf-8")
    (folder / "test.txt").write_text("".join(made_text(5, seed=1)), "utf-8")
    for command in (
        ["tokenizer", "train", folder / "text.jsonl", "--vocab-size", 400, "--out", folder / "tokenizer.json"],
        ["tokenizer", "encode", folder / "tokenizer.json", folder / "text.jsonl", "--out", folder / "text.bin"],
        ["ngram", "train", folder / "lines.txt", "--order", 3, "--out", folder / "words.lmn"],
        [
            "ngram",
            "train",
            folder / "text.bin",
            "--tokenizer",
            folder / "tokenizer.json",
            "--out",
            folder / "tokens.lmn",
        ],
    ):
        assert main([*map(str, command), "--quiet"]) == 0
    return folder


def answer(capsys: pytest.CaptureFixture[str], *command: object) -> dict:
    capsys.readouterr()
    assert main([*map(str, command), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *command: object) -> str:
    """The one line that a mistake is answered with."""
    capsys.readouterr()
    assert main([*map(str, command)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("lmfast")
    return captured.err


def test_tokenizer(workshop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(capsys, "tokenizer", "info", workshop / "tokenizer.json")["vocab_size"] == 400
    text = "The end was near.\n"
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO(text))
    ids = answer(capsys, "tokenizer", "encode", workshop / "tokenizer.json")["ids"]
    assert answer(capsys, "tokenizer", "decode", workshop / "tokenizer.json", *ids)["text"] == text


def test_every_kind_of_tokenizer(workshop: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    train = ["tokenizer", "train", workshop / "text.jsonl", "--out", tmp_path / "t.json", "--vocab-size"]
    for options in (
        [200, "--kind", "wordpiece", "--keep-case", "--limit-alphabet", 60, "--initial-alphabet", "xyz"],
        [450, "--kind", "unigram", "--byte-fallback", "--max-token-length", 8, "--min-frequency", 0],
        [420, "--continue-from", workshop / "tokenizer.json"],
        [300, "--tie-order", "bytes"],
    ):
        assert answer(capsys, *train, *options)["vocab_size"] == options[0]
    assert "lowercase" in refused(capsys, *train, 300, "--keep-case")


def test_data(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = answer(capsys, "data", "info", workshop / "text.bin")
    assert info["documents"] == len(made_text())
    assert info["text_bytes"] == sum(len(text.encode()) for text in made_text())
    assert answer(capsys, "data", "verify", workshop / "text.bin", "--vocab-size", 400)["sound"]
    damaged = bytearray((workshop / "text.bin").read_bytes())
    damaged[100] ^= 1
    (workshop / "damaged.bin").write_bytes(damaged)
    for suffix in (".idx", ".lmfast.json"):
        for part in workshop.glob(f"text*{suffix}"):
            (workshop / part.name.replace("text", "damaged", 1)).write_bytes(part.read_bytes())
    assert "damaged.bin" in refused(capsys, "data", "verify", workshop / "damaged.bin")


def test_ngram(workshop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    info = answer(capsys, "ngram", "info", workshop / "words.lmn")
    assert info["order"] == 3
    found = answer(capsys, "ngram", "eval", workshop / "words.lmn", "--text", workshop / "test.txt")
    assert 1 < found["with_unknown"] < 1000
    for stream in (io.StringIO((workshop / "test.txt").read_text()), (workshop / "test.txt").open()):
        monkeypatch.setattr("sys.stdin", stream)
        assert answer(capsys, "ngram", "eval", workshop / "words.lmn", "--text", "-") == found
        stream.close()
    scores = answer(capsys, "ngram", "score", workshop / "words.lmn", "--text", workshop / "test.txt")["scores"]
    assert len(scores) == len((workshop / "test.txt").read_text().splitlines())
    assert max(scores) < 0
    for model in ("words", "tokens"):
        texts = [
            answer(capsys, "ngram", "generate", workshop / f"{model}.lmn", "--seed", 3, "--prompt", "The")["text"]
            for _ in range(2)
        ]
        assert texts[0] == texts[1] != ""
    answer(capsys, "ngram", "convert", workshop / "words.lmn", workshop / "words.arpa.gz")
    pruned = workshop / "pruned.lmn"
    made = answer(capsys, "ngram", "train", workshop / "lines.txt", "--order", 3, "--prune", 0, 1, "--out", pruned)
    assert made["counts"][0] == info["counts"][0]
    assert made["counts"][2] < info["counts"][2]
    counts = answer(capsys, "ngram", "count", workshop / "lines.txt", "--order", 2, "--out", workshop / "counts.tsv")
    assert counts["ngrams"] == len((workshop / "counts.tsv").read_text().splitlines())
    assert counts["top"][0]["count"] >= counts["top"][9]["count"] > 0
    again = answer(capsys, "ngram", "eval", workshop / "words.arpa.gz", "--text", workshop / "test.txt")
    assert again == found


def test_train_compare_generate(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    out = workshop / "gru"
    command = ["train", "gru", "--store", workshop / "text.bin", "--valid", workshop / "text.bin", "--out", out]
    command += ["--budget", "60 steps", "--batch-size", 8, "--seq-len", 32, "--lr", 0.01]
    command += ["--set", "embed_size=32", "--set", "hidden_size=32", "--set", "num_layers=1"]
    result = answer(capsys, *command)
    assert result["steps"] == 60
    assert result["valid_loss"] < 6
    compared = answer(capsys, "compare", out, workshop / "tokens.lmn", "--text", workshop / "test.txt")
    neural, ngram = compared["rows"]
    assert (neural["kind"], ngram["kind"]) == ("neural", "ngram")
    assert neural["tokens"] == ngram["tokens"]
    assert ngram["bits_per_byte"] < neural["bits_per_byte"] < 5
    assert {"rows", "text", "versions", "command"} <= compared.keys()
    alone = answer(capsys, "eval", out, "--text", workshop / "test.txt")
    assert alone["loss"] == pytest.approx(neural["loss"])
    drawn = [answer(capsys, "generate", out, "--prompt", "The", "--seed", 1, "--max-tokens", 9)["text"] for _ in "ab"]
    assert drawn[0] == drawn[1]
    assert main(["compare", str(out), "--text", str(workshop / "test.txt")]) == 0
    assert {"gru", "Perplexity"} <= {*capsys.readouterr().out.split()}
    words = workshop / "words.lmn"
    assert "words" in refused(capsys, "compare", out, words, "--text", workshop / "test.txt")


def test_mistakes(workshop: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tokenizer, text = workshop / "tokenizer.json", workshop / "text.jsonl"
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "latin.txt").write_bytes("Gr\xfc\xdfe\n".encode("latin-1") * 9)
    train = ["tokenizer", "train", "--vocab-size", 400, "--out", tmp_path / "t.json"]
    assert "absent.txt" in refused(capsys, *train, tmp_path / "absent.txt")
    assert "no file matches" in refused(capsys, *train, tmp_path / "*.nothing").lower()
    assert "empty" in refused(capsys, *train, tmp_path / "empty.txt").lower()
    assert "binary" in refused(capsys, *train, tmp_path / "binary.txt")
    assert "iconv" in refused(capsys, *train, tmp_path / "latin.txt")
    more = refused(capsys, "tokenizer", "train", text, "--vocab-size", 10**6, "--out", tmp_path / "t.json")
    assert "vocab_size" in more
    assert any(character.isdigit() for character in more)
    assert not (tmp_path / "t.json").exists()
    (tmp_path / "file").write_text("")
    where = tmp_path / "file" / "out.bin"
    assert str(where.parent) in refused(capsys, "tokenizer", "encode", tokenizer, text, "--out", where)
    assert "empty" in refused(capsys, "ngram", "train", tmp_path / "empty.txt", "--out", tmp_path / "m.lmn").lower()
    assert "lmn" in refused(capsys, "ngram", "info", tokenizer).lower()
    assert "budget" in refused(
        capsys, "train", "gru", "--store", workshop / "text.bin", "--out", tmp_path, "--budget", "5 x"
    )


def test_errors_of_the_command_line_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["train"], ["nonsense"], ["tokenizer", "train", "x", "--vocab-size", "many", "--out", "y"]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", "absent.bin", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    def walk(actions: object, words: list[str]) -> None:
        for name, sub in actions.choices.items():
            inner = [
                action for action in sub._actions if hasattr(action, "choices") and isinstance(action.choices, dict)
            ]
            if inner:
                walk(inner[0], [*words, name])
                continue
            with pytest.raises(SystemExit) as left:
                main([*words, name, "--help"])
            assert left.value.code == 0
            text = capsys.readouterr().out
            assert f"examples:\n  lmfast {' '.join([*words, name])}" in text or "examples:\n  echo" in text, (
                words,
                name,
            )
            assert {"--json", "--quiet", "--debug"} <= set(text.replace(",", " ").split())

    walk(next(action for action in parser()._actions if action.choices), [])


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_control_c_within_a_second(tmp_path: Path) -> None:
    """A long training stops at once, with exit code 130 and without a half-made file."""
    folder = tmp_path / "work"
    folder.mkdir()
    text = folder / "text.txt"
    text.write_text(random.Random(0).randbytes(32_000_000).hex(" ", 5), "utf-8")  # nothing but rare words
    command = [sys.executable, "-m", "lmfast", "tokenizer", "train", str(text), "--vocab-size", "50000"]
    process = subprocess.Popen([*command, "--out", str(folder / "t.json")], stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    assert process.poll() is None, process.communicate()
    sent = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert time.perf_counter() - sent < 1
    assert (process.returncode, told.strip()) == (130, "lmfast: interrupted")
    assert sorted(path.name for path in folder.iterdir()) == ["text.txt"]
