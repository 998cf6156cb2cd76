"""Training of neural language models: `Trainer`."""

from __future__ import annotations

from lmfast.errors import require

require("torch", extra="torch", purpose="lmfast.Trainer")

from lmfast.training.metrics import TrainResult  # noqa: E402
from lmfast.training.trainer import Trainer  # noqa: E402

__all__ = ["TrainResult", "Trainer"]
