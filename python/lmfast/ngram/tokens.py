"""Token ids in the shapes that the compiled core takes, and what a tokenizer must offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lmfast.source import Source, documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Documents", "TokenizerLike", "as_documents", "as_tokens", "encode", "spellings", "tokens_of"]

Documents = tuple[NDArray[Any], NDArray[np.uint64]]
"""Token ids, and where each document starts and the last ends."""


class TokenizerLike(Protocol):
    """The part of `lmfast.Tokenizer` that models of tokens need."""

    @property
    def vocab_size(self) -> int:
        """The largest id + 1."""

    def id_to_token(self, id: int, /) -> str | None:
        """The spelling of a token."""

    def encode_array(self, texts: Iterable[str], /, *, add_special_tokens: bool, special: Any) -> Any:
        """The ids of texts, as an object with `.ids` and `.offsets`."""

    def decode(self, ids: list[int], /) -> str:
        """The text of tokens."""


def as_tokens(ids: Any) -> NDArray[Any]:
    """A contiguous array of uint16, uint32 or int32, copied only where it is of another kind.

    Args:
        ids: Integers, `(t,)`.

    Raises:
        TypeError: They are no integers in one dimension.
        ValueError: One of them has no room in 32 bits.

    >>> as_tokens([3, 4]).dtype
    dtype('uint32')
    """
    array = np.asarray(ids)
    if array.size == 0 and array.ndim == 1:
        return array.astype(np.uint32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        message = f"token ids are integers in one dimension, not {array.dtype} of shape {array.shape}"
        raise TypeError(message)
    if array.dtype in (np.uint16, np.uint32, np.int32) and array.dtype.isnative:
        return np.ascontiguousarray(array)
    if int(array.min()) < 0 or int(array.max()) >= 2**32:
        message = f"token ids from {array.min()} to {array.max()}: they must lie between 0 and 2**32 - 1"
        raise ValueError(message)
    return np.ascontiguousarray(array, np.uint32)


def as_documents(source: Any) -> Documents | None:
    """The ids and offsets of a token store or a `TokenArray`; None if it is something else."""
    tokens = getattr(source, "tokens", getattr(source, "ids", None))
    offsets = getattr(source, "offsets", None)
    if tokens is None or offsets is None:
        return None
    return as_tokens(tokens), np.ascontiguousarray(offsets, np.uint64)


def encode(
    source: Source,
    tokenizer: TokenizerLike,
    *,
    lines: bool = False,
    text_field: str = "text",
    text_column: str = "text",
) -> Documents:
    """Encode every document of a source. Special tokens spelled out in the text are ordinary text."""
    ids: list[NDArray[Any]] = []
    offsets = [np.zeros(1, np.uint64)]
    for batch in _batches(documents(source, lines=lines, text_field=text_field, text_column=text_column)):
        encoded = tokenizer.encode_array(batch, add_special_tokens=False, special="text")
        ids.append(as_tokens(encoded.ids))
        offsets.append(np.asarray(encoded.offsets[1:], np.uint64) + offsets[-1][-1])
    return (np.concatenate(ids) if ids else np.zeros(0, np.uint32)), np.concatenate(offsets)


def tokens_of(
    source: Any, tokenizer: TokenizerLike | None, *, lines: bool, text_field: str, text_column: str
) -> Documents | None:
    """The ids and offsets of tokens, or of text as a tokenizer encodes it; None for text without one, made of words."""
    given = as_documents(source)
    if given is not None or tokenizer is None:
        return given
    return encode(source, tokenizer, lines=lines, text_field=text_field, text_column=text_column)


def _batches(texts: Iterator[str], characters: int = 4_000_000, most: int = 65_536) -> Iterator[list[str]]:
    """Texts in lists of about so many characters, and no more than so many texts."""
    batch: list[str] = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text)
        if length >= characters or len(batch) >= most:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def spellings(tokenizer: TokenizerLike | None, tokens: NDArray[Any]) -> list[str]:
    """How each token of a vocabulary is spelled; without a tokenizer as its number, up to the largest id there is."""
    if tokenizer is None:
        return [str(token) for token in range(int(tokens.max()) + 1 if tokens.size else 0)]
    spelled = (tokenizer.id_to_token(token) for token in range(tokenizer.vocab_size))
    return [f"<unused-{token}>" if text is None else text for token, text in enumerate(spelled)]
