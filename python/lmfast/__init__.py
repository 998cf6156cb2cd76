"""Language models from small to large, in one fast package.

Text becomes token ids, ids become n-gram counts or batches, and either becomes a language model:

- `Tokenizer`: train, load, encode, decode.
- `clean`, `Cleaning`: text normalized, masked, without duplicates.
- `TokenStore`, `BatchLoader`: ids on disk, and the batches that feed a training loop.
- `NgramModel`: Kneser-Ney models and others, scoring, generation.
- `count_ngrams`, `find_overlap`: raw counts, and which documents share n-grams with others.
- `models`, `Trainer`, `evaluate`, `generate`, `save`, `load`: neural models (extra `lmfast[torch]`).
- `interpolate`: several models as one mixture.

Everything is imported when first used, so `import lmfast` is fast and needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lmfast._core import __version__

if TYPE_CHECKING:
    from lmfast import models
    from lmfast.cleaning import Cleaning, CleaningReport, clean
    from lmfast.data import Batch, BatchLoader, TokenStore
    from lmfast.errors import FormatError, MissingDependencyError
    from lmfast.evaluation import Evaluation, evaluate
    from lmfast.generation import generate
    from lmfast.interpolation import Mixture, interpolate
    from lmfast.ngram import (
        NgramCounts,
        NgramModel,
        Overlap,
        Perplexity,
        TokenScores,
        count_ngrams,
        find_overlap,
    )
    from lmfast.saving import load, save
    from lmfast.tokenizer import TokenArray, Tokenizer
    from lmfast.training import Trainer

_HOMES = {
    "Batch": "lmfast.data",
    "BatchLoader": "lmfast.data",
    "Cleaning": "lmfast.cleaning",
    "CleaningReport": "lmfast.cleaning",
    "Evaluation": "lmfast.evaluation",
    "FormatError": "lmfast.errors",
    "MissingDependencyError": "lmfast.errors",
    "Mixture": "lmfast.interpolation",
    "NgramCounts": "lmfast.ngram",
    "NgramModel": "lmfast.ngram",
    "Overlap": "lmfast.ngram",
    "Perplexity": "lmfast.ngram",
    "TokenArray": "lmfast.tokenizer",
    "TokenScores": "lmfast.ngram",
    "TokenStore": "lmfast.data",
    "Tokenizer": "lmfast.tokenizer",
    "Trainer": "lmfast.training",
    "clean": "lmfast.cleaning",
    "count_ngrams": "lmfast.ngram",
    "evaluate": "lmfast.evaluation",
    "find_overlap": "lmfast.ngram",
    "generate": "lmfast.generation",
    "interpolate": "lmfast.interpolation",
    "load": "lmfast.saving",
    "save": "lmfast.saving",
}

__all__ = [
    "Batch",
    "BatchLoader",
    "Cleaning",
    "CleaningReport",
    "Evaluation",
    "FormatError",
    "MissingDependencyError",
    "Mixture",
    "NgramCounts",
    "NgramModel",
    "Overlap",
    "Perplexity",
    "TokenArray",
    "TokenScores",
    "TokenStore",
    "Tokenizer",
    "Trainer",
    "__version__",
    "clean",
    "count_ngrams",
    "evaluate",
    "find_overlap",
    "generate",
    "interpolate",
    "load",
    "models",
    "save",
]


def __getattr__(name: str) -> Any:
    if name == "models":
        return importlib.import_module("lmfast.models")
    if name not in _HOMES:
        message = f"module 'lmfast' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
