"""What measures a checkpoint and writes no artifact: sensitivity, byte curves, the diagnosis of head and trunk."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CapError
from ..progress import Progress, silent
from .arguments import PathLike, optional_path, refuse_bits, selection_of, texts_of
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    from ..compiler.checkpoints.selection import Selection
    from ..compiler.inputs import ModelAndText
    from ..compiler.model.model import Reading
    from ..lab.measure.budgets import BudgetRange
    from ..lab.measure.curves import ByteReturns
    from ..lab.measure.diagnosis import Diagnosis
    from ..lab.measure.sensitivity import Sensitivity


@deliberate
def describe(
    checkpoint: PathLike,
    *,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
) -> Reading:
    """What a checkpoint tells of its model, and what is assumed where it tells nothing; nothing is measured.

    weights   which set of weights is read, where the checkpoint holds several ("ema")
    ignore    names of tensors to leave out, with * and ?
    rename    "FROM=TO", one after the other: tensors get the names that a frontend knows; each * of FROM is any
              characters, and stands at its place in TO

    These three mean the same in every function that takes a checkpoint. Raises CheckpointError.
    """
    from ..compiler.inputs import read_model

    return read_model(Path(checkpoint), optional_path(architecture), selection_of(weights, ignore, rename)).reading


@deliberate
def sensitivity(
    checkpoint: PathLike,
    *,
    calibration: PathLike,
    tokenizer: PathLike | None = None,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    unit: str = "tensors",
    by: str = "second-order",
    bits: int = 4,
    slices: int = 4,
    top: int = 20,
    tokens: int = 131_072,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    progress: ProgressOption = None,
) -> Sensitivity:
    """How much each unit of a checkpoint matters: what quantizing it alone to `bits` bits (0: removing it) costs.

    unit      what is ranked: one of bytecap.lab.measure.units.GRANULARITIES
    by        what it is ranked by: one of bytecap.lab.measure.sensitivity.METHODS, which says how each is defined
    tokens    of the calibration text that are used, at most, in so many disjoint `slices`
    top       by "measured", how many units of the highest second-order sensitivity are swapped into the float model,
              on the end of the calibration text, which is held out

    device    of torch, where the model runs

    Threads do not change the result. Raises CheckpointError, DataError or CompileError.
    """
    refuse_bits(bits, 2, or_none=True)
    _refuse(checkpoint, [calibration], tokenizer, architecture)
    from ..compiler.model.structure import token_tables
    from ..compiler.workers import check_device
    from ..format.parallel import usable_cores
    from ..lab.measure.sensitivity import SensitivityOptions, measure_sensitivity

    check_device(device)
    how = optional_path(tokenizer), optional_path(architecture), selection_of(weights, ignore, rename)
    with _opened(checkpoint, calibration, *how, progress) as ((model, text, _, spoken), listener):
        found = measure_sensitivity(
            model,
            text.tokens,
            text.held_out,
            SensitivityOptions(unit, by, bits, slices, top, tokens, seed),
            threads=threads or usable_cores(),
            progress=listener,
            device=device,
        )
    found = replace(found, notes=text.notes)
    return found if spoken is None else found.with_pieces(spoken, token_tables(model.program))


@contextmanager
def _opened(
    checkpoint: PathLike,
    data: PathLike,
    tokenizer: Path | None,
    architecture: Path | None,
    selection: Selection,
    progress: ProgressOption,
) -> Iterator[tuple[ModelAndText, Progress]]:
    """What was read, and who hears of the progress; in the context a tensor that arithmetic fails on is named."""
    from ..compiler.extremes import naming_extremes
    from ..compiler.inputs import read_model_and_text
    from ..compiler.workers import one_thread_each

    files = Path(checkpoint), Path(data), (), tokenizer, architecture, selection
    with one_thread_each(), heard(progress) as listener:
        found = read_model_and_text(*files, progress=listener)
        with naming_extremes(found.model):
            yield found, listener or silent


def score(checkpoint: PathLike, **options: Any) -> Sensitivity:
    """The old name of `sensitivity`, with the same options; it goes with the next version."""
    warnings.warn("bytecap.score is now bytecap.sensitivity", DeprecationWarning, stacklevel=2)
    return sensitivity(checkpoint, **options)


@deliberate
def curve(
    checkpoint: PathLike,
    *,
    calibration: PathLike,
    units: Sequence[str] = ("rows",),
    budget: str = "0.5%:10%:6",
    base: str = "per-matrix",
    bits: float = 3.0,
    form: str = "finer",
    octaves: float = 1.0,
    evaluation: PathLike | None = None,
    tokenizer: PathLike | None = None,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    tokens: int = 16_384,
    calibration_tokens: int = 65_536,
    profile: str = "default",
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    backend: str | None = None,
    scheduler: str | None = None,
    folder: PathLike | None = None,
    progress: ProgressOption = None,
) -> ByteReturns:
    """What exceptions recover for each byte that they take, against two controls of the same final bytes.

    units, budget    of bytecap.lab.measure.protected.PROTECTED_KINDS; a range such as "4KB:64KB:5"
    base, bits, form, octaves    those of bytecap.lab.measure.byte_returns.BaseSettings
    threads, backend    points at a time, and where: "loky", "threading", "dask" at `scheduler`
    folder     where points are kept; later only missing ones are measured. No figure depends on these.
    device     of torch, where models run
    Raises CheckpointError, DataError, CapError, CompileError, OutputError.
    """
    refuse_bits(bits, 0.1)
    _refuse(checkpoint, [calibration, evaluation], tokenizer, architecture)
    from ..format.parallel import usable_cores
    from ..lab.measure.byte_returns import BaseSettings
    from ..lab.measure.curves import CurveInputs, measure_curves

    inputs = CurveInputs(
        Path(checkpoint),
        Path(calibration),
        optional_path(architecture),
        optional_path(tokenizer),
        optional_path(evaluation),
        tokens=tokens,
        recipe={"calibrate": {"tokens": calibration_tokens}},
        profile=profile,
        seed=seed,
        selection=selection_of(weights, ignore, rename),
        device=device,
        settings=BaseSettings(base, bits, form, octaves),
    )
    where: dict[str, Any] = {"backend": backend, "scheduler": scheduler, "folder": optional_path(folder)}
    where["threads"] = threads or usable_cores()
    with heard(progress) as listener:
        return measure_curves(inputs, texts_of(units), _budgets(budget), **where, progress=listener or silent)


def _refuse(
    checkpoint: PathLike, data: Sequence[PathLike | None], tokenizer: PathLike | None, architecture: PathLike | None
) -> None:
    """What needs no torch to be refused, before it is loaded."""
    from ..compiler.refusals import refuse_inputs

    texts = [Path(path) for path in data if path is not None]
    refuse_inputs(Path(checkpoint), texts, optional_path(tokenizer), optional_path(architecture))


def _budgets(text: str) -> BudgetRange:
    """The budgets of a range; CapError for a text that is none."""
    from ..lab.measure.budgets import parse_budgets

    try:
        return parse_budgets(text)
    except ValueError as error:
        raise CapError(str(error)) from error


@deliberate
def diagnose(
    checkpoint: PathLike,
    *,
    data: PathLike,
    tokenizer: PathLike | None = None,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    bits: int = 4,
    tokens: int = 65_536,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    progress: ProgressOption = None,
) -> Diagnosis:
    """Whether the output head or the trunk of a checkpoint is its limit, in bytes and in gradient.

    Bytes are compared at so many nominal `bits`. About `tokens` tokens of the data are used, and its
    end is held out for what is measured; the model runs on a `device` of torch, and threads do not change the result.

    Raises CheckpointError, DataError or CompileError.
    """
    refuse_bits(bits, 2)
    _refuse(checkpoint, [data], tokenizer, architecture)
    from ..compiler.workers import check_device
    from ..format.parallel import usable_cores
    from ..lab.measure.diagnosis import diagnose_model

    check_device(device)
    how = optional_path(tokenizer), optional_path(architecture), selection_of(weights, ignore, rename)
    with _opened(checkpoint, data, *how, progress) as ((model, text, *_), listener):
        found = diagnose_model(
            model,
            text.tokens,
            text.held_out,
            bits=bits,
            tokens=tokens,
            seed=seed,
            threads=threads or usable_cores(),
            progress=listener,
            device=device,
        )
    return replace(found, notes=text.notes)
