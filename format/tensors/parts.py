"""Parts: what a writer says a tensor is the sum of, and exactly what a decoder will make of each.

Strategy: a part is a term together with its content. `part_matrices` lists what a part stores in the order in which its
term lists it (recipes.py, `matrices`), `term_of` makes the record, and `reconstruct_part` goes through the very functions
that decode, so that a compiler can measure a part before it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .codebooks import IndexValues, center_indices, fit_index_scale, look_up
from .combined_terms import Codebook, LowRank, Sparse, Subset
from .grid import GridValues, fit_initial_scale, matrix_shape, reconstruct_grid
from .member_sets import MemberSet
from .raw_planes import from_storage, to_storage
from .recipes import Alias, Grid, Indices, Raw, Term
from .reconstruction import low_rank_product, spread_sparse, spread_subset
from .set_choice import KnownSets, SetChooser, ToldSet


@dataclass(frozen=True, slots=True)
class RawValues:
    """float32 values stored as `storage` ("float32", "float16", "bfloat16")."""

    values: np.ndarray
    storage: str


@dataclass(frozen=True, slots=True)
class GridInStream:
    """A quantized matrix and the stream (1..) that holds its codes."""

    grid: GridValues
    stream: int


@dataclass(frozen=True, slots=True)
class LowRankValues:
    """The product of `left` [rows, rank] and `right` [rank, columns], rank 1..min(rows, columns); both in `stream` (1..)."""

    left: GridValues
    right: GridValues
    stream: int


@dataclass(frozen=True, slots=True)
class SubsetValues:
    """Some rows or columns of the tensor seen as a matrix (grid.py, `matrix_shape`), and 0 elsewhere.

    axis : int                         0: members are rows, 1: columns
    members : int64[n]                 ascending, 1 to one less than there are
    part : GridValues or RawValues     [n, columns] for rows, [rows, n] for columns
    stream : int                       1.. of a grid's codes; not used for raw values
    """

    axis: int
    members: np.ndarray
    part: GridValues | RawValues
    stream: int


@dataclass(frozen=True, slots=True)
class SparseValues:
    """Single elements, and 0 elsewhere.

    positions : int64[n]               ascending row-major places, 1 to one less than there are elements
    part : GridValues or RawValues     [1, n]; raw values may also be [n]
    stream : int                       1.. of a grid's codes; not used for raw values
    """

    positions: np.ndarray
    part: GridValues | RawValues
    stream: int


@dataclass(frozen=True, slots=True)
class CodebookReference:
    """The codewords of a codebook part with its own: of tensor number `tensor`, its part number `term` (both from 0).

    It must stand before: in an earlier tensor, or in this one as an earlier part.
    """

    tensor: int
    term: int


@dataclass(frozen=True, slots=True)
class CodebookValues:
    """Codewords by index, times a factor of the row: value[i, j * d + t] = codewords[indices[i, j], t] * 2**(r[i] / 2**resolution).

    codewords : GridValues or RawValues [K, d], or CodebookReference; K and d to 65,536, d a divisor of the columns
    indices : int64[rows, columns / d]     0..K - 1. They are coded as index - K // 2, so order the codewords by value, or by
                                           how often they occur with the most frequent in the middle: near K // 2 is cheap
    row_exponents : int64[rows] or None    r, within 20 octaves; None: no factors
    resolution : int                       0..3
    stream : int                           1.. of the indices and of a grid's codewords
    """

    codewords: GridValues | RawValues | CodebookReference
    indices: np.ndarray
    row_exponents: np.ndarray | None
    resolution: int
    stream: int


@dataclass(frozen=True, slots=True)
class IndicesInStream:
    """Centered indices of a codebook and the stream (1..) that holds them."""

    indices: IndexValues
    stream: int


Matrix = RawValues | GridInStream | IndicesInStream
Part = RawValues | GridInStream | Alias | LowRankValues | SubsetValues | SparseValues | CodebookValues
Codebooks = Mapping[tuple[int, int], np.ndarray]  # float32[K, d] codewords of the parts that have their own


@dataclass(frozen=True, slots=True)
class TensorSource:
    """What one tensor is: name, shape, export dtype and the parts whose sum it is."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    parts: tuple[Part, ...]


def part_matrices(part: Part, codebooks: Codebooks | None = None) -> tuple[Matrix, ...]:
    """What a part stores in RAW and in the streams, in the order of its term's `matrices`.

    codebooks : where a CodebookReference finds its codewords
    """
    match part:
        case Alias():
            return ()
        case LowRankValues():
            return GridInStream(part.left, part.stream), GridInStream(part.right, part.stream)
        case SubsetValues() | SparseValues():
            return (_inner_matrix(part.part, part.stream),)
        case CodebookValues():
            codewords = len(codewords_of(part, codebooks))
            indices = IndexValues(center_indices(part.indices, codewords), part.row_exponents, part.resolution)
            own = () if isinstance(part.codewords, CodebookReference) else (_inner_matrix(part.codewords, part.stream),)
            return *own, IndicesInStream(indices, part.stream)
        case _:
            return (part,)


def _inner_matrix(values: GridValues | RawValues, stream: int) -> Matrix:
    return GridInStream(values, stream) if isinstance(values, GridValues) else values


def codewords_of(part: CodebookValues, codebooks: Codebooks | None = None) -> np.ndarray:
    """float32[K, d]: the codewords that a decoder looks up; ValueError for a reference that `codebooks` lacks."""
    if not isinstance(part.codewords, CodebookReference):
        return reconstruct_matrix(_inner_matrix(part.codewords, part.stream))
    place = part.codewords.tensor, part.codewords.term
    if place not in (codebooks or {}):
        raise ValueError(f"no codewords are known of part {place[1]} of tensor {place[0]}")
    return codebooks[place]


def own_codebooks(tensors: Sequence[TensorSource], first: int = 0) -> dict[tuple[int, int], np.ndarray]:
    """float32[K, d] codewords by (tensor, part), of all codebook parts that have their own; first : number of the first tensor."""
    return {
        (i, t): codewords_of(part)
        for i, tensor in enumerate(tensors, first)
        for t, part in enumerate(tensor.parts)
        if isinstance(part, CodebookValues) and not isinstance(part.codewords, CodebookReference)
    }


def all_matrices(tensors: Sequence[TensorSource], codebooks: Codebooks | None = None) -> list[Matrix]:
    """What all parts store, in the order in which every section holds it."""
    return [matrix for tensor in tensors for part in tensor.parts for matrix in part_matrices(part, codebooks)]


def term_of(part: Part, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Term:
    """The record of a part; `told` says how its set is told, and `codebooks` holds the codewords that it may refer to."""
    match part:
        case Alias():
            return part
        case LowRankValues():
            return LowRank(part.left.codes.shape[1], *map(record_of, part_matrices(part)))
        case SubsetValues():
            return Subset(part.axis, told, record_of(*part_matrices(part)))
        case SparseValues():
            return Sparse(told, record_of(*part_matrices(part)))
        case CodebookValues():
            *own, indices = map(record_of, part_matrices(part, codebooks))
            named = None if own else (part.codewords.tensor, part.codewords.term)
            return Codebook(*codewords_of(part, codebooks).shape, named or own[0], indices)
        case _:
            return record_of(part)


def choose_sets(
    tensors: Sequence[TensorSource], known: KnownSets | None = None, first: int = 0
) -> dict[tuple[int, int], ToldSet]:
    """How every set is told, by entry and term, in their order. ValueError for members that are no set.

    known : sets of earlier entries, which these may name; first : number of the first of these entries
    """
    chooser, told = SetChooser(), {}
    for place, (universe, members) in (known or {}).items():
        chooser.remember(members, universe, place)
    for i, tensor in enumerate(tensors, first):
        shape = matrix_shape(tensor.shape)
        grid = next((part.grid for part in tensor.parts if isinstance(part, GridInStream)), None)
        for t, part in enumerate(tensor.parts):
            if isinstance(part, SubsetValues):
                exponents = grid and (grid.row_exponents, grid.column_exponents)[part.axis]
                told[i, t] = chooser.choose(part.members, shape[part.axis], exponents, (i, t))
            elif isinstance(part, SparseValues):
                told[i, t] = chooser.choose(part.positions, shape[0] * shape[1], None, (i, t))
    return told


def record_of(matrix: Matrix) -> Raw | Grid | Indices:
    """The record of a stored matrix."""
    if isinstance(matrix, RawValues):
        return Raw(matrix.storage)
    if isinstance(matrix, IndicesInStream):
        indices = matrix.indices
        return Indices(indices.resolution, step_offset(indices.row_exponents), fit_index_scale(indices), matrix.stream)
    grid = matrix.grid
    return Grid(
        float(np.float32(grid.base)),
        grid.resolution,
        grid.trellis_states,
        step_offset(grid.row_exponents),
        step_offset(grid.column_exponents),
        fit_initial_scale(grid),
        matrix.stream,
    )


def step_offset(exponents: np.ndarray | None) -> int | None:
    """What is subtracted from exponents before they are coded: the median, which leaves the least total magnitude."""
    return None if exponents is None else int(np.sort(exponents)[exponents.size // 2])


def coded_values(matrix: GridInStream | IndicesInStream) -> GridValues | IndexValues:
    """The integers of a matrix in a stream, and its steps."""
    return matrix.grid if isinstance(matrix, GridInStream) else matrix.indices


def reconstruct_matrix(matrix: RawValues | GridInStream) -> np.ndarray:
    """The float32 values of a stored matrix: [rows, columns] of a grid, raw values in the shape they have."""
    if isinstance(matrix, RawValues):
        return from_storage(to_storage(matrix.values, matrix.storage), matrix.storage).reshape(np.shape(matrix.values))
    return reconstruct_grid(matrix.grid)


def _inner_values(part: SubsetValues | SparseValues, shape: tuple[int, int]) -> np.ndarray:
    """The values of the matrix inside a part; ValueError when they are not of that shape (a vector is one row)."""
    values = reconstruct_matrix(*part_matrices(part))
    if np.atleast_2d(values).shape != shape:
        raise ValueError(f"a matrix of shape {values.shape} inside a part that needs {shape}")
    return np.atleast_2d(values)


def reconstruct_part(
    part: Part,
    shape: tuple[int, ...],
    *,
    arrays: Sequence[np.ndarray] | Mapping[int, np.ndarray] = (),
    codebooks: Codebooks | None = None,
) -> np.ndarray:
    """float32 array of `shape`: what the decoder gives for a part of a tensor of that shape, bit-exact.

    arrays : values of earlier tensors by their index; needed for an Alias only
    codebooks : codewords by (tensor, part), as `own_codebooks` gives them; needed for a CodebookReference only

    Values beyond float32 are infinite (such a tensor is refused when it is assembled); ValueError for shapes that do not
    fit together.
    """
    match part:
        case Alias():
            values = arrays[part.source]
        case LowRankValues():
            if part.left.codes.shape[1] != part.right.codes.shape[0]:
                raise ValueError(f"{part.left.codes.shape} and {part.right.codes.shape} have no product")
            values = low_rank_product(*map(reconstruct_matrix, part_matrices(part)))
        case SubsetValues():
            rows, columns = matrix_shape(shape)
            n = len(part.members)
            inner = _inner_values(part, (n, columns) if part.axis == 0 else (rows, n))
            values = spread_subset(inner, np.asarray(part.members), part.axis, (rows, columns))
        case SparseValues():
            values = spread_sparse(
                _inner_values(part, (1, len(part.positions))), np.asarray(part.positions), matrix_shape(shape)
            )
        case CodebookValues():
            values = look_up(codewords_of(part, codebooks), part_matrices(part, codebooks)[-1].indices)
        case _:
            values = reconstruct_matrix(part)
    return values.reshape(shape)
