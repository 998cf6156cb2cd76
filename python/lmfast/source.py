"""What a *source of text* is: files, or an iterable of documents.

`Source` is what users pass; `resolve` turns it into what the compiled core reads.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["Source", "resolve"]

Source = str | os.PathLike[str] | Iterable[str] | Iterable[os.PathLike[str]]
"""A path or a glob (`str` or `PathLike`), several `PathLike`, or an iterable of `str`, one document each."""


def resolve(source: Source) -> list[str] | Iterator[str]:
    """Tell files from documents.

    Args:
        source: A `str` or `PathLike` names a file or, where no such file exists, is a glob. An iterable whose first
            member is a `PathLike` names several files. Any other iterable gives documents.

    Returns:
        A list of file names (globs in sorted order), or an iterator of documents.

    Raises:
        FileNotFoundError: A glob that matches nothing.
        TypeError: Something that is neither.

    >>> resolve(["a document", "another"])  # doctest: +ELLIPSIS
    <list_iterator object at ...>
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if glob.has_magic(name) and not Path(name).exists():
            matches = sorted(match for match in glob.glob(name, recursive=True) if Path(match).is_file())
            if not matches:
                raise FileNotFoundError(2, "No file matches the pattern", name)
            return matches
        return [name]
    if isinstance(source, (bytes, bytearray)) or not isinstance(source, Iterable):
        message = f"a source of text is a path, several paths or an iterable of str, not {type(source).__name__}"
        raise TypeError(message)
    if isinstance(source, (list, tuple)) and source and all(isinstance(member, os.PathLike) for member in source):
        return [os.fspath(member) for member in source]
    return iter(source)  # type: ignore[arg-type]
