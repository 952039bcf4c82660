"""Calls that an evaluated script may make: those of `bounded_decoding`, of values it holds, and of its own functions.

Strategy: a call is looked up in tables of names; what is not in one is unknown, and nothing of the
script's world (modules, files beyond those of the room, processes) is reached.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, Protocol

from . import bounded_decoding
from .evaluated_values import (
    BUILTINS,
    DECOMPRESSOR_CLASSES,
    UNKNOWN,
    Decompressor,
    Named,
    OpenFile,
    Unknown,
    UserFunction,
    all_plain,
    bind_target,
)

SHORT_TEXT = 16  # bytes that hide nothing


class CallContext(Protocol):
    """What calls ask of the evaluator of expressions."""

    files_read: list[str]
    decoders: dict[str, None]

    @property
    def read_file(self) -> Callable[[str], bytes | None]:
        """Gives the bytes of a file that the script may read, None for others."""

    @property
    def file_exists(self) -> Callable[[str], bool]:
        """Tells whether there is a file or folder."""

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression."""


def member(owner: Any, name: str) -> Any:
    """What a module, a class or a path has under a name; whoever asks for `builtins.exec` means `exec`."""
    if isinstance(owner, PurePosixPath) and name in bounded_decoding.PATH_ATTRIBUTES:
        return getattr(owner, name)
    if not isinstance(owner, Named):
        return UNKNOWN
    if owner.name == "sys.modules":
        return Named(name)
    full = f"{owner.name.removesuffix('.__dict__')}.{name}"
    return bounded_decoding.CONSTANTS.get(full, BUILTINS.get(full.removeprefix("builtins."), Named(full)))


def apply_call(evaluator: CallContext, callee: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Call what is allowed; `Unknown` for anything else."""
    if isinstance(callee, UserFunction):
        return _run(evaluator, callee, arguments, options)
    if isinstance(callee, tuple):
        return _method(evaluator, callee[0], callee[1], arguments, options)
    if not isinstance(callee, Named):
        return UNKNOWN
    name = callee.name
    if name in SPECIAL_CALLS:
        return SPECIAL_CALLS[name](evaluator, arguments, options)
    if name in DECOMPRESSOR_CLASSES:
        return Decompressor(DECOMPRESSOR_CLASSES[name])
    if name in bounded_decoding.FUNCTIONS and all_plain([*arguments, *options.values()]):
        result = bounded_decoding.FUNCTIONS[name](*arguments, **options)
        if name.startswith(bounded_decoding.PACKING_MODULES) and len(result) > SHORT_TEXT:
            evaluator.decoders[name] = None
        return result
    return UNKNOWN


def _method(evaluator: CallContext, owner: Any, name: str, arguments: list[Any], options: dict[str, Any]) -> Any:
    if isinstance(owner, OpenFile):
        return _read(evaluator, owner, name, arguments)
    if isinstance(owner, Decompressor):
        return _decompressor(evaluator, owner, name, arguments)
    if isinstance(owner, PurePosixPath):
        if name in ("read_text", "read_bytes", "open"):
            mode = "rb" if name == "read_bytes" else str((arguments or ["r"])[0] if name == "open" else "r")
            file = OpenFile(str(owner), mode)
            return file if name == "open" else _read(evaluator, file, "read", [])
        if name in ("exists", "is_file", "is_dir"):
            return evaluator.file_exists(str(owner))
        method = bounded_decoding.PATH_METHODS.get(name)
        return method(owner, *arguments, **options) if method else UNKNOWN
    if isinstance(owner, list) and name in ("append", "extend"):
        getattr(owner, name)(*arguments)
        return None
    if isinstance(owner, dict) and name in ("get", "items", "keys", "values"):
        return getattr(owner, name)(*arguments)
    method = bounded_decoding.TEXT_METHODS.get(name)
    if method is None or not isinstance(owner, str | bytes | bytearray | int):
        return UNKNOWN
    if isinstance(owner, int) and name != "to_bytes":
        return UNKNOWN
    return method(owner, *arguments, **options)


def _decompressor(evaluator: CallContext, owner: Decompressor, name: str, arguments: list[Any]) -> Any:
    if name in ("decompress", "process"):
        evaluator.decoders[owner.kind] = None
        return bounded_decoding.decompress_step(owner.kind, arguments[0])
    if name == "stream_reader":
        return bounded_decoding.decompress_step(owner.kind, arguments[0])
    return b"" if name == "flush" else UNKNOWN


def _read(evaluator: CallContext, file: OpenFile, name: str, arguments: list[Any]) -> Any:
    if name not in ("read", "readlines", "__enter__"):
        return UNKNOWN
    if name == "__enter__":
        return file
    data = evaluator.read_file(file.path)
    if data is None:
        return Unknown(f"{file.path.rsplit('/', 1)[-1]} is not in the folder")
    evaluator.files_read.append(file.path)
    if "b" not in file.mode:
        text = data.decode("utf-8", "replace").replace("\r\n", "\n")
        return text.splitlines(True) if name == "readlines" else text
    return data if not arguments else data[: arguments[0]]


def bound_names(
    evaluator: CallContext, function: UserFunction, arguments: list[Any], options: dict[str, Any]
) -> dict[str, Any]:
    """The names that the body of a function sees in a call; parameters that the call does not give have defaults."""
    inner = dict(function.names)
    parameters = function.node.args
    listed = [*parameters.posonlyargs, *parameters.args]
    defaults = [UNKNOWN] * (len(listed) - len(parameters.defaults))
    values = [*defaults, *(evaluator.value(default, function.names) for default in parameters.defaults)]
    for number, parameter in enumerate(listed):
        given = arguments[number] if number < len(arguments) else options.get(parameter.arg, values[number])
        inner[parameter.arg] = given
    return inner


def _run(evaluator: CallContext, function: UserFunction, arguments: list[Any], options: dict[str, Any]) -> Any:
    """A call of a function of the script: straight through its statements to the first `return`."""
    inner = bound_names(evaluator, function, arguments, options)
    if isinstance(function.node, ast.Lambda):
        return evaluator.value(function.node.body, inner)
    for statement in function.node.body:
        if isinstance(statement, ast.Return):
            return evaluator.value(statement.value, inner) if statement.value else None
        if isinstance(statement, ast.Assign):
            value = evaluator.value(statement.value, inner)
            for target in statement.targets:
                bind_target(target, value, inner)
        elif not isinstance(statement, ast.Expr | ast.Import | ast.ImportFrom | ast.Pass):
            return UNKNOWN
    return None


def _open(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return OpenFile(str(arguments[0]), str(arguments[1] if len(arguments) > 1 else options.get("mode", "r")))


def _module(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return Named(str(arguments[0]))


def _getattr(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return member(arguments[0], arguments[1]) if isinstance(arguments[1], str) else UNKNOWN


def _vars(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return Named(f"{arguments[0].name}.__dict__") if arguments and isinstance(arguments[0], Named) else UNKNOWN


def _map(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return [apply_call(evaluator, arguments[0], [item], {}) for item in bounded_decoding.listed(arguments[1])]


def _exists(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return evaluator.file_exists(str(arguments[0]))


def _bundled_file(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    file = _open(evaluator, arguments, {"mode": "rb", **options})
    return _read(evaluator, OpenFile(file.path, "rb"), "read", [])


SPECIAL_CALLS: dict[str, Callable[[CallContext, list[Any], dict[str, Any]], Any]] = {
    "open": _open,
    "io.open": _open,
    "__import__": _module,
    "importlib.import_module": _module,
    "getattr": _getattr,
    "vars": _vars,
    "map": _map,
    "os.path.exists": _exists,
    "os.path.isfile": _exists,
    "os.path.isdir": _exists,
    "numpy.fromfile": _bundled_file,
}
KNOWN_CALLS = {*SPECIAL_CALLS, *DECOMPRESSOR_CLASSES, *bounded_decoding.FUNCTIONS}
