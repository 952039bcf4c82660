"""The text of kernels as a loader carries it: short names, numbers for constants, nothing that is only for readers.

Strategy: the functions that an entry reaches, those called first, each with its arrays named A, B, ... and its numbers
a, b, ..., which is how the loader's translation into C tells them apart. What the two languages read differently is
refused here (packing/kernels/__init__.py has the rules).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

from .kernels import ARRAYS

FOLDER = Path(__file__).parent / "kernels"
ENTRIES = {1: "decode_scale_classes", 2: "decode_mixing", 3: "decode_static"}  # by wire id of the codec
LIBRARY = {"min", "max", "abs", "range"}
STATEMENTS = (ast.Assign, ast.AugAssign, ast.If, ast.While, ast.For, ast.Return, ast.Expr)
NO_NEIGHBOURS = (ast.BitAnd, ast.BitOr, ast.BitXor)


def kernel_text(codecs: Sequence[int]) -> str:
    """The kernels of these codecs, by wire id; the entry of codec n is named kn."""
    functions, constants = _sources()
    order: dict[str, None] = {}
    for codec in codecs:
        _called_first(ENTRIES[codec], functions, order)
    names = {ENTRIES[codec]: f"k{codec}" for codec in codecs}
    helpers = [name for name in order if name not in names]
    names |= {name: f"f{letter}" for name, letter in zip(helpers, ascii_lowercase, strict=False)}
    return "\n".join(_function_text(functions[name], names, constants) for name in order)


@cache
def _sources() -> tuple[dict[str, ast.FunctionDef], dict[str, int]]:
    """All functions and all constants of the kernels by name; a constant has one value wherever it stands."""
    functions: dict[str, ast.FunctionDef] = {}
    constants: dict[str, int] = {}
    for path in sorted(FOLDER.glob("*.py")):
        own: dict[str, int] = {}
        for statement in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
            if isinstance(statement, ast.FunctionDef):
                functions[statement.name] = statement
            elif isinstance(statement, ast.Assign) and path.name != "__init__.py":
                _assign_constants(statement, own, constants)
        for name, value in own.items():
            if constants.setdefault(name, value) != value:
                raise ValueError(f"{path.name} gives {name} the value {value}, another kernel {constants[name]}")
    return functions, constants


def _assign_constants(statement: ast.Assign, own: dict[str, int], others: dict[str, int]) -> None:
    target, value = statement.targets[0], statement.value
    pairs: list[tuple[ast.expr, ast.expr]] = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=True))
    for name, number in pairs:
        own[ast.unparse(name)] = _number(number, {**others, **own})


def _number(expression: ast.expr, constants: dict[str, int]) -> int:
    """The value of an expression of numbers and constants."""
    match expression:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return constants[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, constants)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _number(left, constants), _number(right, constants)
            results = {ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b}
            results |= {ast.LShift: a << b} if isinstance(op, ast.LShift) else {ast.FloorDiv: a // b if b else 0}
            return results[type(op)]
    raise KeyError(ast.unparse(expression))


def _called_first(name: str, functions: dict[str, ast.FunctionDef], order: dict[str, None]) -> None:
    for node in ast.walk(functions[name]):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in functions and ast.unparse(node.func) not in order:
            _called_first(ast.unparse(node.func), functions, order)
    order[name] = None


def _function_text(function: ast.FunctionDef, names: dict[str, str], constants: dict[str, int]) -> str:
    arrays = [each.arg for each in function.args.args if each.arg in ARRAYS]
    stored = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    numbers = dict.fromkeys([each.arg for each in function.args.args if each.arg not in arrays] + stored)
    letters = {**dict(zip(arrays, ascii_uppercase, strict=False)), **dict(zip(numbers, ascii_lowercase, strict=False))}
    if len(arrays) > 26 or len(numbers) > 26:
        raise ValueError(f"{function.name} has more names than there are letters")
    body = function.body[1:]  # without its docstring
    for statement in body:
        _refuse_what_differs(statement, function.name)
    writer = _Shortened({**letters, **names}, constants)
    head = f"def {names[function.name]}({','.join(letters[each.arg] for each in function.args.args)}):"
    lines = [line for statement in body for line in ast.unparse(writer.visit(_copied(statement))).splitlines()]
    return "\n".join([head, *(_narrow(" " * 4 + line) for line in lines)])


def _copied(statement: ast.stmt) -> ast.stmt:
    return ast.parse(ast.unparse(statement)).body[0]


def _narrow(line: str) -> str:
    """The line with one space a level and none around signs."""
    code = line.lstrip()
    return " " * ((len(line) - len(code)) // 4) + re.sub(r" ?([-+*/<>=!&|^,]+) ?", r"\1", code)


class _Shortened(ast.NodeTransformer):
    """Writes letters for names and numbers for constants and what is computed of them alone."""

    def __init__(self, letters: dict[str, str], constants: dict[str, int]) -> None:
        self.letters, self.constants = letters, constants

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.letters or node.id in LIBRARY:
            return ast.Name(self.letters.get(node.id, node.id), node.ctx)
        return ast.Constant(self.constants[node.id])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        number = isinstance(node.operand, ast.Constant) and isinstance(node.op, ast.USub)
        return ast.Constant(_number(node, self.constants)) if number else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        try:
            return ast.Constant(_number(node, self.constants))
        except KeyError:
            self.generic_visit(node)
        right = node.right.value if isinstance(node.right, ast.Constant) else None
        if isinstance(node.op, ast.Sub) and isinstance(right, int) and right < 0:
            node = ast.BinOp(node.left, ast.Add(), ast.Constant(-right))  # C would read two signs as one
        if isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant) and node.right.value == 0:
            return node.left
        if isinstance(node.op, ast.Add) and isinstance(node.left, ast.Constant) and node.left.value == 0:
            return node.right
        return node


def _refuse_what_differs(tree: ast.AST, where: str) -> None:
    for node in ast.walk(tree):
        good = not isinstance(node, ast.stmt) or isinstance(node, STATEMENTS)
        match node:
            case ast.BinOp(left=ast.Constant(), op=ast.LShift()):
                good = isinstance(node.right, ast.Constant)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr() | ast.BitXor()):
                good = not any(isinstance(each, ast.Compare) for each in (node.left, node.right))
            case (
                ast.BinOp(op=ast.Mod() | ast.Div() | ast.Pow() | ast.MatMult())
                | ast.IfExp()
                | ast.UnaryOp(op=ast.Not())
            ):
                good = False
            case ast.Compare():
                sides = (node.left, *node.comparators)
                bits = any(isinstance(each, ast.BinOp) and isinstance(each.op, NO_NEIGHBOURS) for each in sides)
                good = len(node.ops) == 1 and not bits
            case ast.Assign():
                good = len(node.targets) == 1 and not isinstance(node.targets[0], ast.Tuple)
        if not good:
            raise ValueError(f"{where}: C would read `{ast.unparse(node)}` otherwise")
