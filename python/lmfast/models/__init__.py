"""Neural language models, small to large, as plain `torch.nn` modules.

- `SmallLanguageModel`: the classic LSTM model, (T, B) ids to (T, B, V) logits.
- `build`: a model by name, (B, T) ids; recurrent ones give (logits, state), Transformers logits.

A model of your own serves everywhere in lmfast if it maps (B, T) ids to (B, T, V) logits. These attributes say more:
`batch_first = False`, it takes (T, B) and gives (T, B, V); `carries_state = True`, it is called with
`(ids, state)` and gives `(logits, state)`; `context_length`, the most tokens it takes.
"""

from __future__ import annotations

from lmfast.errors import require

require("torch", extra="torch", purpose="lmfast.models")

from lmfast.models.config import GPT2Config, RecurrentConfig, SmallConfig  # noqa: E402
from lmfast.models.gpt import GPT2  # noqa: E402
from lmfast.models.registry import LanguageModel, build, create, names  # noqa: E402
from lmfast.models.rnn import RecurrentLanguageModel, SmallLanguageModel  # noqa: E402

__all__ = [
    "GPT2",
    "GPT2Config",
    "LanguageModel",
    "RecurrentConfig",
    "RecurrentLanguageModel",
    "SmallConfig",
    "SmallLanguageModel",
    "build",
    "create",
    "names",
]
