"""`save` and `load`, for models of every kind.

A neural model is a folder with `config.json` and `model.safetensors`; an n-gram model one file, see `lmfast.ngram`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmfast.models import LanguageModel
    from lmfast.ngram import NgramModel

__all__ = ["load", "save"]


def save(model: LanguageModel | NgramModel, path: str | os.PathLike[str]) -> None:
    """Write a model.

    Args:
        model: A model of `lmfast.models`, or an n-gram model.
        path: The folder, or the file of an n-gram model. A new folder appears whole; in one that is there each file
            is replaced whole, and other files stay.

    Raises:
        TypeError: Some other object.
        OSError: The path cannot be written.

    >>> import tempfile
    >>> from lmfast import models
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(models.build("gru", vocab_size=9), f"{folder}/model")
    ...     load(f"{folder}/model").config.vocab_size
    9
    """
    path = Path(path)
    writes_itself = getattr(model, "save", None)
    if callable(writes_itself):
        writes_itself(path)
        return
    from lmfast.models import LanguageModel, storage

    if not isinstance(model, LanguageModel):
        raise TypeError(
            f"save takes a model of lmfast, not {type(model).__name__}, whose sizes lmfast does not know; "
            "write its weights with safetensors.torch.save_model"
        )
    if path.exists():
        storage.write_model(model, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.mkdir()
    try:
        storage.write_model(model, partial)
        partial.rename(path)
        storage.sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model.

    Args:
        path: A model's folder, a Hugging Face folder of a GPT-2 among them, or the file of an n-gram model
            (`.lmn`, `.arpa`, `.arpa.gz`).

    Returns:
        A model of `lmfast.models`, on the CPU and in evaluation mode, or an `lmfast.NgramModel`.

    Raises:
        FileNotFoundError: Nothing there.
        FormatError: A damaged file, or a folder without a model; a pickle is never read.
        ValueError: A family of models that is not built here.
    """
    path = Path(path)
    if path.is_file():
        from lmfast.errors import FormatError
        from lmfast.ngram import NgramModel

        if path.suffix in (".pt", ".pth", ".ckpt", ".pkl", ".pickle"):
            raise FormatError(f"{path} is a pickle by its name, which can run any code and is never read")
        if path.suffix == ".safetensors":
            raise FormatError(f"{path} holds weights alone: give its folder, which has config.json too")
        return NgramModel.load(path)
    from lmfast.models import storage

    return storage.read_model(path).eval()
