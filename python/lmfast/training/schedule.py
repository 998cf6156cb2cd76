"""Learning rate schedules as pure functions.

A schedule maps the part of the training that is done after warm-up, in [0, 1], to a factor of the learning rate.
Where the budget is a time, so is that part: such a run depends on the machine's speed. Runs that must repeat bit for
bit have a budget of steps, epochs or tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCHEDULES", "factor"]

_STABLE = 0.8


def _cosine(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _wsd(done: float) -> float:
    return min(1.0, (1.0 - done) / (1.0 - _STABLE))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "cosine": _cosine,
    "linear": lambda done: 1.0 - done,
    "wsd": _wsd,
}
"""`wsd` is warm-up, stable, decay (Hu et al. 2024): the full rate for 80 %, then linear to zero."""


def factor(name: str, step: int, warmup_steps: int, progress: float, warm_progress: float) -> float:
    """What the learning rate is multiplied with.

    Args:
        name: One of `SCHEDULES`.
        step: Steps done so far; the factor is that of the next.
        warmup_steps: How many steps the rate rises linearly.
        progress: The part of the budget used so far.
        warm_progress: That part when warm-up ended.

    Returns:
        A number in [0, 1].

    >>> [round(factor("linear", step, 2, step / 6, 2 / 6), 2) for step in range(6)]
    [0.33, 0.67, 1.0, 0.75, 0.5, 0.25]
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    done = (progress - warm_progress) / (1.0 - warm_progress) if warm_progress < 1 else 1.0
    return SCHEDULES[name](min(max(done, 0.0), 1.0))
