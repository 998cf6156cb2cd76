"""Checkpoints: everything a run needs to go on bit for bit, as safetensors and JSON.

    out/latest.json                       {"checkpoint": "step-00000120"}: which folder counts
    out/step-00000120/model.safetensors   the weights; with config.json a model that `lmfast.load` reads
    out/step-00000120/training.safetensors   'optimizer.*', 'state.*' (recurrent), 'random.*' (generators)
    out/step-00000120/training.json       counters, the place in the data, history

A folder is written beside, with every file flushed to the disk, before `latest.json` is replaced in one rename; only
then are older folders removed. So whenever the process dies, `latest.json` names a whole checkpoint.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmfast.errors import FormatError
from lmfast.models import interface, storage

__all__ = ["Checkpoint", "find", "find_given", "random_state", "read", "restore_random_state", "write"]

_LATEST = "latest.json"
_STATE = "training.json"
_VERSION = 1
_VALUES = (
    *("step", "batches", "tokens", "seconds", "optimizer"),
    *("warm_progress", "losses", "data", "history"),
)


@dataclass
class Checkpoint:
    """What a checkpoint holds beside the weights.

    Args:
        tensors: By name, see the module.
        values: JSON.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one kind, without the prefix."""
        begin = prefix + "."
        return {name.removeprefix(begin): value for name, value in self.tensors.items() if name.startswith(begin)}


def write(out: Path, model: nn.Module, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and make it the one that counts; gives its folder."""
    name = f"step-{checkpoint.values['step']:08d}"
    while (out / name).exists():
        name += "-again"
    folder = out / name
    folder.mkdir()
    storage.write_model(model, folder)
    storage.write_tensors(folder / "training.safetensors", checkpoint.tensors)
    storage.write_json(folder / _STATE, {"version": _VERSION, **checkpoint.values})
    storage.sync_folder(out)
    storage.write_json(out / _LATEST, {"checkpoint": name})
    for other in out.glob("step-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def find(path: Path) -> Path | None:
    """The checkpoint that counts in a run's folder, or None if there is none yet.

    Raises:
        FormatError: `latest.json` is damaged or names a folder that is gone.
    """
    if not (path / _LATEST).exists():
        return None
    name = storage.read_json(path / _LATEST).get("checkpoint")
    if not isinstance(name, str) or Path(name).name != name or not (path / name).is_dir():
        raise FormatError(f"{path / _LATEST} names no checkpoint: give resume=False, or another out=, to begin anew")
    return path / name


def find_given(path: Path) -> Path:
    """The checkpoint in the folder of a run, or the folder of a checkpoint itself.

    Raises:
        FileNotFoundError: There is none.
    """
    folder = path if (path / _STATE).exists() else find(path)
    if folder is None:
        raise FileNotFoundError(2, "There is no checkpoint to resume from", str(path))
    return folder


def read(folder: Path, model: nn.Module, optimizer: str) -> Checkpoint:
    """Read a checkpoint; the weights go into the model.

    Raises:
        FormatError: A file is damaged or missing.
        ValueError: It is the checkpoint of another model or optimizer.
    """
    values = storage.read_json(folder / _STATE)
    missing = [name for name in _VALUES if name not in values]
    if values.get("version") != _VERSION or missing:
        reason = f"lacks {missing[0]!r}" if missing else f"has the version {values.get('version')!r}, not {_VERSION}"
        raise FormatError(f"{folder / _STATE} {reason}: another lmfast wrote it, or it was changed")
    if values["optimizer"] != optimizer:
        raise ValueError(
            f"cannot resume from {folder}: it was trained with optimizer={values['optimizer']!r}, not {optimizer!r}; "
            "give another out=, or resume=False"
        )
    tensors = storage.read_tensors(folder / "training.safetensors")
    try:
        interface.load_weights(model, storage.read_tensors(folder / "model.safetensors", like=model))
    except ValueError as error:
        raise type(error)(f"cannot resume from {folder}: {error}; give another out=, or resume=False") from None
    return Checkpoint(tensors, values)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators that training draws from."""
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the generators to what `random_state` gave, without its prefix."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
