"""Two artifacts side by side: bytes, bits and errors tensor by tensor, and what else is not the same.

Strategy: tensors are paired by name. The error of one against the other is that of their decoded values,
so it does not matter in which terms each is stored. Each artifact is decoded once, and nothing is run.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..display import ShownByFacts
from .artifact import Artifact, decode_contents, read_artifact
from .byte_account import Inspection, TensorRow
from .container.limits import DEFAULT_LIMITS, Limits
from .inspection import inspect_contents
from .program.listing import program_lines


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """One tensor in the first and in the second artifact; None where it is missing.

    equal : bool                   whether both decode to the same values
    relative_error : float | None  root mean square of the difference over that of the first; None where shapes differ
    """

    name: str
    first: TensorRow | None
    second: TensorRow | None
    equal: bool
    relative_error: float | None

    @property
    def byte_change(self) -> int:
        """Bytes of the second less those of the first."""
        return (self.second.bytes if self.second else 0) - (self.first.bytes if self.first else 0)


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(ShownByFacts):
    """What two artifacts do not have in common.

    same_file : bool                 whether they are equal byte by byte
    same_model : bool                whether they compute the same function of the same values
    first, second : Inspection
    tensors : tuple                  every tensor of either, in the order of the first
    program : tuple of str           changed lines of the program, "- " the first's and "+ " the second's
    provenance : mapping of pairs    by key the two values, None where one has none, of those that differ
    identity : mapping of pairs      likewise, of what the two say of their tokenizer and architecture document
    """

    same_file: bool
    same_model: bool
    first: Inspection
    second: Inspection
    tensors: tuple[TensorDifference, ...]
    program: tuple[str, ...]
    provenance: Mapping[str, tuple[object, object]]
    identity: Mapping[str, tuple[object, object]]

    @property
    def shared_bytes(self) -> tuple[int, int]:
        """Bytes of the first and of the second that serve all tensors together; with the tensors' they are the file."""
        first, second = (sum(row.bytes for row in side.shared) for side in (self.first, self.second))
        return first, second

    @property
    def verdict(self) -> str:
        """Whether the two are the same, and how many bytes lie between them, in words."""
        if self.same_file:
            return "the same file"
        change = self.second.bytes - self.first.bytes
        what = "the same model" if self.same_model else "another model"
        if not change:
            return f"{what} in as many bytes"
        return f"{what} in {abs(change):,} bytes {'more' if change > 0 else 'less'}"

    def shown_facts(self) -> Mapping[str, str]:
        """Whether they differ, in bytes, tensors and program."""
        same = "the same file" if self.same_file else "the same model" if self.same_model else "different models"
        return {
            "": same,
            "bytes": f"{self.first.bytes:,} and {self.second.bytes:,}",
            "tensors": f"{sum(not tensor.equal for tensor in self.tensors)} of {len(self.tensors)} differ",
            "program": f"{len(self.program)} lines differ" if self.program else "the same",
        }


@dataclass(frozen=True, slots=True)
class Side:
    """One of two artifacts, decoded once: its bytes, its records, its byte account and its values by name."""

    data: bytes
    artifact: Artifact
    inspection: Inspection
    values: Mapping[str, np.ndarray]


def read_side(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Side:
    """An artifact to compare. Raises ArtifactError when it cannot be read or decoded."""
    artifact = read_artifact(data, limits)
    contents = decode_contents(artifact)
    values = dict(zip((entry.name for entry in artifact.directory), contents.arrays, strict=True))
    return Side(data, artifact, inspect_contents(data, artifact, contents), values)


def compare_sides(first: Side, second: Side) -> Comparison:
    """What two artifacts that are decoded do not have in common."""
    tensors = _compare_tensors(first, second)
    program = _changed_lines(first.artifact, second.artifact)
    return Comparison(
        same_file=first.data == second.data,
        same_model=not program and all(tensor.equal for tensor in tensors),
        first=first.inspection,
        second=second.inspection,
        tensors=tensors,
        program=program,
        provenance=_changed_values(first.artifact.provenance, second.artifact.provenance),
        identity=_changed_values(first.artifact.identity.values, second.artifact.identity.values),
    )


def _compare_tensors(first: Side, second: Side) -> tuple[TensorDifference, ...]:
    rows = [{row.name: row for row in side.inspection.tensors} for side in (first, second)]
    return tuple(
        TensorDifference(
            name, rows[0].get(name), rows[1].get(name), *_difference(first.values.get(name), second.values.get(name))
        )
        for name in dict.fromkeys([*rows[0], *rows[1]])
    )


def _difference(first: np.ndarray | None, second: np.ndarray | None) -> tuple[bool, float | None]:
    """(equal, relative error) of decoded values."""
    if first is None or second is None or first.shape != second.shape:
        return False, None
    if np.array_equal(first, second):
        return True, 0.0
    power = float(np.sum(first.astype(np.float64) ** 2))
    error = float(np.sum((second.astype(np.float64) - first) ** 2))
    return False, (error / power) ** 0.5 if power else None


def _changed_lines(first: Artifact, second: Artifact) -> tuple[str, ...]:
    """Lines of the programs that only one of them has."""
    before, after = (program_lines(a.program, [entry.name for entry in a.directory]) for a in (first, second))
    if before == after:
        return ()
    changes = difflib.unified_diff(before, after, lineterm="", n=0)
    return tuple(f"{line[0]} {line[1:]}" for line in changes if line[:3] not in ("---", "+++") and line[0] in "+-")


def _changed_values(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    names = dict.fromkeys([*first, *second])
    pairs = {name: (first.get(name), second.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
