import collections
import random
from types import SimpleNamespace

import numpy as np
import pytest

from lmfast import count_ngrams


def text_of(seed):
    draw = random.Random(seed)
    words = ["a", "b", "<s>", "</s>", "<unk>", "\u00e9t\u00e9", "w" * 40, *(f"w{number}" for number in range(30))]
    return [
        " ".join(words[int(draw.paretovariate(0.7)) % len(words)] for _ in range(draw.choice([0, 1, 3, 9])))
        for _ in range(300)
    ]


def expected(lines, order):
    counts = collections.Counter()
    for line in lines:
        words = line.split()
        counts.update(zip(*(words[start:] for start in range(order)), strict=False))
    return counts


@pytest.mark.parametrize("order", [1, 2, 3, 7, 20])
def test_counts_are_those_of_a_counter(tmp_path, order):
    lines = text_of(order)
    (tmp_path / "t.txt").write_text("\n".join(lines))
    for source in (lines, tmp_path / "t.txt"):
        counts = count_ngrams(source, order)
        assert dict(counts.items()) == expected(lines, order)
        assert (counts.order, len(counts), counts.total) == (
            order,
            len(expected(lines, order)),
            expected(lines, order).total(),
        )


def test_most_common():
    lines = text_of(1)
    counts = count_ngrams(lines, 2, threads=1)
    ranks = sorted(expected(lines, 2).values(), reverse=True)
    assert [count for _, count in counts.most_common(12)] == ranks[:12]
    assert counts.most_common(3) == count_ngrams(lines, 2, threads=3).most_common(3)
    assert counts.most_common(0) == []
    assert len(counts.most_common(10**9)) == len(counts)
    assert count_ngrams(["a b"], 3).most_common(5) == []


def test_tokens():
    documents = [[5, 3, 5, 3], [], [3, 5]]
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.uint64)
    for dtype in (np.uint16, np.int32):
        source = SimpleNamespace(tokens=np.array([5, 3, 5, 3, 3, 5], dtype), offsets=offsets)
        counts = count_ngrams(source, 2)
        assert counts.vocabulary is None
        assert dict(counts.items()) == {(5, 3): 2, (3, 5): 2}
        assert counts.ids.tolist() == [[3, 5], [5, 3]]


def test_overlap():
    ours, theirs = text_of(2), text_of(3)
    found = dict(count_ngrams(ours, 3).overlap(count_ngrams(theirs, 3)).items())
    both = expected(ours, 3).keys() & expected(theirs, 3).keys()
    assert both
    assert found == {ngram: count for ngram, count in expected(ours, 3).items() if ngram in both}
    with pytest.raises(ValueError, match="order"):
        count_ngrams(ours, 3).overlap(count_ngrams(theirs, 2))


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    lines = text_of(4)
    count_ngrams(lines, 2).to_parquet(tmp_path / "c.parquet")
    rows = parquet.read_table(tmp_path / "c.parquet").to_pylist()
    assert {tuple(row["ngram"]): row["count"] for row in rows} == expected(lines, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["c.parquet"]


@pytest.mark.parametrize("option", [{"order": 0}, {"order": 21}, {"memory": "1X"}])
def test_wrong_options_are_named(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        count_ngrams(["a b"], **{"order": 2, **option})


@pytest.mark.parametrize("order", [1, 3])
def test_a_budget_changes_nothing(tmp_path, order):
    expected = count_ngrams(text_of(5), order)
    found = count_ngrams(text_of(5), order, memory="16M", temporary_folder=tmp_path)
    assert list(found.items()) == list(expected.items())
    assert list(tmp_path.iterdir()) == []


def test_no_text():
    with pytest.raises(ValueError, match="no text"):
        count_ngrams([], 2)
