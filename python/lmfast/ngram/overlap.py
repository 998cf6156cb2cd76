"""Which documents of one corpus hold an n-gram of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmfast import _core
from lmfast.ngram.tokens import TokenizerLike, tokens_of
from lmfast.progress import bar
from lmfast.source import resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Overlap", "find_overlap"]


@dataclass(frozen=True, eq=False)
class Overlap:
    """What `find_overlap` gives."""

    order: int
    """How many words an n-gram has."""
    num_documents: int
    """How many documents the source has."""
    num_ngrams: int
    """How many n-grams the source has, each as often as it occurs."""
    documents: NDArray[np.uint64]
    """The numbers, from 0, of the documents of the source that hold an n-gram of the reference, `(found,)`."""
    matches: NDArray[np.uint64]
    """How many of the n-grams of each of these the reference holds, `(found,)`."""
    reference_ngrams: NDArray[np.uint64]
    """How many n-grams each document of the reference has, `(reference documents,)`; 0 of one that is too short."""
    reference_matches: NDArray[np.uint64]
    """How many of these the source holds, `(reference documents,)`."""

    @property
    def reference_documents(self) -> NDArray[np.uint64]:
        """The numbers, from 0, of the documents of the reference of which the source holds an n-gram."""
        return np.flatnonzero(self.reference_matches).astype(np.uint64)

    def summary(self) -> dict[str, int | float]:
        """The figures of a report: numbers of documents and n-grams of both sides, found and in all."""
        found, reference = len(self.documents), len(self.reference_documents)
        return {
            "order": self.order,
            "documents": self.num_documents,
            "documents_found": found,
            "share_of_documents": found / self.num_documents if self.num_documents else 0.0,
            "ngrams": self.num_ngrams,
            "ngrams_found": int(self.matches.sum()),
            "reference_documents": len(self.reference_ngrams),
            "reference_documents_found": reference,
            "share_of_reference_documents": reference / len(self.reference_ngrams),
            "reference_documents_too_short": int((self.reference_ngrams == 0).sum()),
            "reference_ngrams": int(self.reference_ngrams.sum()),
            "reference_ngrams_found": int(self.reference_matches.sum()),
        }


def find_overlap(
    source: Any,
    reference: Any,
    order: int = 13,
    *,
    exact: bool = False,
    tokenizer: TokenizerLike | None = None,
    lines: bool = False,
    text_field: str = "text",
    text_column: str = "text",
    threads: int | None = None,
    progress: bool | None = None,
) -> Overlap:
    """Find the documents of a corpus that hold an n-gram of another, such as those of a test set in training text.

    The default is what GPT-3 was decontaminated by: 13 words in a row, in lower case, without punctuation (Brown et al.
    2020, appendix C). N-grams run on over line ends, but not over the ends of documents. None is taken for another.

    Args:
        source: What is searched: a source of text (see `lmfast.source`), of any size; or tokens, as for
            `NgramModel.train`.
        reference: Where the n-grams come from, of the same kind; it is held in memory, with 21 to 37 bytes a word.
        order: How many words an n-gram has, 1 to 1000.
        exact: Compare words as they are spelled, not in lower case and by their letters and digits alone.
        tokenizer: Compare this tokenizer's tokens, not words; both sides are encoded in memory.
        lines: Whether each line of a text file is a document, not the whole file.
        text_field: The field of a `.jsonl` line that holds the text.
        text_column: The column of a `.parquet` file that holds the text.
        threads: How many threads to use; None means every core.
        progress: Whether to show a bar; None means on a terminal.

    Raises:
        ValueError: An order out of range, or a reference without a document that long.
        OSError: A file that cannot be read.

    >>> found = find_overlap(["To be, or not to be?", "That is the question."], ["Or NOT to be", "to do"], 3)
    >>> found.documents, found.matches, found.reference_documents
    (array([0], dtype=uint64), array([2], dtype=uint64), array([0], dtype=uint64))
    >>> found.summary()["reference_documents_too_short"]
    1
    """
    options: dict[str, Any] = {"lines": lines, "text_field": text_field, "text_column": text_column}
    tokens, reference_tokens = (tokens_of(side, tokenizer, **options) for side in (source, reference))
    if (tokens is None) != (reference_tokens is None):
        message = "tokens cannot be compared with text: give both as tokens, or text on either side with tokenizer="
        raise ValueError(message)
    with bar(progress) as callback:
        if tokens is not None and reference_tokens is not None:
            found = _core.overlap_of_tokens(*tokens, *reference_tokens, order, threads=threads, progress=callback)
        else:
            options |= {"ignore_case": not exact, "threads": threads, "progress": callback}
            found = _core.overlap_of_text(resolve(source), resolve(reference), order, **options)
    (documents, ngrams), (numbers, matches), (reference_ngrams, reference_matches) = found
    return Overlap(order, documents, ngrams, numbers, matches, reference_ngrams, reference_matches)
