"""What a judgement consists of: findings, each of one rule, and the rules, each with the levels it may have.

Strategy: text from a folder reaches a terminal, a page or a JSON document only through a `Finding`, and
a finding escapes what a reader could not see: control characters, marks that turn the direction of
writing, bytes of a name that are no UTF-8.
"""

from __future__ import annotations

import enum
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
LONGEST_TEXT = 1000  # characters; what is longer is cut, and the cut is said


class Level(enum.Enum):
    """How grave a finding is. Only `FAIL` makes a folder fail; `SKIPPED` is what could not be judged, and why."""

    PASS = "pass"
    INFORMATION = "information"
    FINDING = "finding"
    WARNING = "warning"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of docs/submissions.md: its id, the levels its findings have, and what it says in one sentence."""

    id: str
    levels: tuple[Level, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found in a folder.

    rule : str       id of a rule of docs/submissions.md, e.g. "code-hidden-payload"
    level : Level
    text : str       one plain sentence with the numbers
    place : str      "train_gpt.py:12", "submission.json: bytes_total", "train.log:340", "" for the folder
    values : dict    the same in numbers, for `--json`

    Text, place and the texts of `values` are escaped with `visible_text`; floats that are not finite
    become their names, since JSON has none.
    """

    rule: str
    level: Level
    text: str
    place: str = ""
    values: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", visible_text(self.text))
        object.__setattr__(self, "place", visible_text(self.place))
        object.__setattr__(self, "values", visible_values(self.values))


def visible_text(text: str) -> str:
    """`text` with every character that would not be seen as itself written as an escape, `\\u202e`; at most
    `LONGEST_TEXT` characters of it. A space stays; a line break is escaped, since a finding is one line.
    """
    shown = "".join(
        character if unicodedata.category(character) not in HIDDEN_CATEGORIES else _escape(character)
        for character in text[:LONGEST_TEXT]
    )
    return shown if len(text) <= LONGEST_TEXT else f"{shown}... ({len(text) - LONGEST_TEXT:,} more characters)"


def visible_values(values: object) -> object:
    """`values` as JSON holds them, every text in them, keys included, through `visible_text`."""
    if isinstance(values, str):
        return visible_text(values)
    if isinstance(values, float):
        return values if math.isfinite(values) else str(values)
    if isinstance(values, Mapping):
        return {visible_text(str(key)): visible_values(value) for key, value in values.items()}
    if isinstance(values, list | tuple | set | frozenset):
        return [visible_values(value) for value in values]
    return values if values is None or isinstance(values, bool | int) else visible_text(str(values))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a file's name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
