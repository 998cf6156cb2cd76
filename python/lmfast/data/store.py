"""Files of tokens."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from lmfast import _core
from lmfast.progress import bar

__all__ = ["Documents", "TokenStore"]

CHUNK_TOKENS = 1 << 20
"""Documents are handed to the writer this many tokens at a time."""


class Documents(Protocol):
    """Documents as two arrays, such as what `Tokenizer.encode_array` gives."""

    @property
    def ids(self) -> npt.NDArray[Any]:
        """The ids of all documents, (N,) integers."""

    @property
    def offsets(self) -> npt.NDArray[np.uint64]:
        """Where each document begins, and N: (documents + 1,)."""


class TokenStore:
    """Documents of tokens in a file that is mapped into memory: opened at once at any size, and never copied.

    Made by `open` or `write`. A store can be pickled, by name, and used by any number of threads and processes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = TokenStore.write(f"{folder}/tokens", [[1, 2, 3], [4, 5]], vocab_size=10)
    ...     len(store), store.num_tokens, store[1], store.offsets
    (2, 5, array([4, 5], dtype=uint16), array([0, 3, 5], dtype=uint64))
    """

    def __init__(self, core: _core.TokenStore, dtype: str | None = None) -> None:
        self._core = core
        self._asked_dtype = dtype
        self._tokens: npt.NDArray[Any] = core.tokens()
        if core.text_bytes is not None and self._tokens.dtype == np.int32:
            self._tokens = self._tokens.view(np.uint32)
        self._offsets: npt.NDArray[np.uint64] | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, dtype: npt.DTypeLike | None = None) -> Self:
        """Open a file of tokens, told by its content.

        Megatron's `.bin` with its `.idx` beside it (either may be named), nanoGPT's and llm.c's `.bin`, and `.npy`
        arrays of one dimension. A name without suffix stands for `NAME.bin` where that exists.

        Args:
            path: The file.
            dtype: uint16, int32 or uint32: the type of tokens in a file without a header, uint16 if not given. For a
                file that says its type it must be the same.

        Raises:
            FormatError: The file is damaged, or of a kind that is not read.

        >>> TokenStore.open("absent.bin")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'absent.bin'
        """
        name = None if dtype is None else np.dtype(dtype).name
        return cls(_core.TokenStore(os.fspath(path), name), name)

    @classmethod
    def write(
        cls,
        path: str | os.PathLike[str],
        documents: Documents | Iterable[npt.ArrayLike],
        *,
        format: str = "megatron",
        vocab_size: int | None = None,
    ) -> Self:
        """Write documents to a file, and open it.

        The file is `path` if that ends in `.bin`, else `path` with `.bin` appended (for `.idx`: replaced). For Megatron
        a `.idx` is written beside it, and for every format `NAME.lmfast.json` with checksums. Each appears whole or not
        at all.

        Args:
            path: The name.
            documents: An object with `ids` and `offsets`, or integer arrays, one a document.
            format: "megatron" (uint16 if vocab_size < 65500, else int32), "nanogpt" (uint16, without boundaries) or
                "llm.c" (uint16, or uint32 above 65,536 ids; without boundaries).
            vocab_size: The largest id that may occur, plus one. If not given, that of the ids, for which all documents
                are held in memory at once.

        Raises:
            ValueError: An id that is negative or not below `vocab_size`, naming the document.
            TypeError: A document that is not a one-dimensional array of integers.

        >>> TokenStore.write("tokens", [[1, 2], [3, 9]], vocab_size=9)
        Traceback (most recent call last):
        ValueError: document 1 has the id 9, vocab_size is 9: ids are from 0 to 8
        """
        if isinstance(documents, (str, bytes, os.PathLike)):
            message = f"documents are arrays of ids, not {type(documents).__name__}; encode text first"
            raise TypeError(message)
        ids, offsets = getattr(documents, "ids", None), getattr(documents, "offsets", None)
        whole = ids is not None and offsets is not None
        pieces = _pieces_of_arrays(ids, offsets) if whole else _pieces(documents)  # type: ignore[arg-type]
        if vocab_size is None:
            if not whole:
                pieces = iter(held := list(pieces))
                largest = max((int(ids.max()) for ids, _ in held if ids.size), default=0)
            else:
                largest = int(np.max(ids)) if len(ids) else 0  # type: ignore[arg-type]
            vocab_size = max(largest, 0) + 1
        if not 0 < vocab_size < 2**63:
            message = f"vocab_size={vocab_size}: at least 1 is needed"
            raise ValueError(message)
        writer = _core.TokenWriter(os.fspath(path), format, vocab_size)
        for piece in pieces:
            writer.push(*piece)
        return cls.open(writer.finish())

    @property
    def tokens(self) -> npt.NDArray[Any]:
        """All tokens, (num_tokens,), read-only, mapped."""
        return self._tokens

    @property
    def offsets(self) -> npt.NDArray[np.uint64]:
        """The token that begins each document, and num_tokens: (documents + 1,)."""
        if self._offsets is None:
            self._offsets = self._core.offsets()
            self._offsets.flags.writeable = False
        return self._offsets

    @property
    def path(self) -> Path:
        """The file of the tokens."""
        return Path(self._core.path)

    @property
    def format(self) -> str:
        """What kind of file it is: "megatron", "nanogpt", "llm.c" or "npy"."""
        return self._core.format

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the tokens.

        A store made from text shows the ids of a large vocabulary as uint32, as `Tokenizer.encode_array` does, though
        Megatron's format calls the same bytes int32.
        """
        return self._tokens.dtype

    @property
    def num_tokens(self) -> int:
        """How many tokens there are."""
        return self._core.num_tokens

    @property
    def vocab_size(self) -> int | None:
        """The vocabulary's size, as far as the store's writer noted it."""
        return self._core.vocab_size

    @property
    def cleaning(self) -> dict[str, int] | None:
        """What cleaning did to the text, as `CleaningReport` names it; None where it was not cleaned by lmfast."""
        report = self._core.cleaning
        return None if report is None else dict(json.loads(report))

    @property
    def text_bytes(self) -> int | None:
        """Bytes of the UTF-8 text behind the tokens; None if the store was not made from text by lmfast."""
        return self._core.text_bytes

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that another content would change.

        Known at once for a store that lmfast wrote; for others the file is read, once.
        """
        return self._core.fingerprint()

    def verify(self, *, vocab_size: int | None = None, progress: bool | None = None) -> None:
        """Read the whole store and check boundaries, ids and, where there are some, checksums.

        Args:
            vocab_size: Ids must be below it. If not given, the one noted by the writer.
            progress: True for a bar, False for none, None for one on a terminal.

        Raises:
            FormatError: Naming the file and the first place that is wrong.
        """
        if vocab_size is not None and not 0 < vocab_size < 2**63:
            message = f"vocab_size={vocab_size}: at least 1 is needed"
            raise ValueError(message)
        with bar(progress) as callback:
            self._core.verify(vocab_size, callback)

    def __len__(self) -> int:
        """How many documents there are; a file without boundaries is one."""
        return self._core.num_documents

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """The tokens of a document, mapped; an index below 0 counts from the end."""
        count = len(self)
        if not -count <= index < count:
            message = f"document {index} of {count}"
            raise IndexError(message)
        start, end = self.offsets[index % count : index % count + 2]
        return self._tokens[int(start) : int(end)]

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """The documents in order."""
        for start, end in itertools.pairwise(self.offsets.tolist()):
            yield self._tokens[start:end]

    def __repr__(self) -> str:
        documents = f"{len(self):,} document{'s' if len(self) != 1 else ''}"
        return f"<TokenStore {str(self.path)!r}: {self.format}, {self.num_tokens:,} {self.dtype} tokens, {documents}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.path), self._asked_dtype)


def _reopen(path: str, dtype: str | None) -> TokenStore:
    return TokenStore.open(path, dtype=dtype)


Piece = tuple[npt.NDArray[Any], npt.NDArray[np.uint64]]
"""Ids of some documents and their lengths."""


def _checked(document: npt.ArrayLike, number: int) -> npt.NDArray[Any]:
    ids = np.asarray(document)
    if ids.ndim != 1 or (ids.dtype.kind not in "iu" and ids.size):
        message = f"document {number} is of shape {ids.shape} and type {ids.dtype}: a document is a row of integers"
        raise TypeError(message)
    if ids.dtype == np.uint64 and ids.size and int(ids.max()) >= 2**63:
        message = f"document {number} has the id {int(ids.max())}: no vocabulary is as large"
        raise ValueError(message)
    return ids


def _pieces(documents: Iterable[npt.ArrayLike]) -> Iterator[Piece]:
    held: list[npt.NDArray[Any]] = []
    size = 0
    for number, document in enumerate(documents):
        held.append(_checked(document, number).astype(np.int64, copy=False))
        size += held[-1].size + 1
        if size >= CHUNK_TOKENS:
            yield np.concatenate(held), np.array([ids.size for ids in held], np.uint64)
            held, size = [], 0
    if held:
        yield np.concatenate(held), np.array([ids.size for ids in held], np.uint64)


def _pieces_of_arrays(ids: npt.ArrayLike, offsets: npt.ArrayLike) -> Iterator[Piece]:
    ids, offsets = _checked(ids, 0), np.asarray(offsets)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or not offsets.size:
        message = f"offsets of shape {offsets.shape} and type {offsets.dtype}: documents + 1 integers were expected"
        raise TypeError(message)
    if offsets[0] != 0 or offsets[-1] != ids.size or (offsets[1:] < offsets[:-1]).any():
        message = f"offsets must rise from 0 to the number of ids, {ids.size}"
        raise ValueError(message)
    if ids.dtype not in (np.uint16, np.uint32):
        ids = ids.astype(np.int64, copy=False)
    ids = np.ascontiguousarray(ids)
    first = 0
    while first < offsets.size - 1:
        last = int(np.searchsorted(offsets, offsets[first] + offsets.dtype.type(CHUNK_TOKENS), "right")) - 1
        last = min(max(last, first + 1), first + CHUNK_TOKENS)
        lengths = np.diff(offsets[first : last + 1]).astype(np.uint64)
        yield ids[int(offsets[first]) : int(offsets[last])], lengths
        first = last
