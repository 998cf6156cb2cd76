"""Places for labels, so that none covers another."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Box", "place", "spread"]


class Box(NamedTuple):
    """A rectangle by its lower left and upper right corners."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The area both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions apart as little as possible (least squares).

    With x[i] = position[i] - i * gap in sorted order, "at least a gap apart" is "x never falls", so the nearest such x
    is the isotonic regression of the wanted ones (pool adjacent violators), clipped to the bounds.

    Args:
        wanted: Where labels would be, in any order.
        gap: The least distance; made smaller if there is no room for it.
        low: The least position.
        high: The greatest position.

    Returns:
        Positions in the order of `wanted`.

    >>> spread([5.0, 1.0, 5.0], gap=2.0, low=0.0, high=10.0)
    [4.0, 1.0, 6.0]
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    ranked = sorted(range(len(wanted)), key=lambda index: wanted[index])
    pools: list[tuple[float, int]] = []  # (mean, members), means rising
    for rank, index in enumerate(ranked):
        mean, members = wanted[index] - rank * gap, 1
        while pools and pools[-1][0] >= mean:
            other, others = pools.pop()
            mean, members = (mean * members + other * others) / (members + others), members + others
        pools.append((mean, members))
    shifted = [mean for mean, members in pools for _ in range(members)]
    ceiling = high - (len(wanted) - 1) * gap
    positions = [0.0] * len(wanted)
    for rank, index in enumerate(ranked):
        positions[index] = min(max(shifted[rank], low), ceiling) + rank * gap
    return positions


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    distance: float,
    line: Sequence[tuple[float, float]] = (),
) -> list[Box]:
    """Put a label beside each point where it covers the least of other labels, points, a line and what is outside.

    Greedy, in the order given; of equally good places the nearest is taken: right, left, above, below, the corners.

    Args:
        points: (x, y) of each point.
        sizes: (width, height) of each label.
        frame: Where labels should stay.
        distance: Between a point and its label.
        line: The corners of a line, if there is one.

    Returns:
        A box for each label.
    """
    reach = distance / 2
    marks = [Box(x - reach, y - reach, x + reach, y + reach) for x, y in (*points, *_along(line, distance))]
    placed: list[Box] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):

        def cost(box: Box, *, x: float = x, y: float = y) -> float:
            outside = (box.right - box.left) * (box.top - box.bottom) - box.overlap(frame)
            covered = 2 * sum(box.overlap(other) for other in placed) + sum(box.overlap(mark) for mark in marks)
            away = math.hypot(max(box.left - x, x - box.right, 0.0), max(box.bottom - y, y - box.top, 0.0))
            return 4 * outside + covered + away / 4

        placed.append(min(_candidates(x, y, width, height, distance), key=cost))
    return placed


def _along(line: Sequence[tuple[float, float]], step: float) -> Iterator[tuple[float, float]]:
    """Points on a line, a step apart or closer."""
    for (x, y), (next_x, next_y) in itertools.pairwise(line):
        steps = math.ceil(math.hypot(next_x - x, next_y - y) / step)
        for index in range(1, steps):
            yield x + (next_x - x) * index / steps, y + (next_y - y) * index / steps


def _candidates(x: float, y: float, width: float, height: float, distance: float) -> list[Box]:
    corners = [
        (x + distance, y - height / 2),
        (x - distance - width, y - height / 2),
        (x - width / 2, y + distance),
        (x - width / 2, y - distance - height),
    ]
    for reach in (distance, 2 * distance, 4 * distance):
        corners += [
            (x + reach, y + reach / 2),
            (x + reach, y - reach / 2 - height),
            (x - reach - width, y + reach / 2),
            (x - reach - width, y - reach / 2 - height),
        ]
    return [Box(left, bottom, left + width, bottom + height) for left, bottom in corners]
