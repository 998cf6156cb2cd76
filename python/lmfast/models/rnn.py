"""Recurrent language models: an embedding, recurrent layers, an output layer.

The layers are torch's own (Elman 1990; Hochreiter and Schmidhuber 1997; Cho et al. 2014, with the reset gate after the
matrix product), so cuDNN runs them on a GPU and the weights carry torch's names.

Shapes, as suffixes of names: B rows, T tokens of a row, E width of the embedding, H width of a layer, V tokens of the
vocabulary. A state is (num_layers, B, H), for an LSTM a pair of them: hidden state and cell.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmfast.models.config import RecurrentConfig, SmallConfig

__all__ = ["RecurrentLanguageModel", "SmallLanguageModel", "State"]

State = Tensor | tuple[Tensor, Tensor]
"""What a recurrent model carries from one token to the next."""

_LAYERS: dict[str, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class SmallLanguageModel(nn.Module):
    """The classic LSTM language model: `embed`, `rnn`, `fc`, time before rows, torch's own initial weights.

    Args:
        vocab_size: V.
        embed_size: E.
        hidden_size: H.
        num_layers: How many LSTM layers lie on one another.

    >>> import torch
    >>> model = SmallLanguageModel(vocab_size=11, embed_size=4, hidden_size=6, num_layers=2)
    >>> model(torch.zeros(5, 3, dtype=torch.long)).shape
    torch.Size([5, 3, 11])
    """

    batch_first = False
    carries_state = True

    def __init__(self, vocab_size: int, embed_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.config = SmallConfig(
            vocab_size=vocab_size, embed_size=embed_size, hidden_size=hidden_size, num_layers=num_layers
        )
        self.embed = nn.Embedding(vocab_size, embed_size)
        self.rnn = nn.LSTM(embed_size, hidden_size, num_layers)
        self.fc = nn.Linear(hidden_size, vocab_size)

    def forward(self, ids_TB: Tensor) -> Tensor:
        """Logits of the token after each token, from an empty state: (T, B) int64 ids to (T, B, V)."""
        return self.advance(ids_TB)[0]

    def advance(self, ids_TB: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits as of `forward`, from a state, and the state after the last token."""
        hidden_TBH, state = self.rnn(self.embed(ids_TB), state)
        return self.fc(hidden_TBH), state


class DroppedLayers(nn.Module):
    """Recurrent layers with dropout between them, rows before time; torch's `dropout=`, from torch's own generator.

    On a GPU that argument draws from a generator inside cuDNN whose state nobody can read or set, so that a run which
    goes on from a checkpoint would go another way. The names of the state are those of torch's layers in one module.

    Args:
        kind: Of a layer.
        input_size: E.
        hidden_size: H.
        num_layers: How many lie on one another.
        dropout: On what each layer but the last gives.
    """

    def __init__(
        self,
        kind: type[nn.RNN] | type[nn.LSTM] | type[nn.GRU],
        input_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes = [input_size, *[hidden_size] * (num_layers - 1)]
        self.layers = nn.ModuleList(kind(size, hidden_size, batch_first=True) for size in sizes)
        self.drop = nn.Dropout(dropout)
        self.register_state_dict_post_hook(_join_names)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_part_names)  # type: ignore[no-untyped-call]

    def forward(self, x_BTE: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(B, T, E) to (B, T, H), and the states of all layers after the last token."""
        after = []
        for index, layer in enumerate(self.layers):
            mine = slice(index, index + 1)
            before = state[mine] if isinstance(state, Tensor) else state and (state[0][mine], state[1][mine])
            x_BTE, layer_state = layer(self.drop(x_BTE) if index else x_BTE, before)
            after.append(layer_state)
        if isinstance(after[0], Tensor):
            return x_BTE, torch.cat(after)
        hidden, cell = (torch.cat(parts) for parts in zip(*after, strict=True))
        return x_BTE, (hidden, cell)


def _join_names(layers: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """`layers.1.weight_ih_l0` as `weight_ih_l1`."""
    assert isinstance(layers, DroppedLayers)
    for index, layer in enumerate(layers.layers):
        for name, _parameter in layer.named_parameters():
            state[f"{prefix}{name[:-1]}{index}"] = state.pop(f"{prefix}layers.{index}.{name}")


def _part_names(layers: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """The other way."""
    assert isinstance(layers, DroppedLayers)
    for index, layer in enumerate(layers.layers):
        for name, _parameter in layer.named_parameters():
            whole = f"{prefix}{name[:-1]}{index}"
            if whole in state:
                state[f"{prefix}layers.{index}.{name}"] = state.pop(whole)


class RecurrentLanguageModel(nn.Module):
    """A language model of RNN, LSTM or GRU layers, rows before time.

    >>> import torch
    >>> model = RecurrentLanguageModel(RecurrentConfig(model_type="gru", vocab_size=11))
    >>> logits, state = model(torch.zeros(3, 5, dtype=torch.long))
    >>> logits.shape, state.shape
    (torch.Size([3, 5, 11]), torch.Size([2, 3, 256]))
    """

    batch_first = True
    carries_state = True

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.embed_size)
        self.drop = nn.Dropout(config.dropout)
        sizes = (config.embed_size, config.hidden_size, config.num_layers)
        kind = _LAYERS[config.model_type]
        separate = config.dropout > 0 and config.num_layers > 1
        self.rnn = DroppedLayers(kind, *sizes, config.dropout) if separate else kind(*sizes, batch_first=True)
        self.fc = nn.Linear(config.hidden_size, config.vocab_size)
        # Small and even, as in pytorch/examples: rates as high as 20 with SGD start from here.
        for weight in (self.embed.weight, self.fc.weight):
            nn.init.uniform_(weight, -0.1, 0.1)
        nn.init.zeros_(self.fc.bias)
        if config.tied:
            self.fc.weight = self.embed.weight

    def forward(self, ids_BT: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits of the token after each token, and the state after the last.

        Args:
            ids_BT: Token ids, (B, T) int64.
            state: What an earlier call gave; None is the empty state.

        Returns:
            Logits (B, T, V), and the state.
        """
        hidden_BTH, state = self.rnn(self.drop(self.embed(ids_BT)), state)
        return self.fc(self.drop(hidden_BTH)), state
