"""The text of the demo: where it comes from, and how it is split.

The text that every machine has is the Python standard library of the running interpreter: some 12 MB of source code,
without its tests, which not every system installs.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmfast.source import Source, documents

__all__ = ["SplitText", "split", "standard_library", "write_split"]

VALIDATION_SHARE = 20
"""One document of this many is for validation ..."""
VALIDATION_BYTES = 400_000
"""... until they hold this many bytes: measuring every model must not take longer than training them."""
FEW_DOCUMENTS = 40
"""Fewer documents than this are each cut in two instead: the last twentieth of their lines is for validation."""

SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}


@dataclass(frozen=True, kw_only=True)
class SplitText:
    """The two halves of a text, as files of one JSON object a line."""

    train: Path
    valid: Path
    origin: str
    """Where the text comes from, for people."""
    train_documents: int
    train_bytes: int
    valid_documents: int
    valid_bytes: int


def standard_library() -> tuple[str, list[str]]:
    """The sources of the running interpreter's standard library, sorted by name.

    Returns:
        What they are, for people, and the documents. Files in another encoding than UTF-8 are left out.

    Raises:
        FileNotFoundError: An interpreter that comes without sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    names = (path for path in root.rglob("*.py") if not SKIPPED_FOLDERS.intersection(path.relative_to(root).parts))
    texts = []
    for path in sorted(names, key=lambda path: path.relative_to(root).as_posix()):
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
    if not texts:
        raise FileNotFoundError(2, "This Python comes without its sources: name a text with --text", os.fspath(root))
    return f"the standard library of Python {platform.python_version()}, without its tests", texts


def split(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Divide documents into train and validation, by their content alone.

    Args:
        texts: The documents, in any order; empty ones and repetitions are dropped.

    Returns:
        The documents for training and for validation. The same documents in another order are divided alike, up to
        the limit on the size of the validation text.

    Raises:
        ValueError: Too little text for two parts.

    >>> train, valid = split(f"document {number}" for number in range(200))
    >>> len(train), len(valid)
    (190, 10)
    """
    unique = [text for text in dict.fromkeys(texts) if text.strip()]
    train: list[str] = []
    valid: list[str] = []
    held_out = 0
    for text in unique:
        if len(unique) < FEW_DOCUMENTS:
            head, tail = cut(text)
            train.append(head)
            valid.append(tail)
            continue
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        if int.from_bytes(digest, "little") % VALIDATION_SHARE == 0 and held_out < VALIDATION_BYTES:
            valid.append(text)
            held_out += len(text.encode())
        else:
            train.append(text)
    train, valid = [text for text in train if text], [text for text in valid if text]
    if not train or not valid:
        message = "the text is too short to be split into training and validation text: some kilobytes are needed"
        raise ValueError(message)
    return train, valid


def cut(text: str) -> tuple[str, str]:
    """A document's beginning and end, cut between lines where it has any.

    >>> cut("one two three four five six seven")
    ('one two three four five six seve', 'n')
    """
    size = min(len(text) // VALIDATION_SHARE, VALIDATION_BYTES)
    place = text.find("\n", len(text) - size - 1) + 1
    place = place or len(text) - size
    return text[:place], text[place:]


def write_split(source: Source | None, folder: Path) -> SplitText:
    """Split a text and write `train.jsonl` and `valid.jsonl`.

    Args:
        source: The text; None for the standard library.
        folder: Where the files go; made if absent.

    Raises:
        OSError: A file that cannot be read or written.
        ValueError: Text that cannot be split; see `split`.
    """
    if source is None:
        origin, texts = standard_library()
    else:
        origin, texts = describe(source), list(documents(source))
    train, valid = split(texts)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "train.jsonl", folder / "valid.jsonl"
    for path, part in zip(paths, (train, valid), strict=True):
        write_lines(path, (json.dumps({"text": text}, ensure_ascii=False) for text in part))
    return SplitText(
        train=paths[0],
        valid=paths[1],
        origin=origin,
        train_documents=len(train),
        train_bytes=sum(len(text.encode()) for text in train),
        valid_documents=len(valid),
        valid_bytes=sum(len(text.encode()) for text in valid),
    )


def describe(source: Source) -> str:
    """A source of text in few words."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, Sequence):
        names = [Path(member).name for member in source]
        return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more files"
    return "text given by the caller"


def write_lines(path: Path, lines: Iterator[str]) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
