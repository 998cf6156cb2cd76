"""Progress bars for calls that take more than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Callback", "bar"]

Callback = Callable[[str, int, int], None]
"""Called with the stage (a verb), the units done and the units in all (0: unknown)."""

DELAY_SECONDS = 2.0


@contextmanager
def bar(progress: bool | None) -> Iterator[Callback | None]:
    """A callback that draws a bar on standard error once the work has taken two seconds.

    Args:
        progress: True for a bar, False for none, None for one if standard error is a terminal.

    Yields:
        The callback, or None where no bar is wanted.

    >>> with bar(False) as callback:
    ...     print(callback)
    None
    """
    wanted = sys.stderr.isatty() if progress is None else progress
    if not wanted:
        yield None
        return
    drawing = _Bar()
    try:
        yield drawing
    finally:
        drawing.close()


class _Bar:
    """Starts `rich` only when two seconds are over, so that short calls never import it."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.progress: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self.progress is None:
            if time.monotonic() - self.start < DELAY_SECONDS:
                return
            self.progress = _rich_progress()
            self.progress.start()
        if stage not in self.tasks:
            for task in self.tasks.values():
                self.progress.update(task, completed=self.progress.tasks[task].total or 1)
            self.tasks[stage] = self.progress.add_task(stage, total=total or None)
        self.progress.update(self.tasks[stage], completed=done, total=total or None)

    def close(self) -> None:
        if self.progress is not None:
            self.progress.stop()


def _rich_progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
