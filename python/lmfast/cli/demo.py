"""`lmfast demo`: the main job on real text."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lmfast.cli.common import Commands, add_threads, progress, remark
from lmfast.cli.tokenizer import expand


def add_commands(commands: Commands) -> None:
    """The verb."""
    demo = commands.verb(
        "demo",
        "Run the main job on real text: raw text to a table of language models.",
        run,
        """lmfast demo
        lmfast demo --text corpus.txt more.jsonl.zst --budget 120s
        lmfast demo --budget 10s --out runs/short""",
    )
    demo.add_argument(
        "--text",
        nargs="+",
        metavar="FILE",
        help=".txt, .jsonl, each also .gz and .zst (default: the sources of Python's standard library)",
    )
    demo.add_argument("--budget", default="40s", help="to train each neural model: 40s, 500 steps, ... (default: 40s)")
    demo.add_argument("--out", default="runs/demo", metavar="FOLDER", help="(default: runs/demo)")
    demo.add_argument(
        "--vocab-size", type=int, default=8192, metavar="N", help="tokens of the vocabulary (default: 8192)"
    )
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    add_threads(demo)


def run(arguments: argparse.Namespace) -> None:
    """`lmfast demo`."""
    import sys

    from lmfast.demo import run_demo
    from lmfast.report import print_table

    made = run_demo(
        [Path(name) for name in expand(arguments.text)] if arguments.text else None,
        budget=arguments.budget,
        out=arguments.out,
        vocab_size=arguments.vocab_size,
        seed=arguments.seed,
        threads=arguments.threads,
        command=["lmfast", *sys.argv[1:]],
        progress=progress(arguments),
        say=lambda line: remark(arguments, line),
    )
    if arguments.json:
        print(json.dumps(json.loads((made.folder / "metrics.json").read_text(encoding="utf-8"))))
        return
    print_table(made.rows)
    remark(arguments, f"{made.seconds:.0f} s in all; open {made.report}")
