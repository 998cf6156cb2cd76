"""`lmfast data`: look at token stores."""

from __future__ import annotations

import argparse

from lmfast.cli.common import Commands, show


def add_commands(commands: Commands) -> None:
    """The noun and its verbs."""
    noun = commands.noun("data", "Look at token stores.")
    info = noun.verb("info", "Tell what a token store holds.", run_info, "lmfast data info corpus.bin")
    info.add_argument("store", metavar="STORE", help="the .bin or .idx of a token store")
    verify = noun.verb(
        "verify",
        "Read a token store and check it against its checksums.",
        run_verify,
        """lmfast data verify corpus.bin
        lmfast data verify corpus.bin --vocab-size 8192""",
    )
    verify.add_argument("store", metavar="STORE", help="the .bin or .idx of a token store")
    verify.add_argument("--vocab-size", type=int, metavar="N", help="also check that every id is below N")


def run_info(arguments: argparse.Namespace) -> None:
    """`lmfast data info`."""
    from lmfast import TokenStore

    store = TokenStore.open(arguments.store)
    result = {
        "store": str(store.path),
        "documents": len(store),
        "tokens": store.num_tokens,
        "dtype": str(store.dtype),
        "text_bytes": store.text_bytes,
        "fingerprint": store.fingerprint,
    }
    show(arguments, result)


def run_verify(arguments: argparse.Namespace) -> None:
    """`lmfast data verify`."""
    from lmfast import TokenStore

    store = TokenStore.open(arguments.store)
    store.verify(vocab_size=arguments.vocab_size)
    result = {"store": str(store.path), "tokens": store.num_tokens, "sound": True}
    show(arguments, result, f"{store.path}: sound, {store.num_tokens:,} tokens")
