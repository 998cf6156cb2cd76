"""What a *source of text* is: files, or an iterable of documents.

`Source` is what users pass; `resolve` turns it into what the compiled core reads.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from lmfast._core import DocumentReader

__all__ = ["Source", "documents", "resolve"]

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
    other: Any = source
    if isinstance(other, (bytes, bytearray)) or not isinstance(other, Iterable):
        message = f"a source of text is a path, several paths or an iterable of str, not {type(source).__name__}"
        raise TypeError(message)
    if isinstance(other, (list, tuple)) and other and all(isinstance(member, os.PathLike) for member in other):
        return [os.fspath(member) for member in other]
    documents: Iterator[str] = iter(other)
    return documents


def documents(
    source: Source, *, lines: bool = False, text_field: str = "text", text_column: str = "text"
) -> Iterator[str]:
    """Every document of a source, one after the other, in memory for a few megabytes of text.

    Args:
        source: See `Source`.
        lines: Each line of a text file is a document, without its line end.
        text_field: The field of a `.jsonl` line that holds the text.
        text_column: The column of a `.parquet` file that holds the text.

    Returns:
        An iterator of documents.

    Raises:
        OSError: A file that cannot be read; told when the iterator is made, before the first document.
        FormatError: A file that is not UTF-8 text, or damaged.

    >>> list(documents(["a document", "another"]))
    ['a document', 'another']
    """
    found = resolve(source)
    if isinstance(found, list):
        return chain.from_iterable(DocumentReader(found, lines=lines, text_field=text_field, text_column=text_column))
    return found
