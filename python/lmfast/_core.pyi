"""The compiled core. Private: use the names of the package `lmfast`. Proved against the module by stubtest."""

from collections.abc import Sequence
from typing import Self, final

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

# ---- ngram

# ---- data
