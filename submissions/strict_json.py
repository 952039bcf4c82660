"""Strangers' JSON, read without surprises: no traceback whatever the text, and nothing lost without a word.

Strategy: the nesting is counted before the parser sees the text, numbers are measured before they are converted,
and keys that stand twice, NaN and numbers beyond a double are kept as notes. Anything that is not JSON is one
`JsonProblem` with line and column.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import NoReturn

MAXIMUM_CHARACTERS = 4 << 20
MAXIMUM_DEPTH = 64
MAXIMUM_DIGITS = 40  # 2**128 has 39; Python itself gives up at 4,300

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


class JsonProblem(Exception):
    """The text is not JSON that can be read: `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        self.message, self.line, self.column = message, line, column
        super().__init__(f"line {line}, column {column}: {message}")


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """A document and what was odd about its text.

    value           dict, list, str, int, float, bool or None, as `json.loads` gives it
    repeated_keys   keys that stand twice in one object; the last one counts, as in Python
    odd_numbers     numbers as they stand that no double or 128-bit integer holds: value None in the document
    """

    value: object
    repeated_keys: tuple[str, ...]
    odd_numbers: tuple[str, ...]


def read_json(text: str) -> JsonDocument:
    """Parse `text`; raises JsonProblem, and nothing else, for any text that is not readable JSON."""
    if len(text) > MAXIMUM_CHARACTERS:
        raise JsonProblem(f"{len(text):,} characters; more than {MAXIMUM_CHARACTERS:,} are not read", 1, 1)
    _refuse_depth(text)
    repeated: list[str] = []
    odd: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        value: dict[str, object] = {}
        for key, item in items:
            if key in value:
                repeated.append(key)
            value[key] = item
        return value

    def integer(digits: str) -> int | None:
        if len(digits) <= MAXIMUM_DIGITS:
            return int(digits)
        odd.append(digits[:24] + f"... ({len(digits):,} digits)")
        return None

    def decimal(digits: str) -> float | None:
        value = float(digits)
        if math.isfinite(value):
            return value
        odd.append(digits[:24])
        return None

    def constant(name: str) -> None:
        odd.append(name)

    try:
        value = json.loads(
            text, object_pairs_hook=pairs, parse_int=integer, parse_float=decimal, parse_constant=constant
        )
    except json.JSONDecodeError as error:
        raise JsonProblem(error.msg, error.lineno, error.colno) from None
    return JsonDocument(value, tuple(dict.fromkeys(repeated)), tuple(dict.fromkeys(odd)))


def _refuse_depth(text: str) -> None:
    """Brackets outside strings, nested at most MAXIMUM_DEPTH deep: json.loads recurses once a level."""
    depth = 0
    for match in _STRUCTURE.finditer(text):
        character = text[match.start()]
        if character in "[{":
            depth += 1
            if depth > MAXIMUM_DEPTH:
                _refuse(f"nested deeper than {MAXIMUM_DEPTH}", text, match.start())
        elif character in "]}":
            depth -= 1


def _refuse(message: str, text: str, position: int) -> NoReturn:
    line = text.count("\n", 0, position) + 1
    raise JsonProblem(message, line, position - (text.rfind("\n", 0, position) + 1) + 1)
