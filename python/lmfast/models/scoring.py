"""How well a model predicts a stream of tokens.

Every token but the first is predicted once. Windows start at multiples of `seq_len`; the last may be short. A
Transformer sees of each token's past what lies in its window; a recurrent model carries its state, so that it sees all.

Shapes, as suffixes of names: N tokens of the stream, B windows side by side, T tokens of a window, V tokens of the
vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lmfast.models import interface

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["score_tokens"]

_LOGITS_AT_ONCE = 1 << 25
"""The most logits of one call, unless a batch size is asked for: 128 MiB in float32."""

_RECURRENT_LENGTH = 256


def score_tokens(
    model: nn.Module,
    ids_N: np.ndarray,
    *,
    seq_len: int | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The loss on each token but the first, and whether it was the model's first choice.

    Args:
        model: Any model; it is left as it was.
        ids_N: The stream, (N,) integers.
        seq_len: Tokens in a window; by default all that the model takes, and 256 for a recurrent one, where it changes
            nothing but speed.
        batch_size: Windows side by side; by default as many as fit 128 MiB of logits. A recurrent model takes one.
        device: Where to compute; by default the GPU where there is one, else the CPU.

    Returns:
        Nats (N - 1,) float64, hits (N - 1,) bool.

    Raises:
        ValueError: Fewer than two tokens, an id past the vocabulary, or a window longer than the model takes.
    """
    if len(ids_N) < 2:
        raise ValueError(f"the text has {len(ids_N)} tokens; the first is never predicted, so at least 2 are needed")
    recurrent, size = interface.carries_state(model), interface.vocab_size(model)
    length = _window_length(model, seq_len)
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is at least 1, not {batch_size}")
    stream_N = torch.from_numpy(np.array(ids_N, dtype=np.int64))
    interface.check_ids(stream_N, size, "the text's tokens")
    rows = 1 if recurrent else batch_size or max(1, min(64, _LOGITS_AT_ONCE // (length * (size or 1 << 16))))
    nats, hits, state = [], [], None
    with interface.evaluating(model, interface.pick_device(device)) as place:
        for inputs_BT, targets_BT in _windows(stream_N, length, rows):
            ids_BT, next_BT = inputs_BT.to(place), targets_BT.to(place)
            if interface.batch_first(model):
                logits_BTV, state = interface.forward(model, ids_BT, state)
            else:
                logits_TBV, state = interface.forward(model, ids_BT.t(), state)
                logits_BTV = logits_TBV.transpose(0, 1)
            flat_NV = logits_BTV.flatten(0, 1).float()
            nats.append(functional.cross_entropy(flat_NV, next_BT.flatten(), reduction="none"))
            hits.append(flat_NV.argmax(1) == next_BT.flatten())
        return torch.cat(nats).double().cpu().numpy(), torch.cat(hits).cpu().numpy()


def _window_length(model: nn.Module, seq_len: int | None) -> int:
    longest = interface.context_length(model)
    if seq_len is None:
        return longest or _RECURRENT_LENGTH
    if seq_len < 1 or (longest is not None and seq_len > longest):
        limit = "" if longest is None else f" and at most {longest}, the model's longest context"
        raise ValueError(f"seq_len is at least 1{limit}, not {seq_len}")
    return seq_len


def _windows(stream_N: Tensor, length: int, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets (B, T): whole windows `rows` at a time, then the short one, if any."""
    inputs_N, targets_N = stream_N[:-1], stream_N[1:]
    whole = len(inputs_N) // length * length
    step = length * rows
    for begin in range(0, whole, step):
        end = min(begin + step, whole)
        yield inputs_N[begin:end].view(-1, length), targets_N[begin:end].view(-1, length)
    if whole < len(inputs_N):
        yield inputs_N[None, whole:], targets_N[None, whole:]
