"""`lmfast clean`: text normalized, masked, without duplicates."""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

from lmfast.cli.common import Commands, add_threads, progress, remark, show


def add_commands(commands: Commands) -> None:
    """The command."""
    clean = commands.verb(
        "clean",
        "Clean text files into one.",
        run_clean,
        """lmfast clean 'raw/*.parquet' --out clean.jsonl.zst --normalization NFC --drop-duplicates exact,near
        lmfast clean mails.jsonl --out clean.jsonl --mask email,ip,phone,card,secret
        lmfast clean lines.txt.gz --lines --out clean.txt --collapse-whitespace --trim --min-characters 20 --json""",
    )
    clean.add_argument("text", nargs="+", metavar="SOURCE", help=".txt, .jsonl (each also .gz, .zst), .parquet; globs")
    clean.add_argument("--out", required=True, metavar="FILE", help=".jsonl, or .txt with a line a document; .gz, .zst")
    add_source(clean)
    add_cleaning(clean)
    add_threads(clean)


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options that tell how files are cut into documents."""
    parser.add_argument("--lines", action="store_true", help="each line of a text file is a document")
    parser.add_argument("--text-field", default="text", metavar="NAME", help="of .jsonl (default: text)")
    parser.add_argument("--text-column", default="text", metavar="NAME", help="of .parquet (default: text)")


def add_cleaning(parser: argparse.ArgumentParser) -> None:
    """The options that make a `Cleaning`."""
    group = parser.add_argument_group("cleaning")
    group.add_argument("--drop-control-characters", action="store_true", help="but tabs and line ends")
    group.add_argument("--normalization", choices=("NFC", "NFKC"), help="the form of Unicode")
    group.add_argument("--strip-accents", action="store_true")
    group.add_argument("--lowercase", action="store_true")
    group.add_argument("--collapse-whitespace", action="store_true", help="each run of white space becomes one")
    group.add_argument("--trim", action="store_true", help="no white space at both ends")
    group.add_argument("--mask", type=_names, default=(), metavar="KINDS", help="of email,ip,phone,card,secret")
    group.add_argument("--min-characters", type=int, default=0, metavar="N", help="drop shorter documents")
    group.add_argument("--max-characters", type=int, metavar="N", help="drop longer documents")
    group.add_argument("--drop-duplicates", type=_names, default=(), metavar="KINDS", help="of exact,near")
    group.add_argument("--near-ngram", type=int, default=5, metavar="N", help="words of a shingle (default: 5)")
    group.add_argument("--near-permutations", type=int, default=128, metavar="N", help="(default: 128)")
    group.add_argument("--near-threshold", type=float, default=0.8, metavar="X", help="similarity (default: 0.8)")
    group.add_argument(
        "--memory", type=int, metavar="BYTES", help="the most that the tables of documents seen may take"
    )


def cleaning_of(arguments: argparse.Namespace) -> Any:
    """The `Cleaning` that the options ask for; None where they ask for nothing."""
    from lmfast import Cleaning

    cleaning = Cleaning(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Cleaning)})
    tuned = {name: getattr(cleaning, name) for name in ("near_ngram", "near_permutations", "near_threshold", "memory")}
    return None if cleaning == Cleaning(**tuned) else cleaning


def run_clean(arguments: argparse.Namespace) -> None:
    """`lmfast clean`."""
    from lmfast import Cleaning, clean
    from lmfast.cli.tokenizer import expand

    start = time.perf_counter()
    report = clean(
        [Path(name) for name in expand(arguments.text)],
        arguments.out,
        cleaning=cleaning_of(arguments) or Cleaning(),
        lines=arguments.lines,
        text_field=arguments.text_field,
        text_column=arguments.text_column,
        threads=arguments.threads,
        progress=progress(arguments),
    )
    seconds = time.perf_counter() - start
    show(arguments, {"out": arguments.out, **dataclasses.asdict(report), "seconds": round(seconds, 3)})
    remark(arguments, f"{report.bytes_in / 1e6 / seconds:.0f} MB/s")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)
