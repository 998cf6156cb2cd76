"""Encoding and training beside `tokenizers`, in the same run; ids are compared before anything is timed.

The text is of the real corpora where LMFAST_DATA has them, else made. "cold" is a new tokenizer, which has met no piece
of the text yet.
"""

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


@pytest.mark.parametrize("engine", ["lmfast", "tokenizers"])
def test_train(benchmark, documents, tmp_path, engine):
    path = tmp_path / "text.txt"
    path.write_text("".join(documents), encoding="utf-8")

    def train_ours():
        return Tokenizer.train(path, 8000)

    def train_theirs():
        model = tokenizers.Tokenizer(tokenizers.models.BPE())
        model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=8000,
            min_frequency=2,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=alphabet,
            show_progress=False,
        )
        model.train([str(path)], trainer)
        return model

    assert train_ours().vocab() == train_theirs().get_vocab()
    note_speed(benchmark, documents)
    benchmark.pedantic(train_ours if engine == "lmfast" else train_theirs, rounds=3)
