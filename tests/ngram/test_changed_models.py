"""Models made of models: pruned, filtered, mixed."""

import math
import random

import numpy as np
import pytest

from lmfast import Mixture, NgramModel, evaluate, interpolate
from lmfast.interpolation import best_weights
from lmfast.ngram.mixing import merge, text_scores

FALLBACK = (0.5, 1, 1.5)
CONTEXTS = ["", "a", "a b", "b c d", "zz", "e a"]


def text_of(seed, words="abcdef", sentences=300):
    draw = random.Random(seed)
    return [
        " ".join(words[int(draw.paretovariate(0.8)) % len(words)] for _ in range(draw.choice([0, 1, 3, 9])))
        for _ in range(sentences)
    ]


def sums_to_one(model, contexts=CONTEXTS):
    for context in contexts:
        assert model.next_token_distribution(context).sum(dtype=np.float64) == pytest.approx(1, abs=1e-5), context


@pytest.fixture(scope="module")
def model():
    return NgramModel.train(text_of(1), 4, discount_fallback=FALLBACK)


def test_pruned_step_by_step(model):
    text, before = text_of(2), model
    for threshold in (1e-7, 1e-5, 1e-4, 1e-3, 1e3):
        pruned = model.prune(threshold=threshold)
        assert all(left <= full for left, full in zip(pruned.counts, before.counts, strict=True))
        sums_to_one(pruned)
        assert pruned.smoothing == model.smoothing
        before = pruned
    assert before.counts == (model.counts[0], 0, 0, 0)
    small, smaller = model.prune(threshold=1e-4), model.prune(threshold=1e-3)
    assert model.num_ngrams > small.num_ngrams > smaller.num_ngrams > model.counts[0]
    assert small.perplexity(text_of(1)).with_unknown < smaller.perplexity(text_of(1)).with_unknown
    # What is lost on other text is little, too.
    assert small.perplexity(text).with_unknown < 1.05 * model.perplexity(text).with_unknown


def test_pruning_does_not_depend_on_threads_or_files(tmp_path, model):
    files = []
    model.save(tmp_path / "full.arpa")
    model.save(tmp_path / "full.lmn")
    for name in ("full.arpa", "full.lmn"):
        for threads in (1, 3):
            NgramModel.load(tmp_path / name).prune(threshold=1e-4, threads=threads).save(tmp_path / "m.arpa")
            files.append((tmp_path / "m.arpa").read_bytes())
            NgramModel.load(tmp_path / "m.arpa").verify()
    assert len(set(files)) == 1


@pytest.mark.parametrize("threshold", [0, -1e-8, math.nan, math.inf])
def test_thresholds_out_of_range(model, threshold):
    with pytest.raises(ValueError, match="threshold"):
        model.prune(threshold=threshold)


def test_filter(tmp_path, model):
    small = model.filter(["b", "a", "zz"])
    assert sorted(small.vocabulary[3:]) == ["a", "b"]
    assert small.counts[0] == 5
    assert all(0 < left < full for left, full in zip(small.counts, model.counts, strict=True))
    for text in ("", "a b a", "b b", "a"):
        assert small.score(text) == model.score(text)
    assert small.token_scores("c").is_unknown[0]
    small.save(tmp_path / "m.arpa")
    assert NgramModel.load(tmp_path / "m.arpa").score("a b") == model.score("a b")
    assert model.filter([]).counts[0] == 3
    with pytest.raises(TypeError, match="vocabulary"):
        model.filter("a b")


def test_models_of_tokens_are_not_filtered():
    tokens = NgramModel.train(np_source([[0, 1, 2], [1, 1]]), 2, smoothing="witten_bell")
    with pytest.raises(ValueError, match="tokens"):
        tokens.filter(["0"])


def np_source(documents):
    from types import SimpleNamespace

    offsets = np.cumsum([0, *map(len, documents)]).astype(np.uint64)
    return SimpleNamespace(tokens=np.concatenate(documents).astype(np.uint16), offsets=offsets)


def mixed_by_hand(models, weights, context, word):
    """The mixture of what models give a word, those they do not know sharing their unknown word."""
    words = {word for model in models for word in model.vocabulary}
    total = 0.0
    for model, weight in zip(models, weights, strict=True):
        probability = 10 ** float(model.token_scores(f"{context} {word}".strip(), eos=False).log10_prob[-1])
        if word not in model.vocabulary:
            probability /= 1 + len(words - set(model.vocabulary))
        total += weight * probability
    return total


def test_mixture_of_different_vocabularies():
    models = [
        NgramModel.train(text_of(3, "abcde"), 3, discount_fallback=FALLBACK),
        NgramModel.train(text_of(4, "cdefghi"), 2, smoothing="witten_bell"),
    ]
    merged = merge(models, [0.3, 0.7])
    assert merged.order == 3
    assert set(merged.vocabulary[3:]) == set("abcdefghi")
    assert merged.smoothing == "interpolated"
    sums_to_one(merged, [*CONTEXTS, "h i", "a h"])
    for word in "abcdefghi":
        assert merged.next_token_distribution("")[merged.vocabulary.index(word)] >= 0
        unigram = 10 ** float(merged.token_scores(word, bos=False, eos=False).log10_prob[0])
        expected = sum(
            weight
            * 10 ** float(model.token_scores(word, bos=False, eos=False).log10_prob[0])
            / (1 if word in model.vocabulary else 10 - len(model.vocabulary) + 3)
            for model, weight in zip(models, [0.3, 0.7], strict=True)
        )
        assert unigram == pytest.approx(expected, rel=1e-5), word
    # What any of the models has seen is mixed exactly.
    for context, word in [("c d", "e"), ("c", "d"), ("a", "b"), ("h", "i")]:
        if merged.token_scores(f"{context} {word}", eos=False).matched_order[-1] == len(context.split()) + 2:
            found = 10 ** float(merged.token_scores(f"{context} {word}", eos=False).log10_prob[-1])
            assert found == pytest.approx(mixed_by_hand(models, [0.3, 0.7], context, word), rel=1e-5)


def test_scores_of_a_mixture():
    models = [NgramModel.train(text_of(5, "abcd"), 2, smoothing="witten_bell") for _ in range(1)]
    models.append(NgramModel.train(text_of(6, "cdef"), 3, smoothing="witten_bell"))
    mixture = Mixture(models, [0.25, 0.75])
    text = ["a c e", "zz d", ""]
    scores, unknown = text_scores(models, text)
    assert scores.shape == (2, 8)
    assert unknown.tolist() == [False] * 4 + [True] + [False] * 3
    log10 = np.log10(0.25 * 10 ** scores[0] + 0.75 * 10 ** scores[1])
    found = mixture.perplexity(text)
    assert found.with_unknown == pytest.approx(10 ** -log10.mean(), rel=1e-6)
    assert found.without_unknown == pytest.approx(10 ** -log10[~unknown].mean(), rel=1e-6)
    assert (found.unknown, found.tokens) == (1, 8)
    assert 10 ** log10[1] == pytest.approx(mixed_by_hand(models, [0.25, 0.75], "a", "c"), rel=1e-6)
    assert evaluate(mixture, text).perplexity == pytest.approx(found.with_unknown)
    alone = Mixture(models[:1], [1.0]).perplexity(text)
    assert alone.with_unknown == pytest.approx(models[0].perplexity(text).with_unknown, rel=1e-6)


def test_weights_are_the_best_ones(tmp_path):
    models = [
        NgramModel.train(text_of(seed, words), 3, discount_fallback=FALLBACK)
        for seed, words in ((7, "abcdef"), (8, "fedcba"), (9, "cafebd"))
    ]
    tune = text_of(10, "abcdef", 120) + text_of(11, "fedcba", 60)
    (tmp_path / "tune.txt").write_text("\n".join(tune))
    mixture = interpolate(models, tune)
    assert interpolate(models, tmp_path / "tune.txt").weights.tolist() == mixture.weights.tolist()
    assert mixture.weights.sum() == pytest.approx(1)
    best = mixture.perplexity(tune).with_unknown
    assert best < min(model.perplexity(tune).with_unknown for model in models)
    draw = np.random.default_rng(1)
    for _ in range(30):
        other = np.abs(mixture.weights + draw.normal(0, 0.03, 3))
        assert Mixture(models, other / other.sum()).perplexity(tune).with_unknown >= best - 1e-9
    # As one model it is nearly as good.
    merged = mixture.merge()
    sums_to_one(merged)
    assert merged.perplexity(tune).with_unknown == pytest.approx(best, rel=0.02)
    merged.save(tmp_path / "m.lmn")
    NgramModel.load(tmp_path / "m.lmn").verify()


def test_weights_in_closed_form():
    # Two models that never agree: the weights are the shares of tokens.
    scores = np.full((2, 10), -np.inf)
    scores[0, :7], scores[1, 7:] = 0, -1
    assert best_weights(scores) == pytest.approx([0.7, 0.3])
    nothing = np.full((2, 3), -np.inf)
    assert best_weights(np.concatenate([scores, nothing], axis=1)) == pytest.approx([0.7, 0.3])
    with pytest.raises(ValueError, match="tuning text"):
        best_weights(nothing)


def test_mixtures_of_tokens():
    documents = [[0, 1, 2, 3], [1, 1, 3], [2, 0]] * 5
    models = [NgramModel.train(np_source(documents), order, smoothing="witten_bell") for order in (1, 3)]
    tune = np_source([[0, 1, 2, 3, 1, 1], [2, 0, 3]])
    mixture = interpolate(models, tune)
    assert mixture.weights[1] > 0.5
    scores = [10.0 ** model.token_stream_scores(tune.tokens, tune.offsets).astype(float) for model in models]
    expected = np.log10(mixture.weights @ np.stack(scores))
    assert mixture.token_stream_scores(tune.tokens, tune.offsets) == pytest.approx(expected)
    assert evaluate(mixture, tune).loss == pytest.approx(-math.log(10) * expected[1:].mean())
    assert mixture.merge().is_of_tokens
    with pytest.raises(TypeError, match="tokens"):
        mixture.perplexity(["a"])


def test_neural_models_among_others():
    pytest.importorskip("torch")
    from lmfast import models
    from lmfast.evaluation import token_losses

    tune = np_source([[0, 1, 2, 3, 1, 1, 2, 0, 3]])
    parts = [
        NgramModel.train(np_source([[0, 1, 2, 3]] * 3), 2, smoothing="witten_bell"),
        models.build("gru", vocab_size=4),
    ]
    mixture = interpolate(parts, tune)
    losses = np.stack([token_losses(part, tune.tokens) for part in parts])
    expected = -np.log(mixture.weights @ np.exp(-losses)).mean()
    assert evaluate(mixture, tune).loss == pytest.approx(expected, rel=1e-6)
    assert expected <= losses.mean(axis=1).min() + 1e-9
    with pytest.raises(ValueError, match="only a mixture of n-gram models"):
        mixture.merge()


def test_what_cannot_be_mixed(model):
    tokens = NgramModel.train(np_source([[0, 1, 2], [1, 1]]), 2, smoothing="witten_bell")
    scores = NgramModel.train(["a b"], 2, smoothing="stupid_backoff")
    for models, weights, what in [
        ([], [], "weights"),
        ([model, model], [0.5, 0.6], "weights"),
        ([model, model], [1.5, -0.5], "weights"),
        ([model], [0.5, 0.5], "weights"),
        ([model, tokens], [0.5, 0.5], "words"),
        ([model, scores], [0.5, 0.5], "stupid_backoff"),
    ]:
        with pytest.raises(ValueError, match=what):
            Mixture(models, weights)
    with pytest.raises(ValueError, match="at least one"):
        interpolate([], ["a"])
    with pytest.raises(ValueError, match="tokenizer"):
        interpolate([tokens, tokens], ["a"])
