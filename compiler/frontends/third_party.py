"""Frontends of other people: added from Python, or offered by an installed package.

Strategy: a package names its frontends as entry points of the group `bytecap.frontends`. They are looked for once a
process, when a model is first built. What fails there must not keep anybody from work with other models: a frontend
that cannot be loaded, is none, or takes a name that is taken is left out with one sentence that names its package.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...errors import BytecapWarning
from ...format.plug_ins import PlugIn, installed_plug_ins
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
    for offered in offered_frontends():
        if offered.fault:
            warnings.warn(BytecapWarning(offered.sentence), stacklevel=2)
        else:
            found[offered.thing.name] = offered.thing
    return found


def offered_frontends() -> tuple[PlugIn, ...]:
    """Every frontend that an installed package offers, with what is wrong with it."""

    def fault_of(frontend: Any, others: Sequence[Any]) -> str:
        return _fault(frontend, {**FRONTENDS, **{other.name: other for other in others}})

    return tuple(installed_plug_ins(GROUP, "frontend", fault_of))


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
