import collections
import math

import numpy as np
import pytest

from lmfast import NgramModel, Perplexity, TokenScores

LINES = [
    "the cat sat on the mat",
    "a dog sat on the cat",
    "",
    "the dog ran",
    "the mat sat on a dog",
    "\u00e9t\u00e9 the",
] * 2
SENTENCES = [*LINES, "zz the cat", "on on on", "the cat sat on the dog", " ", "zz zz"]


@pytest.fixture(scope="module")
def model():
    return NgramModel.train(LINES, 4, discount_fallback=(0.5, 1, 1.5))


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("eos", [True, False])
def test_scores_agree_with_each_other(model, bos, eos):
    batch = model.score_batch(SENTENCES, bos=bos, eos=eos)
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, model.score_batch(SENTENCES, bos=bos, eos=eos, threads=1))
    for sentence, score in zip(SENTENCES, batch, strict=True):
        tokens = model.token_scores(sentence, bos=bos, eos=eos)
        assert isinstance(tokens, TokenScores)
        assert [array.dtype for array in tokens] == [np.float32, np.uint8, np.bool_]
        assert len(tokens.log10_prob) == len(sentence.split()) + eos
        assert model.score(sentence, bos=bos, eos=eos) == score == sum(tokens.log10_prob, np.float32(0))
    assert model.score_batch([]).shape == (0,)


def test_scores_of_kenlm(model, tmp_path):
    kenlm = pytest.importorskip("kenlm")
    path = tmp_path / "m.arpa"
    model.save(path)
    theirs = kenlm.Model(str(path))
    for sentence in SENTENCES:
        assert model.score(sentence) == theirs.score(sentence)
        found = zip(*(array.tolist() for array in model.token_scores(sentence)), strict=True)
        assert list(found) == list(theirs.full_scores(sentence))


def test_matched_order(model):
    found = model.token_scores("the cat sat zz on")
    assert found.matched_order.tolist() == [2, 3, 4, 1, 1, 1]
    assert found.is_unknown.tolist() == [False, False, False, True, False, False]


def test_perplexity(model, tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("\n".join(SENTENCES))
    found = model.perplexity(path)
    assert isinstance(found, Perplexity)
    assert found == model.perplexity(SENTENCES) == model.perplexity(iter(SENTENCES), threads=1)
    scores = [model.token_scores(sentence) for sentence in SENTENCES]
    log10_prob, is_unknown = (np.concatenate([score[field] for score in scores]) for field in (0, 2))
    assert (found.unknown, found.tokens) == (3, len(log10_prob))
    assert found.with_unknown == pytest.approx(10 ** -log10_prob.mean(dtype=np.float64), rel=1e-6)
    assert found.without_unknown == pytest.approx(10 ** -log10_prob[~is_unknown].mean(dtype=np.float64), rel=1e-6)


def test_perplexity_of_nothing(model):
    found = model.perplexity([])
    assert math.isnan(found.with_unknown)
    assert found.tokens == 0


def test_next_token_distribution(model):
    for context in ["", "the", "the cat", "the cat sat on the", "zz", "on zz the"]:
        distribution = model.next_token_distribution(context)
        assert distribution.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
        for word, probability in zip(model.vocabulary, distribution, strict=True):
            if word == "<s>":
                assert probability == 0
            elif word == "</s>":
                assert probability == pytest.approx(10 ** float(model.token_scores(context).log10_prob[-1]), rel=1e-5)
            else:
                score = model.token_scores(f"{context} {word}", eos=False).log10_prob[-1]
                assert probability == pytest.approx(10 ** float(score), rel=1e-5)


def test_generate(model):
    texts = [model.generate("the", seed=seed) for seed in range(300)]
    assert texts == [model.generate("the", seed=seed) for seed in range(300)]
    first = collections.Counter((text.split() or ["</s>"])[0] for text in texts)
    assert set(first) <= set(model.vocabulary) - {"<unk>", "<s>"}
    distribution = dict(zip(model.vocabulary, model.next_token_distribution("the"), strict=True))
    for word, probability in distribution.items():
        if word != "<unk>":
            expected = probability / (1 - distribution["<unk>"])
            assert first[word] / 300 == pytest.approx(expected, abs=0.11)
    assert len(model.generate(max_tokens=2, seed=1).split()) <= 2
    assert model.generate(temperature=0) == model.generate(temperature=0, seed=9) == model.generate(top_k=1)
    assert model.generate(max_tokens=0) == ""
    with pytest.raises(ValueError, match="temperature"):
        model.generate(temperature=-1)
