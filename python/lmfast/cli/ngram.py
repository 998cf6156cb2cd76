"""`lmfast ngram`: train, measure and use n-gram models."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmfast.cli import ngram_models
from lmfast.cli.common import Commands, add_sampling, add_threads, add_tokenizer, progress, sampling, show
from lmfast.cli.tokenizer import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmfast import NgramModel


def add_commands(commands: Commands) -> None:
    """The noun and its verbs."""
    noun = commands.noun("ngram", "Train, measure and use n-gram models.")

    train = noun.verb(
        "train",
        "Estimate a model, by interpolated modified Kneser-Ney smoothing unless asked otherwise.",
        run_train,
        """lmfast ngram train corpus.txt --order 5 --out corpus.lmn
        lmfast ngram train corpus.txt --order 3 --out corpus.arpa.gz
        lmfast ngram train large.txt.zst --memory 1G --temporary-folder /scratch --out large.arpa
        zcat corpus.gz | lmfast ngram train - --order 3 --smoothing witten_bell --out corpus.lmn
        lmfast ngram train corpus.bin --tokenizer tokenizer.json --order 5 --out tokens.lmn""",
    )
    add_text(train)
    train.add_argument("--order", type=int, default=5, metavar="N", help="the longest n-grams (default: 5)")
    train.add_argument(
        "--smoothing",
        default="modified_kneser_ney",
        metavar="NAME",
        help="modified_kneser_ney, kneser_ney, absolute_discounting, witten_bell, add_k, stupid_backoff or "
        "maximum_likelihood (default: modified_kneser_ney)",
    )
    train.add_argument("--k", type=float, metavar="K", help="what add_k adds to every count (default: 1)")
    train.add_argument("--alpha", type=float, metavar="A", help="the factor of stupid_backoff (default: 0.4)")
    train.add_argument(
        "--discount",
        type=float,
        metavar="D",
        help="what kneser_ney and absolute_discounting take from every count (default: by the counts of counts)",
    )
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
    ngram_models.add_compact(train)
    add_memory(train)
    add_threads(train)

    count = noun.verb(
        "count",
        "Count the n-grams of one order.",
        run_count,
        """lmfast ngram count corpus.txt --order 3 --top 20
        lmfast ngram count corpus.txt --order 2 --out bigrams.tsv
        lmfast ngram count corpus.bin --order 4 --out grams.parquet
        lmfast ngram count corpus.jsonl --overlap benchmark.jsonl --order 13 --out documents.tsv""",
    )
    add_text(count)
    count.add_argument("--order", type=int, metavar="N", help="how many words an n-gram has (default: 1; overlap: 13)")
    count.add_argument("--top", type=int, default=10, metavar="K", help="show the K most frequent (default: 10)")
    count.add_argument("--out", metavar="FILE", help="write them all, .tsv (n-gram, tab, count) or .parquet")
    count.add_argument(
        "--overlap",
        nargs="+",
        metavar="FILE",
        help="find the documents of TEXT that hold an n-gram of these instead; --out: number, tab, n-grams found",
    )
    count.add_argument("--exact", action="store_true", help="overlap: compare upper case and punctuation too")
    count.add_argument("--lines", action="store_true", help="overlap: each line of a text file is a document")
    add_memory(count)
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
    for verb in (evaluate, score, generate):
        verb.add_argument("model", metavar="MODEL", help=".lmn, .arpa or .arpa.gz")
    for verb in (evaluate, score):
        verb.add_argument("--text", metavar="FILE", help="a text file; - is standard input, which is the default")
    for verb in (evaluate, score, generate):
        add_tokenizer(verb)
    add_sampling(generate, max_tokens=50)
    ngram_models.add_verbs(noun)


def add_text(verb: argparse.ArgumentParser) -> None:
    """What `open_source` opens."""
    verb.add_argument(
        "text",
        nargs="+",
        metavar="TEXT",
        help="text files, words by white space; or one token store; or - for standard input",
    )
    verb.add_argument("--tokenizer", metavar="FILE", help="count this tokenizer's tokens instead of words")


def add_memory(verb: argparse.ArgumentParser) -> None:
    """The options of calls that can work on disk."""
    verb.add_argument(
        "--memory",
        metavar="SIZE",
        help="work on disk within about so much memory: 512M, 1G, 50%% of the machine's (default: all in memory)",
    )
    verb.add_argument(
        "--temporary-folder", metavar="DIR", help="where working files go with --memory (default: the system's)"
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
        memory=arguments.memory,
        temporary_folder=arguments.temporary_folder,
        smoothing=arguments.smoothing,
        k=arguments.k,
        alpha=arguments.alpha,
        discount=arguments.discount,
        threads=arguments.threads,
        progress=progress(arguments),
    )
    model.save(arguments.out, compact=arguments.compact, quantize_bits=arguments.quantize_bits)
    seconds = time.perf_counter() - start
    result = {"out": arguments.out, "order": model.order, "counts": list(model.counts)}
    result |= {"smoothing": model.smoothing, "seconds": round(seconds, 3)}
    show(
        arguments,
        result,
        f"{arguments.out}: {sum(model.counts):,} n-grams of orders 1-{model.order} in {seconds:.1f} s",
    )


def run_count(arguments: argparse.Namespace) -> None:
    """`lmfast ngram count`."""
    from lmfast import count_ngrams

    if arguments.overlap:
        run_overlap(arguments)
        return
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.suffix not in (".tsv", ".parquet"):
        message = f"--out {out}: counts are written as .tsv or .parquet"
        raise ValueError(message)
    source, tokenizer = open_source(arguments)
    counts = count_ngrams(
        source,
        arguments.order or 1,
        tokenizer=tokenizer,
        memory=arguments.memory,
        temporary_folder=arguments.temporary_folder,
        threads=arguments.threads,
        progress=progress(arguments),
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
    text = open_model(arguments).generate(arguments.prompt, **sampling(arguments))
    show(arguments, {"prompt": arguments.prompt, "text": text}, text)


def run_overlap(arguments: argparse.Namespace) -> None:
    """`lmfast ngram count --overlap`."""
    from lmfast import find_overlap

    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.suffix != ".tsv":
        message = f"--out {out}: the documents found are written as .tsv"
        raise ValueError(message)
    source, tokenizer = open_source(arguments)
    found = find_overlap(
        source,
        read_source(arguments.overlap),
        13 if arguments.order is None else arguments.order,
        exact=arguments.exact,
        tokenizer=tokenizer,
        lines=arguments.lines,
        threads=arguments.threads,
        progress=progress(arguments),
    )
    pairs = list(zip(found.documents.tolist(), found.matches.tolist(), strict=True))
    if out is not None:
        out.write_text("".join(f"{number}\t{matches}\n" for number, matches in pairs), "utf-8")
    result = found.summary() | {"found": [{"document": number, "ngrams": matches} for number, matches in pairs]}
    result["reference_found"] = found.reference_documents.tolist()
    text = (
        f"{len(pairs):,} of {found.num_documents:,} documents hold a {found.order}-gram of the reference; "
        f"{len(found.reference_documents):,} of {len(found.reference_ngrams):,} documents of the reference are found"
    )
    show(arguments, result, text)


def standard_input() -> Iterator[str]:
    """The lines of standard input, with their line ends; only line feeds end a line."""
    buffer = getattr(sys.stdin, "buffer", None)
    yield from sys.stdin if buffer is None else (line.decode("utf-8") for line in buffer)


def open_source(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """What to count, and the tokenizer to do it by."""
    from lmfast import Tokenizer

    tokenizer = Tokenizer.from_file(arguments.tokenizer) if arguments.tokenizer else None
    if arguments.text == ["-"]:
        return (standard_input() if tokenizer is None else [sys.stdin.read()]), tokenizer
    return read_source(arguments.text), tokenizer


def read_source(names: list[str]) -> Any:
    """Text files, or one token store."""
    from lmfast import TokenStore

    files = [Path(name) for name in expand(names)]
    if len(files) == 1 and files[0].suffix in (".bin", ".idx"):
        return TokenStore.open(files[0])
    return files


def open_model(arguments: argparse.Namespace) -> NgramModel:
    """The model, with its tokenizer if it is one of tokens."""
    from lmfast import NgramModel
    from lmfast.comparison import tokenizer_of

    model = NgramModel.load(arguments.model)
    if model.is_of_tokens:
        model = NgramModel.load(arguments.model, tokenizer=tokenizer_of(arguments.model, arguments.tokenizer))
    return model
