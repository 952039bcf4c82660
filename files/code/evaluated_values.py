"""What an expression of a script can be worth beside builtin values: modules, open files, functions, nothing known."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known; `reason` in words where it says more than that."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A module, or a function or class of one, under its full name: "lzma.decompress"."""

    name: str


@dataclass(frozen=True, slots=True)
class OpenFile:
    """What `open` gives: an absolute path and the mode."""

    path: str
    mode: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `compile` gives: the source."""

    source: Any


@dataclass(frozen=True, slots=True)
class Decompressor:
    """A decompressor object of a kind that `bounded_decoding.decompress_step` knows."""

    kind: str


@dataclass(slots=True)
class UserFunction:
    """A function of the script with the names it sees."""

    node: ast.FunctionDef | ast.Lambda
    names: dict[str, Any]


UNKNOWN = Unknown()
BUILTINS = {
    name: Named(name)
    for name in (
        "exec eval compile open print globals locals vars getattr setattr __import__ bytes bytearray memoryview "
        "str int chr ord len min max sum abs list tuple dict range reversed sorted zip enumerate map filter"
    ).split()
}
BUILTINS["__builtins__"] = Named("builtins")
DECOMPRESSOR_CLASSES = {
    "lzma.LZMADecompressor": "lzma",
    "bz2.BZ2Decompressor": "bz2",
    "zlib.decompressobj": "zlib",
    "zstandard.ZstdDecompressor": "zstd",
    "compression.zstd.ZstdDecompressor": "zstd",
    "brotli.Decompressor": "brotli",
}


def bind_target(target: ast.expr, value: Any, names: dict[str, Any]) -> None:
    """Assign a value to a name, or its parts to a tuple of names; other targets are left alone."""
    if isinstance(target, ast.Name):
        names[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        parts: list[Any] = list(value) if isinstance(value, tuple | list | str | bytes) else []
        for number, item in enumerate(target.elts):
            plain = len(parts) == len(target.elts) and not isinstance(item, ast.Starred)
            bind_target(
                item.value if isinstance(item, ast.Starred) else item, parts[number] if plain else UNKNOWN, names
            )


def is_plain(value: Any) -> bool:
    return isinstance(value, str | bytes | bytearray | int | float | list | tuple | dict | range | PurePosixPath)


def all_plain(values: list[Any]) -> bool:
    return all(value is None or is_plain(value) for value in values)
