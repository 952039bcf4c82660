"""Two artifacts side by side: what is equal is found equal, what differs is named and measured."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_artifacts import tiny_artifact

from bytecap.errors import ArtifactError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.comparison import Comparison, compare_sides, read_side
from bytecap.format.identity import Identity
from bytecap.format.program.operations import Embed, Linear, Shift
from bytecap.format.program.program import Program
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import RawValues

PLAIN = (Embed(0), Linear(0, 1))


def compare_artifacts(first: bytes, second: bytes) -> Comparison:
    return compare_sides(read_side(first), read_side(second))


def raw_artifact(tensors, instructions=PLAIN, vocabulary=5, length=8):
    """An artifact of float32 tensors as they are."""
    sources = [
        TensorSource(name, values.shape, "float32", (RawValues(values, "float32"),)) for name, values in tensors.items()
    ]
    return assemble_artifact(Program(instructions, vocabulary, length, 0), sources, {})


TABLE = np.arange(10, dtype=np.float32).reshape(5, 2)


def test_a_file_is_the_same_as_itself():
    found = compare_artifacts(tiny_artifact(), tiny_artifact())
    assert found.same_file and found.same_model and not found.program and not found.provenance
    assert all(t.equal and t.relative_error == 0 and t.byte_change == 0 for t in found.tensors)


def test_the_same_model_with_another_provenance():
    found = compare_artifacts(tiny_artifact(), tiny_artifact(provenance="else"))
    assert not found.same_file and found.same_model
    assert found.provenance == {"made": ("a test", "else")}


def test_the_same_model_of_another_tokenizer():
    found = compare_artifacts(tiny_artifact(), tiny_artifact(identity=Identity(420, bytes(32))))
    assert not found.same_file and found.same_model and not found.provenance
    assert found.identity == {"pieces": (None, 420), "tokenizer": (None, "00" * 32)}


def test_errors_are_those_of_the_decoded_values():
    first, second = tiny_artifact(0), tiny_artifact(1)
    found = compare_artifacts(first, second)
    assert not found.same_model and [t.equal for t in found.tensors] == [False, False]
    decoded = [decode_tensors(read_artifact(data)) for data in (first, second)]
    for tensor, one, two in zip(found.tensors, *decoded, strict=True):
        assert tensor.relative_error == pytest.approx(np.linalg.norm(two - one) / np.linalg.norm(one))
        assert tensor.byte_change == tensor.second.bytes - tensor.first.bytes


def test_tensors_and_instructions_that_only_one_has():
    first = raw_artifact({"table": TABLE, "head": TABLE + 1})
    second = raw_artifact({"table": TABLE, "other": TABLE + 1}, (Embed(0), Shift(0, 1), Linear(1, 1)))
    found = compare_artifacts(first, second)
    assert [(t.name, t.first is None, t.second is None, t.equal) for t in found.tensors] == [
        ("table", False, False, True),
        ("head", False, True, False),
        ("other", True, False, False),
    ]
    assert found.program == (
        "- r1 = linear r0 weight=head",
        "+ r1 = shift r0 by=1 reset_at_document=no",
        "+ r2 = linear r1 weight=other",
    )
    assert not found.same_model


def test_shapes_that_differ_have_no_error():
    first = raw_artifact({"table": TABLE, "head": TABLE})
    second = raw_artifact({"table": np.ones((5, 3), np.float32), "head": np.ones((5, 3), np.float32)})
    assert [t.relative_error for t in compare_artifacts(first, second).tensors] == [None, None]


@pytest.mark.parametrize("side", [0, 1])
def test_damage_is_an_artifact_error(side):
    files = [tiny_artifact(), tiny_artifact()]
    files[side] = files[side][:-1]
    with pytest.raises(ArtifactError):
        compare_artifacts(*files)


def test_equal_lines_mean_equal_programs():
    """The listing leaves nothing out: a change of any operand changes it."""
    one = raw_artifact({"table": TABLE, "head": TABLE})
    assert compare_artifacts(one, one).program == ()
    other = raw_artifact({"table": TABLE, "head": TABLE}, length=7)
    assert len(compare_artifacts(one, other).program) == 2
