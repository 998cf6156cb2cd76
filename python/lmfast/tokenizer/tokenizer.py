"""The tokenizer that users hold: how it is made and kept; `codec` has what it does."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import lmfast._core as compiled
from lmfast.progress import bar
from lmfast.source import Source, resolve
from lmfast.tokenizer.arguments import at_least, thread_count
from lmfast.tokenizer.codec import Codec
from lmfast.tokenizer.files import find

if TYPE_CHECKING:
    from lmfast.cleaning import Cleaning

__all__ = ["Tokenizer"]

_SPECIAL_TOKENS = {
    "bpe": ("<|endoftext|>",),
    "wordpiece": ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    "unigram": ("<unk>", "<s>", "</s>"),
    "word": ("<unk>", "<|endoftext|>"),
    "char": ("<unk>", "<|endoftext|>"),
}
_MIN_FREQUENCY = {"bpe": 2, "wordpiece": 2, "unigram": 1, "word": 2, "char": 1}


class Tokenizer(Codec):
    """Turns text into token ids, and back.

    Immutable, and shared by any number of threads. Made by `train` or `from_file`.

    >>> tokenizer = Tokenizer.train(["the cat sat on the mat"] * 3, 269)
    >>> ids = tokenizer.encode("the mat")
    >>> tokenizer.decode(ids)
    'the mat'
    """

    __slots__ = ()

    def __init__(self) -> None:
        message = "a Tokenizer is made by Tokenizer.train(...) or Tokenizer.from_file(...)"
        raise TypeError(message)

    @classmethod
    def _of(cls, core: compiled.Tokenizer) -> Tokenizer:
        tokenizer = cls.__new__(cls)
        tokenizer._core = core
        return tokenizer

    @classmethod
    def _from_state(cls, state: bytes) -> Tokenizer:
        return cls._of(compiled.Tokenizer.from_state(state))

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
    ) -> Tokenizer:
        """Read a vocabulary.

        - `tokenizer.json` of `tokenizers`: BPE, WordPiece, Unigram and words, with every step around them. Truncation
          and padding written in it are about batches and not applied by `encode`; calling the tokenizer takes their
          directions and the padding token from there.
        - `*.tiktoken`: r50k_base, p50k_base, cl100k_base, o200k_base, Llama 3 and Qwen are known by their content,
          o200k_harmony by its name; others need `pattern`.
        - `vocab.txt` of BERT: text is lower-cased, unless `tokenizer_config.json` beside it says otherwise.
        - `vocab.json` beside `merges.txt`, of GPT-2: either of them.
        - `*.model` of SentencePiece, Unigram or BPE: the ids and texts are those of its library. Control symbols and
          the unknown piece are the special tokens.

        Args:
            path: The file, or a folder that holds one.
            pattern: For `*.tiktoken`: how text is cut, a name or a regular expression as in `train`.
            special_tokens: For `*.tiktoken`: special tokens with their ids, in place of those known for the file.

        Raises:
            FormatError: The file is damaged, or has something that is not supported; the message names the field or
                the line.
            ValueError: A pattern that cannot be used, or `pattern` or `special_tokens` for another kind of file.
            OSError: The file cannot be read.
        """
        tokens = None if special_tokens is None else list(special_tokens.items())
        return cls._of(compiled.Tokenizer.open(find(path), pattern, tokens))

    @classmethod
    def train(
        cls,
        source: Source,
        vocab_size: int,
        *,
        kind: Literal["bpe", "wordpiece", "unigram", "word", "char"] = "bpe",
        pattern: str | None = None,
        special_tokens: Iterable[str] | None = None,
        min_frequency: int | None = None,
        tie_order: Literal["characters", "bytes"] | None = None,
        limit_alphabet: int | None = None,
        initial_alphabet: Iterable[str] = (),
        max_token_length: int | None = None,
        lowercase: bool | None = None,
        byte_fallback: bool | None = None,
        continue_from: Tokenizer | None = None,
        text_field: str = "text",
        text_column: str = "text",
        cleaning: Cleaning | None = None,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> Tokenizer:
        """Make a vocabulary from text.

        The result depends on the text and the settings alone; for "bpe" and "word" it is that of `tokenizers`'
        trainers. A file is read by line, each with its line end; a member of an iterable is a document. Special tokens
        spelled out in the text are ordinary text. Memory is in proportion to the different words, not to the text.

        Args:
            source: Files, or an iterable of documents.
            vocab_size: The most tokens, special ones included.
            kind: "bpe": byte-level byte pair encoding. "wordpiece": words and parts of words as in BERT, with
                `[CLS]` before and `[SEP]` behind a text where these are special tokens. "unigram": tokens with
                probabilities, as in sentencepiece. "word": what lies between white space, the most frequent first,
                ties in the order of their bytes. "char": each character, likewise.
            pattern: "bpe": how text is cut before: "gpt2" (None), "cl100k", "o200k", "llama3", "qwen2", or a regular
                expression in the syntax of `tokenizers`.
            special_tokens: They come first. But for "bpe" the first stands for what is unknown; without any, unknown
                text is an error. None: `("<|endoftext|>",)` for "bpe", `("<unk>", "<|endoftext|>")` for "word" and
                "char", `("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")` for "wordpiece", `("<unk>", "<s>", "</s>")` for
                "unigram", none with `continue_from`.
            min_frequency: Pairs ("bpe", "wordpiece"), words or characters that occur less often are left out. None: 2,
                for "char" and "unigram" 1.
            tie_order: "bpe": the order of bytes, and so which of two equally frequent pairs comes first. "characters"
                (None): that of the characters that spell them, as in `tokenizers`; "bytes": their own, as in minbpe
                and rustbpe.
            limit_alphabet: "wordpiece": so many characters, the most frequent, become tokens; words with others are
                unknown. None: all.
            initial_alphabet: "wordpiece", "unigram": characters that become tokens whether they occur or not.
            max_token_length: "bpe" (in bytes), "wordpiece" (in characters): no merge makes a token of this length or
                more, as in `tokenizers`. "unigram": the longest token in characters, 16 for None.
            lowercase: "wordpiece": whether letters become small and lose their accents (None: True).
            byte_fallback: "unigram": 256 tokens spell characters that the text does not have (None: False).
            continue_from: "bpe": a tokenizer whose ids, merges and way of cutting are kept, and new tokens added.
            text_field: The field of a `.jsonl` line that holds the text.
            text_column: The column of a `.parquet` file that holds the text.
            cleaning: What is done to the text before; to a file of text by line.
            threads: Threads; None: every core.
            progress: A bar on standard error: True, False, or None for one on a terminal.

        Returns:
            The tokenizer. Where the text has fewer tokens than wanted, it has fewer; but for "word" and "char" a
            warning says so.

        Raises:
            ValueError: A setting that cannot be used, or is one of another kind; the message names it.

        >>> begun = Tokenizer.train(["the cat sat on the mat"] * 3, 262)
        >>> more = Tokenizer.train(["the dog sat on the log"] * 3, 266, continue_from=begun)
        >>> all(more.token_to_id(token) == id for token, id in begun.vocab().items())
        True
        """
        if kind not in _SPECIAL_TOKENS:
            message = f"kind={kind!r}: one of {', '.join(map(repr, _SPECIAL_TOKENS))} is wanted"
            raise ValueError(message)
        if isinstance(special_tokens, str):
            message = f"special_tokens={special_tokens!r}: a sequence of str is wanted, not a str"
            raise TypeError(message)
        alphabet = list(initial_alphabet)
        if wrong := [letter for letter in alphabet if not isinstance(letter, str) or len(letter) != 1]:
            message = f"initial_alphabet: {wrong[0]!r} is not a character"
            raise ValueError(message)
        default = () if continue_from is not None else _SPECIAL_TOKENS[kind]
        special = default if special_tokens is None else tuple(special_tokens)
        frequency = _MIN_FREQUENCY[kind] if min_frequency is None else at_least("min_frequency", min_frequency, 0)
        size = at_least("vocab_size", vocab_size, 1)
        with bar(progress) as callback:
            core = compiled.Tokenizer.train(
                resolve(source),
                size,
                kind,
                pattern=pattern,
                special_tokens=list(special),
                min_frequency=frequency,
                tie_order=tie_order,
                limit_alphabet=None if limit_alphabet is None else at_least("limit_alphabet", limit_alphabet, 1),
                initial_alphabet=alphabet,
                max_token_length=None
                if max_token_length is None
                else at_least("max_token_length", max_token_length, 1),
                lowercase=lowercase,
                byte_fallback=byte_fallback,
                continue_from=None if continue_from is None else continue_from._core,
                text_field=text_field,
                text_column=text_column,
                cleaning=cleaning,
                threads=thread_count(threads),
                progress=callback,
            )
        if kind not in ("word", "char") and core.vocab_size < size:
            message = (
                f"vocab_size={vocab_size}: the text supports {core.vocab_size} tokens, and no more were made; "
                f"pass a smaller vocab_size, a lower min_frequency (now {frequency}) or more text"
            )
            warnings.warn(message, stacklevel=2)
        return cls._of(core)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `tokenizer.json`, which `tokenizers` and `transformers` read.

        It has every step, but not the truncation and the padding of the file that was read, which `tokenizers` would
        apply to every text.

        A SentencePiece model becomes BPE on characters, with the same ids for every text. What `tokenizers` would do
        otherwise is refused: Unigram, a table of the normalizer as nmt_nfkc has it (identity has none), unused pieces,
        user-defined pieces of more than a character where spaces are put or left out, pieces of one score whose order
        matters. An unknown piece is decoded as it is spelled, and of U+2581 at the beginning of a text one is left out.

        Raises:
            ValueError: A `tokenizer.json` cannot say exactly what this tokenizer does; the message names what.
            OSError: The file cannot be written; what was there is untouched.
        """
        self._core.save(path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return self._core is other._core or self._core.state() == other._core.state()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return Tokenizer._from_state, (self._core.state(),)

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size})"
