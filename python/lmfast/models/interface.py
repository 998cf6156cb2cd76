"""One way to call every model, whatever its layout, and to read and fill its weights.

Shapes, as suffixes of names: B rows, T tokens of a row, V tokens of the vocabulary.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lmfast.models.rnn import State

__all__ = [
    "batch_first",
    "carries_state",
    "check_ids",
    "context_length",
    "detach",
    "evaluating",
    "forward",
    "load_weights",
    "pick_device",
    "vocab_size",
    "weights",
]


def batch_first(model: nn.Module) -> bool:
    """Whether ids are (B, T), as usual, or (T, B)."""
    return bool(getattr(model, "batch_first", True))


def carries_state(model: nn.Module) -> bool:
    """Whether the model is recurrent: called with (ids, state), it gives (logits, state)."""
    return bool(getattr(model, "carries_state", False))


def context_length(model: nn.Module) -> int | None:
    """The most tokens the model takes, None for no limit."""
    length = getattr(model, "context_length", None)
    return None if length is None else int(length)


def vocab_size(model: nn.Module) -> int | None:
    """The number of tokens the model knows, or None if it does not say."""
    size = getattr(getattr(model, "config", None), "vocab_size", None)
    return size if isinstance(size, int) else None


def forward(model: nn.Module, ids: Tensor, state: State | None = None) -> tuple[Tensor, State | None]:
    """Logits and, of a recurrent model, the state after the last token.

    Args:
        model: Any model.
        ids: Token ids in the model's own layout.
        state: What an earlier call gave, to go on from there.

    Returns:
        Logits in the model's own layout, and the state or None.
    """
    if carries_state(model):
        logits, state = getattr(model, "advance", model)(ids, state)
        return logits, state
    answer = model(ids)
    return (answer[0] if isinstance(answer, tuple) else answer), None


def detach(state: State | None) -> State | None:
    """The state cut off from the graph that led to it."""
    if state is None:
        return None
    return state.detach() if isinstance(state, Tensor) else (state[0].detach(), state[1].detach())


def check_ids(ids: Tensor, size: int | None, what: str, *, ignored: int | None = None) -> None:
    """Refuse ids that the model does not know.

    Args:
        ids: Integers, on any device.
        size: The vocabulary's size, None if it is unknown.
        what: The subject of the message.
        ignored: A value that is let pass.

    Raises:
        ValueError: An id is outside [0, size).
    """
    if size is None or ids.numel() == 0:
        return
    if ignored is not None:
        ids = ids.masked_fill(ids == ignored, 0)
    low, high = (int(end) for end in ids.aminmax())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        raise ValueError(
            f"{what} hold the id {wrong}, but the model's vocabulary has the ids 0 to {size - 1}: was it built for "
            "another tokenizer? Build it with vocab_size=tokenizer.vocab_size"
        )


def pick_device(device: str | torch.device | None) -> torch.device:
    """The device asked for; for None the GPU where there is one, else the CPU.

    Raises:
        ValueError: No such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
        torch.empty(0, device=picked)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device={device!r} cannot be used: {str(error).splitlines()[0]}") from None
    return picked


@contextmanager
def evaluating(model: nn.Module, device: torch.device | None = None) -> Iterator[torch.device]:
    """Evaluation mode without gradients, on `device` (None: where the model is); all is put back at the end.

    Yields:
        The device the model is on.
    """
    home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    training = model.training
    target = home if device is None else device
    try:
        model.to(target).eval()
        with torch.inference_mode():
            yield target
    finally:
        model.to(home).train(training)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a model's state by name; of tensors that share memory only the first.

    >>> sorted(weights(nn.Linear(2, 3)))
    ['bias', 'weight']
    """
    unique: dict[str, Tensor] = {}
    seen: set[Any] = set()
    for name, value in model.state_dict().items():
        key = (value.data_ptr(), value.shape, value.stride()) if value.numel() else name
        if key not in seen:
            seen.add(key)
            unique[name] = value.detach()
    return unique


def load_weights(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Fill a model with what `weights` gave.

    Raises:
        ValueError: Other names or shapes than the model's.
    """
    expected = weights(model)
    missing = [name for name in expected if name not in values]
    unknown = [name for name in values if name not in model.state_dict()]
    if missing or unknown:
        side = f"the file lacks {missing[0]!r}" if missing else f"the file has {unknown[0]!r}, which the model has not"
        raise ValueError(f"these weights belong to another model: {side}")
    for name, value in expected.items():
        if values[name].shape != value.shape:
            shapes = f"{tuple(values[name].shape)}, the model's {tuple(value.shape)}"
            raise ValueError(f"these weights belong to another model: {name!r} has the shape {shapes}")
    model.load_state_dict({name: values[name] for name in expected}, strict=False)
