"""Encoding and decoding with real vocabularies beside the fastest peers, in the same run; ids are compared first.

Vocabularies and texts are those of LMFAST_DATA; without it all is skipped. "cold" is a new tokenizer, which has met no
piece of the text yet. One thread, or LMFAST_NUM_THREADS, on every side.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from lmfast import Tokenizer

DATA = Path(os.environ.get("LMFAST_DATA", Path(__file__).parents[2] / "shared"))
THREADS = int(os.environ.get("LMFAST_NUM_THREADS", "1"))
os.environ["RAYON_NUM_THREADS"] = str(THREADS)
FILES = {
    "gpt2": "gpt2.tokenizer.json",
    "cl100k": "cl100k_base.tiktoken",
    "o200k": "o200k_base.tiktoken",
    "llama3": "llama3.tokenizer.json",
}
PLAIN = {"add_special_tokens": False, "special": "text"}


@pytest.fixture(scope="module", params=["prose", "code", "multilingual"])
def documents(request):
    """The text in documents of 8 KB."""
    zstandard = pytest.importorskip("zstandard")
    path = DATA / "corpora" / "tokenbench" / f"{request.param}.txt.zst"
    if not path.exists():
        pytest.skip(f"no {path}: name its folder with LMFAST_DATA")
    with path.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    return [text[start : start + 8192] for start in range(0, len(text), 8192)]


def encoder(engine, vocabulary):
    """A function from documents to one array of ids, as each package does it fastest."""
    file = DATA / "vocabs" / FILES[vocabulary]
    if engine == "lmfast":
        tokenizer = Tokenizer.from_file(file)
        return lambda texts: tokenizer.encode_array(texts, threads=THREADS, **PLAIN).ids
    if engine == "fastokens":
        make = pytest.importorskip("fastokens")._native.Tokenizer
        is_json = file.suffix == ".json"
        peer = make.from_file(str(file)) if is_json else make.from_tiktoken(str(file), encoding=file.stem)
        return lambda texts: np.frombuffer(peer.encode_batch_flat(texts)[0], dtype=np.uint32)
    make = pytest.importorskip("gigatoken").Tokenizer
    peer = make.from_json(file.read_bytes()) if file.suffix == ".json" else make.from_tiktoken(str(file))
    return lambda texts: np.asarray(peer.encode_batch(texts, parallel=THREADS > 1).layout.content.data)


@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize("vocabulary", FILES)
@pytest.mark.parametrize("engine", ["lmfast", "fastokens", "gigatoken"])
def test_encode(benchmark, documents, engine, vocabulary, cache):
    encode = encoder(engine, vocabulary)
    if engine != "lmfast":
        np.testing.assert_array_equal(encode(documents), encoder("lmfast", vocabulary)(documents))
    benchmark.extra_info["MB"] = sum(len(document.encode()) for document in documents) / 1e6
    if cache == "cold":
        setup = lambda: ((encoder(engine, vocabulary), documents), {})  # noqa: E731 - a name would not say more
        benchmark.pedantic(lambda encode, texts: encode(texts), setup=setup, rounds=5)
    else:
        benchmark.pedantic(encode, args=(documents,), warmup_rounds=1, rounds=5)


@pytest.mark.parametrize("engine", ["lmfast", "fastokens", "gigatoken"])
def test_encode_to_lists(benchmark, documents, engine):
    file = DATA / "vocabs" / FILES["cl100k"]
    tokenizer = Tokenizer.from_file(file)
    if engine == "lmfast":
        encode = lambda texts: tokenizer.encode_batch(texts, threads=THREADS, **PLAIN)  # noqa: E731
    elif engine == "fastokens":
        peer = pytest.importorskip("fastokens")._native.Tokenizer.from_tiktoken(str(file), encoding=file.stem)
        encode = lambda texts: [row.ids for row in peer.encode_batch(texts)]  # noqa: E731
    else:
        peer = pytest.importorskip("gigatoken").Tokenizer.from_tiktoken(str(file))
        encode = lambda texts: peer.encode_batch_list(texts, parallel=THREADS > 1)  # noqa: E731
    assert encode(documents) == tokenizer.encode_batch(documents, **PLAIN)
    benchmark.pedantic(encode, args=(documents,), rounds=5)


@pytest.mark.parametrize("engine", ["lmfast", "fastokens", "tiktoken"])
def test_decode(benchmark, documents, engine):
    file = DATA / "vocabs" / FILES["cl100k"]
    tokenizer = Tokenizer.from_file(file)
    rows = tokenizer.encode_batch(documents, **PLAIN)
    if engine == "lmfast":
        decode = tokenizer.decode
    elif engine == "fastokens":
        decode = pytest.importorskip("fastokens")._native.Tokenizer.from_tiktoken(str(file), encoding=file.stem).decode
    else:
        tiktoken = pytest.importorskip("tiktoken")
        ranks = pytest.importorskip("tiktoken.load").load_tiktoken_bpe(str(file))
        decode = tiktoken.Encoding("cl100k", pat_str=".", mergeable_ranks=ranks, special_tokens={}).decode
    assert [decode(row) for row in rows] == documents
    benchmark.pedantic(lambda: [decode(row) for row in rows], rounds=5)


@pytest.mark.parametrize("engine", ["lmfast", "nanotoken"])
def test_wordpiece(benchmark, documents, engine):
    file = DATA / "vocabs" / "bert-uncased-minilm.tokenizer.json"
    tokenizer = Tokenizer.from_file(file)
    if engine == "lmfast":
        encode = lambda texts: tokenizer.encode_batch(texts, threads=1, **PLAIN)  # noqa: E731
    else:
        encode = pytest.importorskip("nanotoken").Tokenizer.from_json(file.read_text("utf-8")).encode_batch_list
    assert encode(documents) == tokenizer.encode_batch(documents, **PLAIN)
    benchmark.pedantic(encode, args=(documents,), rounds=5)
