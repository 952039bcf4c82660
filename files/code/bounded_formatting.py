"""Texts that a script formats out of constants: `%`, `str.format`, `format`, f-strings, `string.Template`.

Strategy: Python's own formatting of plain values, after each width and precision was looked at: they could ask
for any length. A field may index (`{0[1]}`) and not look up attributes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from .bounded_decompressors import MAX_DECODED_BYTES, CannotDecode

MAX_WIDTH = 4096  # characters of one field
MAX_FIELDS = 65_536
PLAIN = str | bytes | int | float | PurePosixPath
SPECIFICATION = re.compile(r"(?:.?[<>=^])?[-+ ]?z?#?0?(\d*)[,_]?(?:\.(\d+))?[bcdeEfFgGnosxX%]?", re.DOTALL)
PERCENT_FIELD = re.compile(r"%(?:\([^()]*\))?[-+ #0]*(\d*)(?:\.(\d*))?(.)", re.DOTALL)


def format_percent(text: Any, values: Any) -> Any:
    """`text % values` of plain values, with bounded widths."""
    shown = text.decode("latin-1") if isinstance(text, bytes | bytearray) else text
    for width, precision, kind in PERCENT_FIELD.findall(shown):
        if max(_number(width), _number(precision)) > MAX_WIDTH or kind not in "%sdioxXrcaeEfFgGub":
            raise CannotDecode("a format with widths that are too large")
    given = values.values() if isinstance(values, Mapping) else values if isinstance(values, tuple) else (values,)
    for value in given:
        _plain(value)
    return _bounded(text % values)


def format_value(value: Any, specification: str = "", conversion: str = "") -> str:
    """`format(value, specification)`, as an f-string does it, after `!r`, `!s` or `!a`."""
    value = _converted(_plain(value), conversion)
    match = SPECIFICATION.fullmatch(specification)
    if match is None or max(_number(match[1]), _number(match[2] or "")) > MAX_WIDTH:
        raise CannotDecode("a format that is not known, or with widths that are too large")
    return str(_bounded(format(value, specification)))


def format_text(text: str, *values: Any, **named: Any) -> str:
    """`text.format(...)`; a field looks values up by number, name and index, and no attributes."""
    return _formatted(text, values, named, [MAX_FIELDS])


def format_by_map(text: str, named: Mapping[str, Any]) -> str:
    """`text.format_map(named)`."""
    return _formatted(text, (), named, [MAX_FIELDS])


def fill_template(text: str, named: Mapping[str, Any]) -> str:
    """`string.Template(text).substitute(named)`."""
    return str(_bounded(string.Template(text).substitute({key: str(_plain(value)) for key, value in named.items()})))


def _formatted(text: str, values: Sequence[Any], named: Mapping[str, Any], left: list[int]) -> str:
    parts: list[str] = []
    size = automatic = 0
    for literal, name, specification, conversion in string.Formatter().parse(text):
        left[0] -= 1
        if left[0] < 0:
            raise CannotDecode("too many fields")
        parts.append(literal)
        if name is not None:
            if not re.match(r"[^.\[]", name):
                name, automatic = f"{automatic}{name}", automatic + 1
            width = _formatted(specification, values, named, left) if specification else ""
            parts.append(format_value(_field(name, values, named), width, conversion or ""))
            size += len(parts[-1])
        if size > MAX_DECODED_BYTES:
            raise CannotDecode("a text that is too long")
    return "".join(parts)


def _field(name: str, values: Sequence[Any], named: Mapping[str, Any]) -> Any:
    match = re.fullmatch(r"([^.\[\]]+)((?:\[[^\[\]]+\])*)", name)
    if match is None:
        raise CannotDecode("a format that looks up attributes")
    value = values[int(match[1])] if match[1].isdecimal() else named[match[1]]
    for key in re.findall(r"\[([^\[\]]+)\]", match[2]):
        value = value[int(key) if key.isdecimal() else key]
    return value


def _converted(value: Any, conversion: str) -> Any:
    if conversion:
        return ascii(value) if conversion == "a" else repr(value) if conversion == "r" else str(value)
    return value


def _plain(value: Any) -> Any:
    if not isinstance(value, PLAIN):
        raise CannotDecode("the text of an object")
    return value


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= 4 and digits else MAX_WIDTH + 1 if digits else 0


def _bounded(value: Any) -> Any:
    if len(value) > MAX_DECODED_BYTES:
        raise CannotDecode("a text that is too long")
    return value
