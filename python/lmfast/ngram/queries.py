"""What is asked of a model: scores, perplexity, the next word."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lmfast import _core
from lmfast.ngram import options as checked
from lmfast.ngram.results import Perplexity, TokenScores
from lmfast.ngram.tokens import TokenizerLike, as_documents, as_tokens, encode
from lmfast.progress import bar
from lmfast.source import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["NgramQueries", "NgramState"]

NgramState = _core.NgramState
"""The words before the next one, as far as they matter to a model: states that are equal score alike from there on."""


class NgramQueries:
    """The part of `NgramModel` that changes nothing and makes no model."""

    def __init__(self, core: _core.NgramModel, tokenizer: TokenizerLike | None = None) -> None:
        self._core = core
        self._tokenizer = tokenizer

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return self._core.order

    @property
    def counts(self) -> tuple[int, ...]:
        """How many n-grams there are of each order from 1 up."""
        return tuple(self._core.counts)

    @property
    def num_ngrams(self) -> int:
        """How many n-grams there are in all."""
        return sum(self._core.counts)

    @property
    def smoothing(self) -> str | None:
        """How it was estimated: a name, then what was chosen, as `"add_k k=0.5"`; None where the file does not say."""
        return self._core.method or None

    @property
    def is_distribution(self) -> bool:
        """Whether the words after a context have probabilities, which sum to one, and not mere scores."""
        return self._core.is_distribution

    @property
    def is_of_tokens(self) -> bool:
        """Whether it is a model of a tokenizer's tokens, and not of words between white space."""
        return self._core.is_of_tokens

    @cached_property
    def vocabulary(self) -> Sequence[str]:
        """The words by id, `<unk>`, `<s>` and `</s>` first."""
        return tuple(self._core.vocabulary())

    def score(self, text: str | NDArray[Any], *, bos: bool = True, eos: bool = True) -> float:
        """The log10 probability of a sentence.

        Args:
            text: Words; line ends are white space. For a model of tokens, a document or its token ids, `(t,)`.
            bos: Whether it stands at the beginning of a sentence.
            eos: Whether the sentence ends behind it.
        """
        return self._core.score(self._ids(text), bos=bos, eos=eos)

    def score_batch(
        self,
        texts: Sequence[str],
        *,
        bos: bool = True,
        eos: bool = True,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> NDArray[np.float32]:
        """The log10 probabilities of sentences, `(n,)`; see `score`."""
        with bar(progress) as callback:
            options: dict[str, Any] = {"bos": bos, "eos": eos, "threads": threads, "progress": callback}
            if self._core.is_of_tokens:
                return self._core.score_documents(*encode(iter(texts), self._need_tokenizer()), **options)
            return self._core.score_batch(texts if isinstance(texts, list) else list(texts), **options)

    def token_scores(
        self,
        text: str | NDArray[Any],
        *,
        bos: bool = True,
        eos: bool = True,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> TokenScores:
        """The scores of the tokens of a sentence, or of the word ids of many.

        Args:
            text: As for `score`: one sentence. Or, for a model of words, word ids as `word_ids` gives them, `(t,)`:
                each sentence ends with the id of `</s>`, and the next word begins another. Nothing is added to ids.
            bos: Whether the first word stands at the beginning of a sentence.
            eos: Whether the sentence ends behind its words; `</s>` is scored then. Does not matter to word ids.
            threads: How many threads score word ids; None means every core.
            progress: Whether to show a bar; None means on a terminal.

        Raises:
            ValueError: An id that no word has.

        >>> from lmfast import NgramModel
        >>> model = NgramModel.train(["a b", "a b c"] * 3, order=2, discount_fallback=(0.5, 1, 1.5))
        >>> model.token_scores(model.word_ids(["a b", "c"])).matched_order
        array([2, 2, 2, 1, 2], dtype=uint8)
        """
        if isinstance(text, str) or self._core.is_of_tokens:
            return TokenScores(*self._core.token_scores(self._ids(text), bos=bos, eos=eos))
        ids = np.ascontiguousarray(as_tokens(text), np.uint32)
        with bar(progress) as callback:
            return TokenScores(*self._core.word_scores(ids, bos=bos, threads=threads, progress=callback))

    def word_ids(
        self,
        text: Any,
        *,
        text_field: str = "text",
        text_column: str = "text",
        threads: int | None = None,
        progress: bool | None = None,
    ) -> NDArray[np.uint32]:
        r"""The ids of the words of every line, each line with the id of `</s>` behind it; 0 is the unknown word.

        Args:
            text: A text (`str`), or another source of text: a `Path`, several, or an iterable of documents.
            text_field: The field of a `.jsonl` line that holds the text.
            text_column: The column of a `.parquet` file that holds the text.
            threads: How many threads to use; None means every core.
            progress: Whether to show a bar; None means on a terminal.

        Returns:
            `(t,)`, for `token_scores`; id i is `vocabulary[i]`.

        Raises:
            TypeError: It is a model of tokens, whose ids a tokenizer gives.

        >>> from lmfast import NgramModel
        >>> model = NgramModel.train(["a b", "a b c"] * 3, order=2, discount_fallback=(0.5, 1, 1.5))
        >>> model.word_ids("b a\nc d")
        array([4, 3, 2, 5, 0, 2], dtype=uint32)
        """
        if self._core.is_of_tokens:
            message = "this is a model of tokens: its tokenizer gives their ids"
            raise TypeError(message)
        source = iter([text]) if isinstance(text, str) else resolve(text)
        with bar(progress) as callback:
            return self._core.word_ids(
                source, text_field=text_field, text_column=text_column, threads=threads, progress=callback
            )

    def state(self, *, bos: bool = True) -> NgramState:
        """The state at the beginning of a sentence, or before any word; for decoders, see `advance`.

        Args:
            bos: Whether it is after `<s>`.
        """
        state = NgramState()
        self._core.write_first_state(state, bos=bos)
        return state

    def advance(self, state: NgramState, word: str) -> tuple[float, NgramState]:
        """Score one word after a state.

        Args:
            state: Of this model: by `state`, or by `advance`.
            word: A word, `</s>` to end the sentence; for a model of tokens a token as its vocabulary spells it.

        Returns:
            The word's log10 probability, and the state behind it.

        >>> from lmfast import NgramModel
        >>> model = NgramModel.train(["a b", "a b c"] * 3, order=2, discount_fallback=(0.5, 1, 1.5))
        >>> first, state = model.advance(model.state(), "a")
        >>> second, state = model.advance(state, "b")
        >>> first + second == model.score("a b", eos=False)
        True
        """
        following = NgramState()
        log10_prob, _, _ = self._core.advance(state, word, following)
        return log10_prob, following

    def token_stream_scores(
        self, ids: NDArray[Any], offsets: NDArray[Any], *, threads: int | None = None, progress: bool | None = None
    ) -> NDArray[np.float32]:
        """The log10 probability of every token of every document, given `<s>` and the document's tokens before it.

        Args:
            ids: Token ids, `(t,)`.
            offsets: Where each document starts and the last ends, `(documents + 1,)`.
            threads: How many threads to use; None means every core.
            progress: Whether to show a bar; None means on a terminal.

        Returns:
            `(t,)`; the ends of documents are not scored.
        """
        self._need_tokens()
        with bar(progress) as callback:
            return self._core.token_stream_scores(
                as_tokens(ids), np.ascontiguousarray(offsets, np.uint64), threads=threads, progress=callback
            )

    def perplexity(
        self,
        source: Any,
        *,
        lines: bool = False,
        text_field: str = "text",
        text_column: str = "text",
        threads: int | None = None,
        progress: bool | None = None,
    ) -> Perplexity:
        """What text, or documents of tokens, cost.

        Args:
            source: As for `train`.
            lines: For a model of tokens: whether each line of a file is a document, not the whole file.
            text_field: The field of a `.jsonl` line that holds the text.
            text_column: The column of a `.parquet` file that holds the text.
            threads: How many threads to use; None means every core.
            progress: Whether to show a bar; None means on a terminal.

        Returns:
            Infinite perplexity where a token has no probability at all.

        Raises:
            ValueError: The model is one of stupid backoff, whose scores are no probabilities.
        """
        if not self.is_distribution:
            message = f"the scores of this model ({self.smoothing}) are no probabilities, so there is no perplexity; "
            message += "compare them by score, or train with another smoothing"
            raise ValueError(message)
        with bar(progress) as callback:
            if not self._core.is_of_tokens:
                return Perplexity(
                    *self._core.perplexity(
                        resolve(source),
                        text_field=text_field,
                        text_column=text_column,
                        threads=threads,
                        progress=callback,
                    )
                )
            documents = as_documents(source) or encode(
                source, self._need_tokenizer(), lines=lines, text_field=text_field, text_column=text_column
            )
            return Perplexity(*self._core.perplexity_of_tokens(*documents, threads=threads, progress=callback))

    def next_token_distribution(self, context: str | NDArray[Any] = "") -> NDArray[np.float32]:
        """The probability of every word after `<s>` and a context.

        Args:
            context: The beginning of a sentence: words, or for a model of tokens a text or token ids, `(t,)`.

        Returns:
            `(V,)`; entry i belongs to `vocabulary[i]`, and `<s>` has 0. Scores, if these are no probabilities.
        """
        return self._core.next_token_distribution(self._ids(context))

    def generate(
        self,
        prompt: str = "",
        *,
        max_tokens: int = 50,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> str:
        """Draw what follows a prompt, up to the end of the sentence; never the unknown word.

        Args:
            prompt: The beginning of a sentence.
            max_tokens: Draw at most this many words or tokens.
            temperature: Probabilities are raised to 1 / temperature; 0 takes the most probable word.
            top_k: Draw among this many most probable words only.
            top_p: Draw among the fewest most probable words that have this probability together.
            seed: Equal seeds draw equal text; None draws anew each time.

        Returns:
            The continuation alone.
        """
        options = checked.sampling(max_tokens, temperature, top_k, top_p, seed)
        drawn = self._core.generate(self._ids(prompt), **options)
        if self._core.is_of_tokens:
            return self._need_tokenizer().decode([word - 3 for word in drawn])
        return " ".join(map(self._core.word, drawn))

    def generate_ids(
        self,
        prompt_ids: Sequence[int] | NDArray[Any],
        max_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> list[int]:
        """Draw the token ids that follow others; as `generate`, for a model of tokens."""
        self._need_tokens()
        drawn = self._core.generate(
            as_tokens(prompt_ids), **checked.sampling(max_tokens, temperature, top_k, top_p, seed)
        )
        return [word - 3 for word in drawn]

    def _ids(self, text: str | NDArray[Any]) -> str | NDArray[Any]:
        """Text for a model of words, token ids for one of tokens."""
        if not isinstance(text, str):
            self._need_tokens()
            return as_tokens(text)
        if not self._core.is_of_tokens:
            return text
        return encode(iter([text]), self._need_tokenizer())[0]

    def _need_tokens(self) -> None:
        if not self._core.is_of_tokens:
            message = "this is a model of words: pass text, not token ids"
            raise TypeError(message)

    def _need_tokenizer(self) -> TokenizerLike:
        if self._tokenizer is None:
            message = "this is a model of tokens: pass token ids, or give the tokenizer to train or load"
            raise TypeError(message)
        return self._tokenizer
