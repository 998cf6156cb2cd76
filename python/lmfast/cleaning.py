"""Text cleaned on its way in: normalized, masked, without duplicates."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Literal

from lmfast._core import clean_files
from lmfast.progress import bar
from lmfast.source import Source, resolve

__all__ = ["Cleaning", "CleaningReport", "clean"]

Mask = Literal["email", "ip", "phone", "card", "secret"]
"""What can be masked."""


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What is done to each document, in the order of the fields; nothing by default.

    The result depends on the source and the options alone, whatever the number of threads.

    Attributes:
        drop_control_characters: Drop characters of the category Cc but tab, line feed and carriage return.
        normalization: Unicode's composed form "NFC", or "NFKC", which also replaces characters of compatibility. The
            text has it in the end too, whatever the fields below change.
        strip_accents: Drop combining marks, after taking characters apart.
        lowercase: Make every character lower case.
        collapse_whitespace: Make each run of white space one: an empty line where it has two line feeds or more, a line
            feed where it has one, else a blank.
        trim: Drop white space at both ends.
        mask: Replace "email", "ip" (IPv4 and IPv6), "phone", "card" (13 to 19 digits that pass Luhn's check; beside
            other digits, grouped as on a card) and "secret" (keys of well-known services, private key blocks) by
            `<EMAIL>`, `<IP>`, `<PHONE>`, `<CARD>`, `<SECRET>`. Rules of thumb: a version such as 1.2.3.4 is an address
            too, and names are not found.
        min_characters: Drop shorter documents.
        max_characters: Drop longer documents.
        drop_duplicates: "exact": documents equal to an earlier one, by a hash of 128 bits; "near": those nearly equal
            to an earlier one, by MinHash over shingles of words. The first stays. Of the earlier documents that may be
            near, the last 1000 for each part of the signature are compared.
        near_ngram: Words of a shingle; letter case and punctuation do not count.
        near_permutations: Values of a signature; more are more exact, and slower.
        near_threshold: The estimated Jaccard similarity from which a document is dropped.
        memory: The most bytes that the tables of documents seen may take, beyond which the call fails; None: no bound.
            A document kept takes 20 to 40 for "exact" and 450 to 900 for "near" as it is by default. Not counted are
            the text in hand, some megabytes, and half as much again while a table doubles.

    >>> Cleaning(mask=("email",)).mask
    ('email',)
    """

    drop_control_characters: bool = False
    normalization: Literal["NFC", "NFKC"] | None = None
    strip_accents: bool = False
    lowercase: bool = False
    collapse_whitespace: bool = False
    trim: bool = False
    mask: tuple[Mask, ...] = ()
    min_characters: int = 0
    max_characters: int | None = None
    drop_duplicates: tuple[Literal["exact", "near"], ...] = ()
    near_ngram: int = 5
    near_permutations: int = 128
    near_threshold: float = 0.8
    memory: int | None = None

    def __post_init__(self) -> None:
        for name in ("mask", "drop_duplicates"):
            value = getattr(self, name)
            if isinstance(value, str):
                message = f"{name}={value!r}: a tuple of names is wanted, such as ({value!r},)"
                raise TypeError(message)
            object.__setattr__(self, name, tuple(value))
        for name in ("min_characters", "max_characters", "near_ngram", "near_permutations", "memory"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 2**63:
                message = f"{name}={value}: a whole number from 0 up is wanted"
                raise ValueError(message)


@dataclass(frozen=True)
class CleaningReport:
    """What cleaning did. Transformations count the documents they changed, masks what they replaced.

    Attributes:
        documents_in: Documents read.
        documents_out: Documents kept.
        bytes_in: Bytes of text read.
        bytes_out: Bytes of text kept.
        control_characters_dropped: Documents that lost control characters.
        normalized: Documents that a form of Unicode changed.
        accents_stripped: Documents that lost accents.
        lowercased: Documents that had upper case.
        whitespace_changed: Documents whose white space was collapsed or trimmed.
        secrets_masked: Secrets masked.
        emails_masked: Mail addresses masked.
        ips_masked: IP addresses masked.
        cards_masked: Numbers of cards masked.
        phones_masked: Telephone numbers masked.
        too_short: Documents dropped as too short.
        too_long: Documents dropped as too long.
        exact_duplicates: Documents dropped as equal to an earlier one.
        near_duplicates: Documents dropped as nearly equal to an earlier one.
    """

    documents_in: int
    documents_out: int
    bytes_in: int
    bytes_out: int
    control_characters_dropped: int
    normalized: int
    accents_stripped: int
    lowercased: int
    whitespace_changed: int
    secrets_masked: int
    emails_masked: int
    ips_masked: int
    cards_masked: int
    phones_masked: int
    too_short: int
    too_long: int
    exact_duplicates: int
    near_duplicates: int


def clean(
    source: Source,
    out: str | os.PathLike[str],
    *,
    cleaning: Cleaning,
    lines: bool = False,
    text_field: str = "text",
    text_column: str = "text",
    threads: int | None = None,
    progress: bool | None = None,
) -> CleaningReport:
    r"""Clean text into a file, in bounded memory but for what finding duplicates remembers.

    Args:
        source: Files, or an iterable of documents.
        out: A `.jsonl`, whose objects have the field `text`, or a `.txt`, a line a document; each also `.gz` or `.zst`.
        cleaning: What is done.
        lines: Each line of a text file is a document, without its line end.
        text_field: The field of a `.jsonl` line that holds the text.
        text_column: The column of a `.parquet` file that holds the text.
        threads: Threads that clean; None: every core.
        progress: A bar on standard error: True, False, or None for one on a terminal.

    Returns:
        What was done.

    Raises:
        ValueError: An option that cannot be used, or a document of several lines for a `.txt`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cleaning = Cleaning(mask=("email",), drop_duplicates=("exact",))
    ...     report = clean(["to a@b.org", "to c@d.org"], f"{folder}/clean.txt", cleaning=cleaning)
    ...     pathlib.Path(folder, "clean.txt").read_text(), report.emails_masked, report.exact_duplicates
    ('to <EMAIL>\n', 2, 1)
    """
    with bar(progress) as callback:
        report = clean_files(resolve(source), out, cleaning, lines, text_field, text_column, threads, callback)
    return CleaningReport(**json.loads(report))
