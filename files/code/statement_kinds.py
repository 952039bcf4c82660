"""Kinds of statements that their reader treats apart: short loops that are run, guards, handlers."""

from __future__ import annotations

import ast

from .changed_names import last_name
from .expression_reader import FOLLOWED_CALLS
from .tree_walk import walk

MAX_LOOP_NODES = 100_000  # of a loop over known items: items times syntax nodes of the body
SIMPLE_LOOP = ast.Assign | ast.AugAssign | ast.Expr


def is_simple(body: list[ast.stmt]) -> bool:
    """Whether a loop only assigns and calls."""
    return all(isinstance(statement, SIMPLE_LOOP) for statement in body)


def runs_something(body: list[ast.stmt]) -> bool:
    """Whether a loop executes, imports or starts something, whose name a later turn may have changed."""
    return any(last_name(item) in FOLLOWED_CALLS for statement in body for item in walk(statement))


def is_short_loop(body: list[ast.stmt], turns: int, most: int = 0) -> bool:
    """Whether so many turns of a loop are read one by one; `most` nodes of turns together, else fewer if not simple."""
    limit = most or (MAX_LOOP_NODES if is_simple(body) else MAX_LOOP_NODES // 10)
    return turns * sum(1 for statement in body for _ in ast.walk(statement)) <= limit


def is_main_guard(test: ast.expr) -> bool:
    """Whether a condition is `__name__ == ...`."""
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def caught_names(handler: ast.ExceptHandler) -> set[str]:
    """The names of the errors that a handler catches."""
    if handler.type is None:
        return {"BaseException"}
    return {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
