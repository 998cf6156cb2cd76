"""Characters that cannot be seen, spelled out."""

from __future__ import annotations

import unicodedata

__all__ = ["shortened", "visible"]

KEPT_FORMATS = {"\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"}  # parts of emoji and of Indic and Persian words


def visible(text: str, keep: str = "") -> str:
    r"""Text in which every character can be seen: controls, marks of direction and the like are spelled as U+....

    Args:
        text: Any text.
        keep: Characters that stay as they are.

    >>> visible("a\x00b\u202e")
    'a<U+0000>b<U+202E>'
    """
    return "".join(
        character
        if character in keep or character in KEPT_FORMATS or unicodedata.category(character)[0] != "C"
        else f"<U+{ord(character):04X}>"
        for character in text
    )


def shortened(text: str, length: int) -> str:
    """Text without its middle if it is long, visible.

    >>> shortened("a-very-long-name", 9).encode("ascii", "replace")
    b'a-ve?name'
    """
    text = visible(text)
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{text[-tail:]}"
