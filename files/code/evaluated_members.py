"""What a module, a class, a path or a function of a script has under a name.

Strategy: a name of a module is its full name, unless it is a constant that is known.
"""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import Any

from . import bounded_decoding
from .evaluated_values import BUILTINS, UNKNOWN, Named, OneOf, Scope, UserFunction


def member(owner: Any, name: str) -> Any:
    """What a module, a class or a path has under a name; whoever asks for `builtins.exec` means `exec`."""
    if isinstance(owner, PurePosixPath) and name in bounded_decoding.PATH_ATTRIBUTES:
        return getattr(owner, name)
    if isinstance(owner, PurePosixPath) and name == "path":  # of an entry of `os.scandir`
        return str(owner)
    if isinstance(owner, Scope):
        value = owner.names.get(name, BUILTINS["__builtins__"] if name == "__builtins__" else UNKNOWN)
        return UNKNOWN if isinstance(value, OneOf) else value
    if isinstance(owner, UserFunction):
        return _of_function(owner, name)
    if not isinstance(owner, Named):
        return UNKNOWN
    if owner.name == "sys.modules":
        return Named(name)
    full = f"{owner.name.removesuffix('.__dict__')}.{name}"
    return bounded_decoding.CONSTANTS.get(full, BUILTINS.get(full.removeprefix("builtins."), Named(full)))


def _of_function(function: UserFunction, name: str) -> Any:
    if name == "__globals__":
        return Scope(function.names)
    if isinstance(function.node, ast.FunctionDef) and name in ("__name__", "__qualname__", "__doc__"):
        return ast.get_docstring(function.node, clean=False) if name == "__doc__" else function.node.name
    return UNKNOWN
