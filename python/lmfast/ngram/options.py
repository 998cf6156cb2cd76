"""The options of training and drawing, checked and put as the compiled core takes them."""

from __future__ import annotations

import secrets
import warnings
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Discounts",
    "Smoothing",
    "discounts",
    "fits_memory",
    "sampling",
    "smoothed",
    "thresholds",
]
__all__ += ["warn_of_fallback", "words"]

Discounts = Literal["auto"] | tuple[float, float, float] | float | None

Smoothing = Literal[
    "modified_kneser_ney",
    "kneser_ney",
    "absolute_discounting",
    "witten_bell",
    "add_k",
    "stupid_backoff",
    "maximum_likelihood",
]

ONE_DISCOUNT = ("kneser_ney", "absolute_discounting")
PARAMETERS = {"k": ("add_k",), "alpha": ("stupid_backoff",), "discount": ONE_DISCOUNT}
"""What each parameter of smoothing goes with."""

MODIFIED_FALLBACK = (0.5, 1.0, 1.5)
ONE_FALLBACK = 0.75


def smoothed(smoothing: str, **parameters: float | None) -> dict[str, Any]:
    """The smoothing and its parameter.

    Args:
        smoothing: Its name; the core refuses what is none.
        **parameters: k, alpha and discount.

    Raises:
        ValueError: A parameter of another smoothing, or one that is no number.

    >>> smoothed("add_k", k=0.5, alpha=None)
    {'smoothing': 'add_k', 'parameter': 0.5}
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    for name, value in given.items():
        if smoothing not in PARAMETERS[name]:
            message = (
                f"{name}={value!r} goes with smoothing={' or '.join(map(repr, PARAMETERS[name]))}, not {smoothing!r}"
            )
            raise ValueError(message)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            message = f"{name}={value!r}: a number was expected"
            raise ValueError(message)
    return {"smoothing": smoothing, "parameter": next(iter(given.values()), None)}


def discounts(fallback: Discounts, smoothing: str) -> tuple[float, float, float] | None:
    """The discounts of an order whose counts give none.

    Raises:
        ValueError: Three numbers where one was expected, or the other way round.
    """
    if fallback is None:
        return None
    if smoothing in ONE_DISCOUNT:
        amount = ONE_FALLBACK if fallback == "auto" else fallback
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            message = f"discount_fallback={fallback!r}: 'auto', None or one number was expected with {smoothing!r}"
            raise ValueError(message)
        if not 0 <= amount <= 1:
            message = f"discount_fallback={fallback!r}: a number from 0 to 1 was expected"
            raise ValueError(message)
        return (amount, amount, amount)
    if fallback == "auto":
        return MODIFIED_FALLBACK
    if isinstance(fallback, (str, int, float)) or len(fallback) != 3:
        message = f"discount_fallback={fallback!r}: 'auto', None or three numbers were expected"
        raise ValueError(message)
    return fallback


def warn_of_fallback(orders: list[int], smoothing: str) -> None:
    """Tell that fixed discounts were used for some orders."""
    which = ", ".join(f"{order}-grams" for order in orders)
    one = smoothing in ONE_DISCOUNT
    used, option = ("discount 0.75 was", "0.75") if one else ("discounts 0.5, 1 and 1.5 were", "(0.5, 1, 1.5)")
    message = (
        f"the counts of {which} give no {'' if one else 'Kneser-Ney '}discounts, as happens with little, repetitive or "
        f"class-like text; the fixed {used} used for them. Pass discount_fallback={option} to accept this, "
        "or None to make it an error"
    )
    warnings.warn(message, UserWarning, stacklevel=3)


def fits_memory(memory: str | int | None, smoothing: str) -> None:
    """Refuse a budget for what is estimated in memory."""
    if memory is not None and not smoothing.endswith("kneser_ney"):
        message = f"memory={memory!r} is for the Kneser-Ney smoothings; {smoothing!r} is estimated all in memory"
        raise ValueError(message)


def thresholds(prune: Sequence[int]) -> list[int]:
    """Thresholds of counts, by order."""
    counts = list(prune)
    if not all(isinstance(threshold, int) and 0 <= threshold < 2**64 for threshold in counts):
        message = f"prune={prune!r}: counts from 0 up were expected, one for each order"
        raise ValueError(message)
    return counts


def words(vocabulary: Iterable[str]) -> list[str]:
    """A list of words; a single text is a mistake."""
    listed = list(vocabulary)
    if isinstance(vocabulary, str) or not all(isinstance(word, str) for word in listed):
        message = "vocabulary: an iterable of words was expected, each a str"
        raise TypeError(message)
    return listed


def sampling(
    max_tokens: int, temperature: float, top_k: int | None, top_p: float | None, seed: int | None
) -> dict[str, Any]:
    """How words are drawn; without a seed anew each time."""
    return {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": secrets.randbits(64) if seed is None else seed % 2**64,
    }
