"""The verbs of `lmfast ngram` that look at models or make new ones of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmfast.cli.common import Commands, add_threads, progress, show


def add_compact(verb: argparse.ArgumentParser) -> None:
    """The options of what is written."""
    verb.add_argument("--compact", action="store_true", help="write a .lmn of a few bytes an n-gram, slower to query")
    verb.add_argument(
        "--quantize-bits", type=int, metavar="N", help="with --compact: 2^N numbers an order instead of the exact ones"
    )


def add_verbs(noun: Commands) -> None:
    """The verbs."""
    info = noun.verb(
        "info",
        "Tell what a model holds.",
        run_info,
        """lmfast ngram info corpus.lmn
        lmfast ngram info corpus.lmn --vocabulary > words.txt""",
    )
    info.add_argument("--vocabulary", action="store_true", help="list its words, one a line")
    convert = noun.verb(
        "convert",
        "Write a model in another format, or with fewer words.",
        run_convert,
        """lmfast ngram convert corpus.arpa.gz corpus.lmn
        lmfast ngram convert corpus.lmn small.arpa --vocabulary words.txt""",
    )
    prune = noun.verb(
        "prune",
        "Drop the n-grams that matter least, by relative entropy; by counts: train --prune.",
        run_prune,
        """lmfast ngram prune corpus.lmn --threshold 1e-8 --out small.lmn
        lmfast ngram prune corpus.arpa.gz --threshold 3e-7 --out small.arpa.gz""",
    )
    interpolate = noun.verb(
        "interpolate",
        "Mix models into one, with the weights that suit a text best.",
        run_interpolate,
        """lmfast ngram interpolate news.lmn mail.lmn --tune held-out.txt --out mixed.lmn
        lmfast ngram interpolate news.lmn mail.lmn --weights 0.3 0.7 --out mixed.arpa""",
    )
    for verb in (info, convert, prune):
        verb.add_argument("model", metavar="MODEL", help=".lmn, .arpa or .arpa.gz")
    convert.add_argument("out", metavar="OUT", help=".lmn, .arpa or .arpa.gz")
    add_compact(convert)
    convert.add_argument("--vocabulary", metavar="FILE", help="keep n-grams of the words in this file, unchanged")
    prune.add_argument(
        "--threshold",
        type=float,
        required=True,
        metavar="T",
        help="drop n-grams without which perplexity rises by less than this part of it, such as 1e-8",
    )
    interpolate.add_argument("models", nargs="+", metavar="MODEL", help=".lmn, .arpa or .arpa.gz; two or more")
    weights = interpolate.add_mutually_exclusive_group(required=True)
    weights.add_argument("--tune", metavar="FILE", help="a text to fit the weights to, or a token store")
    weights.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="a weight for each model, with the sum 1"
    )
    interpolate.add_argument("--tokenizer", metavar="FILE", help="for models of tokens: tokenizer.json, to read --tune")
    for verb in (prune, interpolate):
        verb.add_argument("--out", required=True, metavar="FILE", help=".lmn, .arpa or .arpa.gz")
        add_threads(verb)


def run_info(arguments: argparse.Namespace) -> None:
    """`lmfast ngram info`."""
    from lmfast import NgramModel

    model = NgramModel.load(arguments.model)
    size = Path(arguments.model).stat().st_size
    result: dict[str, object] = {
        "model": arguments.model,
        "order": model.order,
        "counts": list(model.counts),
        "smoothing": model.smoothing,
        "words_are": "tokens" if model.is_of_tokens else "words",
        "bytes_on_disk": size,
        "bytes_per_ngram": size / sum(model.counts),
    }
    if arguments.vocabulary:
        result["vocabulary"] = list(model.vocabulary)
    show(arguments, result, "\n".join(model.vocabulary) if arguments.vocabulary else None)


def run_convert(arguments: argparse.Namespace) -> None:
    """`lmfast ngram convert`."""
    from lmfast import NgramModel

    model = NgramModel.load(arguments.model, progress=progress(arguments))
    if arguments.vocabulary:
        model = model.filter(Path(arguments.vocabulary).read_text("utf-8").split(), progress=progress(arguments))
    model.save(
        arguments.out,
        compact=arguments.compact,
        quantize_bits=arguments.quantize_bits,
        progress=progress(arguments),
    )
    size = Path(arguments.out).stat().st_size
    show(arguments, {"out": arguments.out, "counts": list(model.counts), "bytes_on_disk": size})


def run_prune(arguments: argparse.Namespace) -> None:
    """`lmfast ngram prune`."""
    from lmfast import NgramModel

    model = NgramModel.load(arguments.model, progress=progress(arguments))
    pruned = model.prune(threshold=arguments.threshold, threads=arguments.threads, progress=progress(arguments))
    pruned.save(arguments.out, progress=progress(arguments))
    result = {"out": arguments.out, "counts": list(pruned.counts), "counts_before": list(model.counts)}
    pairs = zip(pruned.counts, model.counts, strict=True)
    lines = [f"{order}-grams  {left:,} of {before:,}" for order, (left, before) in enumerate(pairs, 1)]
    show(arguments, result, "\n".join([*lines, f"{arguments.out}: {Path(arguments.out).stat().st_size:,} bytes"]))


def run_interpolate(arguments: argparse.Namespace) -> None:
    """`lmfast ngram interpolate`."""
    from lmfast import Mixture, NgramModel, TokenStore, interpolate
    from lmfast.comparison import tokenizer_of

    models = [NgramModel.load(path, progress=progress(arguments)) for path in arguments.models]
    if arguments.weights:
        mixture = Mixture(models, arguments.weights)
    elif Path(arguments.tune).suffix in (".bin", ".idx"):
        mixture = interpolate(models, TokenStore.open(arguments.tune))
    else:
        of_tokens = all(model.is_of_tokens for model in models)
        tokenizer = tokenizer_of(arguments.models[0], arguments.tokenizer) if of_tokens else None
        mixture = interpolate(models, arguments.tune, tokenizer=tokenizer)
    merged = mixture.merge(threads=arguments.threads, progress=progress(arguments))
    merged.save(arguments.out, progress=progress(arguments))
    weights = mixture.weights.tolist()
    result = {"out": arguments.out, "models": arguments.models, "weights": weights, "counts": list(merged.counts)}
    lines = [f"{weight:.6f}  {path}" for weight, path in zip(weights, arguments.models, strict=True)]
    lines.append(f"{arguments.out}: {sum(merged.counts):,} n-grams of orders 1-{merged.order}")
    show(arguments, result, "\n".join(lines))
