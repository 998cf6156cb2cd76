"""The report of a comparison of models: a page that opens by itself, pictures, and tables for a terminal and Markdown.

- `Report` and the records it is made of say what is shown.
- `write_report` writes `report.html` and its pictures (extra `lmfast[torch]`: matplotlib and jinja2).
- `print_table`, `table_markdown` and `findings` need neither.

>>> row = {"model": "2-gram", "kind": "ngram", "size": 900, "bytes_on_disk": 4_000, "train_seconds": 0.1,
...        "tokens_per_second": 1e6, "tokens": 100, "loss": 2.0, "perplexity": 7.39, "bits_per_byte": 4.0}
>>> findings([row])
['2-gram needs 4.000 bits for each byte of the text, enough to compress it to 50% of its size.']
"""

from lmfast.report.content import (
    Curve,
    Machine,
    Passage,
    Point,
    Report,
    Row,
    Sample,
    Stage,
    TextFacts,
    TokenizerFacts,
)
from lmfast.report.findings import findings
from lmfast.report.page import write_report
from lmfast.report.tables import print_table, table_markdown

__all__ = [
    "Curve",
    "Machine",
    "Passage",
    "Point",
    "Report",
    "Row",
    "Sample",
    "Stage",
    "TextFacts",
    "TokenizerFacts",
    "findings",
    "print_table",
    "table_markdown",
    "write_report",
]
