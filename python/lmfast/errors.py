"""The exceptions that are lmfast's own; everything else is Python's.

A bad argument is a `ValueError` or `TypeError`, what the operating system refuses an `OSError`, Ctrl-C a
`KeyboardInterrupt`. The message says what, where, the likely cause and the way out.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from lmfast._core import FormatError

__all__ = ["FormatError", "MissingDependencyError"]


class MissingDependencyError(ImportError):
    """A package that this part of lmfast needs is not installed."""


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say how to install it.

    Args:
        module: The module's full name.
        extra: The extra of lmfast that brings it.
        purpose: What needs it, as the subject of "needs".

    Returns:
        The module.

    Raises:
        MissingDependencyError: It is not installed.

    >>> require("json", extra="torch", purpose="this example").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        package = module.partition(".")[0]
        message = f"{purpose} needs {package}, which is not installed; install it with: pip install '.[{extra}]'"
        raise MissingDependencyError(message, name=package) from None


@contextmanager
def refuse_warning(beginning: str) -> Iterator[None]:
    """Within it, a warning that begins so is a `ValueError`: for programs, where a warning is soon out of sight.

    >>> with refuse_warning("vocab_size"):
    ...     warnings.warn("vocab_size=9: too large", stacklevel=1)
    Traceback (most recent call last):
        ...
    ValueError: vocab_size=9: too large
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=beginning, category=UserWarning)
        try:
            yield
        except UserWarning as warning:
            raise ValueError(str(warning)) from None
