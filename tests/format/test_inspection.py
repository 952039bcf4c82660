"""Byte accounts of artifacts that mix every kind of recipe: they add up, and each tensor pays for what is its own."""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.errors import ArtifactError
from bytecap.format.assembly import assemble_artifact
from bytecap.format.inspection import inspect_artifact
from bytecap.format.program.operations import Add, Embed, Linear
from bytecap.format.program.program import Program
from bytecap.format.tensor_detail import inspect_tensor
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import Alias, GridInStream, RawValues

PROGRAM = Program((Embed(0), Linear(0, 1, None), Embed(2), Add(1, 2), Linear(3, 3, None)), 24, 8, 1)


def grid(generator, rows, columns, *, steps: bool):
    codes = generator.integers(-3, 4, (rows, columns)).astype(np.int32)
    row_exponents = generator.integers(-4, 5, rows).astype(np.int32) if steps else None
    return GridValues(codes, row_exponents, None, 0.125, 2)


@pytest.fixture(scope="module")
def artifact_bytes():
    """Embedding on a grid, float16 map, a tensor that is float32 plus a grid, and the first one again as head."""
    generator = np.random.default_rng(0)
    values = [generator.normal(size=shape).astype(np.float32) for shape in ((8, 8), (24, 8))]
    return assemble_artifact(
        PROGRAM,
        [
            TensorSource("table", (24, 8), "float32", (GridInStream(grid(generator, 24, 8, steps=True), 1),)),
            TensorSource("map", (8, 8), "float16", (RawValues(values[0], "float16"),)),
            TensorSource(
                "both",
                (24, 8),
                "float32",
                (RawValues(values[1], "float32"), GridInStream(grid(generator, 24, 8, steps=False), 2)),
            ),
            TensorSource("head", (24, 8), "float32", (Alias(0),)),
        ],
        {"note": "made by a test"},
    )


def test_every_byte_is_counted_once(artifact_bytes):
    found = inspect_artifact(artifact_bytes)
    assert sum(row.bytes for row in (*found.tensors, *found.shared)) == found.bytes == len(artifact_bytes)
    assert found.header_bytes + sum(row.stored_bytes for row in found.sections) == found.bytes
    assert all(row.bytes > 0 for row in found.shared)


def test_each_tensor_pays_for_its_own(artifact_bytes):
    found = inspect_artifact(artifact_bytes)
    rows = {row.name: row for row in found.tensors}
    raw_section = next(row.stored_bytes for row in found.sections if row.name == "raw")
    raw_share = rows["map"].bytes / raw_section  # 128 of 128 + 768 bytes of planes
    assert raw_share == pytest.approx(128 / 896, abs=1 / raw_section)
    assert rows["head"].bytes == 0 and rows["table"].bytes > 0
    assert rows["both"].bytes > raw_section - rows["map"].bytes
    assert {name: row.description for name, row in rows.items()} == {
        "table": "grid (row steps)",
        "map": "raw float16",
        "both": "raw float32 + grid",
        "head": "alias of table",
    }


def test_aliases_are_not_counted_as_stored_weights(artifact_bytes):
    assert inspect_artifact(artifact_bytes).weights == 24 * 8 + 8 * 8 + 24 * 8


def test_the_text_of_an_inspection_is_one_line(artifact_bytes):
    text = repr(inspect_artifact(artifact_bytes))
    assert (
        text.startswith(f"Inspection({len(artifact_bytes):,} bytes, ") and "tensors 4, computes a model without" in text
    )


def test_provenance_is_shown(artifact_bytes):
    assert inspect_artifact(artifact_bytes).provenance == {"note": "made by a test"}


def test_the_detail_of_a_grid(artifact_bytes):
    detail = inspect_tensor(artifact_bytes, "table")
    (found,) = detail.grids
    assert (found.base, found.steps_per_octave, found.column_steps) == (0.125, 4, None)
    assert 0.5 <= found.row_steps[0] < found.row_steps[1] <= 2.0
    assert sum(count for _, count in found.histogram) == 24 * 8
    assert [code for code, _ in found.histogram] == list(range(-3, 4))
    assert 2.7 < found.entropy_bits <= np.log2(7)
    assert inspect_tensor(artifact_bytes, "map").grids == ()
    assert len(inspect_tensor(artifact_bytes, "both").grids) == 1


def test_an_unknown_name_is_none(artifact_bytes):
    assert inspect_tensor(artifact_bytes, "nonsense") is None


@pytest.mark.parametrize("read", [inspect_artifact, lambda data: inspect_tensor(data, "table")])
def test_damage_is_an_artifact_error(artifact_bytes, read):
    with pytest.raises(ArtifactError):
        read(artifact_bytes[:-1])
