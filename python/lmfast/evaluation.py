"""How well a model predicts a text, in figures that compare across models.

The text becomes one stream of tokens and every token but the first is predicted once, so that models with the same
tokenizer are measured on the same tokens; bits per byte compare across tokenizers too.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from lmfast.source import Source, documents, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import nn

__all__ = ["Evaluation", "Ngram", "Stream", "TextTokenizer", "Tokens", "encode_stream", "evaluate", "token_losses"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `evaluate` gives.

    Args:
        loss: Nats a token, the mean.
        perplexity: exp(loss).
        bits_per_byte: Bits of the whole text over its bytes; None if those are unknown.
        accuracy: The share of tokens that were the model's first choice; None of an n-gram model.
        tokens: Tokens predicted.
        bytes: The text's size in UTF-8; None if unknown.
    """

    loss: float
    perplexity: float
    bits_per_byte: float | None
    accuracy: float | None
    tokens: int
    bytes: int | None


class TextTokenizer(Protocol):
    """What is asked of a tokenizer: `lmfast.Tokenizer` or anything like it.

    `end_of_text` (an id or None), `encode_array` and `decode_bytes` are used where they are there.
    """

    def encode(self, text: str, /) -> Sequence[int]:
        """The ids of a text."""


@runtime_checkable
class Tokens(Protocol):
    """What is asked of tokens that are there already: `lmfast.TokenStore` or anything like it.

    `text_bytes`, the size of their text or None, is used where it is there.
    """

    @property
    def tokens(self) -> np.ndarray:
        """All ids, (N,)."""

    @property
    def offsets(self) -> np.ndarray:
        """Where each document begins, and the end: (documents + 1,)."""


@runtime_checkable
class Ngram(Protocol):
    """What is asked of an n-gram model: `lmfast.NgramModel` or anything like it."""

    def perplexity(self, source: Any, /) -> Any:
        """Figures over a text cut into words."""

    def token_stream_scores(self, ids: np.ndarray, offsets: np.ndarray, /) -> np.ndarray:
        """log10 of the probability of each token of a stream of documents, (N,)."""


@dataclass(frozen=True)
class Stream:
    """Tokens in memory, as `Tokens` asks for them: what `encode_stream` makes of a text."""

    tokens: np.ndarray
    offsets: np.ndarray
    text_bytes: int | None


def evaluate(
    model: nn.Module | Ngram,
    source: Source | Tokens,
    *,
    tokenizer: TextTokenizer | None = None,
    seq_len: int | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
) -> Evaluation:
    """Measure a model on a text.

    Several documents are one stream, each followed by the tokenizer's end-of-text token where it has one; a single
    document is its ids alone. Windows start at multiples of `seq_len`, the last may be short; recurrent models carry
    their state from one to the next.

    Args:
        model: A neural model or an n-gram model.
        source: Text (see `lmfast.source`), or a `TokenStore`.
        tokenizer: Makes the tokens of a text. An n-gram model without one is measured on its own words: `tokens` and
            `perplexity` are then `perplexity(source).tokens` and `.with_unknown`.
        seq_len: Tokens in a window; by default the model's whole context.
        batch_size: Windows side by side, which changes only speed; by default as fits. A recurrent model takes one.
        device: Where a neural model computes; by default the GPU where there is one. It is moved back afterwards.

    Raises:
        ValueError: Fewer than two tokens, no tokenizer where one is needed, an id past the vocabulary.

    >>> from lmfast import models
    >>> class Letters:
    ...     def encode(self, text):
    ...         return [ord(letter) - 97 for letter in text]
    >>> evaluate(models.build("gru", vocab_size=26), ["abcab"], tokenizer=Letters(), device="cpu").tokens
    4
    """
    if not getattr(model, "is_distribution", True):
        raise ValueError("the scores of stupid_backoff are no probabilities, so they have no loss and no perplexity")
    if isinstance(model, Ngram) and tokenizer is None and not isinstance(source, Tokens):
        return _word_level(model, source)
    stream = _counted(source, tokenizer) if isinstance(source, Tokens) else encode_stream(source, tokenizer)
    if isinstance(model, Ngram):
        nats, hits = token_losses(model, stream.tokens, offsets=stream.offsets), None
    else:
        from lmfast.models.scoring import score_tokens

        nats, hits = score_tokens(model, stream.tokens, seq_len=seq_len, batch_size=batch_size, device=device)
    accuracy = None if hits is None else float(hits.mean())
    return _figures(float(nats.mean()), len(nats), stream.text_bytes, accuracy)


def token_losses(
    model: nn.Module | Ngram,
    ids: np.ndarray | Sequence[int],
    *,
    offsets: np.ndarray | None = None,
    seq_len: int | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """The loss on each token of a stream but the first.

    Args:
        model: A neural model, or an n-gram model of the same tokens.
        ids: The stream, (N,) integers.
        offsets: Where documents begin, for an n-gram model: (documents + 1,); by default there is one.
        seq_len: As for `evaluate`.
        batch_size: As for `evaluate`.
        device: As for `evaluate`.

    Returns:
        Nats, (N - 1,) float64.

    Raises:
        ValueError: Fewer than two tokens, or an id past the vocabulary.
    """
    stream = np.asarray(ids)
    if isinstance(model, Ngram):
        _check_length(stream)
        ends = np.array([0, len(stream)], dtype=np.uint64) if offsets is None else offsets
        log10 = model.token_stream_scores(stream.astype(np.uint32, copy=False), ends)
        return -math.log(10) * log10[1:].astype(np.float64)
    from lmfast.models.scoring import score_tokens

    return score_tokens(model, stream, seq_len=seq_len, batch_size=batch_size, device=device)[0]


def _word_level(model: Ngram, source: Any) -> Evaluation:
    """An n-gram model on its own words. Files are read twice, here for their size; other documents are kept."""
    resolved = resolve(source)
    again: Any = [Path(name) for name in resolved] if isinstance(resolved, list) else list(resolved)
    num_bytes = sum(len(text.encode()) for text in documents(again))
    own = model.perplexity(again)
    return _figures(math.log(own.with_unknown), int(own.tokens), num_bytes, None)


def _figures(loss: float, num_tokens: int, num_bytes: int | None, accuracy: float | None) -> Evaluation:
    return Evaluation(
        loss=loss,
        perplexity=math.exp(loss) if loss < 709 else math.inf,
        bits_per_byte=loss * num_tokens / math.log(2) / num_bytes if num_bytes else None,
        accuracy=accuracy,
        tokens=num_tokens,
        bytes=num_bytes,
    )


def _check_length(ids: np.ndarray) -> None:
    if len(ids) < 2:
        raise ValueError(f"the text has {len(ids)} tokens; the first is never predicted, so at least 2 are needed")


def encode_stream(source: Source, tokenizer: TextTokenizer | None) -> Stream:
    """A text as the stream of tokens that `evaluate` measures a model on; give it to several models in turn.

    Args:
        source: The text; it is held in memory.
        tokenizer: Makes the tokens.

    Raises:
        ValueError: No tokenizer.

    >>> class Letters:
    ...     def encode(self, text):
    ...         return [ord(letter) - 97 for letter in text]
    >>> encode_stream(["abc"], Letters()).tokens
    array([0, 1, 2])
    """
    if tokenizer is None:
        raise ValueError("tokenizer= is needed to evaluate a text: the one whose ids the model was trained on")
    texts = list(documents(source))
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"a document is a str, not {type(text).__name__}")
    ids, offsets = _encode(tokenizer, texts)
    return Stream(ids, offsets, sum(len(text.encode()) for text in texts))


def _counted(source: Tokens, tokenizer: TextTokenizer | None) -> Stream:
    """Tokens that are there already, with the size of their text."""
    text_bytes = getattr(source, "text_bytes", None)
    if text_bytes is None:
        text_bytes = _decoded_bytes(source.tokens, tokenizer)
    return Stream(source.tokens, source.offsets, text_bytes)


def _encode(tokenizer: Any, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """All ids and where documents begin; several documents end with the end-of-text token, if there is one."""
    if len(texts) == 1 or not hasattr(tokenizer, "encode_array"):
        documents = [np.asarray(tokenizer.encode(text), dtype=np.int64) for text in texts]
    else:
        encoded = tokenizer.encode_array(texts)
        ends = encoded.offsets.astype(np.int64)
        documents = [encoded.ids[begin:end].astype(np.int64) for begin, end in itertools.pairwise(ends)]
    end_of_text = getattr(tokenizer, "end_of_text", None)
    if len(documents) > 1 and end_of_text is not None:
        documents = [np.append(document, end_of_text) for document in documents]
    offsets = np.cumsum([0, *(len(document) for document in documents)]).astype(np.uint64)
    return (np.concatenate(documents) if documents else np.empty(0, np.int64)), offsets


def _decoded_bytes(ids: np.ndarray, tokenizer: Any) -> int | None:
    """The size of the text of tokens, without their end-of-text tokens; None without a tokenizer that decodes."""
    if not hasattr(tokenizer, "decode_bytes"):
        return None
    end_of_text = getattr(tokenizer, "end_of_text", None)
    kept = ids if end_of_text is None else ids[ids != end_of_text]
    return len(tokenizer.decode_bytes(kept.tolist()))
