"""Which functions of a script's sources anything calls, as far as their names tell.

Strategy: by last names alone, over all sources together: a function whose name stands nowhere outside of functions
that are not called themselves is not called. Methods, and functions with a decorator, are always taken for called, so
is what a text of the script could name. Somebody who looks functions up by computed names calls them all.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from .tree_walk import children, walk

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def called_functions(trees: Iterable[ast.AST], texts: Iterable[str]) -> set[str]:
    """Names of functions that the statements of `trees`, or source `texts`, reach."""
    reached: set[str] = set()
    bodies: dict[str, set[str]] = {}
    for tree in trees:
        _collect(tree, reached, bodies)
    for text in texts:
        reached.update(IDENTIFIER.findall(text))
    waiting = list(reached & bodies.keys())
    while waiting:
        for name in bodies.pop(waiting.pop(), ()):
            reached.add(name)
            if name in bodies:
                waiting.append(name)
    return reached


def is_plain_function(node: ast.AST) -> bool:
    """Whether a function is called by its name alone: no decorator hands it on."""
    return isinstance(node, FUNCTIONS) and not node.decorator_list


def _collect(node: ast.AST, reached: set[str], bodies: dict[str, set[str]]) -> None:
    """Names outside of plain functions go to `reached`, names inside of them to `bodies`."""
    waiting = [node]
    while waiting:
        for item in children(waiting.pop()):
            if isinstance(item, FUNCTIONS) and is_plain_function(item):
                names = bodies.setdefault(item.name, set())
                for inside in walk(item):
                    names.update(_names(inside))
            elif isinstance(item, ast.ClassDef):
                for inside in walk(item):
                    reached.update(_names(inside))
            else:
                reached.update(_names(item))
                if isinstance(item, FUNCTIONS):
                    reached.add(item.name)
                waiting.append(item)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.alias):
        yield node.name.rpartition(".")[2]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from IDENTIFIER.findall(node.value[:200])
