"""Files of models: safetensors and JSON, written whole or not at all.

A model's folder is `config.json` and `model.safetensors`, named and laid out as by Hugging Face where it has the
family. A pickle is never read.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from lmfast.errors import FormatError, require
from lmfast.models import config as configuration
from lmfast.models import interface
from lmfast.models.gpt import GPT2
from lmfast.models.registry import LanguageModel, create

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

__all__ = ["read_json", "read_model", "read_tensors", "sync_folder", "write_json", "write_model", "write_tensors"]

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")


def write_model(model: nn.Module, folder: Path) -> None:
    """Write a model into a folder that exists; `config.json` comes last, and only if the model has a configuration."""
    weights = interface.weights(model)
    write_tensors(folder / _WEIGHTS, model.to_file(weights) if isinstance(model, GPT2) else weights)
    if isinstance(model, LanguageModel):
        values = configuration.to_dict(model.config)
        write_json(folder / _CONFIG, {**values, "dtype": str(next(model.parameters()).dtype).removeprefix("torch.")})


def read_model(folder: Path) -> LanguageModel:
    """Read the folder of a model, onto the CPU.

    Raises:
        FileNotFoundError: No such folder.
        FormatError: No model in it, a damaged file, or only a pickle.
        ValueError: A family that is not built here.
    """
    if not folder.exists():
        raise FileNotFoundError(2, "There is no model", str(folder))
    if not (folder / _WEIGHTS).exists():
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
        reason = (
            f"only {pickles[0]}, a pickle, which can run any code and is never read; convert it to safetensors"
            if pickles
            else "a model's folder has config.json and model.safetensors"
        )
        raise FormatError(f"{folder} has no {_WEIGHTS}: {reason}")
    values = read_json(folder / _CONFIG)
    try:
        config = configuration.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{folder / _CONFIG}: {error}") from None
    model = create(config)
    tensors = read_tensors(folder / _WEIGHTS, like=model)
    dtypes = {value.dtype for value in tensors.values() if value.is_floating_point()}
    try:
        interface.load_weights(model.to(dtypes.pop()) if len(dtypes) == 1 else model, tensors)
    except ValueError as error:
        raise FormatError(f"{folder / _WEIGHTS} does not fit {_CONFIG}: {error}") from None
    return model


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file in one rename."""
    safetensors = require("safetensors.torch", extra="torch", purpose="saving a model")
    data = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    partial = path.with_name(f".{path.name}.partial")
    partial.touch()  # safetensors would make a file for its owner alone
    mode = partial.stat().st_mode
    safetensors.save_file(data, partial, metadata={"format": "pt"})
    partial.chmod(mode)
    _replace(partial, path)


def read_tensors(path: Path, *, like: nn.Module | None = None) -> dict[str, Tensor]:
    """Read a safetensors file onto the CPU.

    Args:
        path: The file.
        like: The model whose weights they are, if they are: turns them to the model's own layout.

    Raises:
        FormatError: It is missing or damaged.
    """
    safetensors = require("safetensors", extra="torch", purpose="loading a model")
    load_file = require("safetensors.torch", extra="torch", purpose="loading a model").load_file
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise FormatError(f"{path} is missing") from None
    except safetensors.SafetensorError as error:
        raise FormatError(
            f"{path} is no whole safetensors file ({error}): it may be cut short; copy it again"
        ) from None
    return like.from_file(tensors) if isinstance(like, GPT2) else tensors


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object in one rename."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    _replace(partial, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FormatError: It is missing, or something else.
    """
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FormatError(f"{path} is missing") from None
    except ValueError as error:
        raise FormatError(f"{path} is no JSON ({error}): it may be cut short") from None
    if not isinstance(values, dict):
        raise FormatError(f"{path} holds no JSON object")
    return values


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(partial: Path, path: Path) -> None:
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)
