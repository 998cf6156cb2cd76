"""Raw n-gram counts, as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmfast import _core
from lmfast.errors import require
from lmfast.ngram.budget import budget
from lmfast.ngram.tokens import TokenizerLike, tokens_of
from lmfast.progress import bar
from lmfast.source import resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NgramCounts", "count_ngrams"]

Gram = tuple[str, ...] | tuple[int, ...]
"""An n-gram: its words, or the ids of its tokens."""


class NgramCounts:
    """How often each n-gram of one order occurs; made by `count_ngrams`.

    >>> counts = count_ngrams(["to be or not to be"], 2)
    >>> len(counts), counts.total
    (4, 5)
    >>> counts.most_common(2)
    [(('to', 'be'), 2), (('be', 'or'), 1)]
    """

    ids: NDArray[np.uint32]
    """The n-grams, `(n, order)`, sorted: places in `vocabulary`, or ids of tokens."""
    counts: NDArray[np.uint64]
    """How often each occurs, `(n,)`."""
    vocabulary: tuple[str, ...] | None
    """The words by id, as they first appear; None for tokens."""

    def __init__(
        self, ids: NDArray[np.uint32], counts: NDArray[np.uint64], vocabulary: tuple[str, ...] | None = None
    ) -> None:
        self.ids = ids
        self.counts = counts
        self.vocabulary = vocabulary

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        return f"<NgramCounts of order {self.order}, {len(self):,} n-grams>"

    @property
    def order(self) -> int:
        """How many words an n-gram has."""
        return int(self.ids.shape[1])

    @property
    def total(self) -> int:
        """How many n-grams there are, each as often as it occurs."""
        return int(self.counts.sum())

    def items(self) -> Iterator[tuple[Gram, int]]:
        """Every n-gram with its count: a tuple of words, or of token ids."""
        return self._rows(slice(None))

    def most_common(self, k: int) -> list[tuple[Gram, int]]:
        """The `k` n-grams that occur most often, of those that occur alike the first ones."""
        return list(self.top_k(k).items())

    def top_k(self, k: int) -> NgramCounts:
        """The `k` n-grams that occur most often, most often first, of those that occur alike the first ones.

        Takes time for one look at all counts, and for sorting k of them.

        >>> count_ngrams(["to be or not to be"], 2).top_k(2).counts
        array([2, 1], dtype=uint64)
        """
        k = min(max(k, 0), len(self))
        places = np.arange(len(self))
        if k < len(self):
            lowest = np.partition(self.counts, len(self) - k)[len(self) - k] if k else 0
            above, alike = np.flatnonzero(self.counts > lowest), np.flatnonzero(self.counts == lowest)
            places = np.sort(np.concatenate([above, alike[: k - len(above)]])) if k else places[:0]
        if k:
            counts = self.counts[places]
            places = places[np.argsort(counts.max() - counts, kind="stable")]
        return NgramCounts(self.ids[places], self.counts[places], self.vocabulary)

    def overlap(self, other: NgramCounts) -> NgramCounts:
        """The n-grams that the other counts hold too, with the counts they have here.

        With the n-grams of a test set on one side and those of training text on the other, this is what a model may
        have seen of the test.

        Raises:
            ValueError: The orders differ, or one side counts words and the other tokens.

        >>> count_ngrams(["a b c", "b c d"], 2).overlap(count_ngrams(["c d a b"], 2)).most_common(9)
        [(('a', 'b'), 1), (('c', 'd'), 1)]
        """
        if self.order != other.order or (self.vocabulary is None) != (other.vocabulary is None):
            message = f"{self!r} and {other!r} cannot be compared: both must have one order, and words or tokens alike"
            raise ValueError(message)
        theirs = other.ids
        if self.vocabulary is not None and other.vocabulary is not None:
            place = {word: number for number, word in enumerate(self.vocabulary)}
            absent = np.uint32(len(place))  # no id of ours
            theirs = np.array([place.get(word, absent) for word in other.vocabulary], np.uint32)[other.ids]
        both = np.isin(_as_items(self.ids), _as_items(theirs))
        return NgramCounts(self.ids[both], self.counts[both], self.vocabulary)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file of two columns: `ngram`, a list of words or token ids, and `count`.

        Raises:
            MissingDependencyError: pyarrow is not installed.
            OSError: The file cannot be written.
        """
        arrow = require("pyarrow", extra="parquet", purpose="writing Parquet")
        parquet = require("pyarrow.parquet", extra="parquet", purpose="writing Parquet")
        values = arrow.array(self.ids.reshape(-1))
        if self.vocabulary is not None:
            values = arrow.array(self.vocabulary, arrow.string()).take(values)
        ngrams = arrow.FixedSizeListArray.from_arrays(values, self.order)
        part = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.tmp")
        try:
            parquet.write_table(arrow.table({"ngram": ngrams, "count": arrow.array(self.counts)}), part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _rows(self, chosen: slice | NDArray[np.intp]) -> Iterator[tuple[Gram, int]]:
        ids, counts = self.ids[chosen], self.counts[chosen]
        for start in range(0, len(ids), 1 << 16):  # lists of a bounded size
            rows = zip(ids[start : start + (1 << 16)].tolist(), counts[start : start + (1 << 16)].tolist(), strict=True)
            for row, count in rows:
                yield (tuple(row) if self.vocabulary is None else tuple(self.vocabulary[word] for word in row)), count


def count_ngrams(
    source: Any,
    order: int,
    *,
    tokenizer: TokenizerLike | None = None,
    memory: str | int | None = None,
    temporary_folder: str | os.PathLike[str] | None = None,
    lines: bool = False,
    text_field: str = "text",
    text_column: str = "text",
    threads: int | None = None,
    progress: bool | None = None,
) -> NgramCounts:
    """Count the n-grams of exactly this order, within lines and without sentence marks.

    Args:
        source: As for `NgramModel.train`: text, whose every line is a sentence of white-space words or, with a
            tokenizer, every document one of tokens; or a token store.
        order: How many words an n-gram has, 1 to 20.
        tokenizer: Count this tokenizer's tokens instead of words.
        memory: About how much memory to take besides the outcome, as for `NgramModel.train`. None: all in memory.
        temporary_folder: Where working files go with `memory`; None means the system's.
        lines: With a tokenizer: whether each line of a file is a document, not the whole file.
        text_field: The field of a `.jsonl` line that holds the text.
        text_column: The column of a `.parquet` file that holds the text.
        threads: How many threads to use; None means every core.
        progress: Whether to show a bar; None means on a terminal.

    Raises:
        ValueError: An order out of range, or no text.
        OSError: A file that cannot be read.

    >>> dict(count_ngrams(["a b a", "b a"], 2).items())
    {('a', 'b'): 1, ('b', 'a'): 2}
    """
    documents = tokens_of(source, tokenizer, lines=lines, text_field=text_field, text_column=text_column)
    vocabulary: tuple[str, ...] | None = None
    with bar(progress) as callback:
        options: dict[str, Any] = {
            "memory": budget(memory, temporary_folder),
            "threads": threads,
            "progress": callback,
        }
        if documents is None:
            (ids, counts), words = _core.count_words(
                resolve(source), order, text_field=text_field, text_column=text_column, **options
            )
            vocabulary = tuple(words)
        else:
            vocab_size = int(documents[0].max(initial=0)) + 1
            ids, counts = _core.count_tokens(*documents, vocab_size, order, **options)
    return NgramCounts(ids.reshape(-1, order), counts, vocabulary)


def _as_items(ids: NDArray[np.uint32]) -> NDArray[Any]:
    """Each row as one value that can be compared with others."""
    rows = np.ascontiguousarray(ids)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)
