"""What every command shares: the parser that answers in one line, and how results are shown."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Command = Callable[[argparse.Namespace], None]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose help shows examples first."""

    def error(self, message: str) -> NoReturn:
        """Tell the mistake in one line and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Commands:
    """Adds verbs to a parser, each with the options that all of them have."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.verbs = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    def noun(self, name: str, summary: str) -> Commands:
        """A group of verbs, such as `lmfast tokenizer`."""
        return Commands(self.verbs.add_parser(name, help=summary, description=summary))

    def verb(self, name: str, summary: str, run: Command, examples: str) -> argparse.ArgumentParser:
        """A command.

        Args:
            name: What is typed.
            summary: One line.
            run: Called with the parsed arguments.
            examples: Command lines, one a line; shown above the options.

        Returns:
            The parser, for the options of the command's own.
        """
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        parser = self.verbs.add_parser(
            name,
            help=summary,
            description=f"{summary}\n\nexamples:\n{lines}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object and no progress")
        parser.add_argument("--quiet", action="store_true", help="print no progress and no remarks")
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        parser.set_defaults(run=run)
        return parser


def add_tokenizer(parser: argparse.ArgumentParser) -> None:
    """The option --tokenizer of the commands that take a model."""
    parser.add_argument(
        "--tokenizer",
        metavar="FILE",
        help="tokenizer.json (default: the one in the model's folder or up to two folders above)",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """The option --threads."""
    parser.add_argument("--threads", type=int, metavar="N", help="threads to use (default: every core)")


def add_sampling(parser: argparse.ArgumentParser, *, max_tokens: int) -> None:
    """The options of the commands that draw text; `max_tokens` unless told otherwise."""
    parser.add_argument("--prompt", default="", metavar="TEXT", help="what the text begins with")
    parser.add_argument("--max-tokens", type=int, default=max_tokens, metavar="N", help=f"(default: {max_tokens})")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="below 1: safer (default: 1)")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw among the K likeliest")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw among the likeliest that hold P together")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed draws the same text")


def sampling(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_sampling` asked for, but the prompt, as `generate` takes it."""
    return {name: getattr(arguments, name) for name in ("max_tokens", "temperature", "top_k", "top_p", "seed")}


def progress(arguments: argparse.Namespace) -> bool | None:
    """What the command's calls take as `progress=`."""
    return False if arguments.json or arguments.quiet else None


def remark(arguments: argparse.Namespace, text: str) -> None:
    """Tell people something on standard error; scripts are spared."""
    if not (arguments.json or arguments.quiet):
        print(text, file=sys.stderr)


def show(arguments: argparse.Namespace, result: Mapping[str, Any], text: str | None = None) -> None:
    """Print a result: as JSON for scripts, else as `text`, or as names and values."""
    if arguments.json:
        print(json.dumps(finite(result), allow_nan=False))
    elif text is not None:
        print(text)
    else:
        width = max(map(len, result), default=0)
        for name, value in result.items():
            print(f"{name.replace('_', ' '):{width}}  {shown(value)}")


def finite(value: Any) -> Any:
    """A result as JSON can hold it: null for numbers that are infinite or none.

    >>> finite({"perplexity": float("inf"), "counts": [1, 2.5]})
    {'perplexity': None, 'counts': [1, 2.5]}
    """
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: object) -> str:
    """A value for people: digits in groups, six significant figures.

    >>> shown(1234567), shown(0.123456789)
    ('1,234,567', '0.123457')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
