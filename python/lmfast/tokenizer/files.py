"""Which file holds a vocabulary."""

from __future__ import annotations

import os
from pathlib import Path

from lmfast.errors import FormatError

__all__ = ["find"]

_UNREAD = {
    "*.tiktoken": "a rank file of tiktoken",
    "*.model": "a SentencePiece model",
    "*.txt": "a list of words or merges",
    "vocab.json": "a vocabulary apart from its merges",
}


def find(path: str | os.PathLike[str]) -> Path:
    """The `tokenizer.json` that a path means.

    Args:
        path: The file, or a folder that holds one.

    Returns:
        The file.

    Raises:
        FormatError: A folder without one, or a file of a format that is not read.
    """
    found = Path(os.fspath(path))
    if found.is_dir():
        if not (found / "tokenizer.json").is_file():
            message = f"{found}: this folder holds no tokenizer.json"
            raise FormatError(message)
        return found / "tokenizer.json"
    unread = next((what for pattern, what in _UNREAD.items() if found.match(pattern)), None)
    if unread and found.exists():
        message = (
            f"{found}: {unread} is not read; convert it to a tokenizer.json, "
            "for example by the save_pretrained of a tokenizer of transformers"
        )
        raise FormatError(message)
    return found
