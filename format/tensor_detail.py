"""One tensor of an artifact looked at closely: its values, the steps of its grids and how often each integer occurs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .artifact import Artifact, DecodedTensors, decode_contents, read_artifact
from .byte_account import Inspection, TensorRow
from .container.limits import DEFAULT_LIMITS, Limits
from .entropy import entropy_of_counts, symbol_counts
from .inspection import inspect_contents, tensor_rows
from .tensors.stored import CodedValues
from .tensors.terms import TensorEntry


@dataclass(frozen=True, slots=True)
class GridDetail:
    """One grid of a tensor, or the centered indices of a codebook (base 1).

    term, matrix : int, str              number of the term (from 1), and what the grid is in it (""
        when it is the term)
    row_steps, column_steps : (least, greatest) factor of the base that the rows' or columns' exponents
        give; None: no steps
    histogram : tuple of (code, count)   every code that occurs, ascending
    entropy_bits : float                 order-0 entropy of the codes, bits a code
    """

    term: int
    matrix: str
    base: float
    steps_per_octave: int
    row_steps: tuple[float, float] | None
    column_steps: tuple[float, float] | None
    histogram: tuple[tuple[int, int], ...]
    entropy_bits: float


@dataclass(frozen=True, slots=True)
class TensorDetail:
    """One tensor looked at closely; minimum, maximum and root mean square of its decoded values."""

    row: TensorRow
    minimum: float
    maximum: float
    root_mean_square: float
    grids: tuple[GridDetail, ...]


def inspect_tensor(data: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> TensorDetail | None:
    """One tensor of an artifact looked at closely, or None when there is none of that name. ArtifactError as above."""
    artifact = read_artifact(data, limits)
    names = [entry.name for entry in artifact.directory]
    if name not in names:
        return None
    contents = decode_contents(artifact)
    index = names.index(name)
    return tensor_detail(artifact.directory[index], index, contents, tensor_rows(artifact, contents)[index])


def tensor_detail(entry: TensorEntry, index: int, contents: DecodedTensors, row: TensorRow) -> TensorDetail:
    """Tensor `index` of the directory, from decoded contents; `row` is its row in the account of bytes."""
    values = contents.arrays[index].astype(np.float64)
    return TensorDetail(
        row=row,
        minimum=float(values.min()),
        maximum=float(values.max()),
        root_mean_square=float(np.sqrt(np.mean(values * values))),
        grids=_grid_details(entry, index, contents),
    )


def _grid_details(entry: TensorEntry, index: int, contents: DecodedTensors) -> tuple[GridDetail, ...]:
    details = []
    for number, term in enumerate(entry.terms):
        for m, matrix in enumerate(term.matrices(entry.matrix_shape)):
            if (index, number, m) in contents.matrices:
                details.append(_grid_detail(contents.matrices[index, number, m], number + 1, matrix.name))
    return tuple(details)


def _grid_detail(grid: CodedValues, term: int, matrix: str) -> GridDetail:
    codes, counts = symbol_counts(grid.codes)
    return GridDetail(
        term=term,
        matrix=matrix,
        base=grid.base,
        steps_per_octave=1 << grid.resolution,
        row_steps=_step_range(grid.row_exponents, grid.resolution),
        column_steps=_step_range(grid.column_exponents, grid.resolution),
        histogram=tuple(zip(codes.tolist(), counts.tolist(), strict=True)),
        entropy_bits=entropy_of_counts(counts),
    )


def _step_range(exponents: np.ndarray | None, resolution: int) -> tuple[float, float] | None:
    """Least and greatest factor 2**(exponent / steps per octave)."""
    if exponents is None:
        return None
    return tuple(2.0 ** (int(bound) / (1 << resolution)) for bound in (exponents.min(), exponents.max()))


@dataclass(frozen=True, slots=True)
class WholeInspection:
    """An artifact with its account of bytes and every tensor looked at closely, in the order of the directory."""

    artifact: Artifact
    account: Inspection
    tensors: tuple[TensorDetail, ...]


def inspect_whole(data: bytes, limits: Limits = DEFAULT_LIMITS) -> WholeInspection:
    """`inspect_artifact` and `inspect_tensor` of all tensors from one decoding. ArtifactError as above."""
    artifact = read_artifact(data, limits)
    contents = decode_contents(artifact)
    account = inspect_contents(data, artifact, contents)
    details = [
        tensor_detail(entry, index, contents, account.tensors[index]) for index, entry in enumerate(artifact.directory)
    ]
    return WholeInspection(artifact, account, tuple(details))
