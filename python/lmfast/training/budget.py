"""How long to train: "1000 steps", "2 epochs", "1.5e6 tokens" or "40 s"."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, cast

__all__ = ["Budget", "Counters"]

_PATTERN = re.compile(r"\s*(\d+\.?\d*(?:e\+?\d+)?|\.\d+)\s*(steps?|s|epochs?|tokens?)\s*", re.IGNORECASE)


@dataclass
class Counters:
    """How far training has come.

    Args:
        step: Steps of the optimizer.
        batches: Batches read, `accumulation` of them a step.
        tokens: Tokens read, whether their targets count or not.
        seconds: Time spent training, without validation and checkpoints.
    """

    step: int = 0
    batches: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """An amount of training, once `batches_per_epoch` is known.

    >>> Budget.parse("40s")
    Budget(amount=40.0, unit='s')
    >>> Budget.parse("10 steps").progress(Counters(step=5), batches_per_epoch=None)
    0.5
    """

    amount: float
    unit: Literal["steps", "s", "epochs", "tokens"]

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read a budget.

        Raises:
            ValueError: It is not a positive number and a unit, or not a whole number of steps or tokens.
        """
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        amount = float(match[1]) if match else 0.0
        if match is None or not 0 < amount < math.inf:
            raise ValueError(
                f"budget={text!r} is not a positive number and one of steps, s, epochs, tokens, "
                "such as '1000 steps' or '40s'"
            )
        unit = match[2].lower()
        unit = unit if unit == "s" or unit.endswith("s") else unit + "s"
        if unit in ("steps", "tokens") and amount != int(amount):
            raise ValueError(f"budget={text!r} is not a whole number of {unit}")
        return cls(amount, cast('Literal["steps", "s", "epochs", "tokens"]', unit))

    def batches(self, batches_per_epoch: int | None) -> int | None:
        """The batches of a budget of epochs, rounded up; None for other units.

        Raises:
            ValueError: The length of an epoch is not known.
        """
        if self.unit != "epochs":
            return None
        if not batches_per_epoch:
            raise ValueError(
                "a budget of epochs needs training data with a length: len(train) is the batches of an epoch"
            )
        return math.ceil(self.amount * batches_per_epoch)

    def progress(self, done: Counters, batches_per_epoch: int | None) -> float:
        """The part of the budget that is used: 0 at the start, 1 or more at the end."""
        if self.unit == "steps":
            return done.step / self.amount
        if self.unit == "tokens":
            return done.tokens / self.amount
        if self.unit == "s":
            return done.seconds / self.amount
        return done.batches / (self.batches(batches_per_epoch) or 1)
