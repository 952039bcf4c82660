"""Byte-return curves: what protected weights recover a byte, against two other ways to spend the same bytes.

Strategy: the base is the cheap path at so many bits a weight. A point is the base with as many
protected weights of one kind as a budget holds, counted as the difference of two whole files, and two
controls of the same final bytes without any:
    finer      the base with every step finer by one factor: uniformly more precision
    widened    the allocator's own grids at a lower byte price: continuous row and column steps by the
               second-order model
On a base of simpler steps than the allocator's (simple_steps.py) these are two things; on the
allocator's own steps they are one artifact, since a lower price makes all its steps finer by one
factor. Everything is measured on the same held-out sequences, and every difference is paired sequence
by sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ...compiler.rate_control.landing import Trial
from ...compiler.settings import START_PRICE
from ...errors import CompileError
from .equal_bytes import Bench
from .estimate import Estimate
from .protected import FORMS, Ranking, rank_protected
from .protected_bytes import fill_budget, fill_share, metadata_bytes, tolerance_of
from .sequence_quality import SequenceQuality
from .simple_steps import ALLOCATED, PER_MATRIX, STEPS, UNIFORM

# bring the prices of other steps near the allocator's, where the search starts
FIRST_SHARES = {UNIFORM: 1024.0, PER_MATRIX: 1.0}
BASE_TOLERANCE = 0.0005


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """The cheap path: `steps` one of STEPS, `bits` of the whole file a weight; and what protecting means,
    `form` and `octaves` as protected.py has them.
    """

    steps: str = PER_MATRIX
    bits: float = 3.0
    form: str = "finer"
    octaves: float = 1.0

    def __post_init__(self) -> None:
        for name, value, known in (("base", self.steps, STEPS), ("form", self.form, FORMS)):
            if value not in known:
                raise CompileError(f"there is no {name} {value!r}; there are {', '.join(known)}")


Record = TypeVar("Record", bound=Any)


def checked_kinds(record: Record) -> Record:
    """`record`, a dataclass; TypeError where a value is not of the kind that its field says."""
    for name, kind in get_type_hints(type(record)).items():
        value = getattr(record, name)
        members = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        kinds = tuple(get_origin(member) or member for member in members)
        if not isinstance(value, kinds) and not (float in kinds and type(value) is int):
            raise TypeError(f"{name} is {value!r}")
    return record


@dataclass(frozen=True, slots=True)
class Base:
    """The base as measured; price and share make it again: see equal_bytes.Bench."""

    bytes: int
    byte_price: float
    share: float
    divergence: float
    bits_per_byte: float | None
    float_bits_per_byte: float | None

    @classmethod
    def from_document(cls, document: Mapping) -> Base:
        """From what dataclasses.asdict made of it; TypeError where it is not that."""
        return checked_kinds(cls(**document))


@dataclass(frozen=True, slots=True)
class Control:
    """Another way to spend the bytes of a point.

    Advantages are the control's loss minus the point's: above 0 the protected weights win.

    advantage, advantage_error, advantage_reach : bits a token of divergence, mean over sequences, its standard error
        and half of its 95 % interval
    mbpb, mbpb_error : thousandths of a bit per byte likewise, None without a tokenizer
    """

    bytes: int
    divergence: float
    advantage: float
    advantage_error: float
    mbpb: float | None
    mbpb_error: float | None
    advantage_reach: float


@dataclass(frozen=True, slots=True)
class ReturnPoint:
    """Protected weights of one kind at one budget; everything after `items` is None where not even the first one fits.

    bytes : of the file; protected_bytes : file less base; metadata : those of them that hold no values,
        by what they are
    recovered : of the base's divergence, bits a token, with its standard error and, recovered_reach, half of its
        95 % interval; recovered_mbpb : of the base's loss
    """

    unit: str
    budget: int
    items: int
    bytes: int | None = None
    protected_bytes: int | None = None
    metadata: Mapping[str, int] | None = None
    divergence: float | None = None
    recovered: float | None = None
    recovered_error: float | None = None
    recovered_mbpb: float | None = None
    recovered_mbpb_error: float | None = None
    finer: Control | None = None
    widened: Control | None = None
    recovered_reach: float | None = None

    @property
    def recovered_per_byte(self) -> float | None:
        """Bits a token of divergence for each protected byte."""
        return self.recovered / self.protected_bytes if self.protected_bytes else None

    @property
    def bits_per_byte_per_byte(self) -> float | None:
        """Bits per byte of text recovered for each protected byte; None without a tokenizer."""
        return (
            self.recovered_mbpb / 1000 / self.protected_bytes
            if self.protected_bytes and self.recovered_mbpb is not None
            else None
        )

    @classmethod
    def from_document(cls, document: Mapping) -> ReturnPoint:
        """From what dataclasses.asdict made of it."""
        controls = {
            name: None if document[name] is None else checked_kinds(Control(**document[name]))
            for name in ("finer", "widened")
        }
        return checked_kinds(cls(**{**document, **controls}))


def measure_base(bench: Bench, settings: BaseSettings) -> Base:
    """Land the cheap path at its bits. CapError when no artifact is that small."""
    wanted = round(bench.model.parameters * settings.bits / 8)
    tolerance = round(BASE_TOLERANCE * wanted)
    allocated = bench.at_bytes(wanted, None, START_PRICE, BASE_TOLERANCE)
    share, trial = 1.0, allocated
    if settings.steps != ALLOCATED:
        first = FIRST_SHARES[settings.steps]
        found = bench.with_steps(settings.steps, first).at_nearest(len(allocated.data), tolerance, allocated.byte_price)
        share = first * found.byte_price / allocated.byte_price
        trial = bench.with_steps(settings.steps, share).artifact(allocated.byte_price)
    quality = bench.quality(trial)
    return Base(
        len(trial.data),
        allocated.byte_price,
        share,
        float(quality.divergence.mean()),
        quality.bits_per_byte,
        bench.meter.float_model.bits_per_byte,
    )


class Curves:
    """Points on the curves of one base; remembers rankings and the base itself."""

    def __init__(self, bench: Bench, base: Base, settings: BaseSettings) -> None:
        self.allocated, self.cheap = bench.with_steps(ALLOCATED), bench.with_steps(settings.steps, base.share)
        self.base, self.settings = base, settings
        self._trial: Trial | None = None
        self._quality: SequenceQuality | None = None
        self._rankings: dict[str, Ranking] = {}

    def point(self, unit: str, budget: int) -> ReturnPoint:
        """Protected weights of a kind within `budget` bytes, and the controls.

        CheckpointError when there are no such units.
        """
        ranking = self._ranking(unit)
        items, trial = self._fill(ranking, budget)
        if trial is None:
            return ReturnPoint(unit, budget, 0)
        protected = len(trial.data) - self.base.bytes
        quality, base = self.cheap.quality(trial), self._base_quality()
        recovered, gap = Estimate.of_pairs(quality.divergence, base.divergence), base.gap_to(quality)
        tolerance = tolerance_of(protected)
        widened = self._control(self.allocated, trial, quality, tolerance)
        finer = widened if self.settings.steps == ALLOCATED else self._control(self.cheap, trial, quality, tolerance)
        return ReturnPoint(
            unit,
            budget,
            items,
            len(trial.data),
            protected,
            metadata_bytes(trial.data, self._base_trial().data),
            float(quality.divergence.mean()),
            recovered.mean,
            recovered.standard_error,
            gap and gap.mbpb,
            gap and gap.standard_error_mbpb,
            finer,
            widened,
            recovered.reach,
        )

    def _control(self, bench: Bench, trial: Trial, quality: SequenceQuality, tolerance: int) -> Control:
        octaves = 8 * (len(trial.data) - self.base.bytes) / bench.model.parameters
        control = bench.at_nearest(len(trial.data), tolerance, self.base.byte_price * 2.0**-octaves)
        found = bench.quality(control)
        advantage, gap = Estimate.of_pairs(quality.divergence, found.divergence), found.gap_to(quality)
        return Control(
            len(control.data),
            float(found.divergence.mean()),
            advantage.mean,
            advantage.standard_error,
            gap and gap.mbpb,
            gap and gap.standard_error_mbpb,
            advantage.reach,
        )

    def _base_trial(self) -> Trial:
        self._trial = self._trial or self.cheap.artifact(self.base.byte_price)
        return self._trial

    def _base_quality(self) -> SequenceQuality:
        self._quality = self._quality or self.cheap.quality(self._base_trial())
        return self._quality

    def _ranking(self, unit: str) -> Ranking:
        if unit not in self._rankings:
            self._rankings[unit] = rank_protected(
                self.cheap, self.base.byte_price, unit, self.settings.form, self.settings.octaves
            )
        return self._rankings[unit]

    def _fill(self, ranking: Ranking, budget: int) -> tuple[int, Trial | None]:
        """The most items whose file is at most `budget` bytes larger than the base, and that file; None
        where one item is too large.
        """

        def make(count: int, share: float = 1.0) -> Trial:
            return self.cheap.artifact(self.base.byte_price, ranking.build(count, share))

        least = budget - tolerance_of(budget)
        count, trial = fill_budget(make, ranking.items, self.base.bytes, budget, least)
        size = 0 if trial is None else len(trial.data) - self.base.bytes
        if ranking.shared and size < least and count < ranking.items:
            shared = fill_share(lambda share: make(count + 1, share), self.base.bytes, budget, least)
            if shared is not None and len(shared.data) > size + self.base.bytes:
                return count + 1, shared
        return count, trial
