"""The program `lmfast`: reads the command line, runs the command, turns exceptions into exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from lmfast import __version__
from lmfast.cli import cleaning, data, demo, evaluation, ngram, tokenizer, training
from lmfast.cli.common import Commands, Parser
from lmfast.errors import MissingDependencyError

OURS, MISTAKE, INTERRUPTED = 1, 2, 130
"""Exit codes: a fault of lmfast, a mistake that the user can mend, Ctrl-C."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(prog="lmfast", description="Language models from small to large: raw text to a table of models.")
    top.add_argument("--version", action="version", version=f"lmfast {__version__}")
    commands = Commands(top)
    for module in (demo, cleaning, tokenizer, data, ngram, training, evaluation):
        module.add_commands(commands)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: The command line without the program's name; by default the process's own.

    Returns:
        The exit code: 0, 1 for a fault of lmfast, 2 for a user's mistake, 130 for Ctrl-C.
    """
    arguments = parser().parse_args(words)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_, **__: print(f"lmfast: warning: {message}", file=sys.stderr)
            arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("lmfast: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read our output has seen enough
        return 0
    except (ValueError, OSError, MissingDependencyError) as error:
        if arguments.debug:
            traceback.print_exc()
        print(f"lmfast: {one_line(error)}", file=sys.stderr)
        return MISTAKE
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        message = f"internal error, please report it with the output of --debug: {type(error).__name__}: {error}"
        print(f"lmfast: {' '.join(message.split())}", file=sys.stderr)
        return OURS
    return 0


def one_line(error: Exception) -> str:
    """An exception as one line for people.

    >>> one_line(FileNotFoundError(2, "No such file or directory", "absent.txt"))
    'absent.txt: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
