"""Joining, shaking and renaming a script: it does the same in fewer bytes, and what cannot be followed is refused."""

from __future__ import annotations

import ast
import contextlib
import io

import pytest

from bytecap.packing.renaming import renamed
from bytecap.packing.shaking import joined, shaken

FIRST = '''"""A module."""
from __future__ import annotations
import math
from collections.abc import Callable
LIMIT = 3
UNUSED = 4
class Sum:
    """A class."""
    size: int = 2
    def __init__(self, start: int, step: int = 1) -> None:
        self.total, self.step = start, step
    def add(self, value):
        """Adds."""
        self.total += value * self.step
        return self
def unused(): return math.tau
'''
SECOND = '''"""Another."""
import math
from .first import LIMIT, Sum
def twice(value: int) -> int:
    def inner(more):
        nonlocal value
        value = value + more
        return value
    return inner(value)
def thrice(value, *, plus=0): return 3 * value + plus
TABLE: dict = {1: twice, 2: thrice, 3: lambda value: value}
def main() -> None:
    total = Sum(1, step=10)
    for key in sorted(TABLE):
        total.add(TABLE[key](LIMIT))
    try:
        raise KeyError("x")
    except KeyError as error:
        print(f"{total.total:>5} {error!r} {thrice(2, plus=1)} {[key for key in TABLE]} {Sum.size}")
    with contextlib_like() as (first, second):
        print({name: first for name in "ab"}, second, *map(lambda a, b=2: a + b, [1]))
class contextlib_like:
    def __enter__(self): return 5, math.floor(6.5)
    def __exit__(self, *rest): return False
'''


def printed(tree: ast.Module) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(ast.unparse(tree), "script", "exec"), {"__name__": "__main__"})
    return out.getvalue()


def test_a_script_does_the_same_with_short_names():
    tree = joined([FIRST, SECOND, "main()"])
    expected = printed(tree)
    assert "KeyError('x') 7 [1, 2, 3] 2" in expected
    small = ast.unparse(renamed(ast.parse(ast.unparse(tree))))
    assert printed(ast.parse(small)) == expected
    assert not any(long in small for long in ("twice", "LIMIT", "Adds", "->"))


def test_what_nothing_refers_to_is_gone():
    tree = shaken(joined([FIRST, SECOND, "main()"]), {"TABLE": {2}})
    text = ast.unparse(tree)
    for gone in ("unused", "UNUSED", "twice", "Callable", "lambda value"):
        assert gone not in text, gone
    assert "[2]" in printed(tree)


def test_constants_are_put_in():
    assert "LIMIT = 'new'" in ast.unparse(joined([FIRST], {"LIMIT": "new"}))
    with pytest.raises(ValueError, match="assigns no NOTHING"):
        joined([FIRST], {"NOTHING": 1})


def test_a_table_without_a_wanted_entry_is_refused():
    with pytest.raises(ValueError, match="has no 9"):
        shaken(joined([FIRST, SECOND]), {"TABLE": {1, 9}})
    with pytest.raises(ValueError, match="is no table"):
        shaken(joined([FIRST, SECOND]), {"LIMIT": {1}})


def test_a_name_of_two_modules_is_refused():
    with pytest.raises(ValueError, match="define x twice"):
        joined(["x = 1", "def x(): pass"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f():\n global x\n x = 1", "Global"),
        ("print(nowhere)", "nowhere"),
        ("x = 1\ndef f():\n return [x for x in (1, 2)], x", "inside f and in the script there are x"),
        ("class A:\n def m(self, a): pass\nA().m(a=1)", "method m"),
        ("match 1:\n case y: pass", "MatchAs"),
    ],
)
def test_what_cannot_be_followed_is_refused(source, said):
    with pytest.raises(ValueError, match=said):
        renamed(ast.parse(source))


def test_keywords_of_library_functions_keep_their_names():
    text = ast.unparse(
        renamed(ast.parse("import json\ndef f(indent):\n return json.dumps(1, indent=indent)\nprint(f(indent=2))"))
    )
    assert "dumps(1, indent=a)" in text
    assert "indent=2" not in text
