"""Encoding and training beside `tokenizers`, in the same run; ids are compared before anything is timed.

The text is of the real corpora where LMFAST_DATA has them, else made. "cold" is a new tokenizer, which has met no piece
of the text yet.
"""

import json
import os
import random
from pathlib import Path

import pytest

from lmfast import Tokenizer

tokenizers = pytest.importorskip("tokenizers")

MEGABYTE = 1_000_000
THREADS = int(os.environ.get("LMFAST_NUM_THREADS", "1"))


@pytest.fixture(scope="module")
def documents():
    """About 2 MB of text in documents of 8 KB."""
    path = (
        Path(os.environ.get("LMFAST_DATA", Path(__file__).parents[2] / "shared"))
        / "corpora"
        / "wikitext2"
        / "train.txt"
    )
    if path.exists():
        text = path.read_text("utf-8")[: 2 * MEGABYTE]
    else:
        generator = random.Random(0)
        words = ["".join(generator.choices("etaoinshrdlu", k=generator.randrange(1, 9))) for _ in range(20_000)]
        picks = (min(int(generator.paretovariate(0.8)), 19_999) for _ in range(400_000))
        text = " ".join(words[pick] for pick in picks).replace(" e", ".\n")
    return [text[start : start + 8192] for start in range(0, len(text), 8192)]


@pytest.fixture(scope="module")
def trained(documents, tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "tokenizer.json"
    Tokenizer.train(documents, 8000).save(path)
    return path


def note_speed(benchmark, documents):
    size = sum(len(document.encode()) for document in documents)
    benchmark.extra_info["MB"] = size / MEGABYTE


@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize("engine", ["lmfast", "tokenizers"])
def test_encode(benchmark, documents, trained, engine, cache, monkeypatch):
    monkeypatch.setenv("RAYON_NUM_THREADS", str(THREADS))
    expected = [row.ids for row in tokenizers.Tokenizer.from_file(str(trained)).encode_batch(documents[:50])]
    assert Tokenizer.from_file(trained).encode_batch(documents[:50]) == expected

    def make():
        if engine == "lmfast":
            tokenizer = Tokenizer.from_file(trained)
            return lambda: tokenizer.encode_array(documents, threads=THREADS)
        tokenizer = tokenizers.Tokenizer.from_file(str(trained))
        return lambda: tokenizer.encode_batch_fast(documents)

    note_speed(benchmark, documents)
    if cache == "cold":
        benchmark.pedantic(lambda encode: encode(), setup=lambda: ((make(),), {}), rounds=5)
    else:
        encode = make()
        encode()
        benchmark.pedantic(encode, rounds=5)


@pytest.mark.parametrize("engine", ["lmfast", "gigabpe", "tokenizers"])
def test_train(benchmark, documents, tmp_path, engine):
    if engine == "gigabpe":
        pytest.importorskip("gigabpe")
    path = tmp_path / "text.txt"
    path.write_text("".join(documents), encoding="utf-8")

    def train():
        return trained_by(engine, path, 8000)

    ours = trained_by("lmfast", path, 8000)
    expected = merges_of(ours, tmp_path)
    assert merges_of(train(), tmp_path)[: len(expected)] == expected  # gigabpe leaves out bytes that do not occur
    note_speed(benchmark, documents)
    benchmark.pedantic(train, rounds=3)


def trained_by(engine, path, size):
    """A byte-level BPE with the same merges, by any engine on all cores."""
    if engine == "lmfast":
        return Tokenizer.train(path, size, special_tokens=(), min_frequency=0)
    if engine == "gigabpe":
        import gigabpe

        return gigabpe.train_bpe([str(path)], vocab_size=size, pretokenizer="bytelevel")
    steps = tokenizers.pre_tokenizers
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = steps.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=steps.ByteLevel.alphabet(), show_progress=False
    )
    model.train([str(path)], trainer)
    return model


def merges_of(trained, folder):
    if isinstance(trained, tuple):
        return [tuple(merge) for merge in trained[1]]
    trained.save(str(folder / "trained.json"))
    return [tuple(merge) for merge in json.loads((folder / "trained.json").read_text("utf-8"))["model"]["merges"]]
