"""Batches from any source onto the device, in the model's layout, from an exact place."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lmfast.models import interface

__all__ = ["IGNORED", "Feed", "Micro"]

IGNORED = -100
"""A target that does not count."""


class Micro(NamedTuple):
    """One batch on the device, in the model's layout."""

    inputs: Tensor
    targets: Tensor
    counted: int | None
    """How many targets count; None where nobody asked."""


class Feed:
    """Reads `(inputs, targets)` batches without end.

    A source with `state_dict` and `load_state_dict`, such as a BatchLoader, keeps its own place. Any other is begun
    anew for each pass, and its place is the number of batches read in this pass.

    Args:
        source: Batches of numpy arrays or tensors; `source.layout` "BT" or "TB" says what they are, else they are as
            the model takes them.
        model: Whose layout and vocabulary the batches must fit.
        device: Where to put them.
        name: What the source is called in messages.
    """

    def __init__(self, source: Iterable[Any], model: nn.Module, device: torch.device, name: str) -> None:
        if not isinstance(source, Iterable):
            raise TypeError(f"{name} is an iterable of (inputs, targets), not {type(source).__name__}")
        self.source = source
        self.name = name
        self.device = device
        self.stateful = getattr(source, "mode", None) == "stateful"
        self.rows_dimension = 0 if interface.batch_first(model) else 1
        layout = getattr(source, "layout", None)
        self.turned = layout is not None and (layout == "BT") != interface.batch_first(model)
        self.vocab_size = interface.vocab_size(model)
        self.position = 0
        self._iterator: Iterator[Any] | None = None
        self._start: Any = source.state_dict() if hasattr(source, "state_dict") else None

    @property
    def batches_per_epoch(self) -> int | None:
        """How many batches one epoch has, None if the source does not say."""
        try:
            length = len(self.source)  # type: ignore[arg-type]
        except TypeError:
            return None
        return length // int(getattr(self.source, "epochs", 1) or 1)

    def take(self, count: int, *, counted: bool) -> list[Micro]:
        """The next batches, going on with the next epoch where one ends."""
        return [self._place(self._next(), counted) for _ in range(count)]

    def once(self, limit: int | None) -> Iterator[Micro]:
        """One pass from the place where the source was at first to its end, or to `limit` batches."""
        if self._start is not None:
            self.source.load_state_dict(self._start)  # type: ignore[attr-defined]
        for batch in itertools.islice(iter(self.source), limit):
            yield self._place(batch, True)

    def state(self) -> dict[str, Any]:
        """The place, as JSON."""
        if hasattr(self.source, "state_dict"):
            return {"loader": self.source.state_dict()}
        return {"position": self.position}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go to a place that `state` gave.

        Raises:
            ValueError: The source has no such place.
        """
        self._iterator = None
        if ("loader" in state) != hasattr(self.source, "load_state_dict"):
            raise ValueError(f"the checkpoint's place in {self.name} is that of another kind of source")
        if "loader" in state:
            self.source.load_state_dict(state["loader"])  # type: ignore[attr-defined]
            return
        self.position = int(state["position"])
        self._iterator = iter(self.source)
        skipped = sum(1 for _ in itertools.islice(self._iterator, self.position))
        if skipped < self.position:
            raise ValueError(f"the checkpoint lies after {self.position} batches, but {self.name} has only {skipped}")

    def _next(self) -> Any:
        for _ in range(3):
            if self._iterator is None:
                self._iterator, self.position = iter(self.source), 0
            batch = next(self._iterator, None)
            if batch is not None:
                self.position += 1
                return batch
            self._iterator = None
        raise ValueError(
            f"{self.name} has no batches left: it is empty, or an iterator that can be read only once; "
            "give a BatchLoader or a list"
        )

    def _place(self, batch: Any, counted: bool) -> Micro:
        inputs, targets = _tensor(batch[0]), _tensor(batch[1])
        if self.turned:
            inputs, targets = inputs.t(), targets.t()
        count = int(torch.count_nonzero(targets != IGNORED)) if counted else None
        if self.device.type != "cpu":
            # A device reports an id that is out of range late and unclearly, so they are checked before.
            self.check(inputs, targets)
            inputs, targets = self._send(inputs), self._send(targets)
        return Micro(inputs, targets, count)

    def _send(self, values: Tensor) -> Tensor:
        if self.device.type == "cuda" and values.device.type == "cpu":
            values = values.contiguous().pin_memory()
        return values.to(self.device, non_blocking=True)

    def check(self, inputs: Tensor, targets: Tensor) -> None:
        """Refuse ids past the model's vocabulary, with a ValueError."""
        interface.check_ids(inputs, self.vocab_size, f"the inputs of {self.name}")
        interface.check_ids(targets, self.vocab_size, f"the targets of {self.name}", ignored=IGNORED)


def _tensor(values: Any) -> Tensor:
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values if values.flags.writeable else values.copy())
    tensor: Tensor = torch.as_tensor(values)
    return tensor if tensor.dtype == torch.int64 else tensor.long()
