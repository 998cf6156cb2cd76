"""Token stores: formats byte for byte, documents in and out, damage."""

from __future__ import annotations

import json
import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.conftest import llmc_bytes, write_megatron

import lmfast
from lmfast import FormatError, TokenStore

rows = st.lists(st.lists(st.integers(0, 65_535), max_size=20), min_size=1, max_size=20)


def test_megatron_store_is_read_in_place(store, documents):
    assert store.format == "megatron"
    assert store.dtype == np.uint16
    assert store.num_tokens == sum(map(len, documents))
    assert len(store) == len(documents)
    assert store.offsets.dtype == np.uint64
    assert not store.tokens.flags.writeable
    assert not store.tokens.flags.owndata
    assert not store.offsets.flags.writeable
    np.testing.assert_array_equal(store.tokens, np.concatenate(documents))
    np.testing.assert_array_equal(store.offsets, np.cumsum([0, *map(len, documents)]))
    for number, (document, iterated) in enumerate(zip(documents, store, strict=True)):
        np.testing.assert_array_equal(store[number], document)
        np.testing.assert_array_equal(iterated, document)
        np.testing.assert_array_equal(store[number - len(documents)], document)
    for outside in (len(documents), -len(documents) - 1):
        with pytest.raises(IndexError):
            store[outside]
    assert store.text_bytes is None
    assert store.vocab_size is None
    store.verify()
    with pytest.raises(FormatError, match=r"main\.bin: token \d+, in document \d+"):
        store.verify(vocab_size=100)


def test_tokens_outlive_the_store(store_path, documents):
    tokens = TokenStore.open(store_path).tokens[5:]
    np.testing.assert_array_equal(tokens, np.concatenate(documents)[5:])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=rows, wide=st.booleans(), whole=st.booleans())
def test_written_bytes(tmp_path, documents, wide, whole):
    ids = np.array([id for document in documents for id in document], np.uint32 if wide else np.uint16)
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.uint64)
    source = SimpleNamespace(ids=ids, offsets=offsets) if whole else (np.array(document, int) for document in documents)
    vocabulary = 100_000 if wide else 65_499
    if not wide and ids.size and ids.max() >= 65_499:
        vocabulary = int(ids.max()) + 1
    ours = TokenStore.write(tmp_path / "ours", source, vocab_size=vocabulary)
    theirs = write_megatron(tmp_path / "theirs.bin", documents, np.uint16 if vocabulary < 65_500 else np.int32)
    for suffix in (".bin", ".idx"):
        assert ours.path.with_suffix(suffix).read_bytes() == theirs.with_suffix(suffix).read_bytes()
    if ids.size and not wide:
        plain = TokenStore.write(tmp_path / "plain", documents, format="nanogpt", vocab_size=65_536)
        assert plain.path.read_bytes() == ids.astype("<u2").tobytes()
        assert len(plain) == 1
    for limit in (65_536, 65_537):
        if not ids.size or ids.max() < limit:
            store = TokenStore.write(tmp_path / "c", documents, format="llm.c", vocab_size=limit)
            assert store.path.read_bytes() == llmc_bytes(ids, wide=limit > 65_536)
            np.testing.assert_array_equal(store.tokens, ids)


def test_vocabulary_is_that_of_the_ids_if_not_given(tmp_path):
    small = TokenStore.write(tmp_path / "small", [[1, 2], [], [65_498]])
    large = TokenStore.write(tmp_path / "large", (np.array([value]) for value in (3, 65_499)))
    none = TokenStore.write(tmp_path / "none", [])
    assert (small.dtype, small.vocab_size) == (np.uint16, 65_499)
    assert (large.dtype, large.vocab_size) == (np.int32, 65_500)
    assert (len(none), none.num_tokens, none.offsets.tolist()) == (0, 0, [0])
    arrays = SimpleNamespace(ids=np.array([7, 8], np.uint32), offsets=np.array([0, 1, 2], np.uint64))
    assert TokenStore.write(tmp_path / "arrays", arrays).vocab_size == 9


def test_many_documents_cross_the_writer_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("lmfast.data.store.CHUNK_TOKENS", 50)
    generator = np.random.default_rng(1)
    documents = [generator.integers(0, 1000, generator.choice([0, 1, 7, 49, 50, 51, 180])) for _ in range(400)]
    ids, offsets = np.concatenate(documents), np.cumsum([0, *map(len, documents)])
    theirs = write_megatron(tmp_path / "theirs.bin", documents)
    for number, dtype in enumerate((np.uint16, np.uint32, np.int16, np.int64)):
        for source in (
            SimpleNamespace(ids=ids.astype(dtype), offsets=offsets),
            [part.astype(dtype) for part in documents],
        ):
            ours = TokenStore.write(tmp_path / f"ours{number}", source, vocab_size=1000)
            for suffix in (".bin", ".idx"):
                assert ours.path.with_suffix(suffix).read_bytes() == theirs.with_suffix(suffix).read_bytes()


@pytest.mark.parametrize(
    ("documents", "error", "words"),
    [
        ([[1], [2, 9]], ValueError, "document 1 has the id 9"),
        ([[1], [], [3, -1]], ValueError, "document 2 has the id -1"),
        ([np.array([2**64 - 1], np.uint64)], ValueError, "document 0"),
        ([[1], [0.5]], TypeError, "document 1"),
        ([[1], [[1, 2]]], TypeError, "document 1"),
        (["text"], TypeError, "document 0"),
        ("text", TypeError, "str"),
        (SimpleNamespace(ids=np.arange(4), offsets=np.array([0, 3])), ValueError, "offsets"),
        (SimpleNamespace(ids=np.arange(4), offsets=np.array([0, 3, 2, 4])), ValueError, "offsets"),
        (SimpleNamespace(ids=np.arange(4), offsets=np.array([0.0, 4.0])), TypeError, "offsets"),
        (SimpleNamespace(ids=np.arange(14), offsets=np.array([0, 8, 14])), ValueError, "document 1 has the id 9"),
    ],
)
def test_bad_documents_leave_nothing(tmp_path, documents, error, words):
    with pytest.raises(error, match=words):
        TokenStore.write(tmp_path / "store", documents, vocab_size=9)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_of_the_documents_comes_through(tmp_path):
    def documents():
        yield [1]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        TokenStore.write(tmp_path / "store", documents(), vocab_size=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"format": "npz"},
        {"format": "nanogpt", "vocab_size": 65_537},
        {"vocab_size": 0},
        {"vocab_size": -1},
        {"vocab_size": 2**40},
        {"vocab_size": 2**70},
    ],
)
def test_bad_options(tmp_path, options):
    with pytest.raises(ValueError, match=next(reversed(options))):
        TokenStore.write(tmp_path / "store", [[1]], **options)


def test_names(tmp_path):
    store = TokenStore.write(tmp_path / "v1.5", [[1, 2]])
    assert store.path == tmp_path / "v1.5.bin"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1.5.bin", "v1.5.idx", "v1.5.lmfast.json"]
    for name in ("v1.5", "v1.5.bin", "v1.5.idx"):
        assert TokenStore.open(tmp_path / name).tokens.tolist() == [1, 2]
        assert TokenStore.write(tmp_path / name, [[1, 2]]).path == store.path
    assert TokenStore.open(str(tmp_path / "v1.5")).fingerprint == store.fingerprint


def test_numpy_files(tmp_path):
    for dtype in (np.uint16, np.int32, np.uint32):
        tokens = np.arange(1000, dtype=dtype)
        for shape in (1000, 0):
            np.save(tmp_path / "tokens.npy", tokens[:shape])
            store = TokenStore.open(tmp_path / "tokens.npy")
            assert (store.format, store.dtype, store.num_tokens) == ("npy", dtype, shape)
            np.testing.assert_array_equal(store.tokens, tokens[:shape])
    for wrong in (tokens.astype(np.int64), tokens.astype(">u4"), tokens.reshape(10, 100), tokens.astype(float)):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(FormatError, match=r"wrong\.npy"):
            TokenStore.open(tmp_path / "wrong.npy")


def test_files_without_header_have_the_type_asked_for(tmp_path):
    path = tmp_path / "tokens.bin"
    tokens = np.array([1, 70_000, 5], "<u4")
    path.write_bytes(tokens.tobytes())
    assert TokenStore.open(path).tokens.tolist() == tokens.view("<u2").tolist()
    store = TokenStore.open(path, dtype=np.uint32)
    assert pickle.loads(pickle.dumps(store)).tokens.tolist() == tokens.tolist()
    for dtype in ("int64", "float32"):
        with pytest.raises(ValueError, match="dtype"):
            TokenStore.open(path, dtype=dtype)
    (tmp_path / "c.bin").write_bytes(llmc_bytes(tokens, wide=True))
    with pytest.raises(FormatError, match="dtype"):
        TokenStore.open(tmp_path / "c.bin", dtype="uint16")


def test_verify_finds_any_flipped_bit(tmp_path, documents):
    generator = np.random.default_rng(3)
    for number in range(40):
        path = TokenStore.write(tmp_path / "store", documents, vocab_size=65_499).path
        victim = path.with_suffix(".idx") if number % 2 else path
        content = bytearray(victim.read_bytes())
        content[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
        victim.write_bytes(content)
        with pytest.raises(FormatError, match=r"store\."):
            TokenStore.open(path).verify()


def test_sidecar_is_what_its_documentation_says(tmp_path, documents):
    path = TokenStore.write(tmp_path / "store", documents, vocab_size=50_000).path
    record = json.loads((tmp_path / "store.lmfast.json").read_text())
    assert list(record) == [
        "lmfast_sidecar",
        "format",
        "dtype",
        "num_tokens",
        "num_documents",
        "vocab_size",
        "text_bytes",
        "fingerprint",
        "block_bytes",
        "index_checksum",
        "block_checksums",
    ]
    store = TokenStore.open(path)
    assert record["fingerprint"] == store.fingerprint
    assert (record["num_tokens"], record["num_documents"]) == (store.num_tokens, len(store))
    assert record["vocab_size"] == store.vocab_size == 50_000
    assert len(record["block_checksums"]) == 1


def test_fingerprint_is_of_the_content(tmp_path, documents, store):
    written = TokenStore.write(tmp_path / "copy", documents, vocab_size=50_000)
    assert written.fingerprint == store.fingerprint, "noted by lmfast, computed from a file without a sidecar"
    # A change that keeps size and times: the checksum of a sampled block tells.
    times = (tmp_path / "copy.lmfast.json").stat()
    content = bytearray(written.path.read_bytes())
    content[100] ^= 1
    written.path.write_bytes(content)
    os.utime(written.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert TokenStore.open(written.path).fingerprint != written.fingerprint


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"lmfast_sidecar": 2}', b"\xff"])
def test_damaged_sidecars(tmp_path, content):
    path = TokenStore.write(tmp_path / "store", [[1, 2]]).path
    (tmp_path / "store.lmfast.json").write_bytes(content)
    with pytest.raises(FormatError, match=r"store\.lmfast\.json"):
        TokenStore.open(path)


def test_missing_and_other_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        TokenStore.open(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        TokenStore.write(tmp_path / "absent" / "store", [[1]])
    with pytest.raises(ValueError, match="folder"):
        TokenStore.open(tmp_path)
    for name in ("tokens.ds", "tokens.parquet", "text.txt"):
        (tmp_path / name).write_bytes(b"1234")
        with pytest.raises(FormatError, match=name):
            TokenStore.open(tmp_path / name)


def test_repr(store):
    assert "300 documents" in repr(store)
    assert lmfast.TokenStore is TokenStore
