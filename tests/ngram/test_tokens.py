from types import SimpleNamespace

import numpy as np
import pytest

from lmfast import NgramModel

FALLBACK = (0.5, 1, 1.5)
DOCUMENTS = [[5, 3, 5, 3, 4], [], [5, 5, 3], [4], [5, 3, 4, 9]]


class Letters:
    """A tokenizer whose tokens are the letters a to j, all else being j."""

    vocab_size = 10

    def id_to_token(self, token_id):
        return None if token_id == 8 else "abcdefghij"[token_id]

    def encode_array(self, texts, *, add_special_tokens, special):
        assert (add_special_tokens, special) == (False, "text")
        ids = ["abcdefghij".find(letter) % 10 for text in texts for letter in text]
        offsets = np.cumsum([0, *map(len, texts)])
        return SimpleNamespace(ids=np.array(ids, np.uint16), offsets=offsets.astype(np.uint64))

    def decode(self, ids):
        return "".join("abcdefghij"[token] for token in ids)


def store(documents=DOCUMENTS, dtype=np.uint16):
    tokens = np.array([token for document in documents for token in document], dtype)
    return SimpleNamespace(tokens=tokens, offsets=np.cumsum([0, *map(len, documents)]).astype(np.uint64))


def words(document):
    return " ".join(map(str, document))


@pytest.fixture(scope="module")
def model():
    return NgramModel.train(store(), 3, tokenizer=Letters(), discount_fallback=FALLBACK)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32, np.int64, ">i4"])
def test_integers_of_any_width(model, dtype, tmp_path):
    source = store(dtype=dtype)
    source.tokens.setflags(write=False)
    other = NgramModel.train(source, 3, tokenizer=Letters(), discount_fallback=FALLBACK)
    assert other.counts == model.counts
    for document in DOCUMENTS:
        assert other.score(np.array(document, dtype)) == model.score(np.array(document))


def test_mapped_tokens(model, tmp_path):
    source = store()
    source.tokens.tofile(tmp_path / "t.bin")
    source.tokens = np.memmap(tmp_path / "t.bin", np.uint16, "r")
    assert NgramModel.train(source, 3, tokenizer=Letters(), discount_fallback=FALLBACK).counts == model.counts


def test_a_model_of_words_padded_to_the_vocabulary_agrees(model):
    """Unseen tokens share what an unseen word gets; so 5 seen words and <unk>, </s> are padded to 12."""
    same = NgramModel.train(list(map(words, DOCUMENTS)), 3, discount_fallback=FALLBACK, vocab_pad=12)
    for document in [*DOCUMENTS, [5, 9, 3], [0, 5, 7]]:
        expected = same.token_scores(words(document))
        found = model.token_scores(np.array(document, np.uint16))
        np.testing.assert_array_equal(found.log10_prob, expected.log10_prob)
        np.testing.assert_array_equal(found.matched_order, expected.matched_order)
        assert not found.is_unknown.any()


def test_closed_vocabulary(model):
    assert list(model.vocabulary) == ["<unk>", "<s>", "</s>", *"abcdefgh", "<unused-8>", "j"]
    assert model.counts[0] == 13
    for context in ([], [5], [5, 3], [8, 8, 8]):
        distribution = model.next_token_distribution(np.array(context, np.uint32))
        assert distribution.shape == (13,)
        assert distribution.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
        assert (distribution[3:] > 0).all()
        following = [model.token_scores([*context, token], eos=False).log10_prob[-1] for token in range(10)]
        np.testing.assert_allclose(distribution[3:], 10 ** np.array(following), rtol=1e-5)


def test_without_tokenizer():
    model = NgramModel.train(store(), 2, discount_fallback=FALLBACK)
    assert list(model.vocabulary[3:]) == [str(token) for token in range(10)]
    with pytest.raises(TypeError, match="tokenizer"):
        model.score("5 3")


def test_text_through_a_tokenizer(model, tmp_path):
    texts = [Letters().decode(document) for document in DOCUMENTS]
    other = NgramModel.train(texts, 3, tokenizer=Letters(), discount_fallback=FALLBACK)
    (tmp_path / "t.txt").write_text("\n".join(texts))
    lines = NgramModel.train(tmp_path / "t.txt", 3, tokenizer=Letters(), lines=True, discount_fallback=FALLBACK)
    for candidate in (other, lines):
        assert candidate.counts == model.counts
        assert candidate.perplexity(texts) == model.perplexity(store())
        assert candidate.score("fdfde") == model.score(np.array(DOCUMENTS[0]))
        assert candidate.score_batch(texts).tolist() == [model.score(np.array(document)) for document in DOCUMENTS]
    assert set(other.generate("f", seed=3)) <= set("abcdefghij")


def test_stream_scores(model):
    source = store()
    scores = model.token_stream_scores(source.tokens, source.offsets)
    expected = [model.token_scores(np.array(document), eos=False).log10_prob for document in DOCUMENTS]
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, np.concatenate(expected))
    np.testing.assert_array_equal(scores, model.token_stream_scores(source.tokens, source.offsets, threads=1))


def test_perplexity(model):
    found = model.perplexity(store())
    total = sum(model.score(np.array(document)) for document in DOCUMENTS)
    assert (found.unknown, found.tokens) == (0, 18)
    assert found.with_unknown == found.without_unknown == pytest.approx(10 ** (-total / 18), rel=1e-6)


def test_generated_ids(model):
    drawn = [model.generate_ids([5], 20, seed=seed) for seed in (1, 1, *range(2, 40))]
    assert drawn[0] == drawn[1]
    assert len(set(map(tuple, drawn))) > 5
    assert all(0 <= token < 10 for ids in drawn for token in ids)
    assert all(len(ids) <= 20 for ids in drawn)
    assert model.generate_ids([], 3, temperature=0)[0] == 5
    with pytest.raises(ValueError, match="top_p"):
        model.generate_ids([], 3, top_p=0)


def test_save_and_load(model, tmp_path):
    model.save(tmp_path / "m.lmn")
    loaded = NgramModel.load(tmp_path / "m.lmn", tokenizer=Letters())
    assert loaded.score("fdfde") == model.score("fdfde")
    assert loaded.generate_ids([5], 9, seed=4) == model.generate_ids([5], 9, seed=4)


def test_wrong_tokens():
    with pytest.raises(ValueError, match=r"token 10 at position 1 .* vocabulary"):
        NgramModel.train(store([[5, 10]]), 2, tokenizer=Letters())
    with pytest.raises(ValueError, match="0 and 2"):
        NgramModel.train(store([[5, -1]], np.int64), 2, tokenizer=Letters())
    with pytest.raises(ValueError, match="below 0"):
        NgramModel.train(store([[5, -1]], np.int32), 2, tokenizer=Letters())
    with pytest.raises(TypeError, match="integers"):
        NgramModel.train(store([[0.5]], np.float32), 2, tokenizer=Letters())
    source = store()
    for offsets in ([0, 5], [1, 13], [0, 9, 5, 13], []):
        source.offsets = np.array(offsets, np.uint64)
        with pytest.raises(ValueError, match="offsets"):
            NgramModel.train(source, 2, tokenizer=Letters())
    with pytest.raises(ValueError, match="no probability"):
        NgramModel.train(store(), 2, tokenizer=Letters(), interpolate_unigrams=False, discount_fallback=FALLBACK)
    for options in ({"prune": (1,)}, {"vocabulary": ["a"]}):
        with pytest.raises(ValueError, match="order 1 must be 0"):
            NgramModel.train(store(), 2, tokenizer=Letters(), **options)
    with pytest.raises(ValueError, match="at least one sentence"):
        NgramModel.train(store([]), 2, tokenizer=Letters())


def test_words_take_no_ids():
    model = NgramModel.train(["a b"], 2, discount_fallback=FALLBACK)
    for call in (model.score, model.next_token_distribution):
        with pytest.raises(TypeError, match="words"):
            call(np.array([3]))
