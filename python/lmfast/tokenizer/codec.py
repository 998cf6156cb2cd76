"""Text to ids, and back: what a tokenizer does once it is made."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

import lmfast._core as compiled
from lmfast.progress import bar
from lmfast.source import Source, resolve
from lmfast.tokenizer.arguments import at_least, listed, thread_count
from lmfast.tokenizer.arrays import TokenArray
from lmfast.tokenizer.decoder import Decoder
from lmfast.tokenizer.resume import CHECKPOINT_SECONDS, key_of

if TYPE_CHECKING:
    import numpy as np

    from lmfast.cleaning import Cleaning
    from lmfast.data import TokenStore

__all__ = ["Codec"]

Special = Literal["parse", "text", "refuse"]
"""What a special token spelled out in the text becomes: its id, ordinary text, or a ValueError."""

Truncation = Literal["longest_first", "only_first", "only_second"]
"""Which text of a row is cut."""

Ids = Sequence[int] | npt.NDArray[Any]
"""Token ids: a sequence of integers or an array of them."""


class Codec:
    """The part of `Tokenizer` that uses a vocabulary and makes none."""

    __slots__ = ("_core",)

    _core: compiled.Tokenizer

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
            return self._core.encode_batch(listed(texts), add_special_tokens, special, thread_count(threads), callback)

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
                *self._core.encode_array(listed(texts), add_special_tokens, special, thread_count(threads), callback)
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

        >>> from lmfast import Tokenizer
        >>> tokenizer = Tokenizer.train(["the cat sat on the mat"] * 3, 269)
        >>> rows = tokenizer(["the mat", "a cat sat"], padding=True)
        >>> rows["input_ids"].shape == rows["attention_mask"].shape
        True
        """
        strategy = "longest_first" if truncation is True else truncation or None
        fill = "longest" if padding is True else padding or None
        offsets = "characters" if return_offsets is True else return_offsets or None
        length = None if max_length is None else at_least("max_length", max_length, 0)
        pairs = None if text_pairs is None else listed(text_pairs)
        with bar(progress) as callback:
            arrays = self._core.encode_rows(
                listed(texts),
                pairs,
                length,
                strategy,
                fill,
                offsets,
                add_special_tokens,
                special,
                thread_count(threads),
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
                thread_count(threads),
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
