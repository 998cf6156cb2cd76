"""A stand-in for the `kenlm` module: the same names, the same numbers.

Programs that import `kenlm` work with `from lmfast.ngram import kenlm_compat as kenlm`, and so does pyctcdecode, whose
modules take it in place of theirs:

    pyctcdecode.decoder.kenlm = pyctcdecode.language_model.kenlm = lmfast.ngram.kenlm_compat

Models are ARPA files, plain or gzipped, or `.lmn` files of words.

>>> import tempfile
>>> from lmfast import NgramModel
>>> from lmfast.ngram import kenlm_compat as kenlm
>>> with tempfile.TemporaryDirectory() as folder:
...     NgramModel.train(["a b", "a b c"] * 3, order=2, discount_fallback=(0.5, 1, 1.5)).save(f"{folder}/m.arpa")
...     model = kenlm.Model(f"{folder}/m.arpa")
>>> state, following = kenlm.State(), kenlm.State()
>>> model.BeginSentenceWrite(state)
>>> model.BaseScore(state, "a", following) == model.score("a", eos=False)
True
>>> "a" in model, "zz" in model
(True, False)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lmfast import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ARPALoadComplain", "Config", "FullScoreReturn", "LanguageModel", "LoadMethod", "Model", "State"]

State = _core.NgramState
"""The words before the next one, as far as they matter. Equal states score alike; they can be hashed and copied."""


class FullScoreReturn(NamedTuple):
    """What is told of one word."""

    log_prob: float
    """Log10 of its probability."""
    ngram_length: int
    """How many words the n-gram has that was found."""
    oov: bool
    """Whether the word is unknown."""


class LoadMethod:
    """How KenLM reads binary files. Here `.lmn` files are mapped, and everything else is read."""

    LAZY = 0
    POPULATE_OR_LAZY = 1
    POPULATE_OR_READ = 2
    READ = 3
    PARALLEL_READ = 4


class ARPALoadComplain:
    """When KenLM warns that an ARPA file is slow to read. Here reading is silent."""

    ALL = 0
    EXPENSIVE = 1
    NONE = 2


class Config:
    """Settings of KenLM that programs make; none of them changes a score, and none is needed here."""

    def __init__(self) -> None:
        self.show_progress = True
        self.arpa_complain = ARPALoadComplain.ALL
        self.load_method = LoadMethod.POPULATE_OR_READ


class Model:
    """A language model, with the methods of `kenlm.Model`."""

    def __init__(self, path: str | bytes | os.PathLike[str], config: Config | None = None) -> None:
        """Open a model.

        Args:
            path: An ARPA file, plain or gzipped, or a `.lmn` file.
            config: Accepted for the sake of programs that pass one.

        Raises:
            OSError: The file is not there, or is no model, as `kenlm` raises.
        """
        self.path: bytes = os.path.abspath(os.fsencode(path))
        """Where the model was opened, absolute."""
        self._config = config
        try:
            self._core = _core.NgramModel.load(os.fsdecode(path), threads=None, progress=None)
        except ValueError as error:
            message = f"Cannot read model: {error}"
            raise OSError(message) from error
        if self._core.is_of_tokens:
            message = f"Cannot read model: {os.fsdecode(path)} is a model of tokens, not of words"
            raise OSError(message)

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return self._core.order

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """Log10 of a sentence's probability; words stand between white space."""
        return self._core.score(_text(sentence), bos=bos, eos=eos)

    def perplexity(self, sentence: str | bytes) -> float:
        """The perplexity of a sentence, its end included."""
        text = _text(sentence)
        return float(10.0 ** (-self._core.score(text, bos=True, eos=True) / (_number_of_words(text) + 1)))

    def full_scores(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> Iterator[FullScoreReturn]:
        """What is told of each word of a sentence."""
        arrays = self._core.token_scores(_text(sentence), bos=bos, eos=eos)
        yield from map(FullScoreReturn, *map(np.ndarray.tolist, arrays))

    def BeginSentenceWrite(self, state: State) -> None:  # noqa: N802
        """Make `state` the one at the beginning of a sentence."""
        self._core.write_first_state(state, bos=True)

    def NullContextWrite(self, state: State) -> None:  # noqa: N802
        """Make `state` the one before any word."""
        self._core.write_first_state(state, bos=False)

    def BaseScore(self, in_state: State, word: str | bytes, out_state: State) -> float:  # noqa: N802
        """Log10 of a word's probability after `in_state`; `out_state` becomes the state behind it."""
        return self._core.advance(in_state, _word(word), out_state)[0]

    def BaseFullScore(self, in_state: State, word: str | bytes, out_state: State) -> FullScoreReturn:  # noqa: N802
        """As `BaseScore`, with what `full_scores` tells."""
        return FullScoreReturn(*self._core.advance(in_state, _word(word), out_state))

    def __contains__(self, word: str | bytes) -> bool:
        return self._core.knows(_word(word))

    def __repr__(self) -> str:
        return f"<Model from {os.path.basename(self.path)!r}>"

    def __reduce__(self) -> tuple[type[Model], tuple[bytes, Config | None]]:
        return type(self), (self.path, self._config)


class LanguageModel(Model):
    """The old name of `Model`."""


def _word(word: str | bytes) -> str:
    return word if isinstance(word, str) else word.decode("utf-8")


def _text(sentence: str | bytes) -> str:
    """A sentence whose words stand between what is white space to a model: vertical tabs and form feeds are so to kenlm."""
    return _word(sentence).replace("\v", " ").replace("\f", " ")


def _number_of_words(text: str) -> int:
    return len(text.encode().split())
