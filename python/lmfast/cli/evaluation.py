"""`lmfast eval` and `lmfast compare`."""

from __future__ import annotations

import argparse
import dataclasses
import sys

from lmfast.cli.common import Commands, add_tokenizer, show


def add_commands(commands: Commands) -> None:
    """The verbs."""
    evaluate = commands.verb(
        "eval",
        "Measure one model: loss, perplexity, bits per byte.",
        run_eval,
        """lmfast eval runs/demo/models/gpt --text test.txt
        lmfast eval corpus.lmn --text test.txt""",
    )
    evaluate.add_argument("model", metavar="MODEL", help="a folder of a neural model, or an n-gram file")
    compare = commands.verb(
        "compare",
        "One table for any set of models, over the same text.",
        run_compare,
        """lmfast compare runs/demo/models/* --text test.txt
        lmfast compare a.lmn b/ --text test.txt --tokenizer tokenizer.json --json""",
    )
    compare.add_argument("models", nargs="+", metavar="MODEL", help="folders of neural models and n-gram files")
    for verb in (evaluate, compare):
        verb.add_argument("--text", required=True, metavar="FILE", help="a text file; a glob is fine")
        add_tokenizer(verb)


def run_eval(arguments: argparse.Namespace) -> None:
    """`lmfast eval`."""
    from lmfast import evaluate, load
    from lmfast.comparison import tokenizer_of

    model = load(arguments.model)
    words = not getattr(model, "is_of_tokens", True)
    tokenizer = None if words else tokenizer_of(arguments.model, arguments.tokenizer)
    found = evaluate(model, arguments.text, tokenizer=tokenizer)
    show(arguments, dataclasses.asdict(found))


def run_compare(arguments: argparse.Namespace) -> None:
    """`lmfast compare`."""
    from lmfast.comparison import compare, versions

    rows = compare(arguments.models, arguments.text, tokenizer=arguments.tokenizer)
    if arguments.json:
        result = {"rows": rows, "text": {"file": arguments.text}, "versions": versions(), "command": sys.argv}
        show(arguments, result)
        return
    from lmfast.report import print_table

    print_table(rows)
