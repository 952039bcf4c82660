"""JSON and TOML of other people: the value, or a ValueError, however deep or long what they wrote is.

Strategy: Python's own readers recurse, so what is nested deeply ends in a RecursionError, and what is nested just less
ends in one later, where the value is walked or written again. Both are the same fault here, told by one depth.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from typing import Any

MOST_DEPTH = 64  # of lists and tables in one another: what describes models and tokenizers has a dozen


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text, lists and objects at most MOST_DEPTH deep in one another.

    Raises ValueError for what is no JSON, is nested deeper, names one value of an object twice (of which other readers
    may take the other one), or has a number of more digits than Python reads.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    return _checked(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        count = Counter(name for name, _ in pairs)
        raise ValueError(f"it names {count.most_common(1)[0][0]!r} twice")
    return found


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text, with the same bounds and errors."""
    try:
        tables = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    return _checked(tables)


TOO_DEEP = f"its values are nested more than {MOST_DEPTH} deep"


def _checked(value: Any) -> Any:
    """`value`, level by level without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MOST_DEPTH):
        if not level:
            return value
        children = (child for each in level for child in (each.values() if isinstance(each, dict) else each))
        level = [child for child in children if isinstance(child, dict | list)]
    if level:
        raise ValueError(TOO_DEEP)
    return value
