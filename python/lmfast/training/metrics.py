"""What training reports: losses without waiting for the device, time, and the result."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmfast.models import interface
from lmfast.training.feed import IGNORED, Micro

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["LossMeter", "Stopwatch", "TrainResult", "mean_loss"]

_UNREAD = 256


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What `Trainer.fit` gives.

    Args:
        steps: Steps in all, those before a resume among them.
        train_loss: Nats a token, the mean of the steps of the last row of `history`.
        valid_loss: Nats a token on the validation data after the last step, or None without such data.
        tokens_per_second: Tokens read a second of training.
        seconds: Time spent training, without validation and checkpoints.
        history: Rows with `step` (from 1), `loss` (mean over counted tokens, and over the steps since the row
            before), `learning_rate`, `seconds`, `tokens`; and rows with `step`, `valid_loss`, `seconds`, `tokens`.
        interrupted: Whether SIGTERM ended the run before its budget did.
    """

    steps: int
    train_loss: float
    valid_loss: float | None
    tokens_per_second: float
    seconds: float
    history: list[dict[str, Any]] = field(repr=False)
    interrupted: bool = False


class LossMeter:
    """Collects the losses of steps and refuses one that is not finite.

    On the CPU a loss is read, and refused, at once: before the step changes a weight. Elsewhere losses stay on the
    device and are read together, when a mean is asked for or 256 have gathered, so that steps never wait.
    """

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.values = list(values)
        self._unread: list[Tensor] = []
        self._first_unread = 0

    def add(self, loss: Tensor, step: int) -> None:
        """Take the loss of a step.

        Raises:
            FloatingPointError: It, or one before that was not read yet, is not finite.
        """
        if loss.device.type == "cpu":
            self._read(loss.item(), step)
            return
        if not self._unread:
            self._first_unread = step
        self._unread.append(loss.detach())
        if len(self._unread) >= _UNREAD:
            self.flush()

    @property
    def pending(self) -> bool:
        """Whether there are losses that no mean has taken."""
        return bool(self.values or self._unread)

    def flush(self) -> None:
        """Read what is still on the device."""
        if self._unread:
            unread, self._unread = torch.stack(self._unread).tolist(), []
            for step, value in enumerate(unread, self._first_unread):
                self._read(value, step)

    def mean(self) -> float:
        """The mean of the losses since the last call."""
        self.flush()
        mean = math.fsum(self.values) / len(self.values)
        self.values.clear()
        return mean

    def _read(self, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss of step {step} is {value}: the learning rate may be too high (lower lr=, add warmup_steps= "
                "or clip_norm=1.0), or no target of that step counts"
            )
        self.values.append(value)


class Stopwatch:
    """Seconds that go by, but for pauses."""

    def __init__(self, device: torch.device, seconds: float) -> None:
        self._device = device
        self._start = time.perf_counter() - seconds

    def seconds(self) -> float:
        """The time so far."""
        return time.perf_counter() - self._start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in here does not count; work that the device still has to do does."""
        self._wait()
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._wait()
            self._start += time.perf_counter() - begin

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def mean_loss(model: nn.Module, batches: Iterable[Micro], *, stateful: bool) -> float | None:
    """Nats a counted token over all batches, in evaluation mode; None without such tokens.

    Args:
        model: On the device of the batches; it is left in the mode it was in.
        batches: Batches with their counts.
        stateful: Whether each batch goes on where the one before ended, so that a state is carried.
    """
    total, counted, state = None, 0, None
    with interface.evaluating(model):
        for micro in batches:
            logits, after = interface.forward(model, micro.inputs, state)
            state = after if stateful else None
            flat, targets = logits.flatten(0, -2).float(), micro.targets.flatten()
            loss = functional.cross_entropy(flat, targets, ignore_index=IGNORED, reduction="sum")
            total = loss if total is None else total + loss
            counted += micro.counted or 0
    return None if total is None or not counted else float(total) / counted
