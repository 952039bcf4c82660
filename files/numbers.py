"""Numbers as people read them, in terminals and on pages.

Strategy: one spelling of each kind of number, whoever prints it: thousands separated by commas,
shares in percent, and as many digits as a reader can use.
"""

from __future__ import annotations


def integer(value: int) -> str:
    """1234567 as "1,234,567"."""
    return f"{value:,}"


def percent(part: float, whole: float, places: int = 1) -> str:
    """The share of `part` in `whole`, "12.3 %", or "-" of nothing."""
    return f"{100 * part / whole:.{places}f} %" if whole else "-"


def decimals(value: float | None, places: int = 3) -> str:
    """So many digits after the point; "–" for what is not known."""
    return "–" if value is None else f"{value:.{places}f}"


def significant(value: float | None, digits: int = 3) -> str:
    """So many significant digits, written out where that is short: 0.00123, 1.2e-07; "–" for what is not known."""
    if value is None:
        return "–"
    short = value == 0 or 1e-4 <= abs(value) < 1e6
    return f"{value:#.{digits}g}".rstrip(".") if short and value else f"{value:.{digits}g}"
