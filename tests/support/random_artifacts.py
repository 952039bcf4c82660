"""Hypothesis strategies for records of terms and for small random artifacts with tensors of every kind of term.

Strategy: all matrices have the shape [vocabulary, width], so each can be looked up, be the head or be an alias of an
earlier one, and the program is a chain that reads them all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from naive_terms import naive_codebook, naive_low_rank, naive_sparse, naive_subset

from bytecap.format.codecs.scale_classes import TRELLIS_THRESHOLD
from bytecap.format.codecs.trellis import TRELLISES
from bytecap.format.identity import Identity
from bytecap.format.program.operands import Row
from bytecap.format.program.operations import Add, Embed, Linear, Scale
from bytecap.format.program.program import Program
from bytecap.format.tensors.grid import (
    MAX_BASE,
    MAX_INITIAL_SCALE,
    MAX_STEP_OCTAVES,
    MIN_BASE,
    GridValues,
    expected_scales,
    reconstruct_grid,
)
from bytecap.format.tensors.member_sets import BITMAP, GAPS, PREFIX, MemberSet, encode_bitmap
from bytecap.format.tensors.raw_planes import STORAGES, from_storage, to_storage
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import (
    Alias,
    Codebook,
    CodebookReference,
    CodebookValues,
    Grid,
    GridInStream,
    Indices,
    LowRank,
    LowRankValues,
    Raw,
    RawValues,
    Sparse,
    SparseValues,
    Subset,
    SubsetValues,
)
from bytecap.format.tensors.terms.codebook import MAX_CODEWORDS, MAX_DIMENSION, MIN_CODEWORDS


@dataclass(frozen=True)
class ArtifactSource:
    """What an artifact is assembled from, and the float32 arrays that it must decode to."""

    program: Program
    tensors: list[TensorSource]
    arrays: list[np.ndarray]


def chain_program(tables: int, vocabulary: int) -> Program:
    """Sum of `tables` embeddings, scaled by the vector in tensor `tables`, then the head in the next tensor."""
    instructions: list = [Embed(0)]
    for table in range(1, tables):
        instructions.append(Embed(table))
        instructions.append(Add(len(instructions) - 2, len(instructions) - 1))
    instructions.append(Scale(len(instructions) - 1, Row(tables)))
    instructions.append(Linear(len(instructions) - 1, tables + 1, None))
    return Program(tuple(instructions), vocabulary, 16, 0)


@st.composite
def grid_terms(draw) -> Grid:
    """Any record of a grid that the rules allow."""
    resolution = draw(st.integers(0, 3))
    bound = MAX_STEP_OCTAVES << resolution
    offset = st.none() | st.integers(-bound, bound)
    return Grid(
        base=draw(st.floats(MIN_BASE, MAX_BASE, width=32)),
        resolution=resolution,
        trellis_states=draw(st.sampled_from([0, *TRELLISES])),
        row_offset=draw(offset),
        column_offset=draw(offset),
        initial_scale=draw(st.integers(-MAX_INITIAL_SCALE, MAX_INITIAL_SCALE)),
        stream=draw(st.integers(0, 2**32 - 1)),
    )


def matrix_records() -> st.SearchStrategy:
    """Any record of a matrix inside a term."""
    return st.builds(Raw, st.sampled_from(STORAGES)) | grid_terms()


@st.composite
def codebook_records(draw, shape: tuple[int, int]) -> Codebook:
    """Any record of a codebook with its own codewords."""
    resolution = draw(st.integers(0, 3))
    bound = MAX_STEP_OCTAVES << resolution
    return Codebook(
        codewords=draw(st.integers(MIN_CODEWORDS, MAX_CODEWORDS)),
        dimension=draw(st.sampled_from(divisors(shape[1]))),
        book=draw(matrix_records()),
        indices=Indices(
            resolution=resolution,
            row_offset=draw(st.none() | st.integers(-bound, bound)),
            initial_scale=draw(st.integers(-MAX_INITIAL_SCALE, MAX_INITIAL_SCALE)),
            stream=draw(st.integers(0, 2**32 - 1)),
        ),
    )


def divisors(columns: int) -> list[int]:
    """Lengths that codewords for so many columns may have."""
    return [d for d in range(1, min(columns, MAX_DIMENSION) + 1) if columns % d == 0]


@st.composite
def set_records(draw, universe: int) -> MemberSet:
    """Any record of a set that needs nothing of other terms."""
    members = draw(member_lists(universe))
    encoding = draw(st.sampled_from([PREFIX, BITMAP, GAPS]))
    return MemberSet(encoding, members.size, encode_bitmap(members, universe) if encoding == BITMAP else b"")


@st.composite
def member_lists(draw, universe: int) -> np.ndarray:
    """int64: 1 to universe - 1 ascending numbers below universe."""
    found = draw(st.sets(st.integers(0, universe - 1), min_size=1, max_size=universe - 1))
    return np.array(sorted(found), np.int64)


def terms(shape: tuple[int, int], *, sources: st.SearchStrategy[int] | None = None) -> st.SearchStrategy:
    """Any record of a term of a matrix of that shape; aliases only with `sources` to choose from."""
    kinds = matrix_records()
    kinds |= st.builds(LowRank, st.integers(1, min(shape)), grid_terms(), grid_terms())
    kinds |= codebook_records(shape)
    for axis, universe in enumerate(shape):
        if universe > 1:
            kinds |= st.builds(Subset, st.just(axis), set_records(universe), matrix_records())
    if shape[0] * shape[1] > 1:
        kinds |= st.builds(Sparse, set_records(shape[0] * shape[1]), matrix_records())
    return kinds if sources is None else kinds | st.builds(Alias, sources)


@st.composite
def grid_values(draw, rows: int, columns: int) -> GridValues:
    """A grid of any steps and integers; sums of two such terms stay finite."""
    resolution = draw(st.integers(0, 3))
    bound = min(MAX_STEP_OCTAVES, draw(st.sampled_from([1, 20]))) << resolution
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = draw(st.sampled_from([0, 1, 2, 40, 5000, (1 << 24) - 1]))

    def exponents(length: int) -> np.ndarray | None:
        return random.integers(-bound, bound + 1, length) if draw(st.booleans()) else None

    base = draw(st.floats(2.0**-30, 2.0**30, width=32))
    codes = random.integers(-top, top + 1, (rows, columns)).astype(np.int32)
    return GridValues(codes, exponents(rows), exponents(columns), base, resolution)


@st.composite
def modest_values(draw, rows: int, columns: int) -> GridValues:
    """A grid whose products with another stay finite."""
    plain = draw(grid_values(rows, columns))
    sides = [None if side is None else side % 5 for side in (plain.row_exponents, plain.column_exponents)]
    return replace(plain, codes=plain.codes % 997 - 400, row_exponents=sides[0], column_exponents=sides[1])


@st.composite
def trellis_values(draw, rows: int, columns: int) -> GridValues:
    """A grid whose columns walk a trellis wherever the steps and the initial scale let it run."""
    plain = draw(grid_values(rows, columns))
    n_states, initial_scale = draw(st.sampled_from(sorted(TRELLISES))), draw(st.integers(-40, 40))
    zeros = [
        np.zeros(n, np.int64) if side is None else side
        for n, side in ((rows, plain.row_exponents), (columns, plain.column_exponents))
    ]
    scales = expected_scales(*zeros, plain.resolution, initial_scale)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = 2 * random.integers(-30, 31, (rows, columns)).astype(np.int32)
    for column in range(columns):
        state = 0
        for row in range(rows):
            if scales.rows[row] + scales.columns[column] >= TRELLIS_THRESHOLD:
                codes[row, column] += state & 1
                state = TRELLISES[n_states][state, ((codes[row, column] & 3) - (state & 1)) >> 1]
    return replace(plain, codes=codes, trellis_states=n_states, initial_scale=initial_scale)


@st.composite
def identities(draw) -> Identity:
    """Whatever may be known of the files that a model belongs to, also nothing."""
    digests = st.none() | st.binary(min_size=32, max_size=32)
    tokenizer, architecture = draw(digests), draw(digests)
    sizes = st.integers(1, 2**32 - 1)
    return Identity(draw(sizes if tokenizer else st.none() | sizes), tokenizer, architecture)


@st.composite
def artifact_sources(draw) -> ArtifactSource:
    """Programs of 1 to 3 tables, a vector and a head; up to 3 terms a tensor, integers in up to 3 streams."""
    tables, vocabulary, width = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    shapes = [(vocabulary, width)] * tables + [(width,), (vocabulary, width)]
    tensors, arrays, streams, books = [], [], [], {}
    for index, shape in enumerate(shapes):
        places = [(index, number) for number in range(draw(st.integers(1, 3)))]
        parts, terms = zip(
            *[draw(one_part(shape, shapes[:index], arrays, streams, books, place)) for place in places], strict=True
        )
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        arrays.append(total)
        dtype = draw(st.sampled_from(STORAGES))
        tensors.append(TensorSource(f"tensor.{index}", shape, dtype, parts))
    return ArtifactSource(chain_program(tables, vocabulary), tensors, arrays)


@st.composite
def one_part(draw, shape, earlier_shapes, arrays, streams, books, place):
    """A part and its float32 values in the tensor's shape.

    Its streams are added to `streams`, its codewords to `books`.
    """
    sources = [i for i, other in enumerate(earlier_shapes) if other == shape]
    rows, columns = (1, shape[0]) if len(shape) == 1 else shape
    axes = [axis for axis, size in enumerate((rows, columns)) if size > 1]
    kind = draw(
        st.sampled_from(
            ["raw", "grid", "grid", "low-rank", "codebook"]
            + ["alias"] * bool(sources)
            + ["subset", "sparse"] * bool(axes)
        )
    )
    if kind == "alias":
        source = draw(st.sampled_from(sources))
        return Alias(source), arrays[source]
    if kind == "raw":
        return draw(raw_values(shape))
    stream = draw(st.integers(1, min(3, max(streams, default=0) + 1)))
    if kind == "subset":
        axis = draw(st.sampled_from(axes))
        members = draw(member_lists((rows, columns)[axis]))
        part, values = draw(inner_part((members.size, columns) if axis == 0 else (rows, members.size)))
        if isinstance(part, GridValues):
            streams.append(stream)
        return SubsetValues(axis, members, part, stream), naive_subset(values, members, axis, (rows, columns)).reshape(
            shape
        )
    if kind == "sparse":
        positions = draw(member_lists(rows * columns))
        part, values = draw(inner_part((1, positions.size)))
        if isinstance(part, GridValues):
            streams.append(stream)
        return SparseValues(positions, part, stream), naive_sparse(values[0], positions, (rows, columns)).reshape(shape)
    streams.append(stream)
    if kind == "codebook":
        part, values = draw(codebook_parts((rows, columns), books, stream))
        if not isinstance(part.codewords, CodebookReference):
            books[place] = part.own_codewords()
        return part, values.reshape(shape)
    if kind == "low-rank":
        rank = draw(st.integers(1, min(rows, columns)))
        left, right = draw(modest_values(rows, rank)), draw(modest_values(rank, columns))
        product = naive_low_rank(reconstruct_grid(left), reconstruct_grid(right))
        return LowRankValues(left, right, streams[-1]), product.reshape(shape)
    grid = draw(draw(st.sampled_from([grid_values, trellis_values]))(rows, columns))
    return GridInStream(grid, streams[-1]), reconstruct_grid(grid).reshape(shape)


@st.composite
def codebook_parts(draw, shape, books, stream):
    """A codebook with codewords of its own or of an earlier one that fits, and its float32 values."""
    rows, columns = shape
    fitting = [place for place, codewords in sorted(books.items()) if columns % codewords.shape[1] == 0]
    if fitting and draw(st.booleans()):
        place = draw(st.sampled_from(fitting))
        book, codewords = CodebookReference(*place), books[place]
    else:
        book, codewords = draw(inner_part((draw(st.integers(2, 9)), draw(st.sampled_from(divisors(columns))))))
    random, resolution = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(0, 3))
    indices = random.integers(0, len(codewords), (rows, columns // codewords.shape[1]))
    exponents = random.integers(-9, 10, rows) if draw(st.booleans()) else None
    values = naive_codebook(
        codewords, indices, np.zeros(rows, np.int64) if exponents is None else exponents, resolution
    )
    return CodebookValues(book, indices, exponents, resolution, stream), values


@st.composite
def inner_part(draw, shape):
    """What a term holds as its matrix, raw or a grid, and its float32 values."""
    if draw(st.booleans()):
        return draw(raw_values(shape))
    grid = draw(draw(st.sampled_from([grid_values, trellis_values]))(*shape))
    return grid, reconstruct_grid(grid)


@st.composite
def raw_values(draw, shape):
    """Values in some storage, and what the storage makes of them."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values, storage = random.standard_normal(shape).astype(np.float32), draw(st.sampled_from(STORAGES))
    return RawValues(values, storage), from_storage(to_storage(values, storage), storage).reshape(shape)
