"""Which file holds a vocabulary."""

from __future__ import annotations

import os
from pathlib import Path

from lmfast.errors import FormatError

__all__ = ["find"]

_IN_FOLDERS = ("tokenizer.json", "vocab.json", "vocab.txt", "*.tiktoken", "tokenizer.model")


def find(path: str | os.PathLike[str]) -> Path:
    """The file of a vocabulary that a path means.

    Args:
        path: The file, or a folder that holds one: `tokenizer.json`, or else `vocab.json` beside `merges.txt`, or
            `vocab.txt`, or one `*.tiktoken`, or `tokenizer.model`.

    Returns:
        The file.

    Raises:
        FormatError: A folder without one.
    """
    found = Path(os.fspath(path))
    if not found.is_dir():
        return found
    for pattern in _IN_FOLDERS:
        files = sorted(file for file in found.glob(pattern) if file.is_file())
        if pattern == "vocab.json" and not (found / "merges.txt").is_file():
            continue
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            message = f"{found}: this folder holds more than one vocabulary: name one of {names}"
            raise FormatError(message)
        if files:
            return files[0]
    message = f"{found}: this folder holds no vocabulary: one of {', '.join(_IN_FOLDERS)} is wanted"
    raise FormatError(message)
