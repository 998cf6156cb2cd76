"""Ids to text as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import lmfast._core as compiled

__all__ = ["Decoder"]


class Decoder:
    """Decodes ids as they come, and never gives half a character.

    >>> from lmfast import Tokenizer
    >>> tokenizer = Tokenizer.train(["é"], 257)
    >>> stream = tokenizer.decoder()
    >>> [stream.push(id) for id in tokenizer.encode("éa")], stream.finish()
    (['', 'é', 'a'], '')
    """

    __slots__ = ("_core",)

    def __init__(self, core: compiled.Decoder) -> None:
        self._core = core

    def push(self, id: int) -> str:
        """Take the next id and give the text that has become whole.

        Raises:
            ValueError: An id that is not in the vocabulary; the decoder then stands where it stood.
        """
        return self._core.push(id)

    def finish(self) -> str:
        """Give what is left, U+FFFD for half a character, and stand at the beginning of a text again."""
        return self._core.finish()
