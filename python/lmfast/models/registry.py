"""Models by name."""

from __future__ import annotations

import dataclasses
from typing import Any

from lmfast.models.config import FAMILIES, PRESETS, Config, RecurrentConfig, SmallConfig
from lmfast.models.gpt import GPT2
from lmfast.models.rnn import RecurrentLanguageModel, SmallLanguageModel

__all__ = ["LanguageModel", "build", "create", "names"]

LanguageModel = SmallLanguageModel | RecurrentLanguageModel | GPT2
"""Any model of this package."""


def names() -> list[str]:
    """The names that `build` takes, sorted: families, and sizes of them.

    >>> "gpt2-124m" in names()
    True
    """
    return sorted(PRESETS)


def build(name: str, *, vocab_size: int | None = None, **overrides: Any) -> RecurrentLanguageModel | GPT2:
    """A model with fresh weights, drawn from torch's generator.

    Args:
        name: One of `names()`.
        vocab_size: The number of tokens; needed by recurrent models, 50,257 for a GPT-2 unless given.
        overrides: Other sizes than the name stands for: `embed_size`, `hidden_size`, `num_layers`, `tied` of rnn, lstm
            and gru; `n_layer`, `n_head`, `n_embd`, `n_positions` of gpt2; `dropout` of all.

    Returns:
        The model, in training mode, on the CPU.

    Raises:
        ValueError: An unknown name or override, or sizes that do not go together.

    >>> model = build("gru", vocab_size=100, hidden_size=32)
    >>> model.config.hidden_size
    32
    """
    if name not in PRESETS:
        raise ValueError(f"there is no model {name!r}; there are {', '.join(names())}")
    settings = dict(PRESETS[name])
    family = FAMILIES[settings["model_type"]]
    known = [field.name for field in dataclasses.fields(family) if field.name != "model_type"]
    for override in overrides:
        if override not in known:
            raise ValueError(f"{name} has no {override!r}; it has {', '.join(known)}")
    settings |= overrides
    if vocab_size is not None:
        settings["vocab_size"] = vocab_size
    elif family is RecurrentConfig:
        raise ValueError(f"{name} needs vocab_size=, for example vocab_size=tokenizer.vocab_size")
    model = create(family(**settings))
    assert not isinstance(model, SmallLanguageModel)
    return model


def create(config: Config) -> LanguageModel:
    """A model with fresh weights of exactly this configuration."""
    if isinstance(config, SmallConfig):
        return SmallLanguageModel(config.vocab_size, config.embed_size, config.hidden_size, config.num_layers)
    return RecurrentLanguageModel(config) if isinstance(config, RecurrentConfig) else GPT2(config)
