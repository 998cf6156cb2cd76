import itertools
import math
import random

import numpy as np
import pytest
from tests.ngram.oracle import BEGIN, UNKNOWN, Oracle

from lmfast import NgramModel, evaluate

SMOOTHINGS = [
    ("witten_bell", {}),
    ("absolute_discounting", {"discount": 0.75}),
    ("absolute_discounting", {}),
    ("add_k", {"k": 1.0}),
    ("add_k", {"k": 0.01}),
    ("stupid_backoff", {"alpha": 0.4}),
    ("maximum_likelihood", {}),
]


def text_of(seed, sentences=60):
    draw = random.Random(seed)
    words = ["a", "b", "c", "d", "e", "f", UNKNOWN][: draw.choice([4, 7])]
    lines = [
        " ".join(words[int(draw.paretovariate(0.8)) % len(words)] for _ in range(draw.choice([0, 1, 3, 9])))
        for _ in range(sentences)
    ]
    return [*lines, "rare pair", "rare pair", "once"]


def contexts_of(lines, seed):
    draw = random.Random(seed)
    seen = [line.split()[:length] for line in draw.sample(lines, 12) for length in (0, 1, 2, 5)]
    return seen + [draw.choices(["a", "b", "c", "zz"], k=draw.randrange(5)) for _ in range(12)]


@pytest.mark.parametrize(("smoothing", "parameters"), SMOOTHINGS)
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_distributions_are_those_of_the_definition(tmp_path, order, smoothing, parameters):
    for seed in range(3):
        lines = text_of(seed)
        model = NgramModel.train(lines, order, smoothing=smoothing, **parameters)
        oracle = Oracle(lines, order, smoothing, next(iter(parameters.values()), None))
        model.save(tmp_path / "m.lmn")
        for each in (model, NgramModel.load(tmp_path / "m.lmn")):
            assert each.smoothing == " ".join([smoothing, *(f"{name}={value:g}" for name, value in parameters.items())])
            for context in contexts_of(lines, seed):
                found = each.next_token_distribution(" ".join(context))
                known = (BEGIN, *(word if word in oracle.words else UNKNOWN for word in context))
                scale = 0.4 ** oracle.unseen(known) if smoothing == "stupid_backoff" else 1
                for word, probability in zip(each.vocabulary, found, strict=True):
                    expected = 0 if word == BEGIN else oracle.probability(known, word) / scale
                    assert probability == pytest.approx(expected, abs=1e-6), (context, word)
                assert each.is_distribution == (smoothing != "stupid_backoff")
                if each.is_distribution:
                    assert found.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)


def test_models_computed_by_hand():
    lines = ["a b", "a c"]
    # After "a" come b and c, once each; of 6 tokens a and </s> are two each, and there are 5 words that can follow.
    for smoothing, parameters, expected in [
        ("maximum_likelihood", {}, 1 / 2),
        ("stupid_backoff", {}, 1 / 2),
        ("add_k", {}, (1 + 1) / (2 + 5)),
        ("add_k", {"k": 0.5}, (1 + 0.5) / (2 + 2.5)),
        ("witten_bell", {}, (1 + 2 * (1 + 4 / 5) / (6 + 4)) / (2 + 2)),
        ("absolute_discounting", {"discount": 0.5}, (0.5 + 0.5 * 2 * (0.5 + 0.5 * 4 / 5) / 6) / 2),
        # b follows one word, and so do a and c; </s> follows two.
        ("kneser_ney", {"discount": 0.5}, (0.5 + 0.5 * 2 * (0.5 + 0.5 * 4 / 5) / 5) / 2),
    ]:
        model = NgramModel.train(lines, 2, smoothing=smoothing, **parameters)
        assert 10 ** model.token_scores("a b", eos=False).log10_prob[1] == pytest.approx(expected, rel=1e-6), smoothing


def test_what_does_not_occur(tmp_path):
    likelihood = NgramModel.train(["a b", "a c"], 2, smoothing="maximum_likelihood")
    assert likelihood.score("a b") == pytest.approx(math.log10(1 / 2), rel=1e-6)
    assert likelihood.score("b a") == -math.inf
    found = likelihood.perplexity(["a b", "b a"])
    assert found.with_unknown == found.without_unknown == math.inf
    found = likelihood.perplexity(["zz"])
    assert (found.with_unknown, found.unknown) == (math.inf, 1)
    assert found.without_unknown == pytest.approx(3)  # </s> after an unknown word is as after none
    assert evaluate(likelihood, ["b a"]).perplexity == math.inf
    assert likelihood.generate("a", temperature=0, max_tokens=9) in ("b", "c")
    likelihood.save(tmp_path / "m.arpa")
    text = (tmp_path / "m.arpa").read_text()
    assert text.startswith("# smoothing: maximum_likelihood\n\n\\data\\\n")
    assert "\n-99\t<unk>\t0\n" in text
    assert "inf" not in text
    assert NgramModel.load(tmp_path / "m.arpa").score("b a") < -99


def test_scores_that_are_no_probabilities(tmp_path):
    model = NgramModel.train(["a b", "a c"], 2, smoothing="stupid_backoff")
    # b was never seen at the beginning, nor a after b: 0.4 * 1/6 and 0.4 * 2/6; then a is followed by </s>: 0.4 * 2/6.
    assert 10 ** model.score("b a") == pytest.approx(0.4**3 * 1 / 6 * 2 / 6 * 2 / 6, rel=1e-6)
    model.save(tmp_path / "m.arpa")
    model.save(tmp_path / "m.lmn")
    for each in (model, NgramModel.load(tmp_path / "m.arpa"), NgramModel.load(tmp_path / "m.lmn")):
        assert not each.is_distribution
        with pytest.raises(ValueError, match=r"stupid_backoff.*no perplexity"):
            each.perplexity(["a b"])
        with pytest.raises(ValueError, match="stupid_backoff"):
            evaluate(each, ["a b"])
        with pytest.raises(ValueError, match="stupid_backoff"):
            each.prune(threshold=1e-8)


def test_tokens_that_do_not_occur():
    from types import SimpleNamespace

    source = SimpleNamespace(tokens=np.array([0, 4, 0, 2], np.uint16), offsets=np.array([0, 3, 4], np.uint64))
    for smoothing, parameters in SMOOTHINGS:
        if parameters == {} and smoothing == "absolute_discounting":
            continue
        model = NgramModel.train(source, 2, smoothing=smoothing, **parameters)
        assert len(model.vocabulary) == 8
        found = model.next_token_distribution(np.array([4], np.uint16))
        if model.is_distribution:
            assert found.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
        assert (found[4] > 0) == (smoothing not in ("stupid_backoff", "maximum_likelihood"))


@pytest.mark.parametrize("smoothing", ["kneser_ney", "absolute_discounting"])
def test_one_discount_falls_back(smoothing, recwarn):
    with pytest.warns(UserWarning, match=r"1-grams, 2-grams give no discounts.*0\.75"):
        NgramModel.train(["a a a a"], 2, smoothing=smoothing)
    with pytest.raises(ValueError, match="discount"):
        NgramModel.train(["a a a a"], 2, smoothing=smoothing, discount_fallback=None)
    fixed = NgramModel.train(["a a a a"], 2, smoothing=smoothing, discount_fallback=0.75)
    given = NgramModel.train(["a a a a"], 2, smoothing=smoothing, discount=0.75)
    assert fixed.score("a b") == given.score("a b")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"smoothing": "laplace"}, "smoothing"),
        ({"smoothing": "add_k", "k": 0}, "k=0"),
        ({"smoothing": "add_k", "k": True}, "k=True"),
        ({"smoothing": "witten_bell", "k": 1}, "k=1 goes with"),
        ({"smoothing": "stupid_backoff", "alpha": 2}, "alpha=2"),
        ({"smoothing": "kneser_ney", "discount": 1.5}, "discount=1.5"),
        ({"smoothing": "kneser_ney", "discount_fallback": (0.5, 1, 1.5)}, "discount_fallback"),
        ({"smoothing": "kneser_ney", "discount_fallback": 2}, "discount_fallback"),
        ({"smoothing": "modified_kneser_ney", "discount_fallback": 0.75}, "discount_fallback"),
        ({"smoothing": "modified_kneser_ney", "discount": 0.75}, "discount=0.75 goes with"),
        ({"smoothing": "maximum_likelihood", "prune": (0, 1)}, "prune"),
        ({"smoothing": "maximum_likelihood", "vocabulary": ["a"]}, "vocabulary"),
        ({"smoothing": "witten_bell", "memory": "1G"}, "memory='1G' is for"),
        ({"smoothing": "add_k", "vocab_pad": 9}, "vocab_pad"),
        ({"smoothing": "stupid_backoff", "interpolate_unigrams": False}, "interpolate_unigrams"),
    ],
)
def test_options_that_do_not_go_together(options, name):
    with pytest.raises(ValueError, match=name):
        NgramModel.train(["a b", "a b c"], 2, **options)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("order", [1, 2, 3])
def test_scores_of_nltk(order):
    lm, util = pytest.importorskip("nltk.lm"), pytest.importorskip("nltk.util")
    from nltk.lm.models import KneserNeyInterpolated

    for seed in range(3):
        lines = [line.replace(UNKNOWN, "g") for line in text_of(seed)]
        sentences = [[BEGIN, *line.split(), "</s>"] for line in lines]
        rivals = [
            ("maximum_likelihood", {}, lm.MLE(order)),
            ("add_k", {"k": 1.0}, lm.Laplace(order)),
            ("add_k", {"k": 0.2}, lm.Lidstone(0.2, order)),
            ("stupid_backoff", {"alpha": 0.3}, lm.StupidBackoff(alpha=0.3, order=order)),
            ("witten_bell", {}, lm.WittenBellInterpolated(order)),
            ("absolute_discounting", {"discount": 0.6}, lm.AbsoluteDiscountingInterpolated(order, discount=0.6)),
        ]
        if order == 2:  # its lower orders know no words before "<s>"
            rivals.append(("kneser_ney", {"discount": 0.6}, KneserNeyInterpolated(order, discount=0.6)))
        for smoothing, parameters, rival in rivals:
            # NLTK counts "<s>" as a word that can follow others; without it both speak of the same words.
            grams = [
                [gram for gram in util.everygrams(words, max_len=order) if gram != (BEGIN,)] for words in sentences
            ]
            rival.fit(grams, [word for words in sentences for word in words if word != BEGIN])
            oracle = Oracle(lines, order, smoothing, next(iter(parameters.values()), None))
            model = NgramModel.train(lines, order, smoothing=smoothing, **parameters)
            if hasattr(rival, "estimator"):  # it interpolates unigrams with nothing
                bare = NgramModel.train(lines, 1 if smoothing != "kneser_ney" else 2, smoothing=smoothing, **parameters)
                rival.estimator.unigram_score = lambda word, bare=bare: (
                    10 ** float(bare.token_scores("" if word == "</s>" else word, bos=False).log10_prob[0])
                )
            compared = 0
            for words in sentences:
                for end in range(1, len(words)):
                    known = tuple(words[max(0, end - order + 1) : end])
                    context, word = known if order > 1 else (), words[end]
                    for other in {word, "a", "b", "zz"}:
                        if smoothing == "add_k" and context and not oracle.followers[context][other]:
                            continue  # shared otherwise
                        theirs = rival.score(other, context)
                        if smoothing == "maximum_likelihood" and not oracle.followers.get(context):
                            continue
                        text = " ".join([*words[1:end], *([other] if other != "</s>" else [])])
                        ours = model.token_scores(text, eos=other == "</s>").log10_prob[end - 1]
                        assert 10 ** float(ours) == pytest.approx(theirs, rel=2e-5, abs=1e-9), (
                            smoothing,
                            context,
                            other,
                        )
                        compared += 1
            assert compared > 100


@pytest.mark.parametrize("prune", [(0, 1), (0, 0, 2)])
@pytest.mark.parametrize("smoothing", ["kneser_ney", "absolute_discounting", "witten_bell", "add_k", "stupid_backoff"])
def test_pruned_by_counts(smoothing, prune):
    lines = [line.replace(UNKNOWN, "g") for line in text_of(5)]
    fallback = (
        {"discount_fallback": 0.75}
        if "_" in smoothing and smoothing not in ("add_k", "stupid_backoff", "witten_bell")
        else {}
    )
    full = NgramModel.train(lines, 3, smoothing=smoothing, **fallback)
    pruned = NgramModel.train(lines, 3, smoothing=smoothing, prune=prune, **fallback)
    limited = NgramModel.train(lines, 3, smoothing=smoothing, vocabulary=["a", "b"], **fallback)
    assert pruned.counts[-1] < full.counts[-1]
    assert list(limited.vocabulary) == ["<unk>", "<s>", "</s>", *(word for word in full.vocabulary if word in "ab")]
    for model, context in itertools.product((full, pruned, limited), ["", "a", "a b", "b c", "zz"]):
        if model.is_distribution:
            assert model.next_token_distribution(context).sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
