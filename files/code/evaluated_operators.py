"""Operators and comparisons of plain values, in bounded work.

Strategy: Python's own, after the size of what they would make was looked at.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from .bounded_decoding import MAX_ITEMS
from .bounded_decompressors import MAX_DECODED_BYTES, CannotDecode
from .bounded_formatting import format_percent
from .bounded_functions import MAX_BITS, power
from .evaluated_values import UNKNOWN, Named, Unknown, is_plain

OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: power,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.LShift: lambda left, right: left << right if right < 4096 else 0,
    ast.RShift: operator.rshift,
}
COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


def apply_operator(operation: ast.operator, left: Any, right: Any) -> Any:
    """The value of `left operation right`, `Unknown` for values that are not plain; CannotDecode for one too large."""
    if isinstance(operation, ast.Div) and isinstance(left, PurePosixPath | str):
        return PurePosixPath(left) / right
    if isinstance(operation, ast.Mod) and isinstance(left, str | bytes):
        return format_percent(left, right)
    if isinstance(operation, ast.Mult):
        long, count = (right, left) if isinstance(left, int) else (left, right)
        limit = MAX_ITEMS if isinstance(long, list | tuple) else MAX_DECODED_BYTES
        if not isinstance(long, int | float) and len(long) * count > limit:
            raise CannotDecode("a repetition that is too long")
    if type(operation) not in OPERATORS or not is_plain(left) or not is_plain(right):
        return UNKNOWN
    result = OPERATORS[type(operation)](left, right)
    if isinstance(result, int) and result.bit_length() > MAX_BITS:
        raise CannotDecode("a number that is too large")
    return result


def is_told(value: Any) -> bool:
    """Whether nothing in a list or dict is unknown, and nothing is what a module holds, so that it can be compared."""
    if isinstance(value, Named):
        return "." not in value.name
    items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return not any(isinstance(item, Unknown) for item in items)
