"""Calls that an evaluated script may make: those of `bounded_decoding`, of values it holds, and of its own functions.

Strategy: a call is looked up in tables of names; what is not in one is unknown, and nothing of the
script's world (modules, files beyond those of the room, processes) is reached.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from . import bounded_decoding, bounded_decompressors, bounded_functions
from .bounded_functions import CHANGING
from .call_context import CallContext
from .evaluated_functions import run_function
from .evaluated_members import member
from .evaluated_values import (
    DECOMPRESSOR_CLASSES,
    UNKNOWN,
    Decompressor,
    Found,
    Named,
    OpenFile,
    Scope,
    Unknown,
    UserFunction,
    all_plain,
    found_among,
)
from .found_files import PATH_LISTINGS, REORDERING, listed_in_path, reordered

LOOKUPS = {"__getattribute__", "__getattr__"}
SHORT_TEXT = 16  # bytes that hide nothing
FUNCTIONS = {**bounded_decoding.FUNCTIONS, **bounded_functions.FUNCTIONS}
TEXT_METHODS = {**bounded_decoding.TEXT_METHODS, **bounded_functions.TEXT_METHODS}
TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "bytes": (bytes, bytearray),
    "bytearray": bytearray,
    "int": int,
    "list": list,
    "dict": dict,
}


def is_known_call(name: str) -> bool:
    """Whether `apply_call` can do something with a function of this full name."""
    owner, _, method = name.rpartition(".")
    return (
        name in KNOWN_CALLS
        or method in LOOKUPS
        or (owner in TYPES and (method in TEXT_METHODS or method in ("get", "items", "keys")))
    )


def apply_call(evaluator: CallContext, callee: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Call what is allowed; `Unknown` for anything else."""
    if isinstance(callee, UserFunction):
        return run_function(evaluator, callee, bound_names(evaluator, callee, arguments, options))
    if isinstance(callee, tuple):
        return _method(evaluator, callee[0], callee[1], arguments, options)
    if not isinstance(callee, Named):
        return UNKNOWN
    name = callee.name
    if name in SPECIAL_CALLS:
        return SPECIAL_CALLS[name](evaluator, arguments, options)
    if name in DECOMPRESSOR_CLASSES:
        return Decompressor(DECOMPRESSOR_CLASSES[name])
    if name.startswith("numpy."):  # an array of bytes by the name of its type
        arguments = [_last_name(item) for item in arguments]
        options = {key: _last_name(item) for key, item in options.items()}
    if name in REORDERING and arguments and isinstance(arguments[0], Found):
        return reordered(name, arguments, options)
    if name in FUNCTIONS and all_plain([*arguments, *options.values()]):
        result = FUNCTIONS[name](*arguments, **options)
        if name.startswith(bounded_decoding.PACKING_MODULES) and len(result) > SHORT_TEXT:
            evaluator.decoders[name] = None
        return result
    owner, _, method = name.rpartition(".")
    if method in LOOKUPS and len(arguments) in (1, 2) and isinstance(arguments[0], str):
        return member(Named(owner), arguments[0])  # `os.__getattribute__("system")`
    if owner in TYPES and arguments and isinstance(arguments[0], TYPES[owner]):
        return _method(evaluator, arguments[0], method, arguments[1:], options)
    return UNKNOWN


def _last_name(value: Any) -> Any:
    """The name of what a module holds, without the module; any other value as it is."""
    return value.name.rpartition(".")[2] if isinstance(value, Named) else value


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
            return _exists(evaluator, [owner], {"kind": name})
        if name in PATH_LISTINGS:
            return listed_in_path(evaluator.files_below, owner, name, arguments)
        method = bounded_decoding.PATH_METHODS.get(name)
        return method(owner, *arguments, **options) if method else UNKNOWN
    if isinstance(owner, Scope):
        return (
            member(owner, arguments[0]) if name in ("get", "__getitem__") and isinstance(arguments[0], str) else UNKNOWN
        )
    if isinstance(owner, dict) and name in ("get", "items", "keys", "values"):
        return getattr(owner, name)(*arguments)
    if isinstance(owner, list) and name in ("index", "count", "copy"):
        return getattr(owner, name)(*arguments)
    if isinstance(owner, list | dict | bytearray) and name in CHANGING:
        return UNKNOWN  # done by an assignment (evaluated_assignments.py), and once
    if isinstance(owner, int):
        return FUNCTIONS["int.to_bytes"](owner, *arguments, **options) if name == "to_bytes" else UNKNOWN
    method = TEXT_METHODS.get(name)
    if (
        method is None
        or not isinstance(owner, str | bytes | bytearray)
        or not all_plain([*arguments, *options.values()])
    ):
        return UNKNOWN
    return method(owner, *arguments, **options)


def _decompressor(evaluator: CallContext, owner: Decompressor, name: str, arguments: list[Any]) -> Any:
    if name in ("decompress", "process"):
        evaluator.decoders[owner.kind] = None
        return bounded_decompressors.decompress_step(owner.kind, arguments[0])
    if name == "stream_reader":
        return bounded_decompressors.decompress_step(owner.kind, arguments[0])
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


def _open(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return OpenFile(str(arguments[0]), str(arguments[1] if len(arguments) > 1 else options.get("mode", "r")))


def _module(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return Named(str(arguments[0]))


def _top_module(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    """`__import__("a.b")` gives a; with names to import from it, a.b."""
    listed = options.get("fromlist", arguments[3] if len(arguments) > 3 else ())
    return Named(str(arguments[0]) if listed else str(arguments[0]).partition(".")[0])


def _given(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    """`staticmethod(function)` is called as the function."""
    return arguments[0] if len(arguments) == 1 else UNKNOWN


def _getattr(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return member(arguments[0], arguments[1]) if isinstance(arguments[1], str) else UNKNOWN


def _vars(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return Named(f"{arguments[0].name}.__dict__") if arguments and isinstance(arguments[0], Named) else UNKNOWN


def _map(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    return [apply_call(evaluator, arguments[0], [item], {}) for item in bounded_decoding.listed(arguments[1])]


def _filter(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    items = bounded_decoding.listed(arguments[1])
    kept = [True if arguments[0] is None else apply_call(evaluator, arguments[0], [item], {}) for item in items]
    if any(isinstance(item, Unknown) for item in kept):
        return UNKNOWN
    left = [item for item, keep in zip(items, kept, strict=True) if (keep if arguments[0] is not None else item)]
    return found_among(left, arguments[1])


def _reduce(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    items = bounded_decoding.listed(arguments[1])
    value = arguments[2] if len(arguments) > 2 else items.pop(0)
    for item in items:
        evaluator.spend(1)
        value = apply_call(evaluator, arguments[0], [value, item], {})
    return value


def _getter(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    """`operator.attrgetter("name")` as a function of the script."""
    name = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], str) else ""
    if not all(part.isidentifier() for part in name.split(".")):
        return UNKNOWN
    return _function_of(f"lambda owner: owner.{name}")


def _item_getter(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    if len(arguments) != 1 or not isinstance(arguments[0], str | int):
        return UNKNOWN
    return _function_of(f"lambda owner: owner[{arguments[0]!r}]")


def _function_of(source: str) -> UserFunction:
    return UserFunction(ast.parse(source, mode="eval").body, {})  # type: ignore[arg-type]


def _exists(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Whether there is something; a folder is what holds files."""
    path, kind = str(arguments[0]), options.get("kind", "exists")
    if kind == "exists" or not evaluator.file_exists(path):
        return evaluator.file_exists(path)
    return (kind == "is_dir") == bool(evaluator.files_below(path))


def _bundled_file(evaluator: CallContext, arguments: list[Any], options: dict[str, Any]) -> Any:
    file = _open(evaluator, arguments, {"mode": "rb", **options})
    return _read(evaluator, OpenFile(file.path, "rb"), "read", [])


SPECIAL_CALLS: dict[str, Callable[[CallContext, list[Any], dict[str, Any]], Any]] = {
    "open": _open,
    "io.open": _open,
    "__import__": _top_module,
    "importlib.__import__": _top_module,
    "importlib.import_module": _module,
    "getattr": _getattr,
    "object.__getattribute__": _getattr,
    "inspect.getattr_static": _getattr,
    "staticmethod": _given,
    "vars": _vars,
    "map": _map,
    "filter": _filter,
    "functools.reduce": _reduce,
    "operator.attrgetter": _getter,
    "operator.itemgetter": _item_getter,
    "os.path.exists": _exists,
    "os.path.isfile": lambda evaluator, arguments, _: _exists(evaluator, arguments, {"kind": "is_file"}),
    "os.path.isdir": lambda evaluator, arguments, _: _exists(evaluator, arguments, {"kind": "is_dir"}),
    "numpy.fromfile": _bundled_file,
}
KNOWN_CALLS = {*SPECIAL_CALLS, *DECOMPRESSOR_CLASSES, *FUNCTIONS, *REORDERING}
