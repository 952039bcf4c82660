"""Errors of files: those of opening them as errors of ours, so that all deliberate errors of the public functions are
BytecapErrors; and which of several models an error is of.

Strategy: one decorator on every public function. What it raises is still the OSError that it was, so that code which
catches FileNotFoundError keeps working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from ..errors import BytecapError, FileAccessError, MissingFileError, VerificationError

Options = ParamSpec("Options")
Result = TypeVar("Result")


def deliberate(function: Callable[Options, Result]) -> Callable[Options, Result]:
    """`function`, whose OSErrors become FileAccessErrors, or a MissingFileError."""

    @wraps(function)
    def raising_ours(*given: Options.args, **options: Options.kwargs) -> Result:
        try:
            return function(*given, **options)
        except BytecapError:
            raise
        except OSError as error:
            kind = MissingFileError if isinstance(error, FileNotFoundError) else FileAccessError
            raise kind(error) from error

    return raising_ours


@contextmanager
def naming_model(path: Path) -> Iterator[None]:
    """Put the model's path before what is wrong with its losses."""
    try:
        yield
    except VerificationError as error:
        raise VerificationError(f"{path}: {error}") from error
