"""The compiled core. Private: use the names of the package `lmfast`. Proved against the module by stubtest."""

from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Callback = Callable[[str, int, int], None]

# ---- errors

class FormatError(ValueError): ...

__version__: str

# ---- tokenizer

# ---- ngram

@final
class NgramModel:
    @staticmethod
    def train_words(
        source: list[str] | Iterator[str],
        order: int,
        *,
        text_field: str,
        discount_fallback: tuple[float, float, float] | None,
        interpolate_unigrams: bool,
        vocab_pad: int,
        unk: str,
        threads: int | None,
        progress: Callback | None,
    ) -> NgramModel: ...
    @staticmethod
    def train_tokens(
        tokens: NDArray[Any],
        offsets: NDArray[np.uint64],
        spellings: list[str],
        order: int,
        *,
        discount_fallback: tuple[float, float, float] | None,
        interpolate_unigrams: bool,
        vocab_pad: int,
        threads: int | None,
        progress: Callback | None,
    ) -> NgramModel: ...
    @staticmethod
    def load(path: str, *, threads: int | None, progress: Callback | None) -> NgramModel: ...
    def save_arpa(self, path: str, *, threads: int | None, progress: Callback | None) -> None: ...
    def save_lmn(self, path: str, *, progress: Callback | None) -> None: ...
    def verify(self, *, progress: Callback | None) -> None: ...
    @property
    def order(self) -> int: ...
    @property
    def counts(self) -> list[int]: ...
    @property
    def is_of_tokens(self) -> bool: ...
    @property
    def fallback_orders(self) -> list[int]: ...
    def vocabulary(self) -> list[str]: ...
    def word(self, id: int) -> str: ...
    def score(self, text: str | NDArray[Any], *, bos: bool, eos: bool) -> float: ...
    def score_batch(
        self, texts: list[str], *, bos: bool, eos: bool, threads: int | None, progress: Callback | None
    ) -> NDArray[np.float32]: ...
    def score_documents(
        self,
        tokens: NDArray[Any],
        offsets: NDArray[np.uint64],
        *,
        bos: bool,
        eos: bool,
        threads: int | None,
        progress: Callback | None,
    ) -> NDArray[np.float32]: ...
    def token_scores(
        self, text: str | NDArray[Any], *, bos: bool, eos: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_]]: ...
    def token_stream_scores(
        self, tokens: NDArray[Any], offsets: NDArray[np.uint64], *, threads: int | None, progress: Callback | None
    ) -> NDArray[np.float32]: ...
    def perplexity(
        self, source: list[str] | Iterator[str], *, text_field: str, threads: int | None, progress: Callback | None
    ) -> tuple[float, float, int, int]: ...
    def perplexity_of_tokens(
        self, tokens: NDArray[Any], offsets: NDArray[np.uint64], *, threads: int | None, progress: Callback | None
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
class TextBatches:
    def __new__(cls, source: list[str] | Iterator[str], *, lines: bool, text_field: str) -> TextBatches: ...
    def __iter__(self) -> TextBatches: ...
    def __next__(self) -> list[str]: ...

# ---- data
