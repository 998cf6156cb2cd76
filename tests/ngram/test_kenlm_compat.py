import copy
import itertools
import pickle
import random

import numpy as np
import pytest

from lmfast import NgramModel
from lmfast.ngram import kenlm_compat

LINES = ["the cat sat on the mat", "a dog sat on the cat", "", "the dog ran", "the mat sat on a dog"] * 2
SENTENCES = [*LINES, "zz the cat", "on on on", "the cat sat on the dog", "the\x0bcat\fsat", "zz zz", "dog"]
WORDS = ["the", "cat", "sat", "on", "mat", "a", "dog", "ran", "zz", "</s>", "<s>", "<unk>"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = tmp_path_factory.mktemp("compat") / "m.arpa"
    NgramModel.train(LINES, 4, prune=(0, 0, 1), discount_fallback=(0.5, 1, 1.5)).save(target)
    return target


@pytest.fixture(scope="module")
def model(path):
    return kenlm_compat.LanguageModel(str(path), kenlm_compat.Config())


def walks(module, model, count=400):
    """States after some words, as the module has them."""
    draw, states = random.Random(1), []
    for _ in range(count):
        state, following = module.State(), module.State()
        getattr(model, draw.choice(["BeginSentenceWrite", "NullContextWrite"]))(state)
        for word in draw.choices(WORDS, k=draw.randrange(5)):
            model.BaseScore(state, word, following)
            state, following = following, state
        states.append(copy.copy(state))
    return states


def test_scores_add_up(model, path):
    whole = NgramModel.load(path)
    assert (model.order, model.path, repr(model)) == (4, str(path).encode(), "<Model from b'm.arpa'>")
    for sentence in SENTENCES:
        words = sentence.split()
        for bos, eos in itertools.product((True, False), repeat=2):
            assert model.score(sentence, bos=bos, eos=eos) == whole.score(" ".join(words), bos=bos, eos=eos)
            full = list(model.full_scores(sentence.encode(), bos=bos, eos=eos))
            state, total = kenlm_compat.State(), np.float32(0)
            (model.BeginSentenceWrite if bos else model.NullContextWrite)(state)
            for word, expected in zip([*words, *["</s>"] * eos], full, strict=True):
                here = copy.deepcopy(state)
                assert model.BaseFullScore(here, word, kenlm_compat.State()) == expected
                assert model.BaseScore(state, word, state) == expected.log_prob
                total += np.float32(expected.log_prob)
            assert total == model.score(sentence, bos, eos)
        assert model.perplexity(sentence) == pytest.approx(10 ** (-model.score(sentence) / (len(words) + 1)))
    assert "cat" in model
    assert "zz" not in model
    assert "<unk>" not in model
    assert pickle.loads(pickle.dumps(model)).score("the cat") == model.score("the cat")


def test_equal_states_score_alike(model):
    by_state = {}
    for state in walks(kenlm_compat, model):
        scores = [model.BaseScore(state, word, kenlm_compat.State()) for word in WORDS]
        assert by_state.setdefault(state, scores) == scores
    assert 5 < len(by_state) < 200


def test_wrong_files(tmp_path):
    with pytest.raises(OSError, match="missing"):
        kenlm_compat.Model(str(tmp_path / "missing.arpa"))
    (tmp_path / "x.arpa").write_text("no model")
    with pytest.raises(OSError, match=r"Cannot read model.*x\.arpa"):
        kenlm_compat.Model(str(tmp_path / "x.arpa"))


def test_against_kenlm(model, path):
    kenlm = pytest.importorskip("kenlm")
    theirs = kenlm.Model(str(path))
    for name in dir(kenlm):
        if not name.startswith("_") and name != "os":
            assert hasattr(kenlm_compat, name), name
    for sentence in SENTENCES:
        assert model.score(sentence) == theirs.score(sentence)
        assert list(model.full_scores(sentence)) == list(theirs.full_scores(sentence))
        assert model.perplexity(sentence) == pytest.approx(theirs.perplexity(sentence))
    pairs = list(zip(walks(kenlm_compat, model), walks(kenlm, theirs), strict=True))
    for (a, c), (b, d) in itertools.combinations(pairs[:150], 2):
        assert (a == b) == (c == d)


def test_inside_pyctcdecode(path, monkeypatch):
    kenlm = pytest.importorskip("kenlm")
    decoder = pytest.importorskip("pyctcdecode.decoder")
    language_model = pytest.importorskip("pyctcdecode.language_model")
    letters = ["", " ", *"abcdefghijklmnopqrstuvwxyz"]
    draw, found = np.random.default_rng(1), []
    spoken = [[letters.index(letter) for letter in line] for line in LINES[:2]]
    noisy = [draw.dirichlet(np.full(28, 0.3), len(line)) * 0.7 + 0.3 * np.eye(28)[line] for line in spoken]
    for module in (kenlm, kenlm_compat):
        monkeypatch.setattr(decoder, "kenlm", module)
        monkeypatch.setattr(language_model, "kenlm", module)
        built = decoder.build_ctcdecoder(letters, str(path))
        beams = [built.decode_beams(np.log(np.maximum(matrix, 1e-30)), beam_width=20) for matrix in noisy]
        found.append([(beam[0], round(beam[-1], 4)) for decoded in beams for beam in decoded])
    assert found[0] == found[1]
