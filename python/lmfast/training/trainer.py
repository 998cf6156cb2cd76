"""`Trainer`: the settings of a training run; `loop` does the work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmfast import progress as progress_bars
from lmfast.models import interface
from lmfast.training.budget import Budget
from lmfast.training.config import TrainConfig
from lmfast.training.feed import Feed
from lmfast.training.loop import Run, terminated_by_signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import nn

    from lmfast.training.metrics import TrainResult

__all__ = ["Trainer"]


class Trainer:
    """Trains a model on batches of `(inputs, targets)`.

    On the CPU the same seed, data and thread count give the same bits, also when a run is killed and resumed, if the
    budget is one of steps, epochs or tokens; under a budget of seconds the learning rate follows the clock.

    Args:
        model: A model of `lmfast.models` or any module that maps ids to logits, see there. It is moved to the device.
        train: A `BatchLoader`, or any iterable of (inputs, targets), numpy or torch; it is begun anew where it ends.
            Targets of -100 do not count. Of a loader with `mode="stateful"` each batch goes on where the one before
            ended, and a recurrent model's state is carried along.
        valid: Batches to validate on, all of them each time.
        optimizer: sgd, adam, adamw or muon, see `lmfast.training.optim`.
        lr: The highest learning rate.
        betas: Decay of the moments of adam, adamw and muon's AdamW part.
        weight_decay: None is 0.1 for adamw and muon (on matrices only) and none for sgd and adam.
        schedule: constant, cosine, linear or wsd: how the rate falls to zero after warm-up.
        warmup_steps: Steps in which the rate rises.
        clip_norm: The largest norm of all gradients together.
        accumulation: Batches a step; the loss is the mean over all their counted tokens.
        budget: A number and steps, s, epochs or tokens: "1000 steps", "40s". Seconds are of training alone, without
            validation and checkpoints. Without a `len`, `train` cannot have a budget of epochs.
        seed: Of torch's generators when `fit` begins.
        log_every: Steps between rows of `history`.
        valid_every: Steps between validations; by default only one at the end.
        valid_batches: Batches of a validation; by default all.
        checkpoint_every: Steps between checkpoints; the last step and SIGTERM write one too.
        out: The folder for checkpoints; None writes nothing.
        resume: "auto" goes on from the checkpoint in `out`, if any; False begins anew; a path must hold a checkpoint.
        device: By default the GPU where there is one, else the CPU.
        precision: float32, or bfloat16 for autocast of matrix products.
        progress: A bar; None for one on a terminal.

    Raises:
        ValueError: A setting that makes no sense, by its name.

    >>> import torch
    >>> from lmfast import models
    >>> ids = torch.arange(33) % 7
    >>> model = models.build("gru", vocab_size=7, hidden_size=16)
    >>> data = [(ids[None, :-1], ids[None, 1:])]
    >>> Trainer(model, data, budget="20 steps", lr=0.01, device="cpu").fit().steps
    20
    """

    def __init__(
        self,
        model: nn.Module,
        train: Iterable[Any],
        *,
        valid: Iterable[Any] | None = None,
        optimizer: str = "adamw",
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float | None = None,
        schedule: str = "cosine",
        warmup_steps: int = 0,
        clip_norm: float | None = None,
        accumulation: int = 1,
        budget: str = "1000 steps",
        seed: int = 0,
        log_every: int = 10,
        valid_every: int | None = None,
        valid_batches: int | None = None,
        checkpoint_every: int | None = None,
        out: str | os.PathLike[str] | None = None,
        resume: str | os.PathLike[str] | bool = "auto",
        device: str | torch.device | None = None,
        precision: str = "float32",
        progress: bool | None = None,
    ) -> None:
        self.config = TrainConfig(
            optimizer=optimizer,
            lr=lr,
            betas=betas,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup_steps=warmup_steps,
            clip_norm=clip_norm,
            accumulation=accumulation,
            budget=Budget.parse(budget),
            seed=seed,
            log_every=log_every,
            valid_every=valid_every,
            valid_batches=valid_batches,
            checkpoint_every=checkpoint_every,
            out=None if out is None else Path(out),
            resume=resume,
            precision=precision,
        )
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError(
                "lmfast.Trainer runs in one process, but WORLD_SIZE says that there are more: start it without torchrun"
            )
        self.model = model
        self.device = interface.pick_device(device)
        self._progress = progress
        self._train = Feed(train, model, self.device, "train")
        self._valid = None if valid is None else Feed(valid, model, self.device, "valid")
        self.config.budget.batches(self._train.batches_per_epoch)
        if self._valid is not None and self._valid.batches_per_epoch == 0:
            raise ValueError("valid is empty: it has no batches")

    def fit(self) -> TrainResult:
        """Train until the budget is used.

        With `out`, SIGTERM ends training early: a checkpoint is written and `interrupted` is True. Ctrl-C leaves the
        last checkpoint.

        Raises:
            FloatingPointError: A loss that is not finite; the message names the step, the last checkpoint stays.
            ValueError: A token id past the vocabulary, empty data, or a checkpoint of another model.
            OSError: `out` cannot be written.
        """
        was_training = self.model.training
        self.model.to(self.device).train()
        try:
            with terminated_by_signal(self.config.out is not None) as terminated:
                run = Run(self.config, self.model, self._train, self._valid)
                with progress_bars.bar(self._progress) as callback:
                    return run.finish(callback, terminated)
        finally:
            self.model.train(was_training)
