"""What an expression of a script can be worth beside builtin values: modules, open files, functions, nothing known."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known; `reason` in words where it says more than that."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ComputedMember(Unknown):
    """A function of `owner`, a module that can run code or reach the network, under a name that is not known."""

    owner: str = ""


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
    """A decompressor object of a kind that `bounded_decompressors.decompress_step` knows."""

    kind: str


@dataclass(slots=True)
class UserFunction:
    """A function of the script with the names it sees."""

    node: ast.FunctionDef | ast.Lambda
    names: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What `globals()`, `locals()` and `vars()` give: the names that are known where they are called."""

    names: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """The values that a name may have, since a branch that may be taken gives it another."""

    values: tuple[Any, ...]


class Found(list[Any]):
    """What looking into a folder of the submission gives: names or paths, in an order that is told only if `is_sorted`.

    paths : tuple   of all files that were looked at, from the script; more may lie there when it runs
    """

    is_everything = False  # whatever lies in a folder, and not what fits a pattern or a condition

    def __init__(self, items: Iterable[Any], paths: Sequence[str] = (), is_sorted: bool = False) -> None:
        super().__init__(items)
        self.paths, self.is_sorted = tuple(paths), is_sorted

    def only(self) -> Any:
        """The one item; unknown where there are several and nothing tells which comes first."""
        if self.is_everything:
            return UNKNOWN
        return self[0] if len(self) == 1 or (self and self.is_sorted) else UNKNOWN


UNKNOWN = Unknown()
C_LIBRARY = "the C library"  # as the owner of `system` in `ctypes.CDLL(None).system(b"...")`
MAX_ALTERNATIVES = 8
COMPARABLE = str | bytes | int | float | tuple | PurePosixPath | Named | OpenFile | Compiled | None
POWERFUL_MODULES = set("builtins importlib os posix subprocess runpy ctypes socket pty code asyncio sys".split())
BUILTINS = {
    name: Named(name)
    for name in (
        "exec eval compile open print globals locals vars getattr setattr __import__ bytes bytearray memoryview "
        "str int chr ord len min max sum abs list tuple dict range reversed sorted zip enumerate map filter repr ascii "
        "format hex bin oct divmod pow round bool float any all iter next set frozenset type object "
        "staticmethod"
    ).split()
}
BUILTINS["__builtins__"] = Named("builtins")
BUILTINS["__loader__"] = Named("__loader__")
BUILTINS["__spec__"] = Named("__spec__")
DECOMPRESSOR_CLASSES = {
    "lzma.LZMADecompressor": "lzma",
    "bz2.BZ2Decompressor": "bz2",
    "zlib.decompressobj": "zlib",
    "zstandard.ZstdDecompressor": "zstd",
    "compression.zstd.ZstdDecompressor": "zstd",
    "brotli.Decompressor": "brotli",
}


def either(values: list[Any]) -> Any:
    """One value for several that a name may have; `OneOf` them where they differ."""
    different: list[Any] = []
    for value in values:
        for each in value.values if isinstance(value, OneOf) else (value,):
            if not any(_is_same(each, other) for other in different):
                different.append(each)
    if len(different) > MAX_ALTERNATIVES:
        different = [*different[: MAX_ALTERNATIVES - 1], UNKNOWN]
    return different[0] if len(different) == 1 else OneOf(tuple(different))


def _is_same(left: Any, right: Any) -> bool:
    if left is right or (isinstance(left, Unknown) and isinstance(right, Unknown)):
        return True
    return type(left) is type(right) and isinstance(left, COMPARABLE) and bool(left == right)


def is_powerful(value: Any) -> bool:
    """Whether a function that is looked up in `value` may run code, start something or reach the network."""
    name = value.name.removesuffix(".__dict__") if isinstance(value, Named) else ""
    return isinstance(value, Scope) or name in POWERFUL_MODULES or name == "sys.modules"


def is_in_order(value: Any, bounds: Sequence[Any] = ()) -> bool:
    """Whether it is told which items of a list these bounds mean."""
    return not isinstance(value, Found) or value.is_sorted or bounds[:2] in ([None, None], [0, None])


def is_found(value: Any) -> bool:
    """Whether a value is a list of what was found in a folder, each perhaps with a number or more beside it."""
    return isinstance(value, Found)


def found_among(items: list[Any], source: Any) -> list[Any]:
    """Items that were made of those of `source`: still what was found in a folder, if these were."""
    return Found(items, source.paths, source.is_sorted) if isinstance(source, Found) else items


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
