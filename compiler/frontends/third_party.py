"""Frontends of other people: added from Python, or offered by an installed package.

Strategy: a package names its frontends as entry points of the group `bytecap.frontends`. They are looked for once a
process, when a model is first built. What fails there must not keep anybody from work with other models: a frontend
that cannot be loaded, is none, or takes a name that is taken is left out with one sentence that names its package.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...errors import BytecapWarning, CheckpointError
from ...format.plug_ins import PlugIn, installed_plug_ins
from ...format.program.program import Program, validate_program
from ...format.tensors.raw_planes import STORAGES
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
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


def built(frontend: Frontend, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
    """The model that a frontend makes; CheckpointError that names it where one of other people fails, or makes none."""
    if frontend.name in FRONTENDS:
        return frontend.build(checkpoint, architecture)
    with _naming(frontend, "build the model"):
        model = frontend.build(checkpoint, architecture)
        if not isinstance(model, Model) or not isinstance(model.program, Program):
            raise TypeError(f"what it gives is {type(model).__name__}, not a Model with a Program")
        _check_tensors(model.tensors)
        validate_program(model.program, [tensor.values.shape for tensor in model.tensors])
    return model


def restored(frontend: Frontend, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The tensors as the checkpoint had them; CheckpointError that names a frontend of other people that fails."""
    if frontend.name in FRONTENDS:
        return frontend.restore(program, tensors)
    with _naming(frontend, "restore the checkpoint's tensors"):
        found = list(frontend.restore(program, tensors))
        _check_tensors(found, in_order=False)
    return found


def _check_tensors(tensors: Iterable[Any], in_order: bool = True) -> None:
    """Raise TypeError or ValueError for what is not named once, float32 and finite, and in memory `in_order`."""
    names = set()
    for number, tensor in enumerate(tensors):
        if not isinstance(tensor, ModelTensor) or not isinstance(tensor.name, str):
            raise TypeError(f"tensor {number} is {type(tensor).__name__}, not a ModelTensor with a name")
        values = tensor.values
        if not isinstance(values, np.ndarray) or values.dtype != np.float32:
            raise TypeError(f"the values of {tensor.name!r} are no float32 array")
        if in_order and not values.flags.c_contiguous:
            raise TypeError(f"the values of {tensor.name!r} are not C-contiguous")
        if tensor.dtype not in STORAGES or tensor.name in names or not np.isfinite(values).all():
            raise ValueError(
                f"{tensor.name!r} is there twice, is not finite, or has a type not of {', '.join(STORAGES)}"
            )
        names.add(tensor.name)


@contextmanager
def _naming(frontend: Frontend, what: str) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # whatever other people's modules raise
        package = next((f" of the package {each.package}" for each in offered_frontends() if _is(each, frontend)), "")
        raise CheckpointError(
            f"the frontend {frontend.name!r}{package} fails to {what} ({type(error).__name__}: {error}); report it "
            "there"
        ) from error


def _is(offered: PlugIn, frontend: Frontend) -> bool:
    return not offered.fault and offered.thing.name == frontend.name and frontend.name not in _added


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
