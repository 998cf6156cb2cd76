"""Figures as people read them: three significant digits, a unit, one form for what is not known."""

from __future__ import annotations

import math

__all__ = ["bytes_", "count", "decimal", "duration", "finite", "percent", "times"]

MISSING = "\N{EN DASH}"
INFINITY = "\N{INFINITY}"
GAP = "\N{NO-BREAK SPACE}"


def finite(value: float | None) -> bool:
    """Whether there is a number at all.

    >>> finite(None), finite(float("nan")), finite(2)
    (False, False, True)
    """
    return value is not None and math.isfinite(value)


def decimal(value: float | None, digits: int) -> str:
    """A number with a fixed number of decimals.

    >>> decimal(2.0, 3), decimal(float("nan"), 3), decimal(12345.67, 1)
    ('2.000', 'nan', '12,345.7')
    """
    return _unusual(value) or f"{value:,.{digits}f}"


def count(value: float | None) -> str:
    """A count in units, thousands (k), millions (M) or billions (G).

    >>> [count(value).replace(GAP, " ") for value in (950, 9_999, 12_345, 999_950, 3.2e9)]
    ['950', '9,999', '12.3 k', '1.00 M', '3.20 G']
    """
    if (unusual := _unusual(value)) is not None or value is None:
        return unusual or MISSING
    if abs(value) < 10_000:
        return f"{value:,.0f}"
    return _scaled(value, ("", "k", "M", "G", "T", "P"))


def bytes_(value: float | None) -> str:
    """A size in decimal units.

    >>> [bytes_(value).replace(GAP, " ") for value in (512, 1_500, 48_200_000)]
    ['512 B', '1.50 kB', '48.2 MB']
    """
    if (unusual := _unusual(value)) is not None or value is None:
        return unusual or MISSING
    return _scaled(value, ("B", "kB", "MB", "GB", "TB", "PB"))


def duration(seconds: float | None) -> str:
    """A time span.

    >>> [duration(value).replace(GAP, " ") for value in (0, 0.0123, 0.5, 41.26, 119.96, 3725)]
    ['0 s', '0.012 s', '0.50 s', '41.3 s', '2 min 00 s', '1 h 02 min']
    """
    if (unusual := _unusual(seconds)) is not None or seconds is None:
        return unusual or MISSING
    if seconds == 0:
        return f"0{GAP}s"
    if seconds < 0.1:
        return f"{seconds:.2g}{GAP}s" if seconds >= 0.001 else f"<{GAP}0.001{GAP}s"
    if seconds < 119.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f}{GAP}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{GAP}min{GAP}{whole % 60:02d}{GAP}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}{GAP}h{GAP}{minutes % 60:02d}{GAP}min"


def percent(fraction: float) -> str:
    """A part of a whole, with more digits where they matter.

    >>> [percent(value).replace(GAP, " ") for value in (0.5, 0.047, 0.00031, 1e-7)]
    ['50%', '4.7%', '0.031%', '< 0.001%']
    """
    value = 100 * fraction
    if 0 < value < 0.001:
        return f"<{GAP}0.001%"
    if value >= 9.95:
        return f"{value:,.0f}%"
    return f"{value:.1f}%" if value >= 0.95 or value == 0 else f"{value:.2g}%"


def times(ratio: float) -> str:
    """A ratio in words.

    >>> times(2.04), times(37.4), times(1234)
    ('2.0 times', '37 times', '1,230 times')
    """
    if ratio < 9.95:
        return f"{ratio:.1f} times"
    return f"{float(f'{ratio:.3g}'):,.0f} times"


def _unusual(value: float | None) -> str | None:
    if value is None:
        return MISSING
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return INFINITY if value > 0 else f"-{INFINITY}"
    return None


def _scaled(value: float, units: tuple[str, ...]) -> str:
    power = 0
    while abs(value) >= 999.5 and power < len(units) - 1:
        value /= 1000
        power += 1
    digits = 0 if power == 0 or abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}{GAP if units[power] else ''}{units[power]}"
