"""`lmfast tokenizer`: train a vocabulary, text to ids, ids to text."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from lmfast.cli.cleaning import add_cleaning, add_source, cleaning_of
from lmfast.cli.common import Commands, add_threads, progress, remark, show


def add_commands(commands: Commands) -> None:
    """The noun and its verbs."""
    noun = commands.noun("tokenizer", "Train tokenizers, and turn text into token ids and back.")

    train = noun.verb(
        "train",
        "Train a vocabulary on text and save it as tokenizer.json.",
        run_train,
        """lmfast tokenizer train corpus.txt --vocab-size 8192 --out tokenizer.json
        lmfast tokenizer train 'text/*.jsonl.zst' --vocab-size 32000 --out tokenizer.json
        lmfast tokenizer train corpus.txt --kind wordpiece --vocab-size 30000 --out bert.json
        lmfast tokenizer train corpus.txt --kind unigram --byte-fallback --vocab-size 8000 --out unigram.json
        lmfast tokenizer train more.txt --continue-from tokenizer.json --vocab-size 40000 --out larger.json""",
    )
    train.add_argument("text", nargs="+", metavar="TEXT", help=".txt, .jsonl, each also .gz and .zst; globs are fine")
    train.add_argument(
        "--vocab-size", type=int, required=True, metavar="N", help="tokens in all, special ones included"
    )
    train.add_argument("--out", required=True, metavar="FILE", help="where to save it, as tokenizer.json")
    train.add_argument(
        "--kind",
        default="bpe",
        metavar="KIND",
        help="bpe (byte-level), wordpiece, unigram, word or char (default: bpe)",
    )
    train.add_argument(
        "--pattern", help="bpe: how text is cut before merging: gpt2, cl100k, ... or a regex (default: gpt2)"
    )
    train.add_argument("--special-token", action="append", metavar="TOKEN", help="a special token; may be repeated")
    train.add_argument(
        "--min-frequency", type=int, metavar="N", help="of a merge, word or character (default: 2; char, unigram 1)"
    )
    train.add_argument(
        "--tie-order", metavar="ORDER", help="bpe: characters, as in tokenizers, or bytes, as in minbpe and rustbpe"
    )
    train.add_argument("--limit-alphabet", type=int, metavar="N", help="wordpiece: the N most frequent characters")
    train.add_argument(
        "--initial-alphabet", default="", metavar="TEXT", help="wordpiece, unigram: characters wanted in any case"
    )
    train.add_argument(
        "--max-token-length", type=int, metavar="N", help="bpe, wordpiece: merges stay below; unigram: at most"
    )
    train.add_argument("--keep-case", action="store_true", help="wordpiece: leave capital letters and accents")
    train.add_argument("--byte-fallback", action="store_true", help="unigram: 256 tokens for unknown characters")
    train.add_argument("--continue-from", metavar="TOKENIZER", help="bpe: keep its tokens and merges, and add more")
    add_threads(train)

    encode = noun.verb(
        "encode",
        "Encode text files into a token store, or standard input into ids.",
        run_encode,
        """lmfast tokenizer encode tokenizer.json corpus.txt --out corpus.bin
        lmfast tokenizer encode tokenizer.json corpus.txt --lines --out corpus.bin
        lmfast tokenizer encode tokenizer.json 'web/*.parquet' --drop-duplicates exact,near --mask email --out web.bin
        echo 'Some words.' | lmfast tokenizer encode tokenizer.json""",
    )
    encode.add_argument("tokenizer", metavar="TOKENIZER", help="tokenizer.json")
    encode.add_argument("text", nargs="*", metavar="TEXT", help="text files (default: standard input)")
    encode.add_argument("--out", metavar="FILE", help="the token store (.bin; its .idx lies beside it)")
    encode.add_argument("--no-resume", action="store_true", help="begin anew, do not go on from an interrupted run")
    add_source(encode)
    add_cleaning(encode)
    add_threads(encode)

    decode = noun.verb(
        "decode",
        "Turn ids back into text.",
        run_decode,
        """lmfast tokenizer decode tokenizer.json 318 257 1332
        lmfast tokenizer decode tokenizer.json < ids.txt""",
    )
    decode.add_argument("tokenizer", metavar="TOKENIZER", help="tokenizer.json")
    decode.add_argument("ids", nargs="*", type=int, metavar="ID", help="ids (default: from standard input)")

    info = noun.verb("info", "Tell what a tokenizer is.", run_info, "lmfast tokenizer info tokenizer.json")
    info.add_argument("tokenizer", metavar="TOKENIZER", help="tokenizer.json")


def run_train(arguments: argparse.Namespace) -> None:
    """`lmfast tokenizer train`."""
    from lmfast import Tokenizer
    from lmfast.errors import refuse_warning

    start = time.perf_counter()
    special = None if arguments.special_token is None else tuple(arguments.special_token)
    with refuse_warning("vocab_size"):
        tokenizer = Tokenizer.train(
            [Path(name) for name in expand(arguments.text)],
            arguments.vocab_size,
            kind=arguments.kind,
            pattern=arguments.pattern,
            special_tokens=special,
            min_frequency=arguments.min_frequency,
            tie_order=arguments.tie_order,
            limit_alphabet=arguments.limit_alphabet,
            initial_alphabet=arguments.initial_alphabet,
            max_token_length=arguments.max_token_length,
            lowercase=False if arguments.keep_case else None,
            byte_fallback=arguments.byte_fallback or None,
            continue_from=Tokenizer.from_file(arguments.continue_from) if arguments.continue_from else None,
            threads=arguments.threads,
            progress=progress(arguments),
        )
    tokenizer.save(arguments.out)
    seconds = time.perf_counter() - start
    result = {"out": arguments.out, "vocab_size": tokenizer.vocab_size, "seconds": round(seconds, 3)}
    show(arguments, result, f"{arguments.out}: {tokenizer.vocab_size:,} tokens in {seconds:.1f} s")


def run_encode(arguments: argparse.Namespace) -> None:
    """`lmfast tokenizer encode`."""
    from lmfast import Tokenizer

    tokenizer = Tokenizer.from_file(arguments.tokenizer)
    if not arguments.out:
        if arguments.text:
            message = "files are encoded into a token store: name it with --out (or pipe the text in)"
            raise ValueError(message)
        ids = tokenizer.encode(sys.stdin.read())
        show(arguments, {"ids": ids}, " ".join(map(str, ids)))
        return
    if not arguments.text:
        message = "--out needs text files to encode: name them before it"
        raise ValueError(message)
    start = time.perf_counter()
    paths = [Path(name) for name in expand(arguments.text)]
    store = tokenizer.encode_files(
        paths,
        arguments.out,
        lines=arguments.lines,
        text_field=arguments.text_field,
        text_column=arguments.text_column,
        cleaning=cleaning_of(arguments),
        resume=not arguments.no_resume,
        threads=arguments.threads,
        progress=progress(arguments),
    )
    seconds = time.perf_counter() - start
    result = {
        "out": str(store.path),
        "documents": len(store),
        "tokens": store.num_tokens,
        "text_bytes": store.text_bytes,
        "seconds": round(seconds, 3),
    }
    if store.cleaning is not None:
        result["cleaning"] = store.cleaning
    show(arguments, result)
    remark(arguments, f"{(store.text_bytes or 0) / 1e6 / seconds:.0f} MB/s")


def run_decode(arguments: argparse.Namespace) -> None:
    """`lmfast tokenizer decode`."""
    from lmfast import Tokenizer

    tokenizer = Tokenizer.from_file(arguments.tokenizer)
    ids = arguments.ids or [int(word) for word in sys.stdin.read().split()]
    text = tokenizer.decode(ids)
    show(arguments, {"text": text}, text)


def run_info(arguments: argparse.Namespace) -> None:
    """`lmfast tokenizer info`."""
    from lmfast import Tokenizer

    tokenizer = Tokenizer.from_file(arguments.tokenizer)
    result = {
        "file": arguments.tokenizer,
        "vocab_size": tokenizer.vocab_size,
        "special_tokens": dict(tokenizer.special_tokens),
        "end_of_text": tokenizer.end_of_text,
        "fingerprint": tokenizer.fingerprint,
    }
    show(arguments, result)


def expand(names: list[str]) -> list[str]:
    """File names with globs resolved, for programs whose shell has not done it."""
    from lmfast.source import resolve

    found: list[str] = []
    for name in names:
        files = resolve(name)
        found.extend(files if isinstance(files, list) else [])
    return found
