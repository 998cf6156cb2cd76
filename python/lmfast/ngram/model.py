"""The class that users hold: how models are made, saved and made smaller; `queries` has what is asked of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmfast import _core
from lmfast.ngram import options as checked
from lmfast.ngram.budget import budget
from lmfast.ngram.queries import NgramQueries, NgramState
from lmfast.ngram.results import Perplexity, TokenScores
from lmfast.ngram.tokens import TokenizerLike, spellings, tokens_of
from lmfast.progress import bar
from lmfast.source import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lmfast.ngram.options import Discounts, Smoothing

__all__ = ["NgramModel", "NgramState", "Perplexity", "TokenScores"]


class NgramModel(NgramQueries):
    """An n-gram language model, of words or of a tokenizer's tokens.

    Made by `train` or `load`. Unless smoothed otherwise, a model of words is what KenLM's `lmplz` estimates from the
    same text, to the byte: interpolated modified Kneser-Ney. In a model of tokens every document is a sentence, and the
    whole vocabulary of the tokenizer belongs to the model; its word `i + 3` is the token `i`. All logarithms are to
    base 10.

    >>> model = NgramModel.train(["a b", "a b c"] * 3, order=2, discount_fallback=(0.5, 1, 1.5))
    >>> model.vocabulary
    ('<unk>', '<s>', '</s>', 'a', 'b', 'c')
    >>> model.generate(temperature=0)
    'a b'
    >>> float(model.next_token_distribution("a b").sum().round(5))
    1.0
    """

    def __repr__(self) -> str:
        return f"<NgramModel of order {self.order}, {self.num_ngrams:,} n-grams>"

    @classmethod
    def train(
        cls,
        source: Any,
        order: int = 5,
        *,
        smoothing: Smoothing = "modified_kneser_ney",
        k: float | None = None,
        alpha: float | None = None,
        discount: float | None = None,
        tokenizer: TokenizerLike | None = None,
        prune: Sequence[int] = (0,),
        memory: str | int | None = None,
        discount_fallback: Discounts = "auto",
        interpolate_unigrams: bool = True,
        vocab_pad: int = 0,
        unk: Literal["unknown", "word", "skip", "error"] = "unknown",
        vocabulary: Iterable[str] | None = None,
        temporary_folder: str | os.PathLike[str] | None = None,
        lines: bool = False,
        text_field: str = "text",
        text_column: str = "text",
        threads: int | None = None,
        progress: bool | None = None,
    ) -> NgramModel:
        """Estimate a model.

        With c the count of an n-gram, N that of all words after its context, T how many different ones there are, V how
        many words can follow at all (every one but `<s>`), and p' the probability after the context without its first
        word, the probability after a context that occurs is, by `smoothing`:

        - `"modified_kneser_ney"`: (c - D(c)) / N + weight p', with three discounts an order, on adjusted counts: how
          many different words an n-gram follows (Chen and Goodman 1998, section 3; Heafield et al. 2013).
        - `"kneser_ney"`: the same with one discount an order (Kneser and Ney 1995; Chen and Goodman 1998, section 2.7).
        - `"absolute_discounting"`: (c - D) / N + D T / N p', on the counts themselves (Ney, Essen and Kneser 1994; Chen
          and Goodman 1998, section 2.6). For both D is n1 / (n1 + 2 n2), ni n-grams of the order having the count i,
          unless `discount` sets it.
        - `"witten_bell"`: (c + T p') / (N + T) (Witten and Bell 1991, method C; Chen and Goodman 1998, section 2.5).
        - `"add_k"`: (c + k) / (N + k V) for an n-gram that occurs. What all these leave is shared by the other words,
          not evenly as in NLTK's `Lidstone`, but in proportion to p', as by SRILM's `-addsmooth`: a back-off model can
          hold that (Lidstone 1920; Chen and Goodman 1998, section 2.1).
        - `"stupid_backoff"`: c / N, or `alpha` times the score after the shorter context where there is no c. These are
          scores, not probabilities, and have no perplexity. A context that never occurs is cut at its front without
          `alpha`; the paper scores every word lower alike there. (Brants et al. 2007, equation 5.)
        - `"maximum_likelihood"`: c / N, and 0 for what does not occur: its log10 is -inf, as in NLTK, and -99 in an
          ARPA file, as SRILM writes it; perplexity is infinite then.

        A context that does not occur is cut at its front until it does. The first four are interpolated down to the
        uniform distribution over V words.

        Args:
            source: A source of text (see `lmfast.source`): every line of a document is a sentence of white-space words,
                or, with a tokenizer, every document is a sentence of tokens. Or tokens: a `TokenStore`, a `TokenArray`
                or any object with `.tokens` and `.offsets`, whose documents are sentences.
            order: The length of the longest n-grams, 1 to 20.
            smoothing: What makes probabilities of counts, see above.
            k: For `"add_k"`: what is added to every count, above 0; 1 by default.
            alpha: For `"stupid_backoff"`: above 0 and at most 1; 0.4 by default.
            discount: For `"kneser_ney"` and `"absolute_discounting"`: what is taken from every count, above 0 and at
                most 1.
            tokenizer: Makes a model of tokens. For tokens it gives the vocabulary's size and spellings; without it,
                their vocabulary ends at the largest id and is spelled as numbers.
            prune: N-grams that occur no more often than this are left out: a threshold for each order from 1 up, none
                lower than the one before it; the last one goes on for the orders behind it. `(0, 0, 1)` drops trigrams
                and longer ones that occur once. What they would have had goes to the shorter contexts, and what words
                would have had to all others or, by add-k and stupid backoff, to the unknown one. Not for maximum
                likelihood. A model that is there already is pruned by `prune`.
            memory: About how much memory the call takes besides the interpreter, the vocabulary included: bytes, or
                `"512M"`, `"1G"`, `"50%"` of the machine's. What does not fit goes to working files, and the model stays
                there; it is the same at any budget. Less than `"16M"` is taken for that: buffers have a least size.
                Saved as ARPA it takes no more; the index of `.lmn`, and of scoring many words, is made in memory.
                None: all in memory, which is as fast or faster where it fits.
            discount_fallback: The discounts of an order whose counts give none. `"auto"`: 0.5, 1 and 1.5, with a
                warning; three numbers, without; None: a ValueError. With one discount an order `"auto"` is 0.75, and a
                number takes the place of the three.
            interpolate_unigrams: False gives the mass that unigrams leave to the unknown word alone, as SRILM does.
            vocab_pad: Unigrams are interpolated with a uniform distribution over at least this many words.
            unk: What a `<unk>` spelled out in text is: the `"unknown"` word itself; a `"word"` apart from it; white
                space (`"skip"`); or an `"error"`.
            vocabulary: N-grams with any other word than these are left out, as by `lmplz --limit_vocab_file`; None
                allows every word.
            temporary_folder: Where working files go with `memory`, some 150 bytes for each n-gram; None means the
                system's. They have no names, and are gone with the model however the program ends.
            lines: With a tokenizer: whether each line of a file is a document, not the whole file.
            text_field: The field of a `.jsonl` line that holds the text.
            text_column: The column of a `.parquet` file that holds the text.
            threads: How many threads to use; None means every core. The model does not depend on it.
            progress: Whether to show a bar; None means on a terminal.

        Raises:
            ValueError: An option out of range, of another smoothing; text that spells out a
                sentence mark; no text; counts without discounts and `discount_fallback=None`.
            OSError: A file that cannot be read; no room for working files.

        >>> NgramModel.train(["to be or not to be"], order=2, discount_fallback=(0.5, 1, 1.5)).num_ngrams
        13
        >>> model = NgramModel.train(["to be or not to be"], order=2, smoothing="add_k", k=0.5)
        >>> round(10 ** model.score("to", eos=False), 6)  # (1 + 0.5) / (1 + 0.5 * 6)
        0.375
        """
        checked.fits_memory(memory, smoothing)
        options = _core.NgramOptions(
            order,
            prune=checked.thresholds(prune),
            vocabulary=None if vocabulary is None else checked.words(vocabulary),
            discount_fallback=checked.discounts(discount_fallback, smoothing),
            **checked.smoothed(smoothing, k=k, alpha=alpha, discount=discount),
            interpolate_unigrams=interpolate_unigrams,
            vocab_pad=vocab_pad,
            memory=budget(memory, temporary_folder),
            threads=threads,
        )
        documents = tokens_of(source, tokenizer, lines=lines, text_field=text_field, text_column=text_column)
        with bar(progress) as callback:
            if documents is None:
                core = _core.train_ngrams_of_words(
                    resolve(source),
                    options,
                    text_field=text_field,
                    text_column=text_column,
                    unk=unk,
                    progress=callback,
                )
            else:
                core = _core.train_ngrams_of_tokens(
                    *documents, spellings(tokenizer, documents[0]), options, progress=callback
                )
        if discount_fallback == "auto" and core.fallback_orders:
            checked.warn_of_fallback(core.fallback_orders, smoothing)
        return cls(core, tokenizer)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        tokenizer: TokenizerLike | None = None,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> NgramModel:
        """Open a model: a `.lmn` file, mapped without reading it, or an ARPA file, plain or gzipped.

        Args:
            path: The file; its content tells what it is.
            tokenizer: For a model of tokens, what encodes and decodes text.
            threads: How many threads to use; None means every core.
            progress: Whether to show a bar; None means on a terminal.

        Raises:
            FormatError: A file that is neither, or is damaged. Binary files of KenLM are not read.
            OSError: A file that cannot be read.
        """
        with bar(progress) as callback:
            return cls(_core.NgramModel.load(os.fspath(path), threads=threads, progress=callback), tokenizer)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        compact: bool = False,
        quantize_bits: int | None = None,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> None:
        """Write the model to a file, which appears whole or not at all.

        Args:
            path: `*.lmn`, which opens at once; `*.arpa` or `*.arpa.gz`, which other programs read.
            compact: For `.lmn`: a form of a few bytes an n-gram, whose scores have the same bits. Smallest, about two
                bytes, are models that `train` estimated without pruning: of them counts are kept, and smoothed anew
                when asked. Of all others the numbers themselves are kept, in about eight. Scores take longer.
            quantize_bits: Of the compact form: instead of exact numbers, of each order 2 to the power of this, 2 to 16;
                8 changes perplexity by less than a percent. Meant for models whose numbers are kept.
            threads: How many threads to use; None means every core.
            progress: Whether to show a bar; None means on a terminal.

        Raises:
            ValueError: Another ending; a word that an ARPA file cannot hold; `quantize_bits` out of range.
            OSError: The file cannot be written; what was there before is untouched.
        """
        name = os.fspath(path)
        if compact and not name.endswith(".lmn"):
            message = f"{name}: the compact form is a .lmn file; name one, or leave compact=True out"
            raise ValueError(message)
        if quantize_bits is not None and not compact:
            message = f"quantize_bits={quantize_bits} is for the compact form: add compact=True"
            raise ValueError(message)
        with bar(progress) as callback:
            if compact:
                self._core.save_compact(name, quantize_bits=quantize_bits, threads=threads, progress=callback)
            elif name.endswith(".lmn"):
                self._core.save_lmn(name, progress=callback)
            elif name.endswith((".arpa", ".arpa.gz")):
                self._core.save_arpa(name, threads=threads, progress=callback)
            else:
                message = f"{name}: a model is saved as .lmn, .arpa or .arpa.gz; {Path(name).suffix!r} is none of them"
                raise ValueError(message)

    def prune(self, *, threshold: float, threads: int | None = None, progress: bool | None = None) -> NgramModel:
        """A smaller model, without the n-grams that matter least.

        An n-gram goes if, without it, the perplexity of the model's own distribution rises by less than `threshold` of
        itself, unless a longer one that stays begins with it; unigrams stay. Back-off weights are computed anew, so
        that all still sums to one. This is relative-entropy pruning (Stolcke 1998, equation 5), as by SRILM's `-prune`.
        It judges Kneser-Ney models by their own probabilities of contexts, which suits others better (Chelba et al.
        2010). To leave out n-grams by their counts, use `train(prune=)`: a model knows no counts.

        Args:
            threshold: Above 0; 1e-8 is usual for large models, 3e-7 prunes much.
            threads: How many threads to use; None means every core.
            progress: Whether to show a bar; None means on a terminal.

        Raises:
            ValueError: A threshold out of range, or scores that are no probabilities.

        >>> model = NgramModel.train(["a b", "a b c", "b a"] * 3, order=2, smoothing="witten_bell")
        >>> model.counts, model.prune(threshold=0.05).counts
        ((6, 8), (6, 4))
        """
        with bar(progress) as callback:
            core = _core.prune_ngrams(self._core, threshold, threads=threads, progress=callback)
        return NgramModel(core, self._tokenizer)

    def filter(self, vocabulary: Iterable[str], *, progress: bool | None = None) -> NgramModel:
        """A model with the n-grams of none but these words, as by KenLM's `filter single`.

        Probabilities and back-off weights stay as they are, so sentences of these words keep their scores. Every other
        word is unknown from here on; what it had is lost, so that the probabilities after a context no longer sum to
        one.

        Args:
            vocabulary: Words; those that the model does not know are passed over.
            progress: Whether to show a bar; None means on a terminal.

        Raises:
            ValueError: It is a model of tokens, whose vocabulary is closed.

        >>> model = NgramModel.train(["a b", "a b c"] * 3, order=2, smoothing="witten_bell").filter(["a", "b"])
        >>> model.vocabulary, model.counts
        (('<unk>', '<s>', '</s>', 'a', 'b'), (5, 3))
        """
        with bar(progress) as callback:
            return NgramModel(_core.filter_ngrams(self._core, checked.words(vocabulary), progress=callback))

    def verify(self, *, progress: bool | None = None) -> None:
        """Read the whole file that the model is mapped from, and compare its checksums.

        Raises:
            FormatError: The file is damaged.
        """
        with bar(progress) as callback:
            self._core.verify(progress=callback)
