"""What a model is made of: one frozen dataclass for each family, and the named sizes.

A configuration is plain data. It is what `config.json` of a saved model holds, under the names that Hugging Face uses
where it has the family too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Config", "GPT2Config", "RecurrentConfig", "SmallConfig", "from_dict", "to_dict"]


def _check_sizes(config: Config, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} is a whole number of at least 1, not {value!r}")


def _check_dropout(value: object) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"dropout is a probability in [0, 1), not {value!r}")


@dataclass(frozen=True, kw_only=True)
class SmallConfig:
    """Sizes of `SmallLanguageModel`."""

    model_type: Literal["small"] = "small"
    vocab_size: int
    embed_size: int
    hidden_size: int
    num_layers: int

    def __post_init__(self) -> None:
        _check_sizes(self, "vocab_size", "embed_size", "hidden_size", "num_layers")


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Sizes of a recurrent language model.

    Args:
        model_type: The cell: a plain tanh cell, an LSTM or a GRU.
        vocab_size: The number of tokens, V.
        embed_size: The width of the embedding, E.
        hidden_size: The width of each layer, H.
        num_layers: How many layers lie on one another.
        tied: The output layer shares the embedding's matrix; needs E = H.
        dropout: On the embedding, between layers and before the output layer.
    """

    model_type: Literal["rnn", "lstm", "gru"]
    vocab_size: int
    embed_size: int = 256
    hidden_size: int = 256
    num_layers: int = 2
    tied: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_sizes(self, "vocab_size", "embed_size", "hidden_size", "num_layers")
        _check_dropout(self.dropout)
        if self.tied and self.embed_size != self.hidden_size:
            sizes = f"embed_size={self.embed_size}, hidden_size={self.hidden_size}"
            raise ValueError(f"tied=True shares one matrix, so embed_size and hidden_size must be equal, not {sizes}")


@dataclass(frozen=True, kw_only=True)
class GPT2Config:
    """Sizes of a GPT-2.

    Args:
        vocab_size: The number of tokens, V.
        n_positions: The longest context, in tokens.
        n_embd: The width of the residual stream, D.
        n_layer: The number of blocks.
        n_head: Attention heads in each block; divides `n_embd`.
        dropout: On the embeddings, the attention weights and what each half of a block adds.
    """

    model_type: Literal["gpt2"] = "gpt2"
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    dropout: float = 0.0

    EPSILON: ClassVar[float] = 1e-5
    """Added to the variance in each layer norm."""

    def __post_init__(self) -> None:
        _check_sizes(self, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
        _check_dropout(self.dropout)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd={self.n_embd} is not a multiple of n_head={self.n_head}")


Config = SmallConfig | RecurrentConfig | GPT2Config
"""The configuration of any model."""

FAMILIES: dict[str, type[Config]] = {
    "small": SmallConfig,
    "rnn": RecurrentConfig,
    "lstm": RecurrentConfig,
    "gru": RecurrentConfig,
    "gpt2": GPT2Config,
}

PRESETS: dict[str, dict[str, Any]] = {
    "rnn": {"model_type": "rnn"},
    "lstm": {"model_type": "lstm"},
    "gru": {"model_type": "gru"},
    # The word-level models of pytorch/examples and of Zaremba et al. 2014.
    "lstm-200": {"model_type": "lstm", "embed_size": 200, "hidden_size": 200, "tied": True, "dropout": 0.2},
    "lstm-650": {"model_type": "lstm", "embed_size": 650, "hidden_size": 650, "tied": True, "dropout": 0.5},
    "lstm-1500": {"model_type": "lstm", "embed_size": 1500, "hidden_size": 1500, "tied": True, "dropout": 0.65},
    "gpt2": {"model_type": "gpt2"},
    "gpt2-tiny": {"model_type": "gpt2", "n_layer": 4, "n_head": 4, "n_embd": 128, "n_positions": 256},
    "gpt2-mini": {"model_type": "gpt2", "n_layer": 6, "n_head": 6, "n_embd": 384, "n_positions": 512},
    # Radford et al. 2019, table 2, by their true sizes.
    "gpt2-124m": {"model_type": "gpt2"},
    "gpt2-355m": {"model_type": "gpt2", "n_layer": 24, "n_head": 16, "n_embd": 1024},
    "gpt2-774m": {"model_type": "gpt2", "n_layer": 36, "n_head": 20, "n_embd": 1280},
    "gpt2-1.5b": {"model_type": "gpt2", "n_layer": 48, "n_head": 25, "n_embd": 1600},
}
"""The names that `build` knows: the families, and sizes of them."""

_GPT2_FIXED: dict[str, Any] = {
    "activation_function": "gelu_new",
    "layer_norm_epsilon": GPT2Config.EPSILON,
    "n_inner": None,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
"""Settings of a Hugging Face GPT-2 that change what it computes, and the one value of each that is built here."""

_GPT2_DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")


def to_dict(config: Config) -> dict[str, Any]:
    """The configuration as `config.json` holds it.

    >>> to_dict(SmallConfig(vocab_size=9, embed_size=2, hidden_size=3, num_layers=1))["model_type"]
    'small'
    """
    values = dataclasses.asdict(config)
    if isinstance(config, GPT2Config):
        dropout = values.pop("dropout")
        values |= {"architectures": ["GPT2LMHeadModel"], **_GPT2_FIXED, **dict.fromkeys(_GPT2_DROPOUTS, dropout)}
    return values


def from_dict(values: Mapping[str, Any]) -> Config:
    """The configuration that `to_dict`, or Hugging Face for a family of its own, wrote.

    Args:
        values: The content of a `config.json`; settings that change nothing here are skipped.

    Raises:
        ValueError: A family or a setting that is not built here, or a value that is none.

    >>> from_dict({"model_type": "gpt2", "n_layer": 2}).n_layer
    2
    """
    family = values.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(f"model_type is {family!r}; lmfast has {', '.join(sorted(FAMILIES))}")
    kind = FAMILIES[family]
    names = {field.name for field in dataclasses.fields(kind)}
    known = {name: value for name, value in values.items() if name in names}
    if kind is GPT2Config:
        for name, value in _GPT2_FIXED.items():
            if values.get(name, value) != value:
                raise ValueError(f"{name}={values[name]!r} is not built here; a GPT-2 of lmfast has {value!r}")
        dropouts = {values[name] for name in _GPT2_DROPOUTS if name in values}
        if len(dropouts) > 1:
            raise ValueError(f"{', '.join(_GPT2_DROPOUTS)} differ; a GPT-2 of lmfast has one dropout")
        if dropouts:
            known["dropout"] = dropouts.pop()
    try:
        return kind(**known)
    except TypeError as error:
        raise ValueError(f"settings of {family} are missing: {error}") from None
