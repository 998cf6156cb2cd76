"""`lmfast ngram`: train, measure and use n-gram models."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmfast.cli.common import Commands, add_threads, add_tokenizer, progress, show
from lmfast.cli.tokenizer import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmfast import NgramModel


def add_commands(commands: Commands) -> None:
    """The noun and its verbs."""
    noun = commands.noun("ngram", "Train, measure and use n-gram models.")

    train = noun.verb(
        "train",
        "Estimate an interpolated modified Kneser-Ney model.",
        run_train,
        """lmfast ngram train corpus.txt --order 5 --out corpus.lmn
        lmfast ngram train corpus.txt --order 3 --out corpus.arpa.gz
        lmfast ngram train corpus.bin --tokenizer tokenizer.json --order 5 --out tokens.lmn""",
    )
    train.add_argument("text", nargs="+", metavar="TEXT", help="text files, words by white space; or one token store")
    train.add_argument("--order", type=int, default=5, metavar="N", help="the longest n-grams (default: 5)")
    train.add_argument("--out", required=True, metavar="FILE", help=".lmn (ours), .arpa or .arpa.gz")
    train.add_argument(
        "--prune",
        type=int,
        nargs="+",
        default=[0],
        metavar="COUNT",
        help="leave out n-grams that occur no more often, one COUNT an order; the last one goes on (default: 0)",
    )
    train.add_argument("--vocabulary", metavar="FILE", help="leave out n-grams with words that are not in this file")
    train.add_argument(
        "--unk",
        choices=("unknown", "word", "skip", "error"),
        default="unknown",
        help="what a <unk> spelled out in the text is (default: unknown)",
    )
    train.add_argument("--tokenizer", metavar="FILE", help="count this tokenizer's tokens instead of words")
    add_compact(train)
    add_threads(train)

    count = noun.verb(
        "count",
        "Count the n-grams of one order.",
        run_count,
        """lmfast ngram count corpus.txt --order 3 --top 20
        lmfast ngram count corpus.txt --order 2 --out bigrams.tsv
        lmfast ngram count corpus.bin --order 4 --out grams.parquet""",
    )
    count.add_argument("text", nargs="+", metavar="TEXT", help="text files, words by white space; or one token store")
    count.add_argument("--order", type=int, default=1, metavar="N", help="how many words an n-gram has (default: 1)")
    count.add_argument("--top", type=int, default=10, metavar="K", help="show the K most frequent (default: 10)")
    count.add_argument("--out", metavar="FILE", help="write them all, .tsv (n-gram, tab, count) or .parquet")
    count.add_argument("--tokenizer", metavar="FILE", help="count this tokenizer's tokens instead of words")
    add_threads(count)

    evaluate = noun.verb(
        "eval",
        "Measure perplexity, as KenLM's query prints it.",
        run_eval,
        """lmfast ngram eval corpus.lmn --text test.txt
        zcat test.txt.gz | lmfast ngram eval corpus.lmn --text -""",
    )
    score = noun.verb(
        "score",
        "Score each line: log10 of its probability.",
        run_score,
        """lmfast ngram score corpus.lmn --text sentences.txt
        echo 'some words' | lmfast ngram score corpus.lmn""",
    )
    generate = noun.verb(
        "generate",
        "Draw text from a model.",
        run_generate,
        """lmfast ngram generate corpus.lmn --prompt 'in the' --seed 1
        lmfast ngram generate tokens.lmn --tokenizer tokenizer.json --max-tokens 100""",
    )
    info = noun.verb("info", "Tell what a model holds.", run_info, "lmfast ngram info corpus.lmn")
    convert = noun.verb(
        "convert",
        "Write a model in another format.",
        run_convert,
        """lmfast ngram convert corpus.arpa.gz corpus.lmn
        lmfast ngram convert corpus.lmn small.lmn --compact
        lmfast ngram convert corpus.arpa smaller.lmn --compact --quantize-bits 8""",
    )
    for verb in (evaluate, score, generate, info, convert):
        verb.add_argument("model", metavar="MODEL", help=".lmn, .arpa or .arpa.gz")
    for verb in (evaluate, score):
        verb.add_argument("--text", metavar="FILE", help="a text file; - is standard input, which is the default")
    for verb in (evaluate, score, generate):
        add_tokenizer(verb)
    generate.add_argument("--prompt", default="", metavar="TEXT", help="what the text begins with")
    generate.add_argument("--max-tokens", type=int, default=50, metavar="N", help="(default: 50)")
    generate.add_argument("--temperature", type=float, default=1.0, metavar="T", help="below 1: safer (default: 1)")
    generate.add_argument("--top-k", type=int, metavar="K", help="draw among the K likeliest")
    generate.add_argument("--top-p", type=float, metavar="P", help="draw among the likeliest that hold P together")
    generate.add_argument("--seed", type=int, metavar="N", help="the same seed draws the same text")
    convert.add_argument("out", metavar="OUT", help=".lmn, .arpa or .arpa.gz")
    add_compact(convert)


def add_compact(verb: argparse.ArgumentParser) -> None:
    """The options of what is written."""
    verb.add_argument("--compact", action="store_true", help="write a .lmn of a few bytes an n-gram, slower to query")
    verb.add_argument(
        "--quantize-bits", type=int, metavar="N", help="with --compact: 2^N numbers an order instead of the exact ones"
    )


def run_train(arguments: argparse.Namespace) -> None:
    """`lmfast ngram train`."""
    from lmfast import NgramModel

    source, tokenizer = open_source(arguments)
    vocabulary = Path(arguments.vocabulary).read_text("utf-8").split() if arguments.vocabulary else None
    start = time.perf_counter()
    model = NgramModel.train(
        source,
        arguments.order,
        tokenizer=tokenizer,
        prune=arguments.prune,
        vocabulary=vocabulary,
        unk=arguments.unk,
        threads=arguments.threads,
        progress=progress(arguments),
    )
    model.save(arguments.out, compact=arguments.compact, quantize_bits=arguments.quantize_bits)
    seconds = time.perf_counter() - start
    result = {"out": arguments.out, "order": model.order, "counts": list(model.counts), "seconds": round(seconds, 3)}
    show(
        arguments,
        result,
        f"{arguments.out}: {sum(model.counts):,} n-grams of orders 1-{model.order} in {seconds:.1f} s",
    )


def run_count(arguments: argparse.Namespace) -> None:
    """`lmfast ngram count`."""
    from lmfast import count_ngrams

    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.suffix not in (".tsv", ".parquet"):
        message = f"--out {out}: counts are written as .tsv or .parquet"
        raise ValueError(message)
    source, tokenizer = open_source(arguments)
    counts = count_ngrams(
        source, arguments.order, tokenizer=tokenizer, threads=arguments.threads, progress=progress(arguments)
    )
    if out is not None and out.suffix == ".parquet":
        counts.to_parquet(out)
    elif out is not None:
        with out.open("w", encoding="utf-8") as file:
            file.writelines(f"{' '.join(map(str, ngram))}\t{count}\n" for ngram, count in counts.items())
    top = [(" ".join(map(str, ngram)), count) for ngram, count in counts.most_common(arguments.top)]
    result = {
        "order": counts.order,
        "ngrams": len(counts),
        "total": counts.total,
        "top": [{"ngram": ngram, "count": count} for ngram, count in top],
    }
    lines = [f"{count:>12,}  {ngram}" for ngram, count in top]
    lines.append(f"{len(counts):,} different {counts.order}-grams, {counts.total:,} in all")
    show(arguments, result, "\n".join(lines))


def run_eval(arguments: argparse.Namespace) -> None:
    """`lmfast ngram eval`."""
    source = standard_input() if arguments.text in (None, "-") else arguments.text
    found = open_model(arguments).perplexity(source, progress=progress(arguments))
    show(arguments, found._asdict())


def run_score(arguments: argparse.Namespace) -> None:
    """`lmfast ngram score`."""
    from lmfast.source import documents

    if arguments.text in (None, "-"):
        lines = [line.removesuffix("\n").removesuffix("\r") for line in standard_input()]
    else:
        lines = list(documents(arguments.text, lines=True))
    scores = [float(score) for score in open_model(arguments).score_batch(lines)]
    show(arguments, {"scores": scores}, "\n".join(f"{score:.6g}" for score in scores))


def run_generate(arguments: argparse.Namespace) -> None:
    """`lmfast ngram generate`."""
    options = {name: getattr(arguments, name) for name in ("max_tokens", "temperature", "top_k", "top_p", "seed")}
    text = open_model(arguments).generate(arguments.prompt, **options)
    show(arguments, {"prompt": arguments.prompt, "text": text}, text)


def run_info(arguments: argparse.Namespace) -> None:
    """`lmfast ngram info`."""
    from lmfast import NgramModel

    model = NgramModel.load(arguments.model)
    size = Path(arguments.model).stat().st_size
    result = {
        "model": arguments.model,
        "order": model.order,
        "counts": list(model.counts),
        "bytes_on_disk": size,
        "bytes_per_ngram": size / sum(model.counts),
    }
    show(arguments, result)


def run_convert(arguments: argparse.Namespace) -> None:
    """`lmfast ngram convert`."""
    from lmfast import NgramModel

    model = NgramModel.load(arguments.model)
    model.save(arguments.out, compact=arguments.compact, quantize_bits=arguments.quantize_bits)
    show(arguments, {"out": arguments.out, "bytes_on_disk": Path(arguments.out).stat().st_size})


def standard_input() -> Iterator[str]:
    """The lines of standard input, with their line ends; only line feeds end a line."""
    buffer = getattr(sys.stdin, "buffer", None)
    yield from sys.stdin if buffer is None else (line.decode("utf-8") for line in buffer)


def open_source(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """What to count, and the tokenizer to do it by."""
    from lmfast import Tokenizer, TokenStore

    tokenizer = Tokenizer.from_file(arguments.tokenizer) if arguments.tokenizer else None
    source: Any = [Path(name) for name in expand(arguments.text)]
    if len(source) == 1 and source[0].suffix in (".bin", ".idx"):
        source = TokenStore.open(source[0])
    return source, tokenizer


def open_model(arguments: argparse.Namespace) -> NgramModel:
    """The model, with its tokenizer if it is one of tokens."""
    from lmfast import NgramModel
    from lmfast.comparison import tokenizer_of

    model = NgramModel.load(arguments.model)
    if model.is_of_tokens:
        model = NgramModel.load(arguments.model, tokenizer=tokenizer_of(arguments.model, arguments.tokenizer))
    return model
