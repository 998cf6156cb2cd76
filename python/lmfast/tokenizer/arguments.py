"""What users pass, checked."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["at_least", "listed", "thread_count"]


def listed(texts: Iterable[str]) -> list[str] | tuple[str, ...]:
    """Texts as a sequence.

    Raises:
        TypeError: They are one text, which is iterable too.
    """
    if isinstance(texts, str):
        message = "texts is one str: a sequence of them is wanted; encode takes one"
        raise TypeError(message)
    return texts if isinstance(texts, (list, tuple)) else list(texts)


def thread_count(threads: int | None) -> int | None:
    """How many threads to use; None: every core.

    Raises:
        ValueError: Fewer than one.
    """
    return None if threads is None else at_least("threads", threads, 1)


def at_least(name: str, value: int, least: int) -> int:
    """The value of an argument.

    Raises:
        ValueError: It is below `least`, or has no room in 63 bits.
    """
    if not least <= value < 2**63:
        message = f"{name}={value}: a whole number from {least} up is wanted"
        raise ValueError(message)
    return value
