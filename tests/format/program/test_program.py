"""The program section: every operation's bytes both ways, round trips, canonicity, shape inference, and
each rule's refusal.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program_vectors import GOOD, PROGRAM_VECTORS, SHAPES
from random_programs import programs

from bytecap.errors import ArtifactError, InvalidArtifact, LimitExceeded, MalformedArtifact, TruncatedArtifact
from bytecap.format.container.limits import DEFAULT_LIMITS, Limits
from bytecap.format.program import operations as op
from bytecap.format.program.operands import EnumOperand, Row
from bytecap.format.program.program import (
    Program,
    ProgramShapes,
    check_operands,
    decode_program,
    encode_program,
    least_minor_version,
    program_tensors,
    validate_program,
)

SPEC = Path(__file__).resolve().parents[3] / "spec" / "program.md"
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
PREFIX = (op.Embed(0), op.Embed(1), op.Embed(2))
PREFIX_BYTES = bytes.fromhex(
    "2c 80 08 01 04 0100 0100 0100"
)  # vocabulary 44, length 1024, boundary 1, four instructions

HALF_SPLIT = op.RopeLayout.HALF_SPLIT
ONE, HALF = "0000803f", "0000003f"  # binary32, little-endian
ENCODINGS = [
    (op.Embed(3), "01 00"),
    (op.Embed(2), "01 01"),
    (op.Embed(0), "01 05"),
    (op.HashEmbed(200, op.HashKind.POLYNOMIAL, 36313, 300), "02 8a03 01 d99b02 ac02"),
    (op.Linear(2, 3), "03 01 00 00"),
    (op.Linear(0, 4, Row(4, 1)), "03 03 02 01 01 01"),
    (op.RmsNorm(2, 4, 1.0), f"04 01 04 {ONE} 00"),
    (op.RmsNorm(1, 1, 0.5, Row(3)), f"04 02 01 {HALF} 01 00 00"),
    (op.LayerNorm(2, 0.5, Row(3)), f"05 01 {HALF} 00 00 00"),
    (op.LayerNorm(2, 0.5, Row(3, 0), Row(3, 1)), f"05 01 {HALF} 00 00 01 01 01"),
    (op.Scale(0, Row(9, 200)), "06 03 0c c801"),
    (op.Mix(2, 1, Row(3, 0), Row(3, 1)), "07 01 02 00 00 01 01"),
    (op.Add(1, 1), "08 02 02"),
    (op.Multiply(0, 2), "09 03 01"),
    (op.Activation(2, op.ActivationKind.SILU), "0a 01 03 00000000"),
    (op.Activation(2, op.ActivationKind.LEAKY_RELU_SQUARED, 0.5), f"0a 01 01 {HALF}"),
    (op.Rope(2, 4, 1.0, 16, op.RopeLayout.INTERLEAVED), f"0b 01 04 {ONE} 10 01"),
    (op.Attention(0, 1, 2, 8, 4, 0.5), f"0c 03 02 01 08 04 {HALF} 00 00"),
    (op.Attention(0, 1, 2, 8, 4, 0.5, 128, True), f"0c 03 02 01 08 04 {HALF} 8001 01"),
    (op.Exclude(1, 2, 8, 4), "0d 02 01 08 04"),
    (op.Shift(2, 1), "0e 01 01 00"),
    (op.Shift(2, 3, True), "0e 01 03 01"),
    (op.Slice(0, 0, 128), "0f 03 00 8001"),
    (op.Concat((2, 1, 0, 2)), "10 04 01 02 03 01"),
    (op.Softcap(2, 1.0, op.SoftcapKind.POLYNOMIAL), f"11 01 {ONE} 01"),
    (op.Activation(2, op.ActivationKind.GELU_TANH), "0a 01 06 00000000"),
    (op.Activation(2, op.ActivationKind.RELU), "0a 01 07 00000000"),
    (op.PositionEmbed(3, 2), "12 00 02"),
    (
        op.Rotate(2, 4, 16, 1.0, None, 0.5, HALF_SPLIT, op.RotationDirection.FORWARD),
        f"13 01 04 10 {ONE} 00 {HALF} 00 01",
    ),
    (
        op.Rotate(2, 4, 16, 1.0, Row(3, 1), 0.5, op.RopeLayout.INTERLEAVED, op.RotationDirection.BACKWARD),
        f"13 01 04 10 {ONE} 01 00 01 {HALF} 01 00",
    ),
    (op.Broadcast(2, 128, op.BroadcastKind.TILED), "14 01 8001 01"),
    (op.ScaleTiled(2, Row(3, 1)), "15 01 00 01"),
    (op.Affine(2, 0.5, 1.0), f"16 01 {HALF} {ONE}"),
    (op.CappedAttention(0, 1, 2, 8, 4, 0.5, 128, True, 1.0), f"17 03 02 01 08 04 {HALF} 8001 01 {ONE} 00"),
    (op.Activation(2, op.ActivationKind.SOFTPLUS), "0a 01 08 00000000"),
    (op.Scan(0, 1, 2, 2, 8, 4, 3), "18 03 02 01 01 08 04 00"),
    (op.DeltaScan(0, 1, 1, 2, 2, 8, 4, 3), "19 03 02 02 01 01 08 04 00"),
    (
        op.CappedAttention(0, 1, 2, 8, 4, 0.5, 0, False, 0.0, Row(3)),
        f"17 03 02 01 08 04 {HALF} 00 00 00000000 01 00 00",
    ),
]


@pytest.mark.parametrize(("instruction", "encoding"), ENCODINGS, ids=lambda value: getattr(value, "name", None))
def test_operations_and_their_bytes(instruction, encoding):
    program = Program((*PREFIX, instruction), 44, 1024, 1)
    data = PREFIX_BYTES + bytes.fromhex(encoding)
    assert encode_program(program) == data
    assert decode_program(data) == program


def test_every_operation_has_its_bytes_here():
    assert {type(instruction) for instruction, _ in ENCODINGS} == set(op.OPERATIONS)


@given(case=programs())
@QUIET
def test_round_trip(case):
    data = encode_program(case.program)
    assert decode_program(data) == case.program
    assert encode_program(decode_program(memoryview(data))) == data


@given(case=programs(), data=st.data())
@QUIET
def test_changed_bytes_are_refused_or_are_another_programs_only_encoding(case, data):
    changed = bytearray(encode_program(case.program))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        how = data.draw(st.sampled_from(["change", "insert", "delete"]))
        changed[at : at + (how != "insert")] = b"" if how == "delete" else bytes([data.draw(st.integers(0, 255))])
        if not changed:
            return
    try:
        program = decode_program(bytes(changed))
        validate_program(program, [tensor.shape for tensor in case.tensors])
    except ArtifactError as error:
        assert error.rule
    else:
        assert encode_program(program) == bytes(changed)


@given(case=programs())
@settings(QUIET, max_examples=15)
def test_every_truncation_is_refused(case):
    data = encode_program(case.program)
    for length in range(len(data)):
        with pytest.raises(TruncatedArtifact):
            decode_program(data[:length])


@given(case=programs())
@QUIET
def test_inferred_shapes(case):
    shapes = validate_program(case.program, [tensor.shape for tensor in case.tensors])
    assert shapes.widths[-1] == case.program.vocabulary_size
    readers = [
        max((k for k, i in enumerate(case.program.instructions) if r in i.registers), default=r)
        for r in range(len(shapes.widths))
    ]
    assert shapes.last_use == tuple(readers)
    live = [sum(w for r, w in enumerate(shapes.widths[: k + 1]) if readers[r] >= k) for k in range(len(readers))]
    assert shapes.peak_width == max(live)
    assert program_tensors(case.program) == set(range(len(case.tensors)))


def test_the_good_program_beside_the_bad_ones():
    program = decode_program(GOOD)
    assert program == Program((op.Embed(0), op.Linear(0, 0)), 4, 16, 1)
    assert validate_program(program, SHAPES) == ProgramShapes((8, 4), (1, 1), 12, 8 + 32, None, 4)


@pytest.mark.parametrize("vector", PROGRAM_VECTORS, ids=lambda vector: vector.name)
def test_bad_programs_are_refused_by_their_rule(vector):
    with pytest.raises(ArtifactError) as caught:
        validate_program(decode_program(vector.data, minor_version=vector.minor_version), SHAPES)
    assert (type(caught.value), caught.value.rule) == (vector.error, vector.rule)


def test_every_rule_is_stated_once_and_has_a_vector():
    stated = re.findall(r"^- \[(R-PRG-\d+)\]", SPEC.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(stated, key=lambda rule: int(rule.split("-")[2])) == [f"R-PRG-{n}" for n in range(1, len(stated) + 1)]
    assert {vector.rule for vector in PROGRAM_VECTORS} == set(stated)
    assert len({vector.name for vector in PROGRAM_VECTORS}) == len(PROGRAM_VECTORS)


def test_the_specs_table_is_the_registry():
    text = SPEC.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([a-z-]+) \| (.+?) \| [^|]+ \| 1\.(\d+) \|$", text, re.MULTILINE)
    table = {int(wire_id): (name, int(since)) for wire_id, name, _, since in rows}
    assert table == {o.wire_id: (o.name, o.since) for o in op.OPERATIONS}
    for wire_id, _, operands, _ in rows:
        named = [name for group in operands.split("; ") for name in group.split(": ")[0].split(", ")]
        assert named == [name for name, _ in op.OPERATIONS_BY_ID[int(wire_id)].operands]


def test_the_specs_enumerations_are_the_codes():
    text = SPEC.read_text(encoding="utf-8")
    for wire_id, operands in re.findall(r"^\| (\d+) \| [a-z-]+ \| (.+?) \| [^|]+ \| 1\.\d+ \|$", text, re.MULTILINE):
        stated = {}
        for name, values in re.findall(r"(\w+): (0 [^;]+)", operands):
            found = re.findall(r"(\d+) ([a-z-]+)(?: \(1\.(\d+)\))?", values)
            stated[name] = [(int(number), kind, int(since or 0)) for number, kind, since in found]
        assert stated == {
            name: [(int(kind), kind.name.lower().replace("_", "-"), operand.since(kind)) for kind in operand.kinds]
            for name, operand in op.OPERATIONS_BY_ID[int(wire_id)].operands
            if isinstance(operand, EnumOperand)
        }


LATER = [(instruction, encoding) for instruction, encoding in ENCODINGS if instruction.minor_version]


@pytest.mark.parametrize(("instruction", "encoding"), LATER, ids=lambda value: getattr(value, "name", None))
def test_files_of_an_older_version_do_not_know_what_came_later(instruction, encoding):
    program = Program((*PREFIX, instruction), 44, 1024, 1)
    assert least_minor_version(program) == instruction.minor_version
    with pytest.raises(ArtifactError) as caught:
        decode_program(PREFIX_BYTES + bytes.fromhex(encoding), minor_version=instruction.minor_version - 1)
    assert caught.value.rule == ("R-PRG-6" if isinstance(instruction, op.Activation) else "R-PRG-3")
    assert least_minor_version(Program((*PREFIX, op.Add(0, 1)), 44, 1024, 1)) == 0


def test_a_position_table_bounds_the_sequences():
    def longest(*operations):
        return validate_program(Program((op.Embed(0), *operations), 4, 2, 1), SHAPES).longest_sequence

    assert longest(op.PositionEmbed(0, 0), op.Add(0, 1), op.Linear(2, 0)) == 4
    assert longest(op.PositionEmbed(0, 0), op.PositionEmbed(0, 2), op.Add(1, 2), op.Add(0, 3), op.Linear(4, 0)) == 2
    assert longest(op.Linear(0, 0)) is None


def test_errors_name_the_place():
    with pytest.raises(InvalidArtifact) as caught:
        decode_program(bytes.fromhex("04 10 01 02 0100 040101 00000000 00"), where="section 1")
    assert caught.value.where == "section 1 / instruction 1 (rms-norm) / epsilon"
    assert caught.value.offset == 9
    with pytest.raises(TruncatedArtifact) as caught:
        decode_program(bytes.fromhex("04 10 01 02 0100 040101 0000"), where="section 1")
    assert (caught.value.where, caught.value.offset) == ("section 1 / instruction 1 (rms-norm) / epsilon", 9)


FAULTY = [
    (op.Add(0, 1), InvalidArtifact, "R-PRG-4"),
    (op.Add(0, -1), InvalidArtifact, "R-PRG-4"),
    (op.RmsNorm(0, 1, 1e300), InvalidArtifact, "R-PRG-7"),
    (op.RmsNorm(0, 1, 1e-60), InvalidArtifact, "R-PRG-10"),
    (op.RmsNorm(0, 2**32, 1e-6), InvalidArtifact, "R-PRG-9"),
    (op.Attention(0, 0, 0, 1, 1, 1.0, window=-1), InvalidArtifact, "R-PRG-9"),
    (op.Scale(0, Row(0, -1)), InvalidArtifact, "R-PRG-9"),
    (op.Scale(0, Row(-1)), InvalidArtifact, "R-PRG-15"),
    (op.Concat((0,)), InvalidArtifact, "R-PRG-27"),
]


@pytest.mark.parametrize(("instruction", "error", "rule"), FAULTY)
def test_programs_made_in_python_meet_the_same_rules(instruction, error, rule):
    program = Program((op.Embed(0), instruction), 4, 16, 1)
    for check in (encode_program, check_operands, lambda p: validate_program(p, SHAPES)):
        with pytest.raises(error) as caught:
            check(program)
        assert caught.value.rule == rule


def test_an_empty_program_cannot_be_encoded():
    with pytest.raises(MalformedArtifact, match="R-PRG-1"):
        encode_program(Program((), 4, 16, 1))


def test_limits_are_the_callers():
    program, limits = decode_program(GOOD), {"instructions": 1, "width": 7, "activation_floats_per_token": 11}
    for name, value in limits.items():
        with pytest.raises(LimitExceeded):
            validate_program(program, SHAPES, Limits(**{name: value}))
        assert validate_program(
            program, SHAPES, Limits(**{name: value + (5 if name == "activation_floats_per_token" else 1)})
        )
    with pytest.raises(LimitExceeded, match="R-PRG-2"):
        decode_program(GOOD, Limits(instructions=1))
    assert len(program.instructions) < DEFAULT_LIMITS.instructions


def test_floats_are_rounded_to_binary32_once():
    epsilon = op.RmsNorm(0, 1, 1.1920929e-07).epsilon
    assert epsilon == struct.unpack("<f", struct.pack("<f", 1.1920929e-07))[0] == 2**-23
    assert op.Softcap(0, 0.1, op.SoftcapKind.TANH) == op.Softcap(
        0, struct.unpack("<f", struct.pack("<f", 0.1))[0], op.SoftcapKind.TANH
    )
