"""The value of an expression of someone's script, as far as constants, text methods and decoders tell it.

Strategy: a small interpreter of expressions over exact builtin values. A name is looked up in what the
statements before it assigned; a function may be called only if it is on the allow list of
`bounded_decoding` or is a short function of the script itself. Everything else is `Unknown`, and so is
whatever depends on it. Steps and bytes are counted, so that no script can make its reader work long.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from . import bounded_decoding
from .bounded_decoding import CannotDecode
from .evaluated_calls import KNOWN_CALLS, apply_call, member
from .evaluated_values import BUILTINS, UNKNOWN, Compiled, Named, Unknown, UserFunction, bind_target, is_plain

MAX_STEPS = 250_000
MAX_BYTES = 128 << 20
MAX_DEPTH = 120
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.LShift: lambda left, right: left << right if right < 4096 else 0,
    ast.RShift: operator.rshift,
}
COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
WRONG_VALUES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError)


@dataclass(slots=True)
class Evaluator:
    """Evaluates expressions; `read_file` gives the bytes of a file that the script may read, None for others, and
    `file_exists` tells whether there is a file or folder.
    """

    script: str
    read_file: Callable[[str], bytes | None]
    file_exists: Callable[[str], bool]
    steps: int = MAX_STEPS
    bytes: int = MAX_BYTES
    depth: int = 0
    files_read: list[str] = field(default_factory=list)
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

    def _counted(self, value: Any) -> Any:
        if isinstance(value, str | bytes | list | tuple) and len(value) > 1024:
            self.bytes -= len(value)
            if self.bytes < 0 or len(value) > bounded_decoding.MAX_DECODED_BYTES:
                return Unknown("too much data")
        return value

    def _known(self, node: ast.expr, names: dict[str, Any]) -> Any:
        value = self.value(node, names)
        if isinstance(value, Unknown):
            raise CannotDecode(value.reason)
        return value

    def _constant(self, node: ast.Constant, names: dict[str, Any]) -> Any:
        return node.value

    def _name(self, node: ast.Name, names: dict[str, Any]) -> Any:
        if node.id in names:
            return names[node.id]
        return self.script if node.id == "__file__" else BUILTINS.get(node.id, UNKNOWN)

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set, names: dict[str, Any]) -> Any:
        items: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                items += self._known(item.value, names)
            else:
                items.append(self.value(item, names))
        return tuple(items) if isinstance(node, ast.Tuple) else items

    def _dict(self, node: ast.Dict, names: dict[str, Any]) -> Any:
        return {
            self._known(key, names): self.value(value, names)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }

    def _binary(self, node: ast.BinOp, names: dict[str, Any]) -> Any:
        left, right = self._known(node.left, names), self._known(node.right, names)
        if isinstance(node.op, ast.Div) and isinstance(left, PurePosixPath | str):
            return PurePosixPath(left) / right
        if isinstance(node.op, ast.Mod) and isinstance(left, str | bytes):
            return bounded_decoding.format_percent(left, right)
        if isinstance(node.op, ast.Mult):
            long, count = (right, left) if isinstance(left, int) else (left, right)
            limit = bounded_decoding.MAX_ITEMS if isinstance(long, list | tuple) else bounded_decoding.MAX_DECODED_BYTES
            if not isinstance(long, int | float) and len(long) * count > limit:
                raise CannotDecode("a repetition that is too long")
        if type(node.op) not in OPERATORS or not is_plain(left) or not is_plain(right):
            return UNKNOWN
        result = OPERATORS[type(node.op)](left, right)
        if isinstance(result, int) and result.bit_length() > 1 << 20:
            raise CannotDecode("a number that is too large")
        return result

    def _unary(self, node: ast.UnaryOp, names: dict[str, Any]) -> Any:
        value = self._known(node.operand, names)
        if isinstance(node.op, ast.Not):
            return not value
        return -value if isinstance(node.op, ast.USub) else ~value if isinstance(node.op, ast.Invert) else +value

    def _boolean(self, node: ast.BoolOp, names: dict[str, Any]) -> Any:
        value: Any = UNKNOWN
        for item in node.values:
            value = self._known(item, names)
            if bool(value) == isinstance(node.op, ast.Or):
                break
        return value

    def _compare(self, node: ast.Compare, names: dict[str, Any]) -> Any:
        if len(node.ops) != 1:
            return UNKNOWN
        left, right = self._known(node.left, names), self._known(node.comparators[0], names)
        return COMPARISONS[type(node.ops[0])](left, right)

    def _if(self, node: ast.IfExp, names: dict[str, Any]) -> Any:
        condition = self.value(node.test, names)
        if isinstance(condition, Unknown):
            value = self.value(node.body, names)
            return self.value(node.orelse, names) if isinstance(value, Unknown) else value
        return self.value(node.body if condition else node.orelse, names)

    def _subscript(self, node: ast.Subscript, names: dict[str, Any]) -> Any:
        if isinstance(node.slice, ast.Slice):
            bounds = [
                None if part is None else self._known(part, names)
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            return self._known(node.value, names)[slice(*bounds)]
        value, key = self._known(node.value, names), self._known(node.slice, names)
        if isinstance(value, Named) and isinstance(key, str) and value.name.endswith(("sys.modules", ".__dict__")):
            return member(value, key)
        return UNKNOWN if isinstance(value, Named) else value[key]

    def _attribute(self, node: ast.Attribute, names: dict[str, Any]) -> Any:
        return member(self._known(node.value, names), node.attr)

    def _text(self, node: ast.JoinedStr, names: dict[str, Any]) -> Any:
        return "".join(str(self._known(part, names)) for part in node.values)

    def _formatted(self, node: ast.FormattedValue, names: dict[str, Any]) -> Any:
        value = self._known(node.value, names)
        if node.format_spec is not None or node.conversion not in (-1, 115):
            return UNKNOWN
        return bounded_decoding.make_text(value)

    def _named(self, node: ast.NamedExpr, names: dict[str, Any]) -> Any:
        value = self.value(node.value, names)
        names[node.target.id] = value
        return value

    def _lambda(self, node: ast.Lambda, names: dict[str, Any]) -> Any:
        return UserFunction(node, names)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, names: dict[str, Any]) -> Any:
        results: list[Any] = []
        inner = dict(names)

        def run(number: int) -> None:
            if number == len(node.generators):
                results.append(self._known(node.elt, inner))
                return
            generator = node.generators[number]
            for item in self._known(generator.iter, inner):
                bind_target(generator.target, item, inner)
                if all(self._known(condition, inner) for condition in generator.ifs):
                    run(number + 1)

        run(0)
        return results

    def _call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        callee = self.callee(node, names)
        if isinstance(callee, Unknown):
            return callee
        if isinstance(callee, Named) and callee.name in ("os.environ.get", "os.getenv"):
            return self._known(node.args[1], names) if len(node.args) > 1 else UNKNOWN
        if isinstance(callee, Named) and callee.name == "compile" and node.args:
            return Compiled(self._known(node.args[0], names))
        if isinstance(callee, Named) and callee.name not in KNOWN_CALLS:
            return UNKNOWN
        arguments: list[Any] = []
        for item in node.args:
            if isinstance(item, ast.Starred):
                arguments += self._known(item.value, names)
            else:
                arguments.append(self._known(item, names))
        options = {item.arg: self._known(item.value, names) for item in node.keywords if item.arg}
        return apply_call(self, callee, arguments, options)

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
    ast.List: Evaluator._sequence,
    ast.Tuple: Evaluator._sequence,
    ast.Dict: Evaluator._dict,
    ast.BinOp: Evaluator._binary,
    ast.UnaryOp: Evaluator._unary,
    ast.BoolOp: Evaluator._boolean,
    ast.Compare: Evaluator._compare,
    ast.IfExp: Evaluator._if,
    ast.Subscript: Evaluator._subscript,
    ast.Attribute: Evaluator._attribute,
    ast.JoinedStr: Evaluator._text,
    ast.FormattedValue: Evaluator._formatted,
    ast.NamedExpr: Evaluator._named,
    ast.Lambda: Evaluator._lambda,
    ast.ListComp: Evaluator._comprehension,
    ast.GeneratorExp: Evaluator._comprehension,
    ast.SetComp: Evaluator._comprehension,
    ast.Call: Evaluator._call,
}
