"""Linear mixtures of models: p(w | h) = sum of weight_i p_i(w | h), the weights fitted to a text.

Models that know different things do better together. The weights are those under which a held-out text is most
probable, found by expectation maximization (Jelinek and Mercer 1980), which has no other optimum here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lmfast.evaluation import Ngram, Tokens, encode_stream, token_losses
from lmfast.ngram import NgramModel, Perplexity
from lmfast.ngram.mixing import merge, text_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lmfast.evaluation import TextTokenizer

__all__ = ["Mixture", "best_weights", "interpolate"]

TOLERANCE = 1e-7
MOST_STEPS = 10_000


class Mixture:
    """Several models that predict together; made by `interpolate`, or of given weights.

    It is what `lmfast.evaluate` takes. A mixture of n-gram models can be written as one, see `merge`.

    Args:
        models: N-gram models of words; or models of the tokens of one tokenizer, n-gram and neural.
        weights: One for each, from 0 up; their sum is 1.

    Raises:
        ValueError: Weights that do not fit, models of words among others, or scores that are no probabilities.

    >>> models = [NgramModel.train([text], 2, smoothing="witten_bell") for text in ("a b a b", "b b a")]
    >>> mixture = Mixture(models, [0.75, 0.25])
    >>> round(mixture.perplexity(["a b"]).with_unknown, 3)
    2.139
    """

    models: tuple[Any, ...]
    """The models."""
    weights: NDArray[np.float64]
    """How much each counts, `(models,)`."""

    def __init__(self, models: Sequence[Any], weights: Sequence[float] | NDArray[np.float64]) -> None:
        self.models = tuple(models)
        self.weights = np.asarray(weights, np.float64)
        fits = self.weights.shape == (len(self.models),) and bool((self.weights >= 0).all())
        if not self.models or not fits or not math.isclose(self.weights.sum(), 1, abs_tol=1e-6):
            message = f"weights={list(weights)}: numbers from 0 up with sum 1 were expected, one for each of the "
            message += f"{len(self.models)} models"
            raise ValueError(message)
        self.is_of_tokens = _is_of_tokens(self.models)

    def __repr__(self) -> str:
        parts = ", ".join(f"{weight:.3f} {model!r}" for model, weight in zip(self.models, self.weights, strict=True))
        return f"<Mixture of {parts}>"

    def perplexity(self, source: Any, /) -> Perplexity:
        """What a text costs, cut into words at white space; every line of a document is a sentence.

        A word that a model does not know has there what the model gives its unknown word, divided by how many words
        share it: those that only others of the mixture know, and the unknown word of all. So each still sums to one.

        Raises:
            TypeError: The models are of tokens: use `lmfast.evaluate` with their tokenizer.
        """
        if self.is_of_tokens:
            message = "this is a mixture of models of tokens: measure it by lmfast.evaluate, with their tokenizer"
            raise TypeError(message)
        scores, unknown = text_scores(self.models, source)
        log10 = self._mixed(scores)
        return Perplexity(_perplexity(log10), _perplexity(log10[~unknown]), int(unknown.sum()), len(log10))

    def token_stream_scores(self, ids: NDArray[Any], offsets: NDArray[Any], /) -> NDArray[np.float64]:
        """The log10 probability of every token of a stream of documents.

        Args:
            ids: Token ids, `(t,)`.
            offsets: Where each document starts and the last ends, `(documents + 1,)`; neural models do not see them.

        Returns:
            `(t,)`; 0 for the first token, where a neural model, which does not predict it, is among the models.

        Raises:
            TypeError: The models are of words.
        """
        if not self.is_of_tokens:
            message = "this is a mixture of models of words: pass text, not token ids"
            raise TypeError(message)
        rows = [
            model.token_stream_scores(ids, offsets)
            if isinstance(model, Ngram)
            else np.concatenate([[0.0], token_losses(model, ids) / -math.log(10)])
            for model in self.models
        ]
        mixed = self._mixed(np.stack(rows).astype(np.float64))
        if not all(isinstance(model, Ngram) for model in self.models):
            mixed[:1] = 0.0
        return mixed

    def merge(self, *, threads: int | None = None, progress: bool | None = None) -> NgramModel:
        """One n-gram model near to this mixture; see `lmfast.ngram.mixing.merge`.

        Raises:
            ValueError: Not all of the models are n-gram models.

        >>> models = [NgramModel.train([text], 2, smoothing="witten_bell") for text in ("a b a b", "b b a")]
        >>> round(Mixture(models, [0.75, 0.25]).merge().perplexity(["a b"]).with_unknown, 3)
        2.139
        """
        if not all(isinstance(model, NgramModel) for model in self.models):
            message = "only a mixture of n-gram models can be written as one n-gram model"
            raise ValueError(message)
        return merge(self.models, self.weights, threads=threads, progress=progress)

    def _mixed(self, log10: NDArray[np.float64]) -> NDArray[np.float64]:
        """The log10 of the mixed probabilities, `(t,)`, given that of each model's, `(models, t)`."""
        highest = _finite_highest(log10)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(self.weights @ 10.0 ** (log10 - highest)) + highest)


def interpolate(
    models: Sequence[Any],
    tune: Any,
    *,
    tokenizer: TextTokenizer | None = None,
) -> Mixture:
    """Mix models so that a text is as probable as can be.

    Args:
        models: N-gram models of words; or models of the tokens of one tokenizer, n-gram and neural.
        tune: The text that the weights are fitted to, which no model was trained on: a source of text, or a
            `TokenStore`.
        tokenizer: Makes the tokens of a text, for models of tokens.

    Returns:
        The mixture, for `lmfast.evaluate`; its `weights` are those found.

    Raises:
        ValueError: No model, models that do not go together, or a text to which no model gives any probability.

    >>> models = [NgramModel.train([text], 2, smoothing="witten_bell") for text in ("a b a b", "b b a")]
    >>> interpolate(models, ["a b", "a b a"]).weights.round(3)
    array([0.895, 0.105])
    """
    models = list(models)
    if not models:
        raise ValueError("models: at least one is needed")
    if not _is_of_tokens(models):
        return Mixture(models, best_weights(text_scores(models, tune)[0]))
    stream = tune if isinstance(tune, Tokens) else encode_stream(tune, tokenizer)
    losses = [token_losses(model, stream.tokens, offsets=stream.offsets) for model in models]
    return Mixture(models, best_weights(np.stack(losses) / -math.log(10)))


def best_weights(log10_prob: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights under which tokens are most probable, by expectation maximization.

    Tokens to which no model gives any probability do not count.

    Args:
        log10_prob: What each model gives each token, `(models, t)`.

    Returns:
        `(models,)`, with the sum 1.

    Raises:
        ValueError: No token counts.

    >>> best_weights(np.log10([[0.9, 0.9, 0.1, 0.9], [0.1, 0.1, 0.9, 0.1]])).round(4)
    array([0.8125, 0.1875])
    """
    possible = log10_prob[:, np.isfinite(log10_prob).any(axis=0)]
    if not possible.size:
        raise ValueError(
            "no model gives any token of the tuning text a probability: is it empty, or of another language?"
        )
    probabilities = 10.0 ** (possible - possible.max(axis=0))
    weights = np.full(len(possible), 1 / len(possible))
    for _ in range(MOST_STEPS):
        shares = weights[:, None] * probabilities
        before, weights = weights, (shares / shares.sum(axis=0)).mean(axis=1)
        if np.abs(weights - before).max() < TOLERANCE:
            break
    return np.asarray(weights / weights.sum())


def _is_of_tokens(models: Sequence[Any]) -> bool:
    """Whether the models are of tokens; all of them are, or none is."""
    kinds = {getattr(model, "is_of_tokens", True) for model in models}
    if len(kinds) > 1:
        raise ValueError("models over white-space words and models over tokens cannot be mixed: train all of one kind")
    scores = next((model for model in models if not getattr(model, "is_distribution", True)), None)
    if scores is not None:
        raise ValueError(f"the scores of a model ({scores.smoothing}) are no probabilities, so it cannot be mixed")
    return kinds.pop()


def _finite_highest(log10: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = log10.max(axis=0, initial=-np.inf)
    return np.where(np.isfinite(highest), highest, 0.0)


def _perplexity(log10: NDArray[np.float64]) -> float:
    if not len(log10):
        return math.nan
    mean = -float(log10.mean())
    return 10**mean if mean < 308 else math.inf
