"""The compiled core. Private: use the names of the package `lmfast`. Proved against the module by stubtest."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

# ---- errors

class FormatError(ValueError): ...

__all__ = [
    "BatchLoader",
    "Decoder",
    "DocumentReader",
    "FormatError",
    "NgramModel",
    "NgramOptions",
    "NgramState",
    "TokenStore",
    "TokenWriter",
    "Tokenizer",
    "__version__",
    "clean_files",
    "count_tokens",
    "count_words",
    "encode_files",
    "filter_ngrams",
    "interpolate_ngrams",
    "overlap_of_text",
    "overlap_of_tokens",
    "prune_ngrams",
    "text_scores",
    "train_ngrams_of_tokens",
    "train_ngrams_of_words",
]
__version__: str

# ---- source

@final
class DocumentReader:
    def __new__(cls, paths: Sequence[str], *, lines: bool, text_field: str, text_column: str) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> list[str]: ...

# ---- cleaning

def clean_files(
    source: list[str] | Iterator[str],
    out: str | os.PathLike[str],
    cleaning: Any,
    lines: bool,
    text_field: str,
    text_column: str,
    threads: int | None,
    progress: Callable[[str, int, int], None] | None,
) -> str: ...

# ---- tokenizer

@final
class Tokenizer:
    @staticmethod
    def open(
        path: str | os.PathLike[str],
        pattern: str | None = None,
        special_tokens: list[tuple[str, int]] | None = None,
    ) -> Tokenizer: ...
    @staticmethod
    def from_state(state: bytes) -> Tokenizer: ...
    @staticmethod
    def train(
        source: list[str] | Iterator[str],
        vocab_size: int,
        kind: str,
        *,
        pattern: str | None,
        special_tokens: list[str],
        min_frequency: int,
        tie_order: str | None,
        limit_alphabet: int | None,
        initial_alphabet: list[str],
        max_token_length: int | None,
        lowercase: bool | None,
        byte_fallback: bool | None,
        continue_from: Tokenizer | None,
        text_field: str,
        text_column: str,
        cleaning: Any,
        threads: int | None,
        progress: Callable[[str, int, int], None] | None,
    ) -> Tokenizer: ...
    def with_options(self, add_special_tokens: bool, special: str) -> Tokenizer: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def state(self) -> bytes: ...
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
    def encode_rows(
        self,
        texts: Sequence[str],
        text_pairs: Sequence[str] | None,
        max_length: int | None,
        truncation: str | None,
        padding: str | None,
        offsets: str | None,
        add_special_tokens: bool,
        special: str,
        threads: int | None,
        progress: Callable[[str, int, int], None] | None,
    ) -> list[NDArray[np.int64]]: ...
    def decode(self, ids: Sequence[int] | NDArray[Any], skip_special_tokens: bool) -> str: ...
    def decode_bytes(self, ids: Sequence[int] | NDArray[Any], skip_special_tokens: bool) -> bytes: ...
    def decoder(self, skip_special_tokens: bool) -> Decoder: ...

@final
class Decoder:
    def push(self, id: int) -> str: ...
    def finish(self) -> str: ...

# ---- ngram

_Callback = Callable[[str, int, int], None]

@final
class NgramState:
    def __new__(cls) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> NgramState: ...
    def __deepcopy__(self, _memo: Any) -> NgramState: ...

@final
class NgramModel:
    @staticmethod
    def load(path: str, *, threads: int | None, progress: _Callback | None) -> NgramModel: ...
    def save_arpa(self, path: str, *, threads: int | None, progress: _Callback | None) -> None: ...
    def save_lmn(self, path: str, *, progress: _Callback | None) -> None: ...
    def save_compact(
        self, path: str, *, quantize_bits: int | None, threads: int | None, progress: _Callback | None
    ) -> None: ...
    def verify(self, *, progress: _Callback | None) -> None: ...
    @property
    def order(self) -> int: ...
    @property
    def counts(self) -> list[int]: ...
    @property
    def is_of_tokens(self) -> bool: ...
    @property
    def method(self) -> str: ...
    @property
    def is_distribution(self) -> bool: ...
    @property
    def fallback_orders(self) -> list[int]: ...
    def vocabulary(self) -> list[str]: ...
    def word(self, id: int) -> str: ...
    def score(self, text: str | NDArray[Any], *, bos: bool, eos: bool) -> float: ...
    def score_batch(
        self, texts: list[str], *, bos: bool, eos: bool, threads: int | None, progress: _Callback | None
    ) -> NDArray[np.float32]: ...
    def score_documents(
        self,
        tokens: NDArray[Any],
        offsets: NDArray[np.uint64],
        *,
        bos: bool,
        eos: bool,
        threads: int | None,
        progress: _Callback | None,
    ) -> NDArray[np.float32]: ...
    def token_scores(
        self, text: str | NDArray[Any], *, bos: bool, eos: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_]]: ...
    def word_ids(
        self,
        source: list[str] | Iterator[str],
        *,
        text_field: str,
        text_column: str,
        threads: int | None,
        progress: _Callback | None,
    ) -> NDArray[np.uint32]: ...
    def word_scores(
        self, ids: NDArray[np.uint32], *, bos: bool, threads: int | None, progress: _Callback | None
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_]]: ...
    def write_first_state(self, state: NgramState, *, bos: bool) -> None: ...
    def advance(self, state: NgramState, word: str, following: NgramState) -> tuple[float, int, bool]: ...
    def knows(self, word: str) -> bool: ...
    def token_stream_scores(
        self, tokens: NDArray[Any], offsets: NDArray[np.uint64], *, threads: int | None, progress: _Callback | None
    ) -> NDArray[np.float32]: ...
    def perplexity(
        self,
        source: list[str] | Iterator[str],
        *,
        text_field: str,
        text_column: str,
        threads: int | None,
        progress: _Callback | None,
    ) -> tuple[float, float, int, int]: ...
    def perplexity_of_tokens(
        self, tokens: NDArray[Any], offsets: NDArray[np.uint64], *, threads: int | None, progress: _Callback | None
    ) -> tuple[float, float, int, int]: ...
    def next_token_distribution(self, context: str | NDArray[Any]) -> NDArray[np.float32]: ...
    def generate(
        self,
        prompt: str | NDArray[Any],
        *,
        max_tokens: int,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        seed: int,
    ) -> list[int]: ...

@final
class NgramOptions:
    def __new__(
        cls,
        order: int,
        *,
        prune: list[int],
        vocabulary: list[str] | None,
        discount_fallback: tuple[float, float, float] | None,
        interpolate_unigrams: bool,
        vocab_pad: int,
        smoothing: str,
        parameter: float | None,
        memory: tuple[int, str] | None,
        threads: int | None,
    ) -> Self: ...

def train_ngrams_of_words(
    source: list[str] | Iterator[str],
    options: NgramOptions,
    *,
    text_field: str,
    text_column: str,
    unk: str,
    progress: _Callback | None,
) -> NgramModel: ...
def train_ngrams_of_tokens(
    tokens: NDArray[Any],
    offsets: NDArray[np.uint64],
    spellings: list[str],
    options: NgramOptions,
    *,
    progress: _Callback | None,
) -> NgramModel: ...
def count_words(
    source: list[str] | Iterator[str],
    order: int,
    *,
    text_field: str,
    text_column: str,
    memory: tuple[int, str] | None,
    threads: int | None,
    progress: _Callback | None,
) -> tuple[tuple[NDArray[np.uint32], NDArray[np.uint64]], list[str]]: ...
def count_tokens(
    tokens: NDArray[Any],
    offsets: NDArray[np.uint64],
    vocab_size: int,
    order: int,
    *,
    memory: tuple[int, str] | None,
    threads: int | None,
    progress: _Callback | None,
) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]: ...
def prune_ngrams(
    model: NgramModel, threshold: float, *, threads: int | None, progress: _Callback | None
) -> NgramModel: ...
def filter_ngrams(model: NgramModel, words: list[str], *, progress: _Callback | None) -> NgramModel: ...
def interpolate_ngrams(
    models: list[NgramModel], weights: list[float], *, threads: int | None, progress: _Callback | None
) -> NgramModel: ...
def text_scores(
    model: NgramModel,
    source: list[str] | Iterator[str],
    *,
    text_field: str,
    text_column: str,
    threads: int | None,
    progress: _Callback | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]: ...

_Numbers = NDArray[np.uint64]
_Overlap = tuple[tuple[int, int], tuple[_Numbers, _Numbers], tuple[_Numbers, _Numbers]]

def overlap_of_text(
    source: list[str] | Iterator[str],
    reference: list[str] | Iterator[str],
    order: int,
    *,
    ignore_case: bool,
    lines: bool,
    text_field: str,
    text_column: str,
    threads: int | None,
    progress: _Callback | None,
) -> _Overlap: ...
def overlap_of_tokens(
    tokens: NDArray[Any],
    offsets: NDArray[np.uint64],
    reference_tokens: NDArray[Any],
    reference_offsets: NDArray[np.uint64],
    order: int,
    *,
    threads: int | None,
    progress: _Callback | None,
) -> _Overlap: ...

# ---- data

@final
class TokenStore:
    def __new__(cls, path: str | os.PathLike[str], dtype: str | None = None) -> Self: ...
    @property
    def path(self) -> Path: ...
    @property
    def format(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def num_tokens(self) -> int: ...
    @property
    def num_documents(self) -> int: ...
    @property
    def vocab_size(self) -> int | None: ...
    @property
    def cleaning(self) -> str | None: ...
    @property
    def text_bytes(self) -> int | None: ...
    def tokens(self) -> NDArray[Any]: ...
    def offsets(self) -> NDArray[np.uint64]: ...
    def fingerprint(self) -> str: ...
    def verify(
        self, vocab_size: int | None = None, progress: Callable[[str, int, int], object] | None = None
    ) -> None: ...

@final
class TokenWriter:
    def __new__(cls, path: str | os.PathLike[str], format: str, vocab_size: int) -> Self: ...
    def push(self, ids: NDArray[Any], lengths: NDArray[np.uint64]) -> None: ...
    def finish(self) -> Path: ...

@final
class BatchLoader:
    def __new__(
        cls,
        store: TokenStore,
        batch_size: int,
        seq_len: int,
        *,
        mode: str,
        seed: int,
        rank: int,
        world_size: int,
        drop_last: bool,
        layout: str,
        dtype: str,
        threads: int | None = None,
    ) -> Self: ...
    @property
    def batches_per_epoch(self) -> int: ...
    @property
    def position(self) -> int: ...
    def seek(self, position: int) -> None: ...
    def next(self, end: int, worker: int = 0, workers: int = 1) -> tuple[NDArray[Any], NDArray[Any]] | None: ...
    def state(self) -> str: ...
    def load_state(self, state: str) -> None: ...
    def reset(self) -> None: ...

def encode_files(
    tokenizer: Tokenizer,
    source: list[str] | Iterator[str],
    out: str | os.PathLike[str],
    append_id: int | None,
    lines: bool,
    text_field: str,
    text_column: str,
    cleaning: Any,
    resume: tuple[str, float] | None,
    threads: int | None,
    progress: Callable[[str, int, int], None] | None,
) -> None: ...
