"""SentencePiece models saved as tokenizer.json: the same ids in tokenizers, transformers and here, or a refusal."""

# ruff: noqa: RUF001 - letters that look like others are what is wanted

import os
import random
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.tokenizer.hard_text import hard_texts, sentences
from tests.tokenizer.test_formats import MODELS, train_model

from lmfast import Tokenizer

sentencepiece = pytest.importorskip("sentencepiece")
tokenizers = pytest.importorskip("tokenizers")

BASE = {"model_type": "bpe", "vocab_size": 700, "normalization_rule_name": "identity"}
PLAIN = {"add_dummy_prefix": False, "remove_extra_whitespaces": False}
SAVED = {
    "as it comes": {},
    "with bytes": {"byte_fallback": True},
    "like Llama": {"byte_fallback": True, "remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True},
    "without a prefix": {"add_dummy_prefix": False},
    "plain": PLAIN,
    "across words": {"split_by_whitespace": False, "control_symbols": ["<ctl>"]},
    "with symbols": {**PLAIN, "user_defined_symbols": ["<sep>", "th", "q"], "byte_fallback": True},
}
REFUSED = {
    "Unigram": MODELS["unigram"],
    "precompiled_charsmap": {"model_type": "bpe", "vocab_size": 600},
    'user-defined piece "<sep>" would be': {**BASE, "user_defined_symbols": ["<sep>"]},
    'user-defined piece "s>" can overlap': {**BASE, **PLAIN, "user_defined_symbols": ["s>"]},
}
VOCABULARIES = Path(os.environ.get("LMFAST_DATA", ROOT.parent / "shared"))
REAL = sorted(VOCABULARIES.glob("vocabs/*.spm.model"))


def texts():
    generator = random.Random(3)
    letters = [*"abeéﬁＡ中😀<▁ \n\t\u200b\x01", "th", "  ", "e\u0301", "s>"]
    mixed = ["".join(generator.choices(letters, k=generator.randrange(1, 40))) for _ in range(600)]
    runs = [text * count for text in (" ", "▁", "a", "\n", "=") for count in (*range(1, 70), 500)]
    return [
        *("", " ", "  a  b ", "▁a▁▁b▁", " ▁ ", "the<sep>th<sep>", "<sep>", "q the q", "<unk", "<0x0A>"),
        *runs,
        *mixed,
        *hard_texts(300, seed=5),
        *sentences(100, seed=6),
    ]


def check(path, out):
    theirs, ours = sentencepiece.SentencePieceProcessor(model_file=str(path)), Tokenizer.from_file(path)
    ours.save(out)
    again, engine = Tokenizer.from_file(out), tokenizers.Tokenizer.from_file(str(out))
    for text in texts():
        expected = theirs.encode(text)
        assert ours.encode(text, special="text") == expected, text
        assert again.encode(text, special="text") == expected, text
        if not any(special in text for special in ours.special_tokens):
            assert engine.encode(text).ids == expected, text
        assert engine.encode(text).ids == ours.encode(text) == again.encode(text), text
        # Of unknown characters one writes the token, the other a question mark.
        if theirs.unk_id() not in expected and not text.lstrip(" ").startswith("▁"):
            assert engine.decode(expected) == ours.decode(expected) == again.decode(expected), text
    spelled = ["<s>the <unk> text</s>", "a <s>  b", "<s>", "<s> </s> "]
    expected = [row.ids for row in engine.encode_batch(spelled)]
    assert ours.encode_batch(spelled) == again.encode_batch(spelled) == expected
    return ours, engine


@pytest.mark.parametrize("name", SAVED)
def test_ids_stay_the_same(tmp_path, name):
    path = tmp_path / "made.model"
    path.write_bytes(train_model(sentencepiece, {**BASE, **SAVED[name]}))
    ours, engine = check(path, tmp_path / "tokenizer.json")
    assert engine.get_vocab() == ours.vocab()
    assert Tokenizer.from_file(tmp_path / "tokenizer.json").special_tokens == ours.special_tokens


def test_transformers_reads_it(tmp_path):
    transformers = pytest.importorskip("transformers")
    path = tmp_path / "made.model"
    path.write_bytes(train_model(sentencepiece, {**BASE, **SAVED["like Llama"]}))
    ours = Tokenizer.from_file(path)
    ours.save(tmp_path / "tokenizer.json")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    some = texts()
    assert fast(some, add_special_tokens=False)["input_ids"] == ours.encode_batch(some)


@pytest.mark.parametrize("reason", REFUSED)
def test_what_would_be_inexact_is_refused(tmp_path, reason):
    path, out = tmp_path / "made.model", tmp_path / "tokenizer.json"
    path.write_bytes(train_model(sentencepiece, REFUSED[reason]))
    with pytest.raises(ValueError, match=reason) as error:
        Tokenizer.from_file(path).save(out)
    assert "keep the .model" in str(error.value)
    assert not out.exists()


@pytest.mark.parametrize("path", REAL, ids=[path.name for path in REAL])
def test_real_models(tmp_path, path):
    out = tmp_path / "tokenizer.json"
    ours, engine = check(path, out)
    zstandard = pytest.importorskip("zstandard")
    for corpus in sorted(VOCABULARIES.glob("corpora/tokenbench/*.zst")):
        with corpus.open("rb") as file:
            content = zstandard.ZstdDecompressor().stream_reader(file).read(1_000_000).decode("utf-8", "ignore")
        lines = content.splitlines(keepends=True)
        assert [row.ids for row in engine.encode_batch(lines)] == ours.encode_batch(lines)
        assert engine.encode(content).ids == ours.encode(content) == Tokenizer.from_file(out).encode(content)
