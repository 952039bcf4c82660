"""Assignments of a script to names, items and parts, and statements such as `a.append(b)`, done to what names hold.

Strategy: lists, dicts and bytearrays are changed in place, since several names may hold one; what cannot be done
here is forgotten under all of its names.
"""

from __future__ import annotations

import ast
from typing import Any

from .call_context import CallContext
from .changed_names import forget_value
from .evaluated_calls import change, set_item
from .evaluated_values import UNKNOWN, OneOf, bind_target


def assign(evaluator: CallContext, statement: ast.stmt, names: dict[str, Any]) -> None:
    """Do an assignment, or a statement such as `a.append(b)`, to names and to the lists and dicts they hold."""
    match statement:
        case ast.Assign() | ast.AnnAssign(value=ast.expr()):
            value = evaluator.alternatives(statement.value, names)  # type: ignore[arg-type]
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                bind(evaluator, target, value, names)
        case ast.AugAssign(target=ast.Name(id=name)):
            held = names.get(name)
            both = ast.BinOp(ast.Name(name, ast.Load()), statement.op, statement.value)
            names[name] = value = evaluator.alternatives(both, names)
            if isinstance(held, list | bytearray) and type(value) is type(held):
                held[:] = value  # what other names hold grows, too
                names[name] = held
            elif isinstance(held, list | dict | bytearray):
                forget_value(held, names)
        case ast.AugAssign(target=ast.Subscript(value=owner)):
            forget_value(evaluator.value(owner, names), names)
        case ast.Expr(value=ast.Call() as call):
            change(evaluator, call, names)


def bind(evaluator: CallContext, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
    """Assign a value to a name, an item, or its parts to several of these."""
    if isinstance(value, OneOf) and not isinstance(target, ast.Name):
        value = UNKNOWN
    bind_target(target, value, names)
    for item in () if isinstance(target, ast.Name) else ast.walk(target):
        if isinstance(item, ast.Subscript) and isinstance(item.ctx, ast.Store):
            set_item(evaluator, item, value if item is target else UNKNOWN, names)
