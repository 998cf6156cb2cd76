"""The tokenizer that users hold."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

import lmfast._core as compiled
from lmfast.progress import bar
from lmfast.source import Source, resolve
from lmfast.tokenizer.arrays import TokenArray
from lmfast.tokenizer.decoder import Decoder
from lmfast.tokenizer.files import find
from lmfast.tokenizer.resume import CHECKPOINT_SECONDS, key_of

if TYPE_CHECKING:
    import numpy as np

    from lmfast.cleaning import Cleaning
    from lmfast.data import TokenStore

__all__ = ["Tokenizer"]

Special = Literal["parse", "text", "refuse"]
"""What a special token spelled out in the text becomes: its id, ordinary text, or a ValueError."""

Truncation = Literal["longest_first", "only_first", "only_second"]
"""Which text of a row is cut."""

Ids = Sequence[int] | npt.NDArray[Any]
"""Token ids: a sequence of integers or an array of them."""

_SPECIAL_TOKENS = {
    "bpe": ("<|endoftext|>",),
    "wordpiece": ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"),
    "unigram": ("<unk>", "<s>", "</s>"),
    "word": ("<unk>", "<|endoftext|>"),
    "char": ("<unk>", "<|endoftext|>"),
}
_MIN_FREQUENCY = {"bpe": 2, "wordpiece": 2, "unigram": 1, "word": 2, "char": 1}


class Tokenizer:
    """Turns text into token ids, and back.

    Immutable, and shared by any number of threads. Made by `train` or `from_file`.

    >>> tokenizer = Tokenizer.train(["the cat sat on the mat"] * 3, 269)
    >>> ids = tokenizer.encode("the mat")
    >>> tokenizer.decode(ids)
    'the mat'
    """

    __slots__ = ("_core",)

    _core: compiled.Tokenizer

    def __init__(self) -> None:
        message = "a Tokenizer is made by Tokenizer.train(...) or Tokenizer.from_file(...)"
        raise TypeError(message)

    @classmethod
    def _of(cls, core: compiled.Tokenizer) -> Tokenizer:
        tokenizer = cls.__new__(cls)
        tokenizer._core = core
        return tokenizer

    @classmethod
    def _from_json(cls, text: str) -> Tokenizer:
        return cls._from_state(text.encode())

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
          the unknown piece are the special tokens. It cannot be saved as a `tokenizer.json`, which would be inexact.

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
        frequency = _MIN_FREQUENCY[kind] if min_frequency is None else _at_least("min_frequency", min_frequency, 0)
        size = _at_least("vocab_size", vocab_size, 1)
        with bar(progress) as callback:
            core = compiled.Tokenizer.train(
                resolve(source),
                size,
                kind,
                pattern=pattern,
                special_tokens=list(special),
                min_frequency=frequency,
                tie_order=tie_order,
                limit_alphabet=None if limit_alphabet is None else _at_least("limit_alphabet", limit_alphabet, 1),
                initial_alphabet=alphabet,
                max_token_length=None
                if max_token_length is None
                else _at_least("max_token_length", max_token_length, 1),
                lowercase=lowercase,
                byte_fallback=byte_fallback,
                continue_from=None if continue_from is None else continue_from._core,
                text_field=text_field,
                text_column=text_column,
                cleaning=cleaning,
                threads=_threads(threads),
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

        Raises:
            OSError: The file cannot be written; what was there is untouched.
        """
        self._core.save(path)

    def encode(self, text: str, *, add_special_tokens: bool = True, special: Special = "parse") -> list[int]:
        """The ids of a text.

        Args:
            text: The text.
            add_special_tokens: Put the special tokens of the file's template around it.
            special: What special tokens spelled out in the text become. "text" covers tokens marked special; other
                added tokens are found all the same.

        Raises:
            ValueError: A special token that `special="refuse"` forbids, text that a vocabulary without an unknown
                token lacks, or half a surrogate pair.
        """
        return self._core.encode(text, add_special_tokens, special)

    def encode_batch(
        self,
        texts: Iterable[str],
        *,
        add_special_tokens: bool = True,
        special: Special = "parse",
        threads: int | None = None,
        progress: bool | None = None,
    ) -> list[list[int]]:
        """The ids of many texts, a list for each; `encode_array` is faster and smaller. See `encode`."""
        with bar(progress) as callback:
            return self._core.encode_batch(_texts(texts), add_special_tokens, special, _threads(threads), callback)

    def encode_array(
        self,
        texts: Iterable[str],
        *,
        add_special_tokens: bool = True,
        special: Special = "parse",
        threads: int | None = None,
        progress: bool | None = None,
    ) -> TokenArray:
        """The ids of many texts in one array, the same with any number of threads. See `encode`."""
        with bar(progress) as callback:
            return TokenArray(
                *self._core.encode_array(_texts(texts), add_special_tokens, special, _threads(threads), callback)
            )

    def __call__(
        self,
        texts: Iterable[str],
        text_pairs: Iterable[str] | None = None,
        *,
        max_length: int | None = None,
        truncation: bool | Truncation = False,
        padding: bool | Literal["max_length"] = False,
        return_offsets: bool | Literal["bytes"] = False,
        add_special_tokens: bool = True,
        special: Special = "parse",
        threads: int | None = None,
        progress: bool | None = None,
    ) -> dict[str, npt.NDArray[np.int64]]:
        """Texts, or pairs of texts, as the arrays that a model takes.

        Args:
            texts: The texts, one a row.
            text_pairs: For each text a second one, which the file's template for pairs puts behind it.
            max_length: The most tokens of a row, special ones included.
            truncation: What is cut of a row that is longer. True or "longest_first": the longer text, or both to the
                same length; "only_first", "only_second": that text, and ValueError if that is not enough.
            padding: True: rows are filled up to the longest; "max_length": to `max_length`. With the file's `pad_id`,
                or else its `[PAD]`, `<pad>` or `<|pad|>`, or else its end of text.
            return_offsets: Where each token lies in its text: True: in characters, "bytes": in bytes of UTF-8.
            add_special_tokens: As in `encode`.
            special: As in `encode`.
            threads: Threads that encode; None: every core.
            progress: A bar on standard error: True, False, or None for one on a terminal.

        Returns:
            `input_ids`, `attention_mask` (1 for tokens, 0 for padding) and `token_type_ids`, each (rows, length) int64,
            and with `return_offsets` also `offsets`, (rows, length, 2) int64, 0 and 0 for special tokens and padding.

        Raises:
            ValueError: Rows of different length without padding; a row that cannot be cut as wanted; options that
                contradict each other; and as `encode`.

        >>> tokenizer = Tokenizer.train(["the cat sat on the mat"] * 3, 269)
        >>> rows = tokenizer(["the mat", "a cat sat"], padding=True)
        >>> rows["input_ids"].shape == rows["attention_mask"].shape
        True
        """
        strategy = "longest_first" if truncation is True else truncation or None
        fill = "longest" if padding is True else padding or None
        offsets = "characters" if return_offsets is True else return_offsets or None
        length = None if max_length is None else _at_least("max_length", max_length, 0)
        pairs = None if text_pairs is None else _texts(text_pairs)
        with bar(progress) as callback:
            arrays = self._core.encode_rows(
                _texts(texts),
                pairs,
                length,
                strategy,
                fill,
                offsets,
                add_special_tokens,
                special,
                _threads(threads),
                callback,
            )
        return dict(zip(("input_ids", "attention_mask", "token_type_ids", "offsets"), arrays, strict=False))

    def encode_files(
        self,
        source: Source,
        out: str | os.PathLike[str],
        *,
        append_token: str | None = "auto",
        lines: bool = False,
        text_field: str = "text",
        text_column: str = "text",
        add_special_tokens: bool = True,
        special: Special = "text",
        cleaning: Cleaning | None = None,
        resume: bool = True,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> TokenStore:
        """Encode text into a store on disk, in bounded memory; one document is held whole.

        A call over files that is interrupted (Ctrl-C, a kill, a full disk) leaves its work in hidden files beside
        `out`. The next call with the same arguments, files and tokenizer goes on from there, to the same bytes; one
        with others begins anew. The store appears whole or not at all.

        Args:
            source: Files, or an iterable of documents.
            out: Where the store is written.
            append_token: The token put behind each document. "auto": the first of `<|endoftext|>`,
                `<|end_of_text|>`, DeepSeek's end of sentence, `</s>`, `<eos>`, `[EOS]` that is a special token.
                None: nothing.
            lines: Each line of a text file is a document, without its line end.
            text_field: The field of a `.jsonl` line that holds the text.
            text_column: The column of a `.parquet` file that holds the text.
            add_special_tokens: As in `encode`.
            special: As in `encode`, but text is the default: a corpus must not forge the end of a document.
            cleaning: What is done to the text before; `TokenStore.cleaning` tells afterwards what it did.
            resume: Go on from an interrupted call, and leave work to go on from. False: begin anew, and leave nothing.
            threads: Threads that encode; None: every core.
            progress: A bar on standard error: True, False, or None for one on a terminal.

        Returns:
            The store, opened.

        Raises:
            ValueError: A token to append that the vocabulary does not have.
        """
        append_id = self._append_id(append_token)
        core = self._core.with_options(add_special_tokens, special)
        from lmfast.data import TokenStore

        found = resolve(source)
        place = None
        if resume and isinstance(found, list):
            settings = {
                "tokenizer": self.fingerprint,
                "append_id": append_id,
                "source": [lines, text_field, text_column],
                "special": [add_special_tokens, special],
                "cleaning": None if cleaning is None else dataclasses.asdict(cleaning),
            }
            place = key_of(found, settings), CHECKPOINT_SECONDS
        with bar(progress) as callback:
            compiled.encode_files(
                core,
                found,
                out,
                append_id,
                lines,
                text_field,
                text_column,
                cleaning,
                place,
                _threads(threads),
                callback,
            )
        return TokenStore.open(out)

    def _append_id(self, append_token: str | None) -> int | None:
        if append_token is None:
            return None
        found = self.end_of_text if append_token == "auto" else self.token_to_id(append_token)
        if found is None:
            what = "end-of-text token" if append_token == "auto" else f"token {append_token!r}"
            message = f"append_token={append_token!r}: the vocabulary has no {what}; name one of its tokens, or None"
            raise ValueError(message)
        return found

    def decode(self, ids: Ids, *, skip_special_tokens: bool = False) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD.

        Raises:
            ValueError: An id that is not in the vocabulary.
        """
        return self._core.decode(ids, skip_special_tokens)

    def decode_bytes(self, ids: Ids, *, skip_special_tokens: bool = False) -> bytes:
        """The bytes of ids. Raises as `decode`."""
        return self._core.decode_bytes(ids, skip_special_tokens)

    def decode_batch(self, rows: Iterable[Ids], *, skip_special_tokens: bool = False) -> list[str]:
        """The text of each row of ids. Raises as `decode`."""
        return [self._core.decode(ids, skip_special_tokens) for ids in rows]

    def decoder(self, *, skip_special_tokens: bool = False) -> Decoder:
        """A decoder that takes ids as they come, at the beginning of a text."""
        return Decoder(self._core.decoder(skip_special_tokens))

    @property
    def vocab_size(self) -> int:
        """The largest id plus one."""
        return self._core.vocab_size

    @property
    def special_tokens(self) -> dict[str, int]:
        """The special tokens with their ids."""
        return self._core.special_tokens()

    @property
    def end_of_text(self) -> int | None:
        """The id that ends a text, if the vocabulary has one; see `encode_files` for its names."""
        return self._core.end_of_text

    @property
    def fingerprint(self) -> str:
        """A digest of the whole content, in 32 hexadecimal digits; equal tokenizers have equal ones."""
        return hashlib.blake2b(self._core.state(), digest_size=16).hexdigest()

    def token_to_id(self, token: str) -> int | None:
        """The id of a token, as its file spells it: byte-level tokens in GPT-2's byte alphabet."""
        return self._core.token_to_id(token)

    def id_to_token(self, id: int) -> str | None:
        """The token of an id, as its file spells it."""
        return self._core.id_to_token(id)

    def vocab(self) -> dict[str, int]:
        """Every token with its id, in the order of ids."""
        return self._core.vocab()

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


def _texts(texts: Iterable[str]) -> list[str] | tuple[str, ...]:
    if isinstance(texts, str):
        message = "texts is one str: a sequence of them is wanted; encode takes one"
        raise TypeError(message)
    return texts if isinstance(texts, (list, tuple)) else list(texts)


def _threads(threads: int | None) -> int | None:
    return None if threads is None else _at_least("threads", threads, 1)


def _at_least(name: str, value: int, least: int) -> int:
    if not least <= value < 2**63:
        message = f"{name}={value}: a whole number from {least} up is wanted"
        raise ValueError(message)
    return value
