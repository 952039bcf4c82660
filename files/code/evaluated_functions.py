"""A call of a function of the script on known values: its statements, as far as constants decide them.

Strategy: the statements that a function which unpacks something is made of: assignments, loops, branches, `return`.
One that is not known here, or whose condition is not, ends the call without a value. The evaluator counts steps.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from typing import Any

from . import bounded_decoding, call_names, network_names
from .bounded_decompressors import CannotDecode
from .call_context import CallContext
from .evaluated_values import Named, Unknown, UserFunction, bind_target


class End(enum.Enum):
    """How a run of statements ended that returned nothing."""

    THROUGH = enum.auto()
    BREAK = enum.auto()
    CONTINUE = enum.auto()


def run_function(evaluator: CallContext, function: UserFunction, names: dict[str, Any]) -> Any:
    """What a function returns whose parameters are bound in `names`."""
    if isinstance(function.node, ast.Lambda):
        return evaluator.value(function.node.body, names)
    ended = run_statements(evaluator, function.node.body, names)
    return None if isinstance(ended, End) else ended[0]


def run_statements(evaluator: CallContext, statements: list[ast.stmt], names: dict[str, Any]) -> End | tuple[Any]:
    """Run statements to their end or to a `return`, whose value is the one item of the tuple."""
    for statement in statements:
        evaluator.spend(1)
        ended = _run(evaluator, statement, names)
        if ended is not End.THROUGH:
            return ended
    return End.THROUGH


def _run(evaluator: CallContext, statement: ast.stmt, names: dict[str, Any]) -> End | tuple[Any]:
    match statement:
        case ast.Return():
            return (evaluator.value(statement.value, names) if statement.value else None,)
        case ast.Assign() | ast.AnnAssign(value=ast.expr()) | ast.AugAssign() | ast.Expr():
            evaluator.assign(statement, names)
        case ast.Import() | ast.ImportFrom():
            bind_imports(statement, names)
        case ast.If():
            return run_statements(
                evaluator, statement.body if _told(evaluator, statement.test, names) else statement.orelse, names
            )
        case ast.For(orelse=[]) | ast.While(orelse=[]):
            for _ in _turns(evaluator, statement, names):
                ended = run_statements(evaluator, statement.body, names)
                if ended is End.BREAK:
                    break
                if isinstance(ended, tuple):
                    return ended
        case ast.FunctionDef(decorator_list=[]):
            names[statement.name] = UserFunction(statement, names)
        case ast.Break():
            return End.BREAK
        case ast.Continue():
            return End.CONTINUE
        case ast.Pass():
            pass
        case _:
            raise CannotDecode("a function that does more than compute")
    return End.THROUGH


def _turns(evaluator: CallContext, loop: ast.For | ast.While, names: dict[str, Any]) -> Iterator[None]:
    """Stands at each turn of a loop, what it goes over bound."""
    if isinstance(loop, ast.For):
        for item in list(_told(evaluator, loop.iter, names)):
            bind_target(loop.target, item, names)
            yield
        return
    while _told(evaluator, loop.test, names):
        yield


def bind_imports(statement: ast.Import | ast.ImportFrom, names: dict[str, Any]) -> None:
    """The names that an import binds: modules, and what is in them."""
    for alias in statement.names:
        if alias.name == "*" and isinstance(statement, ast.ImportFrom):
            names.update(_star_names(statement.module or "") if not statement.level else {})
        elif isinstance(statement, ast.ImportFrom):
            known = Named(f"{statement.module or ''}.{alias.name}") if not statement.level else Unknown()
            names[alias.asname or alias.name] = known
        else:
            first = alias.name.split(".")[0]
            names[alias.asname or first] = Named(alias.name if alias.asname else first)


def _star_names(module: str) -> dict[str, Named]:
    """What `from module import *` brings of the functions that are looked at."""
    tables = (
        call_names.EXECUTORS,
        call_names.IMPORTERS,
        call_names.FILE_IMPORTERS,
        call_names.STARTERS,
        call_names.STARTERS_OF_WORDS,
        call_names.OPENERS,
        call_names.READERS,
        call_names.LIBRARIES,
        network_names.FUNCTIONS,
        network_names.INSTANCES,
        bounded_decoding.FUNCTIONS,
    )
    full = [name for table in tables for name in table if name.rpartition(".")[0] == module]
    return {name.rpartition(".")[2]: Named(name) for name in full if module}


def _told(evaluator: CallContext, node: ast.expr, names: dict[str, Any]) -> Any:
    """The value of what decides a function's way; what a module holds may be anything."""
    value = evaluator.value(node, names)
    if isinstance(value, Unknown | Named):
        raise CannotDecode(getattr(value, "reason", "") or "a condition that is not known")
    return value
