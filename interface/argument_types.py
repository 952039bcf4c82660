"""What callers give in place of what a function takes: refused before the work, by the name of the argument.

Strategy: the annotations of the public functions say what each argument is, and are all that is written down. Those
that have a meaning here are checked; a number of numpy is a number, a path is a text or a pathlib.Path. A wrong value
would else surface deep inside, or be taken for something else: a list of token ids for names of files.
"""

from __future__ import annotations

import inspect
import numbers
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from ..errors import DataError, MissingFileError, WrongTypeError

ONE = "threads tokens calibration_tokens evaluation_tokens slices top stride documents".split()
ZERO = "seed seconds tolerance expect_bpb octaves".split()
LEAST = dict.fromkeys(ONE, 1) | dict.fromkeys(ZERO, 0)  # that a number may be, by argument
SHOWN_CHARACTERS = 40  # of a value in an error


def refuse_wrong_types(function: Callable[..., Any], given: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """WrongTypeError for an argument that is not what its annotation says, and DataError for a number below what its
    name takes; wrong names are left to the call.
    """
    for name, annotation, value in _annotated(function, given, options):
        wanted, optional = annotation.removesuffix(" | None"), annotation.endswith(" | None")
        if wanted in KINDS and not (optional and value is None):
            holds, way_out = KINDS[wanted]
            if not holds(value):
                raise WrongTypeError(f"{name} is {described(value)}; give {way_out}")
            if name in LEAST and _is_number(value) and not value >= LEAST[name]:  # nor is what is no number
                raise DataError(f"{name} is {value}; it must be at least {LEAST[name]}")


def refuse_no_names(function: Callable[..., Any], given: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """MissingFileError for a path that names no file: an empty one, which would stand for the folder that the process
    is in, and one with a NUL, which no system takes.
    """
    for name, path in _named_paths(function, given, options):
        if not path:
            raise MissingFileError.saying(f"{name} is an empty text, which names no file; give {A_PATH}", path)
        if "\0" in path:
            raise MissingFileError.saying(f"{name} has a NUL in it ({path!r}), as no path has; give {A_PATH}", path)


def paths_among(function: Callable[..., Any], given: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[str]:
    """The paths among the arguments of a call."""
    return (path for _, path in _named_paths(function, given, options))


def _named_paths(
    function: Callable[..., Any], given: tuple[Any, ...], options: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for name, annotation, value in _annotated(function, given, options):
        if "PathLike" in annotation:
            several = value if isinstance(value, list | tuple) else [value]
            yield from ((name, str(each)) for each in several if is_path(each))


def _annotated(
    function: Callable[..., Any], given: tuple[Any, ...], options: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    """Names, annotations as they are written, and values of the arguments of a call; none where it has wrong names."""
    signature = _signature(function)
    try:
        bound = signature.bind(*given, **options)
    except TypeError:
        return
    for name, value in bound.arguments.items():
        yield name, str(signature.parameters[name].annotation), value


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def described(value: object) -> str:
    """A value and its type, short."""
    if value is None:
        return "None"
    kind = type(value).__name__
    shown = repr(value) if isinstance(value, str | bytes | numbers.Number) else ""
    return f"{shown}, of type {kind}" if 0 < len(shown) <= SHOWN_CHARACTERS else f"of type {kind}"


def is_path(value: object) -> bool:
    """Whether a value names a file."""
    return isinstance(value, str) or (isinstance(value, os.PathLike) and isinstance(os.fspath(value), str))


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, of Python or of numpy, and not a truth value."""
    if isinstance(value, bool):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _are_paths(value: object) -> bool:
    """Several paths; what can be gone through once only is believed."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) or hasattr(value, "dtype"):
        return False
    return not isinstance(value, list | tuple | set | frozenset) or all(map(is_path, value))


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _are_bytes(value: object) -> bool:
    try:
        memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _is_artifact(value: object) -> bool:
    from ..format.artifact import Artifact

    return isinstance(value, Artifact)


def _is_progress(value: object) -> bool:
    return value is None or isinstance(value, bool) or callable(value)


A_PATH = "a path, as a text or a pathlib.Path"
PATHS = "a path or several in a list; texts and token ids are read from files (bytecap.runtime.shards.write_shard)"
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {  # by annotation: what holds, and what to give instead
    "PathLike": (is_path, A_PATH),
    "Sequence[PathLike]": (_are_paths, "a list of paths"),
    "PathLike | Sequence[PathLike]": (lambda value: is_path(value) or _are_paths(value), PATHS),
    "int": (is_whole, "a whole number"),
    "float": (_is_number, "a number"),
    "str": (lambda value: isinstance(value, str), "a text"),
    "bytes": (_are_bytes, "the bytes themselves, as of pathlib.Path.read_bytes"),
    "Artifact": (_is_artifact, "an artifact that bytecap.read_artifact read"),
    "ProgressOption": (_is_progress, "True, or a function that is called as progress(stage, done, total)"),
}
