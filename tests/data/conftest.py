"""Stores that the tests of data share, written byte by byte and not by lmfast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lmfast


def write_megatron(path: Path, documents: list[np.ndarray], dtype=np.uint16) -> Path:
    """Both files as Megatron-LM's IndexedDatasetBuilder lays them out."""
    lengths = np.array([len(document) for document in documents], "<i4")
    pointers = np.concatenate([[0], np.cumsum(lengths, dtype="<i8")])[:-1].astype("<i8") * np.dtype(dtype).itemsize
    code = {"uint16": 8, "int32": 4}[np.dtype(dtype).name]
    with path.with_suffix(".idx").open("wb") as index:
        index.write(b"MMIDIDX\0\0" + np.uint64(1).tobytes() + np.uint8(code).tobytes())
        index.write(np.array([len(lengths), len(lengths) + 1], "<u8").tobytes())
        index.write(lengths.tobytes() + pointers.tobytes() + np.arange(len(lengths) + 1, dtype="<i8").tobytes())
    path.write_bytes(b"".join(np.asarray(document, dtype).tobytes() for document in documents))
    return path


def llmc_bytes(tokens: np.ndarray, *, wide: bool) -> bytes:
    header = np.zeros(256, "<i4")
    header[:3] = (20240801, 7, len(tokens)) if wide else (20240520, 1, len(tokens))
    return header.tobytes() + tokens.astype("<u4" if wide else "<u2").tobytes()


@pytest.fixture(scope="session")
def documents() -> list[np.ndarray]:
    """300 documents of up to 90 ids below 50,000, some of them empty."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, 50_000, generator.integers(0, 90)) for _ in range(300)]


@pytest.fixture(scope="session")
def store_path(documents, tmp_path_factory) -> Path:
    return write_megatron(tmp_path_factory.mktemp("store") / "main.bin", documents)


@pytest.fixture
def store(store_path) -> lmfast.TokenStore:
    return lmfast.TokenStore.open(store_path)
