"""From files and options to byte-return curves: which points there are, which are finished already, and
where the others are measured.

Strategy: the base and every point are parts of their own, kept as soon as they are there
(saved_points.py). Points are independent jobs (parallel.py); whatever runs them, and in whatever order,
gives the same figures. When all parts are kept nothing is computed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from ...compiler.checkpoints.folder import source_files
from ...compiler.extremes import naming_extremes
from ...compiler.inputs import own_tokenizer
from ...compiler.profiles import profile_codec
from ...compiler.workers import one_thread_each
from ...display import ShownByFacts, rows_table
from ...errors import CompileError, DataError
from ...progress import Progress
from ...runtime.tokenizers import tokenizer_files
from ...version import VERSION
from .backends import running_on
from .budgets import BudgetRange
from .byte_returns import Base, BaseSettings, Curves, ReturnPoint, measure_base
from .equal_bytes import Bench, BenchInputs
from .parallel import iterate_unordered
from .protected import PROTECTED_KINDS
from .saved_points import SavedPoints, digest_of
from .units import GRANULARITIES, find_units

_own = threading.local()  # what each thread of a worker remembers from one point to the next


@dataclass(frozen=True, slots=True)
class CurveInputs(BenchInputs):
    """What the figures depend on, beside units and budgets."""

    settings: BaseSettings = field(default_factory=BaseSettings)

    @property
    def digest(self) -> str:
        """Of the files' contents and all options."""
        tokenizer = own_tokenizer(self.checkpoint, self.calibration, self.tokenizer)
        told = [None] if tokenizer is None else tokenizer_files(tokenizer)
        files = [self.calibration, self.architecture, self.evaluation, *source_files(self.checkpoint), *told]
        options = {
            "tokens": self.tokens,
            "recipe": self.recipe,
            "codec": profile_codec(self.profile),
            "seed": self.seed,
            "selection": asdict(self.selection),
        }
        options |= {} if self.device == "cpu" else {"device": self.device}
        return digest_of(files, options | {"settings": asdict(self.settings), "bytecap": VERSION})


@dataclass(frozen=True, slots=True, repr=False)
class ByteReturns(ShownByFacts):
    """Everything measured: the base, and points by kind of protected weights, in the order of their budgets; and what
    was assumed of the texts, in sentences.
    """

    inputs: CurveInputs
    base: Base
    points: tuple[ReturnPoint, ...]
    notes: tuple[str, ...] = ()

    def of(self, unit: str) -> list[ReturnPoint]:
        return [point for point in self.points if point.unit == unit]

    @property
    def units(self) -> list[str]:
        return list(dict.fromkeys(point.unit for point in self.points))

    def shown_facts(self) -> Mapping[str, str]:
        """The base and the points."""
        return {
            "base": f"{self.base.bytes:,} bytes, {1000 * self.base.divergence:.3f} mbit a token",
            "points": f"{len(self.points)} of {', '.join(self.units)}",
            **({"notes": "; ".join(self.notes)} if self.notes else {}),
        }

    def _repr_html_(self) -> str:
        rows = [(point.unit, f"{point.budget:,}", f"{point.items:,}", _recovered_text(point)) for point in self.points]
        columns = ("unit", "budget", "items", "recovered, mbit a token ± standard error")
        return super(ByteReturns, self)._repr_html_() + rows_table("points", columns, rows)


def _recovered_text(point: ReturnPoint) -> str:
    if point.recovered is None or point.recovered_error is None:
        return "not even one fits"
    return f"{1000 * point.recovered:+.3f} ± {1000 * point.recovered_error:.3f}"


def measure_curves(
    inputs: CurveInputs,
    units: Sequence[str],
    budgets: BudgetRange,
    *,
    backend: str | None,
    scheduler: str | None,
    threads: int,
    folder: Path | None,
    progress: Progress,
) -> ByteReturns:
    """Measure the points that `folder` does not have yet, and return all.

    Raises CheckpointError (also when the model has none of some units), DataError, CapError for budgets
    that do not fit the artifact, CompileError for a cluster that cannot be reached, OutputError for a
    folder that cannot be written.
    """
    unknown = [unit for unit in units if unit not in PROTECTED_KINDS]
    if unknown:
        raise CompileError(
            f"there is no kind of protected weights {unknown[0]!r}; there are {', '.join(PROTECTED_KINDS)}"
        )
    saved = SavedPoints(folder, inputs.digest)
    base, notes, bench = _measured_base(saved, inputs, units, threads, progress)
    wanted = [(unit, budget) for unit in dict.fromkeys(units) for budget in budgets.of_artifact(base.bytes)]
    found = {job: saved.load(_name(*job), ReturnPoint.from_document) for job in wanted}
    missing = sorted(
        (job for job, point in found.items() if point is None), key=lambda job: job[1]
    )  # every kind has its first bytes first
    if missing:
        bench = bench or open_for(inputs, units, threads, progress)
        bench.use_threads(1)
        with (
            running_on(backend, scheduler),
            one_thread_each(),
            naming_extremes(bench.model),
            _forgetting(),
        ):
            measure = partial(_measure, bench, base, inputs.settings, inputs.digest)
            for done, part in enumerate(iterate_unordered(measure, missing, threads=threads), start=1):
                saved.save(_name(part["unit"], part["budget"]), part)
                found[part["unit"], part["budget"]] = ReturnPoint.from_document(part)
                progress("measure points", len(wanted) - len(missing) + done, len(wanted))
    return ByteReturns(inputs, base, tuple(found[job] for job in wanted), notes)


def _measured_base(
    saved: SavedPoints, inputs: CurveInputs, units: Sequence[str], threads: int, progress: Progress
) -> tuple[Base, tuple[str, ...], Bench | None]:
    """The base and what was assumed of the texts, both kept; and the bench, where it was needed for them."""
    base, notes = saved.load("base", Base.from_document), saved.load("notes", _notes_of)
    if base is not None and notes is not None:
        return base, notes, None
    bench = open_for(inputs, units, threads, progress)
    saved.save("notes", {"notes": list(bench.notes)})
    if base is None:
        with one_thread_each(), naming_extremes(bench.model):
            base = measure_base(bench, inputs.settings)
        saved.save("base", asdict(base))
    return base, bench.notes, bench


def _notes_of(document: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(map(str, document["notes"]))


def _name(unit: str, budget: int) -> str:
    return f"{unit}-{budget}"


def open_for(inputs: CurveInputs, units: Sequence[str], threads: int, progress: Progress) -> Bench:
    """The bench, for these kinds of protected weights.

    CheckpointError when the model has none of a kind, DataError for too little text.
    """
    progress("calibrate", 0, 0)
    bench = Bench.open(inputs, threads, progress)
    if len(bench.meter.sequences) < 2:
        raise DataError(
            "the error of a difference needs two sequences to be measured on at least; ask for more "
            "tokens or give more text"
        )
    for unit in units:
        if unit in GRANULARITIES:
            find_units(bench.model, unit)
    return bench


@contextmanager
def _forgetting() -> Iterator[None]:
    """What this thread measured itself is not kept beyond the call."""
    try:
        yield
    finally:
        vars(_own).clear()


def _measure(bench: Bench, base: Base, settings: BaseSettings, digest: str, job: tuple[str, int]) -> dict:
    """One point as JSON values, with what this thread remembers of the same bench."""
    if getattr(_own, "digest", None) != digest:
        _own.digest, _own.curves = digest, Curves(bench, base, settings)
    return asdict(_own.curves.point(*job))
