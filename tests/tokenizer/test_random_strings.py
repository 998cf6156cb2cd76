"""Ids of random strings by every vocabulary there is, against the package that the vocabulary is from.

A few thousand strings, or as many as LMFAST_RANDOM_STRINGS says; `pytest -s` shows how many were equal. Vocabularies
are those in the folder `vocabs` of LMFAST_DATA.
"""

# ruff: noqa: RUF001 - letters that look like others are what is wanted

import base64
import os
import random
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.tokenizer.hard_text import CLASSES, PHRASES

from lmfast import Tokenizer

pytestmark = [pytest.mark.parity, pytest.mark.slow, pytest.mark.timeout(0)]

COUNT = int(os.environ.get("LMFAST_RANDOM_STRINGS", "2000"))
BATCH = 10_000
FOLDER = Path(os.environ.get("LMFAST_DATA", ROOT.parent / "shared")) / "vocabs"
FILES = sorted(path for path in FOLDER.glob("*") if path.name.endswith((".tokenizer.json", ".tiktoken", ".model")))

MORE_CLASSES = [
    "かなカナ・゛ー",
    "\u2028\u2029\u205f\u200c",
    "ㅎㅏᄒ\u1161\u11a8",
    "ǆ\u0345ΑΣς",
    "\U00020000\U0002a6d6",
    "▁Ġ#",
    "\x02\x03\x7f\x80\xad",
]


def random_texts(generator, count, special):
    classes, phrases = CLASSES + MORE_CLASSES, PHRASES + special

    def piece():
        kind = generator.random()
        if kind < 0.6:
            return "".join(generator.choices(generator.choice(classes), k=generator.randrange(1, 4)))
        if kind < 0.75:
            return " " * generator.randrange(2) + "".join(generator.choices("etaoinsrhl", k=generator.randrange(1, 9)))
        if kind < 0.9:
            return generator.choice(phrases)
        if kind < 0.99:
            code = generator.choice((generator.randrange(0xD800), generator.randrange(0xE000, 0x110000)))
            return chr(code)
        return generator.choice(generator.choice(classes)) * generator.randrange(30, 200)

    return ["".join(piece() for _ in range(generator.randrange(1, 12))) for _ in range(count)]


def by_tokenizers(path):
    theirs = pytest.importorskip("tokenizers").Tokenizer.from_file(str(path))
    theirs.no_truncation()
    theirs.no_padding()
    special = [token.content for _, token in sorted(theirs.get_added_tokens_decoder().items()) if token.special]

    def encode(texts, mode):
        theirs.encode_special_tokens = mode == "text"
        return [row.ids for row in theirs.encode_batch_fast(texts, add_special_tokens=False)]

    return Tokenizer.from_file(path), special[:5], encode


def by_tiktoken(path):
    tiktoken, public = pytest.importorskip("tiktoken"), pytest.importorskip("tiktoken_ext.openai_public")
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, path.read_bytes().splitlines())}
    definition = getattr(public, path.stem, None)
    if definition is None:
        pytest.skip(f"tiktoken does not define {path.stem}")
    public.load_tiktoken_bpe = lambda *_, **__: ranks  # the definition without its download
    theirs = tiktoken.Encoding(**definition())

    def encode(texts, mode):
        if mode == "text":
            return [theirs.encode_ordinary(text) for text in texts]
        return [theirs.encode(text, allowed_special="all") for text in texts]

    return Tokenizer.from_file(path), list(definition()["special_tokens"])[:5], encode


def by_sentencepiece(path):
    theirs = pytest.importorskip("sentencepiece").SentencePieceProcessor(model_file=str(path))

    def encode(texts, mode):
        return theirs.encode(texts)

    # It has no way to spell a control piece out in a text.
    return Tokenizer.from_file(path), [], encode


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_random_strings(path):
    if path.name.endswith(".tokenizer.json"):
        ours, special, encode = by_tokenizers(path)
    else:
        ours, special, encode = (by_tiktoken if path.suffix == ".tiktoken" else by_sentencepiece)(path)
    done = 0
    for seed, first in enumerate(range(0, COUNT, BATCH)):
        texts = random_texts(random.Random(f"{path.name} {seed}"), min(BATCH, COUNT - first), special)
        mode = "parse" if seed % 2 else "text"
        found, expected = ours.encode_batch(texts, add_special_tokens=False, special=mode), encode(texts, mode)
        for text, one, other in zip(texts, found, expected, strict=True):
            assert one == other, (text, mode)
            done += 1
    assert done == COUNT
    print(f"{path.name}: the ids of {done:,} random strings are equal")
