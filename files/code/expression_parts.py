"""What an expression is made of for its reader: calls, scopes of their own, and functions that run code as values.

Strategy: one walk, level by level, that stops at comprehensions and lambdas, whose insides bind names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import call_names
from .changed_names import last_name
from .tree_walk import children

COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
RUNS_CODE = call_names.EXECUTORS | call_names.IMPORTERS - call_names.ONLY_FIND | set(call_names.FILE_IMPORTERS)
SETTINGS = call_names.STARTING_VARIABLES | {"PYTHONPATH"}
FOLLOWED_NAMES = {name.rpartition(".")[2] for name in RUNS_CODE}


@dataclass(slots=True)
class Parts:
    """What an expression holds outside of its comprehensions and lambdas: calls, the inner first, these two themselves,
    names of functions that run code where they are no callee, subscripts, and settings of an environment that make
    something run (`{"LD_PRELOAD": "./a.so"}`).
    """

    calls: list[ast.Call] = field(default_factory=list)
    scopes: list[ast.expr] = field(default_factory=list)
    values: list[ast.expr] = field(default_factory=list)
    subscripts: list[ast.Subscript] = field(default_factory=list)
    settings: list[tuple[str, ast.expr]] = field(default_factory=list)


def parts_of(node: ast.AST) -> Parts:
    """The parts of an expression, or of a statement without a body."""
    parts = Parts()
    waiting: list[tuple[ast.AST, bool]] = [(node, True)]
    for item, is_value in waiting:  # grows
        if isinstance(item, COMPREHENSIONS | ast.Lambda):
            parts.scopes.append(item)
            waiting += [(child, True) for child in (item.args.defaults if isinstance(item, ast.Lambda) else ())]
            continue
        if isinstance(item, ast.Call):
            parts.calls.append(item)
            parts.settings += [(each.arg, each.value) for each in item.keywords if each.arg in SETTINGS]
            waiting.append((item.func, False))
            waiting += [(child, not isinstance(child, ast.Name | ast.Attribute)) for child in given_to(item)]
            continue
        if isinstance(item, ast.Subscript) and not isinstance(item.slice, ast.Slice | ast.Tuple):
            parts.subscripts.append(item)
        if isinstance(item, ast.Dict):
            keys = [(getattr(key, "value", None), value) for key, value in zip(item.keys, item.values, strict=True)]
            parts.settings += [(key, value) for key, value in keys if key in SETTINGS]
        if is_value and last_name(item) in FOLLOWED_NAMES:
            parts.values.append(item)  # type: ignore[arg-type]
        inside = not isinstance(item, ast.Attribute) and is_value
        waiting += [(child, inside) for child in children(item)]
    parts.calls.reverse()
    parts.scopes.reverse()
    return parts


def given_to(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call, the star of `*items` taken off."""
    for item in call.args:
        yield item.value if isinstance(item, ast.Starred) else item
    yield from (item.value for item in call.keywords)
