"""How much memory a call may take, as users spell it."""

from __future__ import annotations

import os
import re
import tempfile

__all__ = ["as_bytes", "budget"]

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def as_bytes(memory: str | int) -> int:
    """A number of bytes.

    Args:
        memory: Bytes; or a text: a number and `K`, `M`, `G` or `T` (powers of 1024), or `%` of the machine's memory.

    Raises:
        ValueError: Anything else, or nothing.

    >>> as_bytes("1G"), as_bytes("1.5 MB"), as_bytes(4096)
    (1073741824, 1572864, 4096)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*(?:([KMGT]?)(?:i?B)?|(%))\s*", str(memory), re.IGNORECASE)
    if found is None or isinstance(memory, bool) or (size := _scaled(*found.groups())) < 1:
        message = f"memory={memory!r}: bytes were expected, as a number from 1 up or as '512M', '1G' or '50%'"
        raise ValueError(message)
    return min(size, 2**62)


def _scaled(number: str, unit: str | None, percent: str | None) -> int:
    if percent:
        return int(float(number) / 100 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return int(float(number) * UNITS[(unit or "").upper()])


def budget(memory: str | int | None, temporary_folder: str | os.PathLike[str] | None) -> tuple[int, str] | None:
    """The bytes and the folder of a call that works on disk; None for one that works in memory."""
    if memory is None:
        return None
    return as_bytes(memory), os.fspath(temporary_folder) if temporary_folder is not None else tempfile.gettempdir()
