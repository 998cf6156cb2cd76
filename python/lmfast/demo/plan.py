"""Which neural models the demo trains, and how.

The sizes suit a budget of some forty seconds on two CPU cores: there a larger model sees too few tokens to be better.
On a GPU the same families are trained ten times as wide in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmfast.models import LanguageModel

__all__ = ["NeuralPlan", "neural_plans"]


@dataclass(frozen=True, kw_only=True)
class NeuralPlan:
    """One neural model of the demo."""

    name: str
    build: Callable[[], LanguageModel]
    batch_size: int
    seq_len: int
    valid_every: int
    """Steps between measurements of the validation loss."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of `lmfast.Trainer`."""


def neural_plans(vocab_size: int, *, tokens: int, gpu: bool) -> list[NeuralPlan]:
    """The tutorial's LSTM, a GRU with tied embeddings, and a small GPT.

    Args:
        vocab_size: The tokenizer's.
        tokens: How many the smaller of the texts to train on and to validate on has; a batch takes no more than that.
        gpu: Whether there is one.
    """
    from lmfast import models

    if gpu:
        rows, lengths, valid_every = 64, (256, 256), 100
        width, hidden, gpt = 512, 1024, {"n_layer": 8, "n_head": 8, "n_embd": 512}
    else:
        rows, lengths, valid_every = 8, (32, 64), 40
        width, hidden, gpt = 128, 256, {"n_layer": 4, "n_head": 4, "n_embd": 128}
    recurrent, attention = (max(1, min(length, tokens - 1)) for length in lengths)
    rows = max(1, min(rows, (tokens - 1) // attention))
    options = {"optimizer": "adamw", "lr": 6e-3, "clip_norm": 1.0, "warmup_steps": 20}
    shape = {"batch_size": rows, "valid_every": valid_every}

    def tutorial() -> LanguageModel:
        return models.SmallLanguageModel(vocab_size, width, hidden, num_layers=1)

    def gru() -> LanguageModel:
        sizes = {"embed_size": 3 * hidden // 4, "hidden_size": 3 * hidden // 4, "num_layers": 1}
        return models.build("gru", vocab_size=vocab_size, tied=True, dropout=0.0, **sizes)

    def transformer() -> LanguageModel:
        return models.build("gpt2", vocab_size=vocab_size, n_positions=attention, dropout=0.0, **gpt)

    return [
        NeuralPlan(name="LSTM", build=tutorial, seq_len=recurrent, options=options, **shape),
        NeuralPlan(name="GRU", build=gru, seq_len=recurrent, options=options, **shape),
        NeuralPlan(name="GPT", build=transformer, seq_len=attention, options=options | {"lr": 4e-3}, **shape),
    ]
