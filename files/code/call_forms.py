"""Calls that are no function of their arguments' values alone: `eval`, `globals`, `getattr` by an unknown name, `glob`.

Strategy: a table by full name beside those of `evaluated_calls`. Each form gets the call as it is written, looks at
what it needs, and gives `NotImplemented` where the call is an ordinary one.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable
from typing import Any

from .bounded_decoding import listed
from .bounded_decompressors import CannotDecode
from .call_context import CallContext
from .evaluated_values import C_LIBRARY, UNKNOWN, Compiled, ComputedMember, Found, Named, Scope, Unknown, is_powerful
from .found_files import listed_folder, matching_files, walked_folder
from .network_names import INSTANCES

MAX_EVALUATED = 1 << 16  # characters of a text that is evaluated
CHARACTERS_A_STEP = 32  # of such a text


def parsed(evaluator: CallContext, text: Any, mode: str) -> Any:
    """The tree of a short text that the script executes; CannotDecode for any other value."""
    text = bytes(text).decode("utf-8", "replace") if isinstance(text, bytes | bytearray) else text
    if not isinstance(text, str) or len(text) > MAX_EVALUATED:
        raise CannotDecode("no short text")
    evaluator.spend(len(text) // CHARACTERS_A_STEP)
    try:
        return ast.parse(text.strip() if mode == "eval" else text, mode=mode)
    except SyntaxError as error:
        raise CannotDecode("no Python") from error


def _environment(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    """A variable of the environment: its default."""
    return evaluator.known(node.args[1], names) if len(node.args) > 1 else UNKNOWN


def _compiled(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    return Compiled(evaluator.known(node.args[0], names)) if node.args else UNKNOWN


def _scope(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    return NotImplemented if node.args else Scope(names)


def _frame(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    """A frame of the interpreter: whose ever it is, its names are taken for those that are known here."""
    return Scope(
        {**names, "f_globals": Scope(names), "f_locals": Scope(names), "f_builtins": Named("builtins.__dict__")}
    )


def _looked_up(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    """`getattr` of a module that can run code, by a name that is not known."""
    if len(node.args) < 2 or not isinstance(evaluator.value(node.args[1], names), Unknown):
        return NotImplemented
    owner = evaluator.value(node.args[0], names)
    if is_powerful(owner) or isinstance(owner, ComputedMember):
        return ComputedMember("a computed name", getattr(owner, "name", getattr(owner, "owner", "globals()")))
    return UNKNOWN


def _library(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    """`ctypes.CDLL(None)`, and the C library under its name or looked for: it has functions that `os` has, too."""
    given = node.args[0] if node.args else ast.Constant(None)
    if isinstance(given, ast.Call) and evaluator.value(given.func, names) == Named("ctypes.util.find_library"):
        return Named(C_LIBRARY) if given.args and evaluator.value(given.args[0], names) == "c" else UNKNOWN
    name = evaluator.value(given, names)
    is_c = name is None or (isinstance(name, str) and posixpath.basename(name).startswith("libc."))
    return Named(C_LIBRARY) if is_c else UNKNOWN


def _next(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    """The first item of something made on the spot; what a name holds may have been taken from already."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Call) and getattr(first.func, "id", "") == "iter" and len(first.args) == 1:
        given = evaluator.known(first.args[0], names)
        return given.only() if isinstance(given, Found) else listed(given)[0]
    items: Any = evaluator.known(first, names) if isinstance(first, ast.GeneratorExp | ast.Call) else UNKNOWN
    if isinstance(items, Found):
        return items.only()
    return items[0] if isinstance(first, ast.GeneratorExp) else UNKNOWN


def _evaluated(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    """The value of the text that `eval` is given, among the names of its second argument or those around it."""
    text = evaluator.known(node.args[0], names)
    text = text.source if isinstance(text, Compiled) else text
    inner = evaluator.known(node.args[1], names) if len(node.args) > 1 else names
    inner = inner.names if isinstance(inner, Scope) else inner
    tree = parsed(evaluator, text, "eval")
    return evaluator.value(tree.body, inner) if isinstance(inner, dict) else UNKNOWN


def _globbed(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    """Files whose names fit a pattern."""
    options = {item.arg: evaluator.known(item.value, names) for item in node.keywords}
    pattern = str(evaluator.known(node.args[0], names) if node.args else options.get("pathname"))
    if "root_dir" in options or "dir_fd" in options:
        return UNKNOWN
    return matching_files(evaluator.files_below, pattern, bool(options.get("recursive")))


def _listed(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    return listed_folder(evaluator.files_below, _folder(evaluator, node, names), as_paths=False)


def _scanned(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    return listed_folder(evaluator.files_below, _folder(evaluator, node, names), as_paths=True)


def _walked(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> Any:
    return walked_folder(evaluator.files_below, _folder(evaluator, node, names))


def _folder(evaluator: CallContext, node: ast.Call, names: dict[str, Any]) -> str:
    given = [*node.args, *(item.value for item in node.keywords if item.arg in ("path", "top"))]
    return str(evaluator.known(given[0], names) or ".") if given else "."


def _instance(name: str) -> Callable[[CallContext, ast.Call, dict[str, Any]], Any]:
    return lambda evaluator, node, names: Named(f"{name}()")


CALL_FORMS: dict[str, Callable[[CallContext, ast.Call, dict[str, Any]], Any]] = {
    "os.environ.get": _environment,
    "os.getenv": _environment,
    "compile": _compiled,
    "eval": _evaluated,
    "globals": _scope,
    "locals": _scope,
    "vars": _scope,
    "sys._getframe": _frame,
    "inspect.currentframe": _frame,
    "getattr": _looked_up,
    "next": _next,
    **dict.fromkeys(("ctypes.CDLL", "ctypes.PyDLL", "ctypes.cdll.LoadLibrary"), _library),
    **{name: _instance(name) for name in INSTANCES},
    "glob.glob": _globbed,
    "glob.iglob": _globbed,
    "os.listdir": _listed,
    "os.scandir": _scanned,
    "os.walk": _walked,
}
