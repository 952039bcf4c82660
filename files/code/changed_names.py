"""Which names of a script change their values where its reader does not follow: in loops, and in functions it calls.

Strategy: a list that a function grows, a name that it declares `global`, an item that a loop sets: whoever reads the
script past such a place must not take the value of before for the one that runs. Names are forgotten, and lists and
dicts that other names hold too are spoiled in place, so that what is computed from them is said to be unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from .bounded_functions import CHANGING
from .called_functions import FUNCTIONS
from .evaluated_values import UNKNOWN, OneOf
from .tree_walk import children, walk

CHANGING_FUNCTIONS = {
    "shuffle",
    "insort",
    "insort_left",
    "insort_right",
    "heapify",
    "heappush",
    "heappop",
    "heapreplace",
}
CHANGING_FUNCTIONS |= {"setitem", "delitem", "iadd", "iconcat", "setattr", "next"}
MAX_ROUNDS = 20  # of functions that call functions


class AssignedNames:
    """Names that statements bind, or whose lists, dicts and items they change; each statement is walked once."""

    def __init__(self) -> None:
        self.known: dict[ast.AST, frozenset[str]] = {}

    def of(self, statements: Iterable[ast.AST]) -> frozenset[str]:
        """The names of several statements together."""
        return frozenset().union(*map(self._of, statements))

    def _of(self, statement: ast.AST) -> frozenset[str]:
        if statement not in self.known:
            names: set[str] = set()
            waiting = [statement]
            while waiting:
                for node in children(waiting.pop()):
                    if isinstance(node, ast.If):  # a chain of elif may be long
                        waiting.append(node)
                    elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                        names |= self._of(node)
                    else:
                        names |= _bound_or_changed(node)
                        waiting.append(node)
            self.known[statement] = frozenset(names)
        return self.known[statement]


def _bound_or_changed(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    return _changed_content(node) if isinstance(node, ast.Subscript | ast.Call) else set()


def _changed_content(node: ast.AST) -> set[str]:
    """The name whose content a node changes: `a[0] = 1`, `a.append(1)`, `del a[0]`."""
    owner: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        owner = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
        owner = node.func.value
    return {owner.id} if isinstance(owner, ast.Name) else set()


class ChangingFunctions:
    """The functions of a tree, by their last names, that change what is not their own."""

    def __init__(self, tree: ast.AST, assigned: AssignedNames) -> None:
        self.changed: dict[str, set[str]] = {}  # function: names around it that a call changes
        self.parameters: set[str] = set(CHANGING_FUNCTIONS)  # functions that may change what they are given
        calls: dict[str, set[str]] = {}
        for node in walk(tree):
            if isinstance(node, FUNCTIONS):
                calls.setdefault(node.name, set()).update(self._add(node, assigned))
        self.functions = set(calls)
        for _ in range(MAX_ROUNDS):
            if not any([self._spread(name, called) for name, called in calls.items()]):
                break

    def _add(self, node: ast.FunctionDef | ast.AsyncFunctionDef, assigned: AssignedNames) -> set[str]:
        """Note what one function changes; the names of what it calls."""
        own = {item.arg for item in walk(node.args) if isinstance(item, ast.arg)}
        elsewhere: set[str] = set()
        content: set[str] = set()
        called: set[str] = set()
        for item in walk(node):
            kind = type(item)
            if kind is ast.Call:
                content |= _changed_content(item)
                called.add(last_name(item.func))
            elif kind is ast.Subscript:
                content |= _changed_content(item)
            elif kind in (ast.Global, ast.Nonlocal):
                elsewhere.update(item.names)
        changed = (elsewhere and elsewhere & assigned.of(node.body)) | content - own
        if changed:
            self.changed.setdefault(node.name, set()).update(changed)
        if content & own:
            self.parameters.add(node.name)
        return called - {""}

    def _spread(self, name: str, called: set[str]) -> bool:
        """A function changes what those that it calls change; whether that was news."""
        around = set().union(*(self.changed.get(each, set()) for each in called))
        news = around - self.changed.get(name, set())
        if news:
            self.changed.setdefault(name, set()).update(news)
        given = name not in self.parameters and bool(called & self.parameters)
        if given:
            self.parameters.add(name)
        return bool(news) or given

    def forget(self, call: ast.Call, names: dict[str, Any]) -> None:
        """Forget what a call may change, among `names`."""
        name = last_name(call.func)
        for changed in self.changed.get(name, ()):
            forget(changed, names)
        if name in self.parameters:
            for argument in (*call.args, *(item.value for item in call.keywords)):
                if isinstance(argument, ast.Name):
                    forget(argument.id, names, only_content=True)


def forget(name: str, names: dict[str, Any], only_content: bool = False) -> None:
    """A name has no known value any more, nor have the others that hold the same list, dict or bytes."""
    value = names.get(name)
    for each in value.values if isinstance(value, OneOf) else ():
        forget_value(each, names)
    if isinstance(value, list | dict | bytearray):
        forget_value(value, names)
    elif not only_content and name in names:
        names[name] = UNKNOWN


def forget_value(value: Any, names: dict[str, Any]) -> None:
    """Forget a list, dict or bytearray, under whatever names it is held."""
    if isinstance(value, list | dict | bytearray):
        for name in [name for name, held in names.items() if held is value]:
            names[name] = UNKNOWN
        _spoil(value)


def _spoil(value: Any) -> None:
    """Make a list or dict in place one of which nothing is known, for those who hold it elsewhere."""
    if isinstance(value, list):
        value[:] = [UNKNOWN]
    elif isinstance(value, dict):
        value.clear()
        value[UNKNOWN] = UNKNOWN


def last_name(node: ast.AST) -> str:
    """ "c" of `a.b.c` and of `c`; "" of anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
