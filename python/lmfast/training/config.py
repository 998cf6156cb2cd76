"""The settings of a training run, checked once."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmfast.training.optim import OPTIMIZERS
from lmfast.training.schedule import SCHEDULES

if TYPE_CHECKING:
    from pathlib import Path

    from lmfast.training.budget import Budget

__all__ = ["PRECISIONS", "TrainConfig"]

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a `Trainer`, which says what each means.

    Raises:
        ValueError: A value that makes no sense; the message begins with the setting's name.
    """

    optimizer: str
    lr: float
    betas: tuple[float, float]
    weight_decay: float | None
    schedule: str
    warmup_steps: int
    clip_norm: float | None
    accumulation: int
    budget: Budget
    seed: int
    log_every: int
    checkpoint_every: int | None
    valid_every: int | None
    valid_batches: int | None
    out: Path | None
    resume: str | os.PathLike[str] | bool
    precision: str

    def __post_init__(self) -> None:
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("precision", self.precision, PRECISIONS)
        _number("lr", self.lr, above=0)
        _number("weight_decay", 0 if self.weight_decay is None else self.weight_decay, least=0)
        _number("clip_norm", 1 if self.clip_norm is None else self.clip_norm, above=0)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are two numbers in [0, 1), not {self.betas!r}")
        _whole("warmup_steps", self.warmup_steps, least=0)
        _whole("seed", self.seed, least=0)
        for name in ("accumulation", "log_every"):
            _whole(name, getattr(self, name), least=1)
        for name in ("checkpoint_every", "valid_every", "valid_batches"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), least=1)
        if self.checkpoint_every is not None and self.out is None:
            raise ValueError("checkpoint_every needs out=, the folder to write checkpoints to")
        if self.resume is True or not isinstance(self.resume, (str, os.PathLike, bool)):
            raise ValueError(f"resume is 'auto', False or the path of a run, not {self.resume!r}")


def _one_of(name: str, value: object, known: Any) -> None:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(known)}")


def _number(name: str, value: object, *, above: float | None = None, least: float | None = None) -> None:
    sound = isinstance(value, (int, float)) and math.isfinite(value)
    if not sound or (above is not None and value <= above) or (least is not None and value < least):  # type: ignore[operator]
        limit = f"above {above}" if above is not None else f"of at least {least}"
        raise ValueError(f"{name} is a finite number {limit}, not {value!r}")


def _whole(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {value!r}")
