"""What a report is made of: plain, frozen records that the caller fills.

Only `rows` is required. Whatever else is missing is left out of the page. Figures that are not known are None or nan,
losses that are not finite are kept as they are: the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping, Sequence

__all__ = ["Curve", "Machine", "Passage", "Point", "Report", "Row", "Sample", "Stage", "TextFacts", "TokenizerFacts"]


class Row(TypedDict):
    """One model's results; all rows of a report are over the same text."""

    model: str
    kind: Literal["ngram", "neural"]
    size: int
    """Parameters of a neural model, n-grams of an n-gram model."""
    bytes_on_disk: int
    train_seconds: float | None
    tokens_per_second: float | None
    tokens: int
    """Predicted tokens of the text."""
    loss: float
    """Nats per token."""
    perplexity: float
    bits_per_byte: float


class Point(NamedTuple):
    """A loss at a moment of training."""

    seconds: float
    step: int
    tokens: int
    loss: float
    """Nats per token."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How the losses of a neural model fell; points in the order of training."""

    model: str
    """The name its row has."""
    train: Sequence[Point] = ()
    valid: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of validation text, and how surprised each model was by each of its tokens.

    >>> Passage(tokens=(b"de", b"f"), surprisals={"2-gram": (7.5,)})
    Traceback (most recent call last):
        ...
    ValueError: the passage has 2 tokens, but '2-gram' has 1 surprisals; give one a token (nan: not predicted)
    """

    tokens: Sequence[bytes]
    """What each token stands for; a token may be a part of a character."""
    surprisals: Mapping[str, Sequence[float]]
    """For each model by name, the bits (-log2 of the probability) of each token; nan for one that is not predicted."""
    origin: str = ""
    """Where the passage is from, such as a file's name."""

    def __post_init__(self) -> None:
        for model, bits in self.surprisals.items():
            if len(bits) != len(self.tokens):
                raise ValueError(
                    f"the passage has {len(self.tokens)} tokens, but {model!r} has {len(bits)} surprisals; "
                    "give one a token (nan: not predicted)"
                )


@dataclass(frozen=True, slots=True)
class Sample:
    """Text that a model generated."""

    model: str
    prompt: str
    continuation: str


@dataclass(frozen=True, slots=True)
class TextFacts:
    """The text that the models were trained and measured on."""

    sources: Sequence[str]
    """Files, or whatever says where the text is from."""
    documents: int
    bytes: int
    train_tokens: int
    valid_tokens: int


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """The tokenizer that all models share."""

    kind: str
    vocabulary_size: int
    bytes_per_token: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it ran."""

    cores: int
    device: str
    """Such as `cpu` or the name of a GPU."""


class Stage(NamedTuple):
    """A part of the run and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything the page shows."""

    rows: Sequence[Row]
    title: str = "From counting words to attention"
    curves: Sequence[Curve] = ()
    passage: Passage | None = None
    samples: Sequence[Sample] = ()
    text: TextFacts | None = None
    tokenizer: TokenizerFacts | None = None
    stages: Sequence[Stage] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()
    """The arguments, program first."""
    machine: Machine | None = None
    date: datetime.datetime | None = None
    speed: str = "tokens scored in a second"
    """What `tokens_per_second` counts, as the table's note says it."""
