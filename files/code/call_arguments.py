"""What a call is given, as far as it is known: paths, ends of paths, commands with what is not known left out.

Strategy: an argument is evaluated; where it has no value, the constant end of its text is kept, for a file is known by
it, and marked as assumed by whoever asks.
"""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import Any

from .changed_names import last_name
from .commands import Word
from .evaluated_values import UNKNOWN, OpenFile
from .evaluation import Evaluator


class CallArguments:
    """Looks at the arguments of calls; `attributes` are values of attributes by their own name."""

    def __init__(self, evaluator: Evaluator, attributes: dict[str, Any]) -> None:
        self.evaluator, self.attributes = evaluator, attributes

    def path_text(self, call: ast.Call, place: int, names: dict[str, Any], keyword: str) -> tuple[str, bool] | None:
        """A path and whether it is only its end; None where nothing is known."""
        node = call.args[place] if len(call.args) > place else keyword_of(call, keyword)
        if node is None:
            return None
        path = as_word(self.evaluator.value(node, names))
        if path is not None:
            return (path, False) if path else None
        end = self.known_end(node, names)
        return (end, True) if end else None

    def known_end(self, node: ast.expr, names: dict[str, Any]) -> str:
        """The constant end of a path (`folder / "x.npz"`, f"{folder}/x.npz"), or the value of an attribute."""
        if isinstance(node, ast.Attribute):
            return as_word(self.attributes.get(node.attr, UNKNOWN)) or ""
        if isinstance(node, ast.Call):
            if last_name(node.func) in ("join", "joinpath") and node.args:  # what stands before is no end
                return self.known_end(node.args[-1], names)
            wrapped = [*node.args, node.func.value if isinstance(node.func, ast.Attribute) else None]
            return next((end for item in reversed(wrapped) if item and (end := self.known_end(item, names))), "")
        if isinstance(node, ast.BinOp):
            node = node.right
        if isinstance(node, ast.JoinedStr) and node.values:
            node = node.values[-1]
        value = as_word(self.evaluator.value(node, names)) or ""
        return value.lstrip("/") if "." in value else ""

    def sketch(self, node: ast.expr, names: dict[str, Any]) -> str:
        """The text of a command with what is not known left out."""
        if isinstance(node, ast.JoinedStr):
            return "".join(self.sketch(part, names) for part in node.values)
        if isinstance(node, ast.BinOp):
            return self.sketch(node.left, names) + self.sketch(node.right, names)
        if isinstance(node, ast.FormattedValue):
            return as_word(self.evaluator.value(node.value, names)) or self.known_end(node.value, names) or "?"
        return as_word(self.evaluator.value(node, names)) or "?"

    def argument(self, call: ast.Call, place: int, names: dict[str, Any], keyword: str = "") -> Any:
        """The value of an argument by its place, or by its name."""
        node = call.args[place] if call.args[place:] else keyword_of(call, keyword)
        return UNKNOWN if node is None else self.evaluator.value(node, names)


def as_word(value: Any) -> Word:
    """A word of a command, or a path, from a value; None where it is neither."""
    if isinstance(value, OpenFile):
        return value.path
    return str(value) if isinstance(value, str | PurePosixPath | int) and not isinstance(value, bool) else None


def keyword_of(call: ast.Call, name: str) -> ast.expr | None:
    """What a call is given under a name."""
    return next((item.value for item in call.keywords if item.arg == name), None)


def keyword_is(call: ast.Call, name: str, value: object) -> bool:
    """Whether a call is given just this constant under a name."""
    node = keyword_of(call, name)
    return isinstance(node, ast.Constant) and node.value is value


def summed_lists(node: ast.expr | None) -> list[ast.expr]:
    """The items of a list display, and of a sum that begins with one; what is added and no display stands starred."""
    if isinstance(node, ast.List | ast.Tuple):
        return node.elts
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and (left := summed_lists(node.left)):
        return [*left, *(summed_lists(node.right) or [ast.Starred(node.right, ast.Load())])]
    return []


def is_reflection(node: ast.expr) -> bool:
    """Whether an expression goes up to `object`: `().__class__.__base__`."""
    attributes = {item.attr for item in ast.walk(node) if isinstance(item, ast.Attribute)}
    bare = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    return bool(attributes & {"__base__", "__bases__", "__mro__"} or "object" in bare)


def is_system_library(call: ast.Call) -> bool:
    """`ctypes.CDLL(None)` and `ctypes.CDLL(find_library("c"))` are no files of a submission."""
    argument = call.args[0] if call.args else None
    named = argument.func if isinstance(argument, ast.Call) else argument
    return isinstance(argument, ast.Constant) or getattr(named, "attr", getattr(named, "id", "")) == "find_library"


def is_memory(call: ast.Call) -> bool:
    """Whether the first argument is made on the spot: `torch.load(io.BytesIO(...))`."""
    return bool(call.args) and isinstance(call.args[0], ast.Call) and "BytesIO" in ast.dump(call.args[0].func)
