"""Several n-gram models at once: their scores of one text, and one model of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lmfast import _core
from lmfast.ngram.model import NgramModel
from lmfast.progress import bar
from lmfast.source import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["merge", "text_scores"]


def text_scores(
    models: Sequence[NgramModel], source: Any, *, threads: int | None = None, progress: bool | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What models of words give each word of a text, and the end of each line.

    The vocabulary is that of all models together. What a model gives its unknown word is shared evenly by all that is
    unknown to it there: the words that only others know, and the unknown word of all.

    Args:
        models: The models.
        source: Text, every line of a document a sentence.
        threads: How many threads to use; None means every core.
        progress: Whether to show a bar; None means on a terminal.

    Returns:
        Log10 probabilities, `(models, t)`, and whether a word is unknown to all of them, `(t,)`.

    >>> small, large = (NgramModel.train([text], 1, smoothing="witten_bell") for text in ("a", "a b"))
    >>> scores, unknown = text_scores([small, large], ["b zz"])
    >>> (10**scores).round(3).tolist(), unknown.tolist()  # the small one knows neither: 1 / 6 shared by two
    ([[0.083, 0.083, 0.417], [0.292, 0.125, 0.292]], [False, True, False])
    """
    words = {word for model in models for word in model.vocabulary}
    resolved = resolve(source)
    again: Any = resolved if isinstance(resolved, list) else list(resolved)
    scores: list[NDArray[np.float64]] = []
    unknown: NDArray[np.bool_] | None = None
    for model in models:
        texts: Any = again if isinstance(resolved, list) else iter(again)
        with bar(progress) as callback:
            found, is_unknown = _core.text_scores(
                model._core, texts, text_field="text", text_column="text", threads=threads, progress=callback
            )
        share = 1 + len(words) - len(set(model.vocabulary))
        scores.append(found.astype(np.float64) - np.where(is_unknown, np.log10(share), 0.0))
        unknown = is_unknown if unknown is None else unknown & is_unknown
    if unknown is None:
        raise ValueError("models: at least one is needed")
    return np.stack(scores), unknown


def merge(
    models: Sequence[NgramModel],
    weights: Sequence[float] | NDArray[np.float64],
    *,
    threads: int | None = None,
    progress: bool | None = None,
) -> NgramModel:
    """One back-off model near to a linear mixture, as SRILM's `-mix-lm` with `-write-lm` makes it.

    It has every n-gram that any of the models has, with the mixture of what they give it, each by backing off where it
    lacks it; back-off weights make each context sum to one (Stolcke 2002, section 3). Words that a model does not know
    are as in `text_scores`.

    Args:
        models: Models of words, or of the tokens of one tokenizer.
        weights: One for each; their sum is 1.
        threads: How many threads to use; None means every core.
        progress: Whether to show a bar; None means on a terminal.

    Raises:
        ValueError: Weights that do not fit; models that cannot be mixed.

    >>> first, second = (NgramModel.train([text], 2, smoothing="witten_bell") for text in ("a b", "b a"))
    >>> merge([first, second], [0.5, 0.5]).counts
    (5, 6)
    """
    with bar(progress) as callback:
        cores = [model._core for model in models]
        core = _core.interpolate_ngrams(
            cores, [float(weight) for weight in weights], threads=threads, progress=callback
        )
    return NgramModel(core, next((model._tokenizer for model in models if model._tokenizer is not None), None))
