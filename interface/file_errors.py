"""Errors of files: those of opening them as errors of ours, so that all deliberate errors of the public functions are
BytecapErrors; and which of several models an error is of.

Strategy: one decorator on every public function. What it raises is still the OSError that it was, so that code which
catches FileNotFoundError keeps working.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from ..errors import BytecapError, CheckpointError, DataError, FileAccessError, MissingFileError, VerificationError
from .argument_types import paths_among, refuse_no_names, refuse_wrong_types

Options = ParamSpec("Options")
Result = TypeVar("Result")


def deliberate(function: Callable[Options, Result]) -> Callable[Options, Result]:
    """`function`, whose OSErrors become FileAccessErrors, whose errors of a file that is not there MissingFileErrors,
    and which refuses arguments of other types with a WrongTypeError and paths that name no file.
    """

    @wraps(function)
    def raising_ours(*given: Options.args, **options: Options.kwargs) -> Result:
        refuse_wrong_types(function, given, options)
        refuse_no_names(function, given, options)
        try:
            return function(*given, **options)
        except (CheckpointError, DataError) as error:
            missing = _missing_file(error, paths_among(function, given, options))
            if missing is None:
                raise
            raise MissingFileError.saying(str(error), missing) from error
        except BytecapError:
            raise
        except OSError as error:
            kind = MissingFileError if isinstance(error, FileNotFoundError) else FileAccessError
            raise kind(error) from error

    return raising_ours


def _missing_file(error: BytecapError, paths: Iterable[str]) -> str | None:
    """The path that an error names, as a whole word, and at which nothing is."""
    named = (path for path in paths if path and re.search(rf"(?<![\w/.]){re.escape(path)}(?![\w/])", str(error)))
    return next((path for path in named if not os.path.lexists(path)), None)


@contextmanager
def naming_model(path: Path) -> Iterator[None]:
    """Put the model's path before what is wrong with its losses."""
    try:
        yield
    except VerificationError as error:
        raise VerificationError(f"{path}: {error}") from error
