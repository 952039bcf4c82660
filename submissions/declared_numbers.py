"""Numbers as people declare them: integers, floats, "17080000", "15.9 MB", "pending".

Strategy: a number keeps its resolution, the distance within which a true value would be written the same way, so
that "15.9 MB" is compared as what it is. A size in MB may mean 1,000,000 or 1,048,576 bytes; both are kept, and
whoever compares says which one it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

MEGABYTE, MEBIBYTE = 1_000_000, 1 << 20
KILOBYTE, KIBIBYTE = 1_000, 1 << 10

SIZE_UNITS: dict[str, tuple[int, int | None]] = {  # bytes, and what else the unit may mean
    "mb": (MEGABYTE, MEBIBYTE),
    "m": (MEGABYTE, MEBIBYTE),
    "mib": (MEBIBYTE, None),
    "kb": (KILOBYTE, KIBIBYTE),
    "kib": (KIBIBYTE, None),
    "gb": (1_000_000_000, 1 << 30),
    "gib": (1 << 30, None),
}
TIME_UNITS = {  # seconds
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
}
_TIME_PARTS = re.compile(r"\s*[~≈<]?(?:\s*\d+(?:\.\d+)?\s*[A-Za-z]+,?){2,3}\s*")  # "10m 3s"
_NUMBER_TEXT = re.compile(r"\s*([~≈<]?)\s*(\d[\d,_ ]*(?:\.\d+)?)\s*([A-Za-z]*)\s*")


@dataclass(frozen=True, slots=True)
class Amount:
    """A declared number.

    written : str               as it stands in the document
    value : float | None        in bytes, bits per byte or seconds; None for "pending", null, 1e999
    resolution : float          half a unit in its last place, in the same unit; 0 for an integer of bytes
    binary_value : float | None the same number read as MiB or KiB, None where no such unit is meant
    is_text : bool              whether it stands between quotes
    """

    written: str
    value: float | None
    resolution: float = 0.0
    binary_value: float | None = None
    is_text: bool = False

    def matches(self, number: float, slack: float = 0.0) -> bool:
        """Whether `number` would be written like this."""
        return self.value is not None and abs(number - self.value) <= self.resolution + slack


def read_amount(value: object, words: tuple[str, ...], *, sizes: bool, times: bool) -> Amount | None:
    """The amount of a JSON value whose key has these words; None for what is no attempt at a number."""
    if value is None:
        return Amount("null", None)
    is_text = isinstance(value, str)
    written = str(value)
    unit = ""
    if isinstance(value, str):
        if times and _TIME_PARTS.fullmatch(value[:100]):
            return _sum_of_parts(value)
        match = _NUMBER_TEXT.fullmatch(value[:100])
        if match is None:
            return Amount(written[:60], None, is_text=True)
        number, unit = _plain_number(match.group(2)), match.group(3).lower()
    elif isinstance(value, int | float):
        number = repr(value)
    else:
        return None
    try:
        digits = Decimal(number)
    except InvalidOperation:
        return Amount(written[:60], None, is_text=is_text)
    return _scaled(written[:60], digits, unit or _unit(words), is_text, sizes, times)


def _sum_of_parts(text: str) -> Amount:
    """Hours, minutes and seconds beside each other; no value where a unit is none of a time."""
    parts = [(float(number), unit.lower()) for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text)]
    if any(unit not in TIME_UNITS for _, unit in parts):
        return Amount(text[:60], None, is_text=True)
    seconds = sum(number * TIME_UNITS[unit] for number, unit in parts)
    return Amount(text[:60], seconds, 0.5 * TIME_UNITS[parts[-1][1]], is_text=True)


def _plain_number(text: str) -> str:
    """Digits without what groups them; a comma that groups no thousands stands for the point, "1,2244"."""
    grouped = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)
    if not grouped and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    return re.sub(r"[,_ ]", "", text)


def _unit(words: tuple[str, ...]) -> str:
    return next((word for word in ("mib", "mb", "kib", "kb", "ms", "hours", "minutes") if word in words), "")


def _scaled(written: str, digits: Decimal, unit: str, is_text: bool, sizes: bool, times: bool) -> Amount:
    exponent = digits.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    half = 0.5 * 10.0**-places
    value = float(digits)
    if times:
        scale = TIME_UNITS.get(unit or "s")
        if scale is None:
            return Amount(written, None, is_text=is_text)
        return Amount(written, value * scale, half * scale, is_text=is_text)
    if not sizes:
        return Amount(written, value, half, is_text=is_text)
    decimal, binary = SIZE_UNITS.get(unit, (1, None))
    if decimal == 1 and places == 0:
        return Amount(written, int(digits), is_text=is_text)
    if decimal == 1 and value < 1000:  # a key without a unit, "artifact_size": 15.9
        decimal, binary = MEGABYTE, MEBIBYTE
    return Amount(written, value * decimal, half * decimal, None if binary is None else value * binary, is_text)
