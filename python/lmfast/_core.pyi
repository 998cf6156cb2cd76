"""The compiled core. Private: use the names of the package `lmfast`. Proved against the module by stubtest."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

# ---- errors

class FormatError(ValueError): ...

__version__: str

# ---- source

@final
class DocumentReader:
    def __new__(cls, paths: Sequence[str], *, lines: bool = False, text_field: str = "text") -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> list[str]: ...

# ---- tokenizer

@final
class Tokenizer:
    @staticmethod
    def open(path: str | os.PathLike[str]) -> Tokenizer: ...
    @staticmethod
    def from_json(text: str) -> Tokenizer: ...
    @staticmethod
    def train(
        source: list[str] | Iterator[str],
        vocab_size: int,
        kind: str,
        pattern: str,
        special_tokens: list[str],
        min_frequency: int,
        threads: int | None,
        progress: Callable[[str, int, int], None] | None,
    ) -> Tokenizer: ...
    def with_options(self, add_special_tokens: bool, special: str) -> Tokenizer: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def to_json(self) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def end_of_text(self) -> int | None: ...
    def special_tokens(self) -> dict[str, int]: ...
    def vocab(self) -> dict[str, int]: ...
    def token_to_id(self, token: str) -> int | None: ...
    def id_to_token(self, id: int) -> str | None: ...
    def encode(self, text: str, add_special_tokens: bool, special: str) -> list[int]: ...
    def encode_batch(
        self,
        texts: Sequence[str],
        add_special_tokens: bool,
        special: str,
        threads: int | None,
        progress: Callable[[str, int, int], None] | None,
    ) -> list[list[int]]: ...
    def encode_array(
        self,
        texts: Sequence[str],
        add_special_tokens: bool,
        special: str,
        threads: int | None,
        progress: Callable[[str, int, int], None] | None,
    ) -> tuple[NDArray[Any], NDArray[np.uint64]]: ...
    def decode(self, ids: Sequence[int] | NDArray[Any], skip_special_tokens: bool) -> str: ...
    def decode_bytes(self, ids: Sequence[int] | NDArray[Any], skip_special_tokens: bool) -> bytes: ...
    def decoder(self, skip_special_tokens: bool) -> Decoder: ...

@final
class Decoder:
    def push(self, id: int) -> str: ...
    def finish(self) -> str: ...

# ---- ngram

# ---- data
