"""One table for any set of models: the same text, the same tokens.

A row says what a model is (parameters or n-grams, bytes on disk), what it cost and how well it predicts: the loss in
nats per token, its exponential (perplexity), and bits per byte, which does not depend on the tokenizer.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmfast.evaluation import Evaluation
    from lmfast.report import Row
    from lmfast.source import Source
    from lmfast.tokenizer import Tokenizer

__all__ = ["compare", "row", "tokenizer_of", "versions"]

TOKENIZER_FILE = "tokenizer.json"
TRAINING_FILE = "training.json"


def compare(
    paths: Sequence[str | os.PathLike[str]],
    text: Source,
    *,
    tokenizer: str | os.PathLike[str] | None = None,
) -> list[Row]:
    """Measure saved models on the same text.

    Args:
        paths: Folders of neural models and files of n-gram models.
        text: What to predict; see `lmfast.source`.
        tokenizer: The tokenizer's file; by default it is looked for beside the models, see `tokenizer_of`.

    Returns:
        A row for each model, in the order given.

    Raises:
        OSError: A model or text that cannot be read.
        ValueError: Models over different tokenizers, or over words, whose figures do not compare.
    """
    from lmfast import load
    from lmfast.evaluation import encode_stream, evaluate

    if not paths:
        message = "no model to compare: name at least one"
        raise ValueError(message)
    models = [load(path) for path in paths]
    for path, model in zip(paths, models, strict=True):
        if not getattr(model, "is_of_tokens", True):
            message = f"{os.fspath(path)}: a model over white-space words does not compare with models over tokens; "
            message += "train it with a tokenizer (lmfast ngram train --tokenizer)"
            raise ValueError(message)
    found = [tokenizer_of(path, tokenizer) for path in paths]
    different = next(
        (path for path, each in zip(paths, found, strict=True) if each.fingerprint != found[0].fingerprint), None
    )
    if different is not None:
        message = f"{os.fspath(different)}: its tokenizer is not that of {os.fspath(paths[0])}; "
        message += "models are compared over the same tokens, or name one tokenizer for all"
        raise ValueError(message)
    stream = encode_stream(text, found[0])
    return [
        row(path, model, evaluate(model, stream, tokenizer=found[0])) for path, model in zip(paths, models, strict=True)
    ]


def row(
    path: str | os.PathLike[str],
    model: Any,
    evaluation: Evaluation,
    *,
    name: str | None = None,
    train_seconds: float | None = None,
    tokens_per_second: float | None = None,
) -> Row:
    """A row of the table.

    Args:
        path: Where the model is saved; a `training.json` in a model's folder fills in what training cost.
        model: The model itself.
        evaluation: What `lmfast.evaluate` found.
        name: What to call it; by default the file's name.
        train_seconds: Seconds of training, if known.
        tokens_per_second: Tokens trained on per second, if known.
    """
    place = Path(path)
    neural = place.is_dir()
    if neural and (place / TRAINING_FILE).exists():
        training = json.loads((place / TRAINING_FILE).read_text(encoding="utf-8"))
        train_seconds = training.get("train_seconds") if train_seconds is None else train_seconds
        tokens_per_second = training.get("tokens_per_second") if tokens_per_second is None else tokens_per_second
    return {
        "model": name or place.name.removesuffix(".gz").removesuffix(".lmn").removesuffix(".arpa"),
        "kind": "neural" if neural else "ngram",
        "size": sum(parameter.numel() for parameter in model.parameters()) if neural else sum(model.counts),
        "bytes_on_disk": weights_bytes(place),
        "train_seconds": train_seconds,
        "tokens_per_second": tokens_per_second,
        "tokens": evaluation.tokens,
        "loss": evaluation.loss,
        "perplexity": evaluation.perplexity,
        "bits_per_byte": math.nan if evaluation.bits_per_byte is None else evaluation.bits_per_byte,
    }


def weights_bytes(path: Path) -> int:
    """Bytes of a model file, or of the weights in a model's folder."""
    return sum(part.stat().st_size for part in path.glob("*.safetensors")) if path.is_dir() else path.stat().st_size


def tokenizer_of(model: str | os.PathLike[str], tokenizer: str | os.PathLike[str] | None = None) -> Tokenizer:
    """The tokenizer of a saved model.

    Args:
        model: The model's file or folder.
        tokenizer: The tokenizer's file, if it is known.

    Returns:
        That tokenizer, else the `tokenizer.json` in the model's folder or up to two folders above.

    Raises:
        FileNotFoundError: There is none.
    """
    from lmfast import Tokenizer

    if tokenizer is not None:
        return Tokenizer.from_file(tokenizer)
    place = Path(model).resolve()
    if not place.exists():
        raise FileNotFoundError(2, "No such file or folder", os.fspath(model))
    for folder in (place, *place.parents)[:4]:
        if (folder / TOKENIZER_FILE).is_file():
            return Tokenizer.from_file(folder / TOKENIZER_FILE)
    raise FileNotFoundError(
        2, f"No {TOKENIZER_FILE} beside this model: name its tokenizer (--tokenizer)", os.fspath(model)
    )


def versions() -> dict[str, str]:
    """Versions of what the figures depend on."""
    import lmfast

    found = {"lmfast": lmfast.__version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in ("numpy", "torch"):
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__)
    return found
