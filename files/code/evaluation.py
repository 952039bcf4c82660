"""The value of an expression of someone's script, as far as constants, text methods and decoders tell it.

Strategy: a small interpreter of expressions over exact builtin values. A name is looked up in what the
statements before it assigned; a function may be called only if it is on the allow lists of `bounded_decoding` and
`bounded_functions` or is a function of the script itself. Everything else is `Unknown`, and so is
whatever depends on it. Steps and bytes are counted, so that no script can make its reader work long.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import evaluated_displays
from .bounded_decompressors import MAX_DECODED_BYTES, CannotDecode
from .call_forms import CALL_FORMS
from .evaluated_assignments import assign
from .evaluated_calls import apply_call, is_known_call
from .evaluated_members import member
from .evaluated_operators import COMPARISONS, apply_operator, is_told
from .evaluated_values import (
    BUILTINS,
    UNKNOWN,
    ComputedMember,
    Found,
    Named,
    OneOf,
    Scope,
    Unknown,
    UserFunction,
    either,
    found_among,
    is_in_order,
    is_powerful,
)
from .tree_walk import walk

MAX_STEPS = 250_000
MAX_BYTES = 128 << 20
MAX_DEPTH = 120
MAX_WORLDS = 16  # of values that names may have together
WRONG_VALUES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError)


@dataclass(slots=True)
class Evaluator:
    """Evaluates expressions; `read_file` gives the bytes of a file that the script may read, None for others,
    `file_exists` tells whether there is a file or folder, and `files_below` names the files in and below a folder.
    """

    script: str
    read_file: Callable[[str], bytes | None]
    file_exists: Callable[[str], bool]
    files_below: Callable[[str], list[str]] = lambda folder: []
    steps: int = MAX_STEPS
    bytes: int = MAX_BYTES
    depth: int = 0
    files_read: list[str] = field(default_factory=list)
    choices: dict[ast.expr, bool] = field(default_factory=dict)  # taken for conditions that are not known
    open_points: dict[ast.AST, tuple[list[str], list[ast.IfExp]]] = field(default_factory=dict)
    decoders: dict[str, None] = field(default_factory=dict)  # names of those that gave something, in order

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression, `Unknown` where it cannot be told."""
        self.steps -= 1
        if self.steps < 0 or self.depth > MAX_DEPTH:
            return Unknown("too long a computation")
        method = METHODS.get(type(node))
        if method is None:
            return UNKNOWN
        self.depth += 1
        try:
            return self._counted(method(self, node, names))
        except CannotDecode as error:
            return Unknown(str(error))
        except WRONG_VALUES as error:
            return Unknown(f"{type(error).__name__}: {error}")
        finally:
            self.depth -= 1

    def worlds(self, node: ast.AST, names: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The names as they may be where `node` is evaluated: each of the values of those that have several, and each
        way of `a if b else c` where b is not known. Evaluate `node` while the iterator stands there.
        """
        named, conditional = self.open_points.get(node) or self._open_points(node)
        several = [name for name in named if isinstance(names.get(name), OneOf)]
        open_ = [item for item in conditional if isinstance(self._truth(item.test, names), Unknown)]
        if not several and not open_:
            yield names
            return
        ways = [*(names[name].values for name in several), *[(True, False)] * len(open_)]
        for way in itertools.islice(itertools.product(*ways), MAX_WORLDS):
            self.choices.update(zip(open_, way[len(several) :], strict=True))
            yield {**names, **dict(zip(several, way, strict=False))}
        for item in open_:
            self.choices.pop(item, None)
        if math.prod(map(len, ways)) > MAX_WORLDS:
            yield {**names, **dict.fromkeys(several, UNKNOWN)}

    def _open_points(self, node: ast.AST) -> tuple[list[str], list[ast.IfExp]]:
        """What may make an expression have several values: its names, and its conditional expressions."""
        root = node
        while isinstance(root, ast.Attribute):  # `a.b.c` is most of what is called
            root = root.value
        if isinstance(root, ast.Name | ast.Constant):
            self.open_points[node] = ([root.id] if isinstance(root, ast.Name) else [], [])
            return self.open_points[node]
        walked = walk(node)
        self.open_points[node] = (
            list(dict.fromkeys(item.id for item in walked if isinstance(item, ast.Name))),
            [item for item in walked if isinstance(item, ast.IfExp)],
        )
        return self.open_points[node]

    def alternatives(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression, or `OneOf` those that it may have."""
        named, conditional = self.open_points.get(node) or self._open_points(node)
        if not conditional and not any(type(names.get(name)) is OneOf for name in named):
            value = self.value(node, names)
            return either([value]) if isinstance(value, OneOf) else value
        return either([self.value(node, world) for world in self.worlds(node, names)])

    def single(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression if it can have but one."""
        value = self.alternatives(node, names)
        return UNKNOWN if isinstance(value, OneOf) else value

    def known(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression; CannotDecode where it cannot be told."""
        value = self.value(node, names)
        if isinstance(value, Unknown):
            raise CannotDecode(value.reason)
        return value

    def spend(self, steps: int) -> None:
        """Count work that is no expression; CannotDecode where there has been too much."""
        self.steps -= steps
        if self.steps < 0:
            raise CannotDecode("too long a computation")

    def _counted(self, value: Any) -> Any:
        if isinstance(value, str | bytes | list | tuple) and len(value) > 1024:
            self.bytes -= len(value)
            if self.bytes < 0 or len(value) > MAX_DECODED_BYTES:
                return Unknown("too much data")
        return value

    def _constant(self, node: ast.Constant, names: dict[str, Any]) -> Any:
        return node.value

    def _name(self, node: ast.Name, names: dict[str, Any]) -> Any:
        if node.id in names:
            value = names[node.id]
            return UNKNOWN if isinstance(value, OneOf) else value  # `worlds` takes one after the other
        return self.script if node.id == "__file__" else BUILTINS.get(node.id, UNKNOWN)

    def _binary(self, node: ast.BinOp, names: dict[str, Any]) -> Any:
        return apply_operator(node.op, self.known(node.left, names), self.known(node.right, names))

    def _unary(self, node: ast.UnaryOp, names: dict[str, Any]) -> Any:
        if isinstance(node.op, ast.Not):
            truth = self._truth(node.operand, names)
            return truth if isinstance(truth, Unknown) else not truth
        value = self.known(node.operand, names)
        return -value if isinstance(node.op, ast.USub) else ~value if isinstance(node.op, ast.Invert) else +value

    def _boolean(self, node: ast.BoolOp, names: dict[str, Any]) -> Any:
        value: Any = UNKNOWN
        for item in node.values:
            value = self.known(item, names)
            if item is node.values[-1]:
                break
            if isinstance(truth := self._truth(item, names), Unknown):
                return truth
            if truth == isinstance(node.op, ast.Or):
                break
        return value

    def _compare(self, node: ast.Compare, names: dict[str, Any]) -> Any:
        left = self.known(node.left, names)
        for operation, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.known(comparator, names)
            if not (is_told(left) and is_told(right)):
                return UNKNOWN
            if not COMPARISONS[type(operation)](left, right):
                return False
            left = right
        return True

    def _truth(self, node: ast.expr, names: dict[str, Any]) -> bool | Unknown:
        """Whether a condition holds; what a module holds (`sys.argv`) may be anything."""
        value = self.value(node, names)
        if isinstance(value, Unknown) or (isinstance(value, Named) and "." in value.name):
            return UNKNOWN
        return bool(value)

    def _if(self, node: ast.IfExp, names: dict[str, Any]) -> Any:
        condition = self.choices[node] if node in self.choices else self._truth(node.test, names)
        if isinstance(condition, Unknown):
            value = self.value(node.body, names)
            return self.value(node.orelse, names) if isinstance(value, Unknown) else value
        return self.value(node.body if condition else node.orelse, names)

    def _subscript(self, node: ast.Subscript, names: dict[str, Any]) -> Any:
        if isinstance(node.slice, ast.Slice):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            bounds = [None if part is None else self.known(part, names) for part in parts]
            value = self.known(node.value, names)
            return found_among(value[slice(*bounds)], value) if is_in_order(value, bounds) else UNKNOWN
        value, key = self.value(node.value, names), self.value(node.slice, names)
        if value == Named("sys.modules") and getattr(node.slice, "id", "") == "__name__":
            return Scope(names)
        if isinstance(value, ComputedMember) or (isinstance(key, Unknown) and is_powerful(value)):
            return ComputedMember("a computed name", getattr(value, "name", "globals()"))
        for part in (value, key):
            if isinstance(part, Unknown):
                raise CannotDecode(part.reason)
        if isinstance(value, Scope) or (isinstance(value, Named) and value.name.endswith(("sys.modules", ".__dict__"))):
            return member(value, key) if isinstance(key, str) else UNKNOWN
        if isinstance(value, Named) or not is_in_order(value):
            return value.only() if isinstance(value, Found) else UNKNOWN
        return value[key]

    def _attribute(self, node: ast.Attribute, names: dict[str, Any]) -> Any:
        owner = self.value(node.value, names)
        return owner if isinstance(owner, Unknown) else member(owner, node.attr)

    def _named(self, node: ast.NamedExpr, names: dict[str, Any]) -> Any:
        value = self.value(node.value, names)
        names[node.target.id] = value
        return value

    def _lambda(self, node: ast.Lambda, names: dict[str, Any]) -> Any:
        return UserFunction(node, names)

    def _call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        callee = self.callee(node, names)
        if isinstance(callee, Unknown):
            return callee
        if isinstance(callee, Named):
            special = CALL_FORMS.get(callee.name)
            if special is not None and (value := special(self, node, names)) is not NotImplemented:
                return value
            if not is_known_call(callee.name):
                return UNKNOWN
        arguments: list[Any] = []
        for item in node.args:
            if isinstance(item, ast.Starred):
                arguments += self.known(item.value, names)
            else:
                arguments.append(self.known(item, names))
        options: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.known(keyword.value, names)
            options.update({keyword.arg: value} if keyword.arg else value)
        return apply_call(self, callee, arguments, options)

    def assign(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        """Do an assignment, or a statement such as `a.append(b)`."""
        assign(self, statement, names)

    def callee(self, node: ast.Call, names: dict[str, Any]) -> Any:
        """What is called: `Named`, a `UserFunction`, or a (value, method name) pair."""
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value, names)
            if isinstance(owner, Unknown):
                return owner
            if not isinstance(owner, Named):
                return owner, node.func.attr
        return self.value(node.func, names)


METHODS: dict[type, Callable[[Evaluator, Any, dict[str, Any]], Any]] = {
    ast.Constant: Evaluator._constant,
    ast.Name: Evaluator._name,
    ast.List: evaluated_displays.sequence,
    ast.Tuple: evaluated_displays.sequence,
    ast.Dict: evaluated_displays.dict_display,
    ast.BinOp: Evaluator._binary,
    ast.UnaryOp: Evaluator._unary,
    ast.BoolOp: Evaluator._boolean,
    ast.Compare: Evaluator._compare,
    ast.IfExp: Evaluator._if,
    ast.Subscript: Evaluator._subscript,
    ast.Attribute: Evaluator._attribute,
    ast.JoinedStr: evaluated_displays.text,
    ast.FormattedValue: evaluated_displays.formatted,
    ast.NamedExpr: Evaluator._named,
    ast.Lambda: Evaluator._lambda,
    ast.ListComp: evaluated_displays.comprehension,
    ast.GeneratorExp: evaluated_displays.comprehension,
    ast.SetComp: evaluated_displays.comprehension,
    ast.DictComp: evaluated_displays.comprehension,
    ast.Call: Evaluator._call,
}
