"""The key under which an interrupted `Tokenizer.encode_files` is resumed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lmfast._core import __version__

__all__ = ["CHECKPOINT_SECONDS", "key_of"]

CHECKPOINT_SECONDS = 5.0
"""How long a call works between two notes of how far it is."""


def key_of(paths: list[str], settings: dict[str, Any]) -> str:
    """A digest of files, by name, size and time of change, and of settings.

    Args:
        paths: The files.
        settings: What else the result depends on; JSON.

    Returns:
        32 hexadecimal digits.

    Raises:
        OSError: A file that is not there.
    """
    states = [(Path(path).resolve(), Path(path).stat()) for path in paths]
    files = [[str(path), state.st_size, state.st_mtime_ns] for path, state in states]
    content = json.dumps([__version__, files, settings], sort_keys=True)
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
