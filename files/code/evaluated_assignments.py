"""Assignments of a script to names, items and parts, and statements such as `a.append(b)`, done to what names hold.

Strategy: lists, dicts and bytearrays are changed in place, since several names may hold one; what cannot be done
here is forgotten under all of its names.
"""

from __future__ import annotations

import ast
from typing import Any

from .bounded_decompressors import CannotDecode
from .bounded_functions import CHANGES, CHANGING
from .call_context import CallContext
from .changed_names import forget_value
from .evaluated_values import UNKNOWN, Found, OneOf, Scope, Unknown, bind_target


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
            _change(evaluator, call, names)


def bind(evaluator: CallContext, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
    """Assign a value to a name, an item, or its parts to several of these."""
    if isinstance(value, OneOf) and not isinstance(target, ast.Name):
        value = UNKNOWN
    bind_target(target, value, names)
    for item in () if isinstance(target, ast.Name) else ast.walk(target):
        if isinstance(item, ast.Subscript) and isinstance(item.ctx, ast.Store):
            _set_item(evaluator, item, value if item is target else UNKNOWN, names)


def _change(evaluator: CallContext, call: ast.Call, names: dict[str, Any]) -> None:
    """Do a statement such as `a.append(b)` to the list, dict or bytearray; it is forgotten where that fails."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in CHANGING:
        return
    owner = evaluator.value(call.func.value, names)
    if isinstance(owner, Scope):
        for keyword in call.keywords if call.func.attr == "update" else []:
            if keyword.arg:
                owner.names[keyword.arg] = evaluator.single(keyword.value, names)
        return
    if isinstance(owner, Found) and call.func.attr in ("sort", "reverse"):
        owner.is_sorted = call.func.attr == "sort" and not call.keywords
        owner.sort()
        return
    method = CHANGES.get(list if isinstance(owner, Found) else type(owner), {}).get(call.func.attr)
    arguments = [evaluator.single(item, names) for item in call.args]
    options = {item.arg or "": evaluator.single(item.value, names) for item in call.keywords}
    try:
        if method is None or "" in options:
            raise TypeError(call.func.attr)
        method(owner, *arguments, **options)
    except (TypeError, ValueError, LookupError, AttributeError, CannotDecode):
        forget_value(owner, names)


def _set_item(evaluator: CallContext, target: ast.Subscript, value: Any, names: dict[str, Any]) -> None:
    """`a[key] = value`; what is not known here is forgotten."""
    owner = evaluator.value(target.value, names)
    key = UNKNOWN if isinstance(target.slice, ast.Slice) else evaluator.value(target.slice, names)
    if isinstance(owner, Scope):
        if isinstance(key, str):
            owner.names[key] = value
    elif isinstance(owner, list | dict | bytearray):
        try:
            if isinstance(key, Unknown):
                raise TypeError("an item that is not known")
            owner[key] = value
        except (TypeError, ValueError, LookupError):
            forget_value(owner, names)
