"""GPT-2 (Radford et al. 2019): a decoder with pre-norm blocks, learned positions and a tied output layer.

Parameters carry the names of Hugging Face's GPT2LMHeadModel. Linear weights are (out, in) as everywhere in torch;
there the four of each block are (in, out), which `from_file` and `to_file` turn around.

Shapes as in `layers.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmfast.models.layers import MLP, CausalSelfAttention, LayerCache

if TYPE_CHECKING:
    from lmfast.models.config import GPT2Config

__all__ = ["GPT2", "Cache"]

_TURNED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")

Cache = list[LayerCache]
"""One cache for each block."""


class Block(nn.Module):
    """Attention, then the MLP, each behind a layer norm and added to the residual stream."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.EPSILON)
        self.attn = CausalSelfAttention(config.n_embd, config.n_head, config.dropout)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.EPSILON)
        self.mlp = MLP(config.n_embd, config.dropout)

    def forward(self, x_BTD: Tensor, cache: LayerCache | None) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        x_BTD = x_BTD + self.attn(self.ln_1(x_BTD), cache)
        added_BTD: Tensor = x_BTD + self.mlp(self.ln_2(x_BTD))
        return added_BTD


class Transformer(nn.Module):
    """Everything below the output layer."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.EPSILON)

    def forward(self, ids_BT: Tensor, cache: Cache | None) -> Tensor:
        """(B, T) ids to (B, T, D)."""
        begin = cache[0].length if cache else 0
        positions_T = torch.arange(begin, begin + ids_BT.shape[1], device=ids_BT.device)
        x_BTD: Tensor = self.drop(self.wte(ids_BT) + self.wpe(positions_T))
        for index, block in enumerate(self.h):
            x_BTD = block(x_BTD, cache[index] if cache else None)
        normed_BTD: Tensor = self.ln_f(x_BTD)
        return normed_BTD


class GPT2(nn.Module):
    """A GPT-2 language model.

    >>> from lmfast.models import GPT2Config
    >>> model = GPT2(GPT2Config(vocab_size=11, n_layer=1, n_head=2, n_embd=8, n_positions=16))
    >>> model(torch.zeros(3, 5, dtype=torch.long)).shape
    torch.Size([3, 5, 11])
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        self._initialize()

    def _initialize(self) -> None:
        """Normal weights of deviation 0.02, less by sqrt(2 n_layer) where they add to the stream (section 2.3)."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.endswith("c_proj.weight"):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.n_layer))
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    @property
    def context_length(self) -> int:
        """The longest input, in tokens."""
        return self.config.n_positions

    def new_cache(self) -> Cache:
        """An empty cache for `forward`."""
        return [LayerCache(self.config.n_positions) for _ in range(self.config.n_layer)]

    def forward(self, ids_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits of the token after each token.

        Args:
            ids_BT: Token ids, (B, T) int64.
            cache: From `new_cache`; the tokens go on from those in it and are added to it.

        Returns:
            (B, T, V).

        Raises:
            ValueError: More tokens than `n_positions`.
        """
        length = ids_BT.shape[1] + (cache[0].length if cache else 0)
        if length > self.config.n_positions:
            raise ValueError(f"{length} tokens are more than n_positions={self.config.n_positions}")
        return functional.linear(self.transformer(ids_BT, cache), self.lm_head.weight)

    @staticmethod
    def to_file(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights as a Hugging Face file holds them: those of a block's linear layers as (in, out)."""
        return {name: value.t().contiguous() if name.endswith(_TURNED) else value for name, value in weights.items()}

    from_file = to_file
