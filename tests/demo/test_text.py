"""The demo's text is split the same way each time, and nothing of it is lost."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmfast.demo.text import VALIDATION_BYTES, cut, split, standard_library, write_split


def read(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30), min_size=60, max_size=120))
def test_documents_go_whole_to_one_side(texts: list[str]) -> None:
    try:
        train, valid = split(texts)
    except ValueError:
        return
    assert sorted(train + valid) == sorted({text for text in texts if text.strip()}) or len(set(texts)) < 60
    random.Random(0).shuffle(texts)
    assert {*split(texts)[1]} == {*valid} or len(set(texts)) < 60


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
def test_a_cut_loses_nothing(text: str) -> None:
    head, tail = cut(text)
    assert head + tail == text


def test_one_document_is_cut_between_lines() -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    (train,), (valid,) = split([text])
    assert train + valid == text
    assert train.endswith("\n")
    assert 0.03 < len(valid) / len(text) < 0.07


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["\n"], ["   ", "\n"]])
def test_too_little_text(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="too short"):
        split(texts)


def test_the_standard_library_is_there() -> None:
    origin, texts = standard_library()
    assert "standard library" in origin
    assert sum(map(len, texts)) > 3_000_000
    train, valid = split(texts)
    assert sum(len(text.encode()) for text in valid) < 2 * VALIDATION_BYTES
    assert not {*train} & {*valid}


def test_files_of_every_kind(tmp_path: Path) -> None:
    texts = [f"document {number}\nof two lines" for number in range(100)]
    with gzip.open(tmp_path / "text.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    found = write_split([tmp_path / "text.jsonl.gz"], tmp_path / "out")
    assert sorted(read(found.train) + read(found.valid)) == sorted(texts)
    assert (found.train_documents, found.valid_documents) == (len(read(found.train)), len(read(found.valid)))
    again = write_split([tmp_path / "text.jsonl.gz"], tmp_path / "again")
    assert again.train.read_bytes() == found.train.read_bytes()
