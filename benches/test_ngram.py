"""N-gram models beside KenLM: text to a model that can be queried, and scores of sentences.

KenLM's programs come from the folder LMFAST_KENLM, its module from `pip install kenlm` or a wheel of it.
"""

import itertools
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lmfast import NgramModel

ORDER = 5
FALLBACK = (0.5, 1, 1.5)
TRAINING_LINES, HELD_OUT_LINES = 200_000, 20_000


def program(name):
    found = shutil.which(name, path=os.environ.get("LMFAST_KENLM", ""))
    if not found:
        pytest.skip(f"LMFAST_KENLM does not hold KenLM's {name}")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ngram")


@pytest.fixture(scope="module")
def texts(folder):
    """A file to train on, and sentences after it."""
    data = Path(os.environ.get("LMFAST_DATA", Path(__file__).resolve().parents[2] / "shared"))
    corpus = data / "corpora/blogs-160mb.txt.xz"
    if not corpus.exists():
        pytest.skip(f"{corpus.name} is not here: set LMFAST_DATA")
    with lzma.open(corpus, "rt", encoding="utf-8") as lines:
        (folder / "train.txt").write_text("".join(itertools.islice(lines, TRAINING_LINES)), encoding="utf-8")
        held_out = [line.rstrip("\n") for line in itertools.islice(lines, HELD_OUT_LINES)]
    return folder / "train.txt", held_out


@pytest.fixture(scope="module")
def model(texts):
    return NgramModel.train(texts[0], ORDER, discount_fallback=FALLBACK)


def lmplz(text, target):
    command = [program("lmplz"), "-o", str(ORDER), "-S", "1G", "-T", f"{target.parent}/", "--discount_fallback"]
    subprocess.run([*command, "--text", text, "--arpa", target], check=True, capture_output=True)


def build_binary(arpa, target):
    subprocess.run([program("build_binary"), "probing", arpa, target], check=True, capture_output=True)


@pytest.fixture(scope="module")
def kenlm_files(texts, folder):
    arpa, binary = folder / "kenlm.arpa", folder / "kenlm.probing"
    lmplz(texts[0], arpa)
    build_binary(arpa, binary)
    return arpa, binary


@pytest.mark.benchmark(group="text to queryable model")
def test_train_lmfast(benchmark, texts, folder, request):
    target = folder / "ours.lmn"

    def train():
        NgramModel.train(texts[0], ORDER, discount_fallback=FALLBACK).save(target)

    if os.environ.get("LMFAST_KENLM"):
        arpa, binary = request.getfixturevalue("kenlm_files")
        ours = folder / "ours.arpa"
        NgramModel.train(texts[0], ORDER, discount_fallback=FALLBACK).save(ours)
        assert ours.read_bytes() == arpa.read_bytes()
        benchmark.extra_info["kenlm_bytes"] = binary.stat().st_size
    benchmark.pedantic(train, rounds=3)
    loaded = NgramModel.load(target)
    benchmark.extra_info |= {"bytes": target.stat().st_size, "ngrams": loaded.num_ngrams}


@pytest.mark.benchmark(group="text to queryable model")
def test_train_kenlm(benchmark, texts, folder):
    program("lmplz")
    arpa, binary = folder / "timed.arpa", folder / "timed.probing"

    def train():
        lmplz(texts[0], arpa)
        build_binary(arpa, binary)

    benchmark.pedantic(train, rounds=3)


@pytest.mark.benchmark(group="text to ARPA")
def test_arpa_lmfast(benchmark, texts, folder):
    target = folder / "ours.arpa"
    benchmark.pedantic(lambda: NgramModel.train(texts[0], ORDER, discount_fallback=FALLBACK).save(target), rounds=3)


@pytest.mark.benchmark(group="text to ARPA")
def test_arpa_kenlm(benchmark, texts, folder):
    benchmark.pedantic(lambda: lmplz(texts[0], folder / "timed.arpa"), rounds=3)


@pytest.mark.benchmark(group="scores of sentences")
@pytest.mark.parametrize("threads", [1, 2])
def test_score_lmfast(benchmark, model, texts, folder, threads):
    model.save(folder / "scored.lmn")
    loaded = NgramModel.load(folder / "scored.lmn")
    scores = benchmark.pedantic(lambda: loaded.score_batch(texts[1], threads=threads), rounds=5, warmup_rounds=1)
    np.testing.assert_array_equal(scores, model.score_batch(texts[1]))
    benchmark.extra_info["tokens"] = sum(len(text.split()) + 1 for text in texts[1])


@pytest.mark.benchmark(group="scores of sentences")
@pytest.mark.parametrize("bits", [None, 8])
def test_score_compact(benchmark, model, texts, folder, bits):
    target = folder / f"compact{bits}.lmn"
    model.save(target, compact=True, quantize_bits=bits)
    loaded = NgramModel.load(target)
    scores = benchmark.pedantic(lambda: loaded.score_batch(texts[1], threads=1), rounds=5, warmup_rounds=1)
    if bits is None:
        np.testing.assert_array_equal(scores, model.score_batch(texts[1]))
    benchmark.extra_info |= {"bytes": target.stat().st_size, "ngrams": model.num_ngrams}


@pytest.mark.benchmark(group="scores of sentences")
def test_score_kenlm_trie(benchmark, model, texts, folder, kenlm_files):
    kenlm = pytest.importorskip("kenlm")
    target = folder / "kenlm.trie"
    subprocess.run([program("build_binary"), "trie", kenlm_files[0], target], check=True, capture_output=True)
    theirs = kenlm.Model(str(target))
    scores = np.array([theirs.score(text) for text in texts[1]], np.float32)
    np.testing.assert_array_equal(scores, model.score_batch(texts[1]))
    benchmark.pedantic(lambda: [theirs.score(text) for text in texts[1]], rounds=5)
    benchmark.extra_info["bytes"] = target.stat().st_size


@pytest.mark.benchmark(group="scores of sentences")
def test_score_kenlm(benchmark, model, texts, kenlm_files):
    kenlm = pytest.importorskip("kenlm")
    theirs = kenlm.Model(str(kenlm_files[1]))
    scores = np.array([theirs.score(text) for text in texts[1]], np.float32)
    np.testing.assert_array_equal(scores, model.score_batch(texts[1]))
    benchmark.pedantic(lambda: [theirs.score(text) for text in texts[1]], rounds=5)


@pytest.mark.benchmark(group="distribution of the next word")
def test_next_word_lmfast(benchmark, model, texts):
    contexts = [" ".join(text.split()[:4]) for text in texts[1][:200]]
    benchmark.pedantic(lambda: [model.next_token_distribution(context) for context in contexts], rounds=3)
    benchmark.extra_info |= {"contexts": len(contexts), "words": model.counts[0]}
