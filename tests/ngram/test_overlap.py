import random
from types import SimpleNamespace

import numpy as np
import pytest

from lmfast import count_ngrams, find_overlap


def documents_of(seed, number, words=12, length=30):
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(words)}" for _ in range(draw.randrange(length))) for _ in range(number)]


def windows(text, order):
    words = text.split()
    return list(zip(*(words[start:] for start in range(order)), strict=False))


def found_by_sets(source, reference, order):
    theirs = {gram for text in reference for gram in windows(text, order)}
    ours = {gram for text in source for gram in windows(text, order)}
    hits = [(number, sum(gram in theirs for gram in windows(text, order))) for number, text in enumerate(source)]
    back = [(len(windows(text, order)), sum(gram in ours for gram in windows(text, order))) for text in reference]
    return [hit for hit in hits if hit[1]], back


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_documents_are_those_of_sets(tmp_path, order):
    source, reference = documents_of(order, 300), documents_of(order + 9, 20)
    hits, back = found_by_sets(source, reference, order)
    (tmp_path / "source.txt").write_text("\n".join(source))
    (tmp_path / "reference.txt").write_text("\n".join(reference))
    for threads in (1, 3):
        for sides in ((source, reference), (tmp_path / "source.txt", tmp_path / "reference.txt")):
            for exact in (False, True):
                found = find_overlap(*sides, order, exact=exact, lines=True, threads=threads)
                assert list(zip(found.documents.tolist(), found.matches.tolist(), strict=True)) == hits
                rows = zip(found.reference_ngrams.tolist(), found.reference_matches.tolist(), strict=True)
                assert list(rows) == back
                assert found.num_documents == len(source)
                assert found.num_ngrams == sum(len(windows(text, order)) for text in source)
    summary = found.summary()
    assert summary["documents_found"] == len(hits)
    assert summary["reference_documents_found"] == sum(matches > 0 for _, matches in back)
    assert summary["ngrams_found"] == sum(matches for _, matches in hits)


def test_tokens(tmp_path):
    def store(texts):
        documents = [[int(word[1:]) for word in text.split()] for text in texts]
        offsets = np.cumsum([0, *map(len, documents)]).astype(np.uint64)
        return SimpleNamespace(tokens=np.concatenate(documents).astype(np.uint16), offsets=offsets)

    source, reference = documents_of(1, 100), documents_of(2, 9)
    hits, back = found_by_sets(source, reference, 3)
    found = find_overlap(store(source), store(reference), 3)
    assert list(zip(found.documents.tolist(), found.matches.tolist(), strict=True)) == hits
    assert found.reference_matches.tolist() == [matches for _, matches in back]
    with pytest.raises(ValueError, match="tokens cannot be compared with text"):
        find_overlap(store(source), reference)


def test_words_are_compared_loosely():
    source = ['He said: "To be,\nor NOT to be?"', "\u00c9t\u00e9 - 2024!"]
    for reference, exact, expected in [
        (["to be or not to be"], False, [0]),
        (["to be or not to be"], True, []),
        (["or NOT to"], True, [0]),
        (["\u00e9t\u00e9 2024"], False, [1]),
    ]:
        assert find_overlap(source, reference, 2, exact=exact).documents.tolist() == expected, reference


def test_nothing_to_look_for():
    with pytest.raises(ValueError, match="13-gram"):
        find_overlap(["a b"], ["a b c"])
    with pytest.raises(ValueError, match="order"):
        find_overlap(["a b"], ["a b c"], 0)
    with pytest.raises(FileNotFoundError, match="missing"):
        find_overlap("missing.txt", ["a b c"], 2)
    assert find_overlap([], ["a b"], 2).summary()["documents"] == 0


def test_top_k():
    counts = count_ngrams(documents_of(3, 50), 2)
    everything = sorted(counts.items(), key=lambda item: -item[1])
    for k in (0, 1, 2, 10, 40, len(counts) - 1, len(counts), len(counts) + 5):
        top = counts.top_k(k)
        assert list(top.items()) == everything[:k]
        assert counts.most_common(k) == everything[:k]
    assert counts.top_k(-1).counts.tolist() == []
    assert count_ngrams(["a"], 2).top_k(3).ids.shape == (0, 2)
