"""The training loop: one run from its first step, or from a checkpoint, to its last.

One step: the next `accumulation` batches, forward and backward for each, clip, step. What a loop must get right is
each in a file of its own: `feed` (the place in the data), `metrics` (losses without waiting), `schedule`, `optim`,
`checkpoint` (exact resume).
"""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmfast.models import interface
from lmfast.training import checkpoint as checkpoints
from lmfast.training.budget import Counters
from lmfast.training.feed import IGNORED, Feed, Micro
from lmfast.training.metrics import LossMeter, Stopwatch, TrainResult, mean_loss
from lmfast.training.optim import build_optimizer
from lmfast.training.schedule import factor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmfast.models.rnn import State
    from lmfast.progress import Callback
    from lmfast.training.config import TrainConfig

__all__ = ["Run", "terminated_by_signal"]

_BAR_SECONDS = 0.1


class Run:
    """One call of `Trainer.fit`: everything that changes while it trains.

    Args:
        config: The settings.
        model: On its device, in training mode.
        train: The training batches.
        valid: The validation batches.

    Raises:
        OSError: The folder for checkpoints cannot be written.
        ValueError: The checkpoint to resume from is another model's, or damaged.
    """

    def __init__(self, config: TrainConfig, model: nn.Module, train: Feed, valid: Feed | None) -> None:
        self.config, self.model, self.train, self.valid = config, model, train, valid
        self.device = train.device
        self.carries = train.stateful and interface.carries_state(model)
        self.batches_per_epoch = self.train.batches_per_epoch
        self.batch_limit = config.budget.batches(self.batches_per_epoch)
        self.optimizer = build_optimizer(
            model, config.optimizer, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
        )
        self.autocast: AbstractContextManager[Any] = nullcontext()
        if config.precision == "bfloat16":
            self.autocast = torch.autocast(self.device.type, torch.bfloat16)
        torch.manual_seed(config.seed)
        self.optimizer.zero_grad()
        self.done = Counters()
        self.rate = 0.0
        self.warm_progress = 0.0
        self.carried: State | None = None
        self.losses = LossMeter()
        self.history: list[dict[str, Any]] = []
        self.saved: tuple[int, int] | None = None
        if config.out is not None:
            config.out.mkdir(parents=True, exist_ok=True)
        self._resume()
        self.watch = Stopwatch(self.device, self.done.seconds)

    def finish(self, callback: Callback | None, terminated: list[int]) -> TrainResult:
        """Train until the budget is used, or until `terminated` holds something."""
        config, done = self.config, self.done
        shown = 0.0
        while self.progress() < 1 and not terminated:
            self._step()
            done.seconds = self.watch.seconds()
            if done.step % config.log_every == 0:
                self._log()
            if config.valid_every and done.step % config.valid_every == 0:
                self._validate()
            if config.checkpoint_every and done.step % config.checkpoint_every == 0 and self.progress() < 1:
                self._save()
            if callback is not None and done.seconds - shown > _BAR_SECONDS:
                shown = done.seconds
                callback("training", int(1000 * min(1.0, self.progress())), 1000)
        interrupted = self.progress() < 1
        if not interrupted:
            if self.losses.pending:
                self._log()
            if self.valid is not None and self._last("valid_loss", at=done.step) is None:
                self._validate()
        if config.out is not None and self.saved != (done.step, len(self.history)):
            self._save()
        return self._result(interrupted)

    def progress(self) -> float:
        """The part of the budget that is used."""
        return self.config.budget.progress(self.done, self.batches_per_epoch)

    def _step(self) -> None:
        config, done = self.config, self.done
        progress = self.progress()
        if done.step <= config.warmup_steps:
            self.warm_progress = progress
        self.rate = config.lr * factor(config.schedule, done.step, config.warmup_steps, progress, self.warm_progress)
        self.optimizer.set_rate(self.rate)
        count = config.accumulation
        if self.batch_limit is not None:
            count = min(count, self.batch_limit - done.batches)
        micros = self.train.take(count, counted=count > 1)
        self.losses.add(self._backward(micros), done.step + 1)
        if config.clip_norm is not None:
            self.optimizer.clip(config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        done.step += 1
        done.batches += count
        done.tokens += sum(micro.inputs.numel() for micro in micros)

    def _backward(self, micros: list[Micro]) -> Tensor:
        """Gradients of the mean loss over the counted tokens of all batches; gives that loss."""
        counted = None if len(micros) == 1 else max(1, sum(micro.counted or 0 for micro in micros))
        total: Tensor | None = None
        for micro in micros:
            try:
                loss = self._loss(micro, "mean" if counted is None else "sum")
            except (IndexError, RuntimeError) as error:
                self.train.check(micro.inputs, micro.targets)
                if isinstance(error, IndexError):
                    raise ValueError(f"a token id lies past the model's vocabulary: {error}") from error
                raise
            if counted is not None:
                loss = loss / counted
            loss.backward()  # type: ignore[no-untyped-call]
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total

    def _loss(self, micro: Micro, reduction: str) -> Tensor:
        rows = micro.inputs.shape[self.train.rows_dimension]
        state = self.carried
        if state is not None and (state if isinstance(state, Tensor) else state[0]).shape[1] != rows:
            state = None
        with self.autocast:
            logits, state = interface.forward(self.model, micro.inputs, state)
            loss = functional.cross_entropy(
                logits.flatten(0, -2), micro.targets.flatten(), ignore_index=IGNORED, reduction=reduction
            )
        if self.carries:
            self.carried = interface.detach(state)
        return loss

    def _log(self) -> None:
        loss = self.losses.mean()
        self.done.seconds = self.watch.seconds()
        self._row(loss=loss, learning_rate=self.rate)

    def _row(self, **figures: float) -> None:
        self.history.append(
            {"step": self.done.step, **figures, "seconds": self.done.seconds, "tokens": self.done.tokens}
        )

    def _last(self, figure: str, at: int | None = None) -> float | None:
        rows = (row for row in reversed(self.history) if figure in row and at in (None, row["step"]))
        return next((row[figure] for row in rows), None)

    def _validate(self) -> None:
        if self.valid is None:
            return
        with self.watch.paused():
            batches = self.valid.once(self.config.valid_batches)
            loss = mean_loss(self.model, batches, stateful=self.valid.stateful)
        if loss is None:
            raise ValueError("valid is empty: it gave no batch with a target that counts")
        self._row(valid_loss=loss)

    def _save(self) -> None:
        """Write a checkpoint; only finite losses lie behind it."""
        out, done = self.config.out, self.done
        assert out is not None
        with self.watch.paused():
            self.losses.flush()
            done.seconds = self.watch.seconds()
            carried = () if self.carried is None else self.carried
            parts = (carried,) if isinstance(carried, Tensor) else carried
            tensors = {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
            tensors |= {f"state.{index}": part for index, part in enumerate(parts)}
            tensors |= checkpoints.random_state(self.device)
            values = {**vars(done), "optimizer": self.config.optimizer, "warm_progress": self.warm_progress}
            values |= {"losses": self.losses.values, "data": self.train.state(), "history": self.history}
            checkpoints.write(out, self.model, checkpoints.Checkpoint(tensors, values))
            self.saved = (done.step, len(self.history))

    def _resume(self) -> None:
        config = self.config
        if isinstance(config.resume, bool):
            return
        if config.resume == "auto":
            folder = None if config.out is None else checkpoints.find(config.out)
            if folder is None:
                return
        else:
            folder = checkpoints.find_given(Path(config.resume))
        saved = checkpoints.read(folder, self.model, config.optimizer)
        values = saved.values
        self.optimizer.load_state(saved.group("optimizer"))
        parts = tuple(part.to(self.device) for _, part in sorted(saved.group("state").items()))
        self.carried = (parts[0] if len(parts) == 1 else parts) if parts else None  # type: ignore[assignment]
        self.done = Counters(values["step"], values["batches"], values["tokens"], values["seconds"])
        self.warm_progress, self.history = values["warm_progress"], values["history"]
        self.losses = LossMeter(values["losses"])
        self.train.load_state(values["data"])
        checkpoints.restore_random_state(saved.group("random"), self.device)
        if folder.parent == config.out:
            self.saved = (self.done.step, len(self.history))

    def _result(self, interrupted: bool) -> TrainResult:
        done = self.done
        return TrainResult(
            steps=done.step,
            train_loss=self._last("loss") or 0.0,
            valid_loss=self._last("valid_loss"),
            tokens_per_second=done.tokens / done.seconds if done.seconds else 0.0,
            seconds=done.seconds,
            history=self.history,
            interrupted=interrupted,
        )


@contextmanager
def terminated_by_signal(catch: bool) -> Iterator[list[int]]:
    """A list that SIGTERM fills, so that the step it falls into is finished; only the main thread can catch it."""
    received: list[int] = []
    if not catch or threading.current_thread() is not threading.main_thread():
        yield received
        return
    before: Callable[..., Any] | int | None = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
