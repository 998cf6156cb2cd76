"""What scoring gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Perplexity", "TokenScores"]


class TokenScores(NamedTuple):
    """The scores of the tokens of one text."""

    log10_prob: NDArray[np.float32]
    """Log10 probabilities, `(t,)`."""
    matched_order: NDArray[np.uint8]
    """How many words the longest n-gram has that ends here and is in the model, `(t,)`."""
    is_unknown: NDArray[np.bool_]
    """Whether the word is not in the vocabulary, `(t,)`."""


class Perplexity(NamedTuple):
    """What a text costs, as KenLM's `query` prints it."""

    with_unknown: float
    """The perplexity of all tokens."""
    without_unknown: float
    """The perplexity of the known ones."""
    unknown: int
    """How many words are unknown."""
    tokens: int
    """How many tokens there are, the end of each sentence included."""
