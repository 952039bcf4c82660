"""Frontends of other people: added from Python, or offered by an installed package.

Strategy: a package names its frontends as entry points of the group `bytecap.frontends`. They are looked for once a
process, when a model is first built. What fails there must not keep anybody from work with other models: a frontend
that cannot be loaded, is none, or takes a name that is taken is left out with one sentence that names its package.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ...errors import BytecapWarning
from .registry import FRONTENDS, Frontend

GROUP = "bytecap.frontends"
PARTS = ("name", "model_types", "recognize", "build", "restore")

_added: dict[str, Frontend] = {}


def add_frontend(frontend: Frontend) -> None:
    """Make a frontend known to `build_model`, `bytecap.compile` and the others, for as long as the process runs.

    Raises ValueError when something of a frontend is missing, or when its name or one of its model types is that of
    another.
    """
    fault = _fault(frontend, known_frontends())
    if fault:
        raise ValueError(f"{frontend!r} is not added: {fault}")
    _added[frontend.name] = frontend


def remove_frontend(name: str) -> None:
    """Forget a frontend that `add_frontend` made known; KeyError for any other."""
    del _added[name]


def known_frontends() -> dict[str, Frontend]:
    """By name: those of this package, then those of other installed packages, then those added from Python."""
    return {**FRONTENDS, **installed_frontends(), **_added}


@functools.cache
def installed_frontends() -> Mapping[str, Frontend]:
    """Those that installed packages offer; BytecapWarning for each that is left out."""
    found: dict[str, Frontend] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name)):
        try:
            loaded = entry.load()
            frontend = loaded() if isinstance(loaded, type) else loaded
            fault = _fault(frontend, {**FRONTENDS, **found})
        except Exception as error:  # whatever other people's modules raise
            fault = f"it cannot be loaded ({type(error).__name__}: {error})"
        if fault:
            where = f"the package {_package(entry)} offers the frontend {entry.name!r}, which is left out"
            warnings.warn(BytecapWarning(f"{where}: {fault}"), stacklevel=2)
        else:
            found[frontend.name] = frontend
    return found


def recognized(frontend: Frontend, names: Iterable[str]) -> int:
    """How many names a frontend knows; none, with a BytecapWarning, when one of other people fails at that."""
    if frontend.name in FRONTENDS:
        return frontend.recognize(names)
    try:
        return int(frontend.recognize(names))
    except Exception as error:  # it was asked about a model that may not be its own
        fault = f"the frontend {frontend.name!r} fails to recognize names and is left out"
        warnings.warn(BytecapWarning(f"{fault} ({type(error).__name__}: {error})"), stacklevel=2)
        return 0


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def _fault(frontend: Any, others: Mapping[str, Frontend]) -> str:
    """Why a frontend cannot stand beside others; empty when it can."""
    missing = [part for part in PARTS if not hasattr(frontend, part)]
    if missing:
        return f"it lacks {', '.join(missing)} of a frontend"
    if not isinstance(frontend.name, str) or not isinstance(frontend.model_types, tuple):
        return "its name must be a string, and its model_types a tuple of them"
    if frontend.name in others:
        return f"there is a frontend {frontend.name!r} already"
    for other in others.values():
        twice = sorted({*frontend.model_types} & {*other.model_types})
        if twice:
            return f"the frontend {other.name!r} has the model type {twice[0]!r} already"
    return ""
