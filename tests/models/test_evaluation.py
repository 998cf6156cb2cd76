"""`evaluate` and `token_losses` against one forward pass a token."""

import gzip
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402
from lmfast.evaluation import token_losses  # noqa: E402

TEXT = "to be, or not to b\u00e9: that is the question"
LETTERS = [*sorted(set(TEXT)), "<end>"]
SIZES = {
    "gpt2": {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 8},
    "lstm": {"embed_size": 8, "hidden_size": 8},
}


class Letters:
    vocab_size = len(LETTERS)

    def __init__(self, end_of_text=None):
        self.end_of_text = end_of_text

    def encode(self, text):
        return [LETTERS.index(letter) for letter in text]

    def decode_bytes(self, ids):
        return "".join(LETTERS[index] for index in ids).encode()


def build(family):
    torch.manual_seed(4)
    if family == "small":
        return models.SmallLanguageModel(len(LETTERS), 8, 8, 1)
    return models.build(family, vocab_size=len(LETTERS), **SIZES[family])


def naive(model, ids, length):
    """Log-probabilities of each token but the first, each from a forward pass of its own."""
    recurrent = not isinstance(model, models.GPT2)
    found = []
    with torch.no_grad():
        for target in range(1, len(ids)):
            begin = 0 if recurrent else (target - 1) // length * length
            given = torch.tensor(ids[begin:target])
            small = isinstance(model, models.SmallLanguageModel)
            logits = model(given[:, None])[:, 0] if small else model(given[None])
            logits = logits if small else (logits[0] if recurrent else logits)[0]
            found.append((logits[-1].log_softmax(0)[ids[target]].item(), logits[-1].argmax().item() == ids[target]))
    return np.array(found).T


@pytest.mark.parametrize("batch_size", [1, 3, None])
@pytest.mark.parametrize("family", ["gpt2", "lstm", "small"])
def test_every_token_but_the_first_once(family, batch_size):
    model, ids = build(family), Letters().encode(TEXT)
    scores, hits = naive(model, ids, 6)
    found = lmfast.evaluate(model, [TEXT], tokenizer=Letters(), seq_len=6, batch_size=batch_size, device="cpu")
    assert (found.tokens, found.bytes) == (len(ids) - 1, len(TEXT.encode()))
    assert found.loss == pytest.approx(-scores.mean(), abs=1e-5)
    assert found.perplexity == pytest.approx(math.exp(-scores.mean()), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(-scores.sum() / math.log(2) / len(TEXT.encode()), rel=1e-5)
    assert found.accuracy == pytest.approx(hits.mean())
    assert model.training
    losses = token_losses(model, ids, seq_len=6, batch_size=batch_size, device="cpu")
    np.testing.assert_allclose(losses, -scores, atol=1e-5)


def test_sources_of_text_agree(tmp_path):
    model, tokenizer = build("lstm"), Letters(end_of_text=len(LETTERS) - 1)
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "b.txt").write_text("not", encoding="utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"not"))
    lines = [json.dumps({"text": text}) for text in (TEXT, "not")]
    (tmp_path / "both.jsonl").write_text("\n".join(lines) + "\n\n")
    ids = np.array([*tokenizer.encode(TEXT), len(LETTERS) - 1, *tokenizer.encode("not"), len(LETTERS) - 1])
    offsets = np.array([0, len(TEXT) + 1, len(ids)])
    store = SimpleNamespace(tokens=ids.astype(np.uint16), offsets=offsets, text_bytes=None)
    store.tokens.flags.writeable = False
    sources = [
        [TEXT, "not"],
        [tmp_path / "a.txt", tmp_path / "b.txt"],
        [tmp_path / "a.txt", tmp_path / "b.txt.gz"],
        str(tmp_path / "both.jsonl"),
        str(tmp_path / "[ab].txt"),
        store,
    ]
    found = [lmfast.evaluate(model, source, tokenizer=tokenizer, device="cpu") for source in sources]
    assert found == found[:1] * len(sources)
    assert found[0].tokens == len(ids) - 1
    one = lmfast.evaluate(model, tmp_path / "a.txt", tokenizer=tokenizer, device="cpu")
    assert one.tokens == len(TEXT) - 1, "a single document has no end-of-text token"


def test_a_store_without_a_text_has_no_bits_per_byte():
    store = SimpleNamespace(tokens=np.arange(5), offsets=np.array([0, 5]))
    found = lmfast.evaluate(build("lstm"), store, device="cpu")
    assert (found.bytes, found.bits_per_byte) == (None, None)


class Words:
    """An n-gram model in shape alone."""

    def perplexity(self, source):
        self.texts = source
        return SimpleNamespace(with_unknown=8.0, tokens=5)

    def token_stream_scores(self, ids, offsets):
        assert ids.dtype == np.uint32
        self.offsets = offsets.tolist()
        return -np.arange(len(ids), dtype=np.float32)


def test_ngram_models_by_words_and_by_tokens(tmp_path):
    model = Words()
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    for source in (tmp_path / "a.txt", iter([TEXT])):
        found = lmfast.evaluate(model, source)
        assert (found.tokens, found.bytes, found.accuracy) == (5, len(TEXT.encode()), None)
        assert found.perplexity == pytest.approx(8)
        assert found.bits_per_byte == pytest.approx(3 * 5 / len(TEXT.encode()))
    found = lmfast.evaluate(model, ["to", "be"], tokenizer=Letters(end_of_text=0))
    assert (found.tokens, model.offsets) == (5, [0, 3, 6])
    assert found.loss == pytest.approx(math.log(10) * (1 + 2 + 3 + 4 + 5) / 5)


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ([""], {}, ValueError, "0 tokens"),
        (["t"], {}, ValueError, "1 tokens"),
        ([], {}, ValueError, "0 tokens"),
        ([TEXT], {"tokenizer": None}, ValueError, "tokenizer"),
        ([TEXT], {"seq_len": 9}, ValueError, "seq_len.*at most 8"),
        ([TEXT], {"seq_len": 0}, ValueError, "seq_len"),
        ([TEXT], {"batch_size": 0}, ValueError, "batch_size"),
        ([TEXT], {"device": "abacus"}, ValueError, "device='abacus'"),
        ([b"to be"], {}, TypeError, "bytes"),
        ("absent.txt", {}, FileNotFoundError, "absent"),
    ],
)
def test_bad_arguments(source, options, error, message):
    with pytest.raises(error, match=message):
        lmfast.evaluate(build("gpt2"), source, **{"tokenizer": Letters(), "device": "cpu"} | options)


def test_ids_past_the_vocabulary():
    with pytest.raises(ValueError, match="vocabulary has the ids 0 to 19"):
        token_losses(models.build("gru", vocab_size=20), [1, 20, 3], device="cpu")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"caf\xe9", "not UTF-8 at byte 3"),
        ("a.txt.gz", gzip.compress(b"to be")[:-4], "cut short"),
        ("a.jsonl", b'{"text": "to"}\n{"body": "be"}\n', "line 2"),
        ("a.txt.zst", b"\x28\xb5\x2f\xfd", "cut short"),
    ],
)
def test_bad_files(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(lmfast.FormatError, match=message):
        lmfast.evaluate(build("gpt2"), tmp_path / name, tokenizer=Letters())
