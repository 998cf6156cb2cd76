import random
import time

import numpy as np
import pytest

from lmfast import NgramModel
from lmfast.errors import FormatError

FALLBACK = (0.5, 1, 1.5)


@pytest.fixture(scope="module")
def lines(data):
    text = (data / "corpora" / "wikitext2" / "train.txt").read_text("utf-8")
    return text.splitlines()[:6000]


@pytest.fixture(scope="module")
def held_out(data):
    text = (data / "corpora" / "wikitext2" / "test.txt").read_text("utf-8")
    return [*text.splitlines()[:1000], "zzunseen zzunseen", ""]


def compacted(model, folder, bits=None):
    path = folder / f"compact{bits}.lmn"
    model.save(path, compact=True, quantize_bits=bits)
    loaded = NgramModel.load(path)
    loaded.verify()
    return loaded, path.stat().st_size / model.num_ngrams


def assert_same(compact, model, texts):
    assert (compact.order, compact.counts, compact.vocabulary) == (model.order, model.counts, model.vocabulary)
    for bos, eos in ((True, True), (False, False)):
        scores = [each.score_batch(texts, bos=bos, eos=eos).tobytes() for each in (compact, model)]
        assert scores[0] == scores[1]
    for text in texts[:300]:
        for found, expected in zip(compact.token_scores(text), model.token_scores(text), strict=True):
            assert found.tobytes() == expected.tobytes()
    for text in texts[:40]:
        found, expected = (each.next_token_distribution(text) for each in (compact, model))
        assert found.tobytes() == expected.tobytes()
        assert compact.generate(text, seed=5) == model.generate(text, seed=5)
    assert compact.perplexity(texts) == model.perplexity(texts)


@pytest.mark.parametrize(
    ("order", "options", "most_bytes"),
    [
        (5, {}, 4),
        (3, {"interpolate_unigrams": False}, 4),
        (3, {"vocab_pad": 500_000}, 4),
        (4, {"unk": "word"}, 4),
        (4, {"prune": (0, 0, 1)}, 40),
        (1, {}, 100),
    ],
)
def test_scores_have_the_same_bits(lines, held_out, tmp_path, order, options, most_bytes):
    model = NgramModel.train(lines, order, discount_fallback=FALLBACK, **options)
    compact, size = compacted(model, tmp_path)
    assert_same(compact, model, held_out)
    assert size < most_bytes


def test_other_forms_come_back(lines, tmp_path):
    model = NgramModel.train(lines[:800], 4)
    compact, size = compacted(model, tmp_path)
    names = [tmp_path / name for name in ("a.lmn", "b.lmn", "a.arpa", "b.arpa")]
    for path, saved in zip(names, (model, compact, model, compact), strict=True):
        saved.save(path)
    assert names[0].read_bytes() == names[1].read_bytes()
    assert names[2].read_bytes() == names[3].read_bytes()
    # A plain file has what the small form needs, an ARPA file has not.
    mapped, same_size = compacted(NgramModel.load(names[0]), tmp_path)
    assert same_size == size
    assert_same(mapped, model, lines[800:900])
    from_arpa, larger = compacted(NgramModel.load(names[2]), tmp_path)
    assert larger > size
    assert_same(from_arpa, model, lines[800:900])


def test_models_of_tokens(tmp_path):
    draw = np.random.default_rng(1)
    tokens = draw.zipf(1.5, 20_000).clip(max=400).astype(np.uint16) - 1
    documents = type("Documents", (), {"tokens": tokens, "offsets": np.array([0, 9_000, 9_000, 20_000], np.uint64)})
    model = NgramModel.train(documents, 4, discount_fallback=FALLBACK)
    compact, _ = compacted(model, tmp_path)
    found, expected = (each.token_scores(tokens[:5000]) for each in (compact, model))
    assert all(ours.tobytes() == theirs.tobytes() for ours, theirs in zip(found, expected, strict=True))
    streams = (each.token_stream_scores(tokens, documents.offsets) for each in (compact, model))
    assert np.array_equal(*streams)
    assert compact.perplexity(documents) == model.perplexity(documents)


def test_quantized(lines, held_out, tmp_path):
    model = NgramModel.train(lines, 4)
    exact = model.perplexity(held_out).with_unknown
    for bits, share in ((8, 0.01), (4, 0.2)):
        coarse, _ = compacted(model, tmp_path, bits)
        assert coarse.perplexity(held_out).with_unknown == pytest.approx(exact, rel=share)


def test_opens_at_once(lines, tmp_path):
    model = NgramModel.train(lines, 5)
    model.save(tmp_path / "m.lmn", compact=True)
    start = time.perf_counter()
    NgramModel.load(tmp_path / "m.lmn")
    assert time.perf_counter() - start < 0.5


def test_damage_is_noticed(lines, tmp_path):
    model, draw = NgramModel.train(lines[:40], 3, discount_fallback=FALLBACK), random.Random(1)
    path = tmp_path / "m.lmn"
    model.save(path, compact=True)
    content, expected = path.read_bytes(), model.score_batch(lines[:20]).tolist()
    for place in [*range(0, 320, 7), *(draw.randrange(len(content)) for _ in range(100))]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            loaded = NgramModel.load(path)
            found = loaded.score_batch(lines[:20]).tolist()
            loaded.verify()
        except FormatError as error:
            found = expected if path.name in str(error) else "the error does not name the file"
        assert found == expected
    for length in (0, 8, 40, len(content) - 1, *(draw.randrange(len(content)) for _ in range(30))):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError, match=r"m\.lmn"):
            NgramModel.load(path)


def test_wrong_options(lines, tmp_path):
    model = NgramModel.train(lines[:40], 2, discount_fallback=FALLBACK)
    for name, options, expected in (
        ("m.arpa", {"compact": True}, r"m\.arpa"),
        ("m.lmn", {"quantize_bits": 8}, "compact=True"),
        ("m.lmn", {"compact": True, "quantize_bits": 1}, "quantize_bits=1"),
        ("m.lmn", {"compact": True, "quantize_bits": 17}, "quantize_bits=17"),
    ):
        with pytest.raises(ValueError, match=expected):
            model.save(tmp_path / name, **options)
    assert not list(tmp_path.iterdir())
