"""Scoring of many words, which goes through the index, against scoring of one sentence, which does not."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lmfast import NgramModel
from lmfast.ngram import NgramState

FALLBACK = (0.5, 1, 1.5)


def drawn(lines, seed, words=60):
    draw = random.Random(seed)
    return [
        " ".join(f"w{int(draw.paretovariate(0.7)) % words}" for _ in range(draw.choice([0, 1, 3, 9, 40])))
        for _ in range(lines)
    ]


QUERIES = [*drawn(300, 2, 70), " ".join(drawn(200, 3)), "", "w1 zz w2"]


@pytest.fixture(scope="module", params=["trained", "lmn", "arpa", "pruned"])
def model(request, tmp_path_factory):
    prune = (0, 0, 1) if request.param == "pruned" else (0,)
    made = NgramModel.train(drawn(500, 1), 4, prune=prune, discount_fallback=FALLBACK)
    if request.param in ("trained", "pruned"):
        return made
    path = tmp_path_factory.mktemp("models") / f"m.{request.param}"
    made.save(path)
    return NgramModel.load(path)


def test_scores_of_word_ids(model, tmp_path):
    expected = [model.token_scores(line) for line in QUERIES]
    ids = model.word_ids(QUERIES)
    assert ids.dtype == np.uint32
    assert ids.tolist() == model.word_ids("\n".join(QUERIES)).tolist()
    path = tmp_path / "q.txt"
    path.write_text("".join(line + "\n" for line in QUERIES))
    assert ids.tolist() == model.word_ids(path, threads=1).tolist()
    assert [model.vocabulary[id] for id in model.word_ids("w1 zz")] == ["w1", "<unk>", "</s>"]
    for threads in (1, 2, None):
        found = model.token_scores(ids, threads=threads)
        for array, field in zip(found, zip(*expected, strict=True), strict=True):
            together = np.concatenate(field)
            assert array.dtype == together.dtype
            np.testing.assert_array_equal(array, together)
    assert len(model.token_scores(ids[:0]).log10_prob) == 0
    for bos in (True, False):
        first = model.token_scores(ids[:5], bos=bos)
        assert model.token_scores(ids[:5].astype(np.int64), bos=bos).log10_prob.tolist() == first.log10_prob.tolist()
    with pytest.raises(ValueError, match=f"word id {len(model.vocabulary)} at position 1"):
        model.token_scores(np.array([3, len(model.vocabulary)], np.uint32))


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("eos", [True, False])
def test_batches_score_as_sentences(model, bos, eos):
    expected = np.array([model.score(line, bos=bos, eos=eos) for line in QUERIES], np.float32)
    for threads in (1, 3):
        np.testing.assert_array_equal(model.score_batch(QUERIES, bos=bos, eos=eos, threads=threads), expected)


def test_many_readers_of_one_model(model):
    expected = model.score_batch(QUERIES)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: model.score_batch(QUERIES, threads=2), range(32)):
            np.testing.assert_array_equal(found, expected)


def test_a_file_replaced_under_a_reader(tmp_path):
    path = tmp_path / "m.lmn"
    for seed in (1, 5):
        NgramModel.train(drawn(100, seed), 3, discount_fallback=FALLBACK).save(path)
        if seed == 1:
            model = NgramModel.load(path)
            before = model.score_batch(QUERIES)
    np.testing.assert_array_equal(model.score_batch(QUERIES), before)
    model.verify()
    assert (NgramModel.load(path).score_batch(QUERIES) != before).any()


def test_states(model):
    for line in QUERIES[:50]:
        for bos in (True, False):
            state, total = model.state(bos=bos), np.float32(0)
            for word in [*line.split(), "</s>"]:
                log10_prob, state = model.advance(state, word)
                total += np.float32(log10_prob)
            assert total == model.score(line, bos=bos)
    _, left = model.advance(model.state(), "zz")
    _, right = model.advance(model.state(bos=False), "zz")
    assert left == right == NgramState()
    assert len({left, right}) == 1
