"""The parts that models share.

Shapes, as suffixes of names: B rows, T tokens of a row, P tokens already in a cache, D width, H heads, K width of a
head, F width inside the MLP, V tokens of the vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MLP", "CausalSelfAttention", "LayerCache"]


class LayerCache:
    """Keys and values of the tokens that one attention layer has seen, in buffers of a fixed capacity."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._keys_BHTK: Tensor | None = None
        self._values_BHTK: Tensor | None = None

    def extend(self, keys_BHTK: Tensor, values_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Append new tokens; gives keys and values of all tokens so far, (B, H, P + T, K)."""
        if self._keys_BHTK is None or self._values_BHTK is None:
            rows, heads, _, width = keys_BHTK.shape
            self._keys_BHTK = keys_BHTK.new_empty(rows, heads, self.capacity, width)
            self._values_BHTK = values_BHTK.new_empty(rows, heads, self.capacity, width)
        begin, self.length = self.length, self.length + keys_BHTK.shape[2]
        self._keys_BHTK[:, :, begin : self.length] = keys_BHTK
        self._values_BHTK[:, :, begin : self.length] = values_BHTK
        return self._keys_BHTK[:, :, : self.length], self._values_BHTK[:, :, : self.length]


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which a token sees itself and the tokens before it (Vaswani et al. 2017, section 3.2).

    Args:
        width: D.
        num_heads: H; divides D.
        dropout: On the attention weights and on the result.
    """

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, cache: LayerCache | None = None) -> Tensor:
        """Attend; with a cache, also to the tokens in it, to which these are added. Gives (B, T, D)."""
        qkv_BTHK = self.c_attn(x_BTD).unflatten(2, (3 * self.num_heads, -1))
        q_BHTK, k_BHTK, v_BHTK = qkv_BTHK.transpose(1, 2).chunk(3, dim=1)
        num_new, num_cached = x_BTD.shape[1], 0
        if cache is not None:
            num_cached = cache.length
            k_BHTK, v_BHTK = cache.extend(k_BHTK, v_BHTK)
        mask_TP = None
        if num_cached and num_new > 1:
            shape = (num_new, num_cached + num_new)
            mask_TP = torch.ones(shape, dtype=torch.bool, device=x_BTD.device).tril(num_cached)
        y_BHTK = functional.scaled_dot_product_attention(
            q_BHTK,
            k_BHTK,
            v_BHTK,
            attn_mask=mask_TP,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=num_cached == 0 and num_new > 1,
        )
        projected_BTD: Tensor = self.resid_dropout(self.c_proj(y_BHTK.transpose(1, 2).flatten(2)))
        return projected_BTD


class MLP(nn.Module):
    """Two linear layers with GELU in its tanh form between (Hendrycks and Gimpel 2016, section 2; F = 4 D)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Each token by itself, (B, T, D) to (B, T, D)."""
        hidden_BTF = functional.gelu(self.c_fc(x_BTD), approximate="tanh")
        projected_BTD: Tensor = self.dropout(self.c_proj(hidden_BTF))
        return projected_BTD
