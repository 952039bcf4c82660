"""Terms that combine matrices: what the kernels compute against slow twins, and what a writer is told of its parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_terms import naive_codebook, naive_low_rank, naive_sparse, naive_subset
from random_artifacts import ArtifactSource, artifact_sources, chain_program, modest_values

from bytecap.errors import InvalidArtifact, LimitExceeded
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact, part_bytes
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.inspection import inspect_artifact
from bytecap.format.tensor_detail import inspect_tensor
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource, own_codebooks
from bytecap.format.tensors.terms import (
    CodebookReference,
    CodebookValues,
    GridInStream,
    LowRankValues,
    RawValues,
    SparseValues,
    SubsetValues,
)
from bytecap.format.tensors.terms.low_rank import low_rank_product

SHAPE = (6, 4)


def with_table(*parts, shape: tuple[int, int] = SHAPE) -> bytes:
    """An artifact whose first tensor is the sum of the parts."""
    gain = RawValues(np.ones(shape[1], np.float32), "float16")
    head = RawValues(np.ones(shape, np.float32), "float16")
    tensors = [("table", shape, parts), ("gain", shape[1:], (gain,)), ("head", shape, (head,))]
    return assemble_artifact(
        chain_program(1, shape[0]), [TensorSource(name, shape, "float32", p) for name, shape, p in tensors]
    )


def grid(rows: int, columns: int, base: float = 0.25, steps: bool = True) -> GridValues:
    codes = (np.arange(rows * columns, dtype=np.int32) * 5 % 13 - 6).reshape(rows, columns)
    return GridValues(codes, np.arange(rows) if steps else None, None, base, 2)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_a_product_is_the_written_chain_of_operations(rows, rank, columns, seed, octaves):
    """Numbers of very different sizes, so that another order of the sum would show."""
    random = np.random.default_rng(seed)
    left, right = (
        (random.standard_normal(shape) * 2.0 ** random.integers(-octaves, octaves + 1, shape)).astype(np.float32)
        for shape in ((rows, rank), (rank, columns))
    )
    assert low_rank_product(left, right).tobytes() == naive_low_rank(left, right).tobytes()


@settings(max_examples=40)
@given(artifact_sources())
def test_a_writer_is_told_what_is_decoded(source: ArtifactSource):
    arrays = decode_tensors(read_artifact(assemble_artifact(source.program, source.tensors)))
    for tensor, decoded in zip(source.tensors, arrays, strict=True):
        total = None
        for part in tensor.parts:
            values = part.reconstruct(tensor.shape, arrays=arrays, codebooks=own_codebooks(source.tensors))
            assert values.shape == tensor.shape and values.dtype == np.float32
            total = values if total is None else total + values
        assert total.tobytes() == decoded.tobytes()


@given(st.data())
def test_a_product_of_the_wrong_shape_is_refused(data):
    left, right = data.draw(modest_values(6, 2)), data.draw(modest_values(3, 4))
    with pytest.raises(ValueError, match="no product"):
        LowRankValues(left, right, 1).reconstruct(SHAPE)


def test_a_product_beyond_float32_is_refused_when_it_is_written():
    top = replace(grid(6, 1, 2.0**40), row_exponents=np.full(6, 80))
    part = LowRankValues(
        top, replace(top, codes=grid(1, 4).codes, row_exponents=np.full(1, 80), column_exponents=np.full(4, 80)), 1
    )
    with pytest.raises(InvalidArtifact) as caught:
        with_table(part)
    assert caught.value.rule == "R-REC-4"


def test_products_and_stored_numbers_are_limited():
    data = with_table(LowRankValues(grid(6, 2), grid(2, 4), 1))
    for name, limit, rule in (("products", 6 * 4 * 2, "R-REC-6"), ("elements", 24 + 2 * (6 + 4) + 4 + 24, "R-DIR-4")):
        read_artifact(data, replace(DEFAULT_LIMITS, **{name: limit}))
        with pytest.raises(LimitExceeded) as caught:
            read_artifact(data, replace(DEFAULT_LIMITS, **{name: limit - 1}))
        assert caught.value.rule == rule


def test_inspection_counts_the_terms():
    data = with_table(GridInStream(grid(*SHAPE), 1), LowRankValues(grid(6, 2), grid(2, 4, steps=False), 2))
    found = inspect_artifact(data)
    assert sum(row.bytes for row in (*found.tensors, *found.shared)) == found.bytes == len(data)
    row = found.tensors[0]
    assert [(term.kind, term.description) for term in row.terms] == [
        ("grid", "grid (row steps)"),
        ("low-rank", "low-rank (rank 2)"),
    ]
    assert [term.bytes for term in row.terms] == [stream.bytes for stream in found.streams[1:]]
    assert row.description == "grid (row steps) + low-rank (rank 2)" and row.bytes == sum(
        term.bytes for term in row.terms
    )
    assert [(detail.term, detail.matrix) for detail in inspect_tensor(data, "table").grids] == [
        (1, ""),
        (2, "left"),
        (2, "right"),
    ]


def test_inspection_tells_the_bytes_of_a_set_apart():
    values = RawValues(np.arange(8, dtype=np.float32).reshape(2, 4), "float16")
    data = with_table(GridInStream(grid(*SHAPE), 1), SubsetValues(0, np.array([1, 4]), values, 0))
    found = inspect_artifact(data)
    assert sum(row.bytes for row in (*found.tensors, *found.shared)) == found.bytes == len(data)
    term = found.tensors[0].terms[1]
    assert (term.kind, term.description, term.set_bytes, term.book_bytes) == (
        "subset",
        "subset (2 rows by bitmap, raw float16)",
        1,
        0,
    )
    metadata = {row.name: row.bytes for row in found.metadata}
    assert (
        metadata["sets, their records in the directory"] == 2
        and "codewords" not in metadata
        and "sets, their gaps and changes" not in metadata
    )
    assert metadata["step exponents"] == found.streams[0].bytes
    assert np.array_equal(
        decode_tensors(read_artifact(data))[0],
        GridInStream(grid(*SHAPE), 1).reconstruct(SHAPE) + spread(values.values),
    )


def test_inspection_tells_the_bytes_of_codewords_apart():
    own = CodebookValues(grid(4, 2), np.arange(12).reshape(6, 2) % 4, None, 0, 1)
    found = inspect_artifact(
        with_table(own, CodebookValues(CodebookReference(0, 0), np.zeros((6, 2), np.int64), None, 0, 2))
    )
    first, second = found.tensors[0].terms
    assert 0 < first.book_bytes < first.bytes and second.book_bytes == 0
    assert {row.name: row.bytes for row in found.metadata}["codewords"] == first.book_bytes
    own = {row.name: row.items for row in found.metadata}["codewords"]  # a codebook that shares has none of its own
    assert own > 1 and first.description.startswith(f"codebook ({own} x ")


def test_bits_of_a_set_cost_what_they_take_in_a_compressed_directory():
    """Square blocks of a large matrix, whose bitmap is a few patterns: far less than a bit an element,
    as in a whole artifact.
    """
    chosen = np.zeros((128, 256), bool)
    chosen[8:16, 40:48] = chosen[64:72, 96:104] = chosen[80:88, 8:16] = True
    positions = np.flatnonzero(chosen.ravel())
    part = SparseValues(positions, GridValues(np.ones((1, positions.size), np.int32), None, None, 1.0, 0), 1)
    assert part_bytes([part], chosen.shape) < 0.05 * chosen.size / 8
    whole = len(with_table(part, shape=chosen.shape)) - len(
        with_table(RawValues(np.zeros(chosen.shape, np.float32), "float16"), shape=chosen.shape)
    )
    assert part_bytes([part], chosen.shape) == pytest.approx(whole, abs=60)


def spread(values: np.ndarray) -> np.ndarray:
    return naive_subset(values, [1, 4], 0, SHAPE)


@pytest.mark.parametrize("shape", [(3, 3), (1, 4), (4, 2), (1, 1)])
def test_a_matrix_of_the_wrong_shape_inside_is_refused(shape):
    """Also one that an assignment would spread over the members."""
    inner, members = RawValues(np.zeros(shape, np.float32), "float32"), np.array([0, 2])
    for part in (
        SubsetValues(0, members, inner, 1),
        SubsetValues(1, members, inner, 1),
        SparseValues(members, inner, 1),
    ):
        with pytest.raises(ValueError, match="inside a part"):
            part.reconstruct(SHAPE)


def test_sparse_elements_may_be_a_vector_or_a_row():
    positions = np.array([0, 5, 23])
    expected = naive_sparse([1.5, -2.0, 3.0], positions, SHAPE)
    values = np.array([1.5, -2.0, 3.0], np.float32)
    for shape in ((3,), (1, 3)):
        part = SparseValues(positions, RawValues(values.reshape(shape), "float32"), 0)
        assert np.array_equal(part.reconstruct(SHAPE), expected)
        assert np.array_equal(decode_tensors(read_artifact(with_table(part)))[0], expected)
    found = inspect_artifact(with_table(part))
    assert found.tensors[0].description == "sparse (3 by gaps, raw float32)"
    assert (
        found.tensors[0].terms[0].set_bytes
        == found.streams[0].bytes
        == next(row.bytes for row in found.shared if "sets" in row.name)
    )


def test_layers_share_a_mask():
    """The second time a set costs a name; the third, one element away, a change."""
    shape = (40, 10)
    positions = np.sort(np.random.default_rng(0).choice(400, 150, replace=False))
    nearly = np.delete(positions, 4)
    parts = [
        SparseValues(p, GridValues(np.ones((1, p.size), np.int32), None, None, 1.0, 0), 1)
        for p in (positions, positions, nearly)
    ]
    artifact = read_artifact(with_table(*parts, shape=shape))
    assert [term.members.encoding for term in artifact.directory[0].terms][1:] == ["same", "difference"]
    expected = sum(np.isin(np.arange(400), p).astype(np.float32) for p in (positions, positions, nearly))
    assert np.array_equal(decode_tensors(artifact)[0].ravel(), expected)


CODEWORDS = np.array([[-2.0, 0.5], [0.0, 0.0], [1.0, -3.0]], np.float32)
INDICES = np.arange(12).reshape(6, 2) % 3


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 3))
def test_a_codebook_is_the_written_chain_of_operations(seed, dimension, resolution):
    random = np.random.default_rng(seed)
    codewords = random.standard_normal((7, dimension)).astype(np.float32)
    indices, exponents = random.integers(0, 7, (4, 3)), random.integers(-20 << resolution, (20 << resolution) + 1, 4)
    part = CodebookValues(RawValues(codewords, "float32"), indices, exponents, resolution, 1)
    expected = naive_codebook(codewords, indices, exponents, resolution)
    assert part.reconstruct((4, 3 * dimension)).tobytes() == expected.tobytes()


def test_codewords_are_stored_once():
    own = CodebookValues(RawValues(CODEWORDS, "float16"), INDICES, None, 0, 1)
    shared = CodebookValues(CodebookReference(0, 0), INDICES[::-1], np.arange(6), 1, 2)
    data = with_table(own, shared)
    found = inspect_artifact(data)
    assert [term.description for term in found.tensors[0].terms] == [
        "codebook (3 x 2)",
        "codebook (3 x 2 of table, row steps)",
    ]
    assert found.tensors[0].terms[1].bytes == found.streams[2].bytes
    assert sum(row.bytes for row in (*found.tensors, *found.shared)) == found.bytes == len(data)
    assert [(detail.term, detail.matrix) for detail in inspect_tensor(data, "table").grids] == [
        (1, "indices"),
        (2, "indices"),
    ]
    expected = CODEWORDS[INDICES].reshape(SHAPE) + naive_codebook(CODEWORDS, INDICES[::-1], np.arange(6), 1)
    assert np.array_equal(decode_tensors(read_artifact(data))[0], expected)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_of_no_codeword_is_refused(index):
    part = CodebookValues(RawValues(CODEWORDS, "float16"), np.where(INDICES == 2, index, INDICES), None, 0, 1)
    with pytest.raises(ValueError, match="of 3 codewords"):
        part.reconstruct(SHAPE)


def test_a_reference_to_unknown_codewords_is_refused():
    with pytest.raises(ValueError, match="part 1 of tensor 7"):
        CodebookValues(CodebookReference(7, 1), INDICES, None, 0, 1).reconstruct(SHAPE)


def test_a_sorted_table_codes_like_a_grid():
    """Indices of a uniform scalar codebook cost what the integers of a grid with the same values cost, within 2 %."""
    shape = (200, 50)
    codes = np.clip(np.round(np.random.default_rng(5).standard_normal(shape) * 3), -16, 15).astype(np.int32)
    table = CodebookValues(RawValues(np.arange(-16, 16, dtype=np.float32)[:, None], "float16"), codes + 16, None, 0, 1)
    by_grid = with_table(GridInStream(GridValues(codes, None, None, 1.0, 0), 1), shape=shape)
    by_table = with_table(table, shape=shape)
    sizes = [inspect_artifact(data).streams[1].bytes for data in (by_grid, by_table)]
    assert sizes[1] < 1.02 * sizes[0]
    assert np.array_equal(decode_tensors(read_artifact(by_table))[0], decode_tensors(read_artifact(by_grid))[0])
