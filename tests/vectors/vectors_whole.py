"""Test vectors that are small but complete models: every operation, every kind of term, provenance.

Strategy: the package's own writer makes the sections, since the point is what a reader makes of them; they are stored
plainly, so that the file does not change with a compression library. They are the fuzzer's richest seeds. A
minor version of the format adds a model that uses what came with it; those of older versions stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from vector_files import DIGEST, Row, Vector, container

from bytecap.format.assembly import assemble_artifact
from bytecap.format.container.container import read_container, read_minor_version
from bytecap.format.program import operands
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import Alias, GridInStream, RawValues

TABLE, HASHED, VECTORS, GAIN, WEIGHT, COPY, SUM = range(7)
EVERY_OPERATION = Program(
    (
        op.Embed(TABLE),
        op.HashEmbed(HASHED, op.HashKind.XOR, 36_313, 27_191),
        op.Mix(0, 1, operands.Row(VECTORS, 0), operands.Row(VECTORS, 1)),
        op.RmsNorm(2, 2, 1e-6, operands.Row(GAIN)),
        op.LayerNorm(3, 1e-5, operands.Row(VECTORS, 2), operands.Row(VECTORS, 3)),
        op.Linear(3, WEIGHT, operands.Row(GAIN)),
        op.Linear(3, COPY),
        op.Linear(4, SUM),
        op.Rope(5, 2, 1e4, 2, op.RopeLayout.HALF_SPLIT),
        op.Rope(6, 2, 1e4, 2, op.RopeLayout.INTERLEAVED),
        op.Attention(8, 9, 7, 2, 2, 0.5, 8, True),
        op.Exclude(10, 7, 2, 2),
        op.Shift(11, 1, True),
        op.Activation(12, op.ActivationKind.LEAKY_RELU_SQUARED, 0.5),
        op.Multiply(13, 11),
        op.Slice(14, 0, 2),
        op.Slice(14, 2, 4),
        op.Concat((16, 15)),
        op.Add(17, 2),
        op.Scale(18, operands.Row(GAIN)),
        op.Linear(19, TABLE),
        op.Softcap(20, 30.0, op.SoftcapKind.TANH),
    ),
    vocabulary_size=8,
    sequence_length=16,
    boundary_token=1,
)


POSITIONS, FREQUENCIES = 1, 2
POSITIONS_AND_TURNS = Program(
    (
        op.Embed(TABLE),
        op.PositionEmbed(POSITIONS, 2),
        op.Add(0, 1),
        op.Rotate(
            2, 1, 4, 1.0, operands.Row(FREQUENCIES), 1.25, op.RopeLayout.HALF_SPLIT, op.RotationDirection.FORWARD
        ),
        op.Rotate(2, 2, 2, 1e4, None, 0.5, op.RopeLayout.INTERLEAVED, op.RotationDirection.BACKWARD),
        op.Attention(3, 4, 2, 2, 2, 0.5),
        op.Activation(5, op.ActivationKind.GELU_TANH),
        op.Activation(5, op.ActivationKind.RELU),
        op.Multiply(6, 7),
        op.Linear(8, TABLE),
    ),
    vocabulary_size=8,
    sequence_length=16,
    boundary_token=1,
)


def grid(rows: int, columns: int, base: float, resolution: int, row_steps: bool, column_steps: bool) -> GridValues:
    """Integers and steps from a formula: small, of both signs, a few of them large."""
    codes = np.array([(k * k * 7 + 3 * k) % 11 - 5 + 900 * (k % 13 == 12) for k in range(rows * columns)], np.int32)
    exponents = [
        np.array([k * k % 5 - 3 for k in range(n)], np.int32) if wanted else None
        for n, wanted in ((rows, row_steps), (columns, column_steps))
    ]
    return GridValues(codes.reshape(rows, columns), *exponents, base, resolution)


def raw(shape: tuple[int, ...], storage: str) -> RawValues:
    """Multiples of an eighth: exact in every storage."""
    size = int(np.prod(shape))
    return RawValues(((np.arange(size) * 5 % 17 - 8) / 8).astype(np.float32).reshape(shape), storage)


@cache
def every_operation() -> bytes:
    """The artifact of EVERY_OPERATION, its sections stored plainly."""
    tensors = [
        TensorSource("table", (8, 4), "float32", (GridInStream(grid(8, 4, 0.25, 1, True, True), 1),)),
        TensorSource("hashed", (5, 4), "float16", (raw((5, 4), "float16"),)),
        TensorSource("vectors", (4, 4), "float32", (raw((4, 4), "float32"),)),
        TensorSource("gain", (4,), "bfloat16", (raw((4,), "bfloat16"),)),
        TensorSource("weight", (4, 4), "bfloat16", (GridInStream(grid(4, 4, 1 / 64, 3, True, False), 1),)),
        TensorSource("copy of weight", (4, 4), "float32", (Alias(WEIGHT),)),
        TensorSource(
            "sum", (4, 4), "float32", (raw((4, 4), "float16"), GridInStream(grid(4, 4, 1 / 32, 0, False, False), 2))
        ),
    ]
    return plain(assemble_artifact(EVERY_OPERATION, tensors, {"made": "by hand", "steps": [1, 2.5, None, True]}))


def plain(data: bytes) -> bytes:
    """An artifact with its sections stored plainly."""
    rows = [Row(section.id, section.decoded) for section in read_container(data)]
    return container(rows, version=(1, read_minor_version(data)))


@cache
def positions_and_turns() -> bytes:
    """The artifact of POSITIONS_AND_TURNS."""
    tensors = [
        TensorSource("table", (8, 4), "float32", (GridInStream(grid(8, 4, 0.25, 1, True, True), 1),)),
        TensorSource("positions", (18, 4), "float16", (GridInStream(grid(18, 4, 1 / 16, 1, True, False), 1),)),
        TensorSource("frequencies", (2,), "float32", (raw((2,), "float32"),)),
    ]
    return plain(assemble_artifact(POSITIONS_AND_TURNS, tensors))


GATES_AND_CAPS = Program(
    (
        op.Embed(0),
        op.Affine(0, 2.0, 0.0),
        op.Linear(1, 1),
        op.ScaleTiled(2, operands.Row(2, 1)),
        op.CappedAttention(3, 2, 1, 2, 2, 0.5, 8, True, 30.0, operands.Row(3)),
        op.Slice(1, 0, 2),
        op.Broadcast(5, 4, op.BroadcastKind.SPREAD),
        op.Multiply(4, 6),
        op.CappedAttention(7, 5, 5, 2, 1, 0.5, 0, False, 0.0, None),
        op.Broadcast(5, 4, op.BroadcastKind.TILED),
        op.Add(8, 9),
        op.Linear(10, 0),
    ),
    vocabulary_size=8,
    sequence_length=16,
    boundary_token=1,
)


@cache
def gates_and_caps() -> bytes:
    """The artifact of GATES_AND_CAPS."""
    tensors = [
        TensorSource("table", (8, 4), "float32", (GridInStream(grid(8, 4, 0.25, 1, True, True), 1),)),
        TensorSource("weight", (4, 4), "bfloat16", (GridInStream(grid(4, 4, 1 / 64, 3, True, False), 1),)),
        TensorSource("gains", (2, 2), "float16", (raw((2, 2), "float16"),)),
        TensorSource("sinks", (2,), "float32", (raw((2,), "float32"),)),
    ]
    return plain(assemble_artifact(GATES_AND_CAPS, tensors))


STATES = Program(
    (
        op.Embed(0),
        op.Linear(0, 1, operands.Row(2)),
        op.Activation(1, op.ActivationKind.SOFTPLUS),
        op.Slice(0, 0, 2),
        op.Scan(0, 2, 3, 3, 2, 1, 2),
        op.Scan(4, 0, 0, 4, 4, 2, 3),
        op.Linear(5, 0),
    ),
    vocabulary_size=8,
    sequence_length=16,
    boundary_token=1,
)


@cache
def states() -> bytes:
    """The artifact of STATES."""
    tensors = [
        TensorSource("table", (8, 4), "float32", (GridInStream(grid(8, 4, 0.25, 1, True, True), 1),)),
        TensorSource("weight", (2, 4), "bfloat16", (GridInStream(grid(2, 4, 1 / 64, 3, True, False), 1),)),
        TensorSource("rates", (2,), "float32", (raw((2,), "float32"),)),
        TensorSource("rates of elements", (4, 2), "float16", (raw((4, 2), "float16"),)),
    ]
    return plain(assemble_artifact(STATES, tensors))


CORRECTED_STATES = Program(
    (
        op.Embed(0),
        op.Linear(0, 1, operands.Row(2)),
        op.Activation(1, op.ActivationKind.SOFTPLUS),
        op.Activation(1, op.ActivationKind.SIGMOID),
        op.Slice(0, 0, 2),
        op.DeltaScan(0, 2, 3, 4, 4, 2, 1, 2),
        op.DeltaScan(5, 2, 3, 0, 5, 2, 2, 2),
        op.Linear(6, 0),
    ),
    vocabulary_size=8,
    sequence_length=16,
    boundary_token=1,
)


@cache
def corrected_states() -> bytes:
    """The artifact of CORRECTED_STATES."""
    tensors = [
        TensorSource("table", (8, 4), "float32", (GridInStream(grid(8, 4, 0.25, 1, True, True), 1),)),
        TensorSource("weight", (2, 4), "bfloat16", (GridInStream(grid(2, 4, 1 / 64, 3, True, False), 1),)),
        TensorSource("rates", (2,), "float32", (raw((2,), "float32"),)),
    ]
    return plain(assemble_artifact(CORRECTED_STATES, tensors))


def whole_vectors() -> Iterator[Vector]:
    says = "A whole model: every operation of 1.0, every kind of term, three storages, steps on both sides, provenance."
    yield whole("every-operation", every_operation(), says)
    says = "Version 1.1: a table of positions, rotations both ways, by a base and by frequencies, gelu-tanh and relu."
    yield whole("positions-and-turns", positions_and_turns(), says)
    says = "Version 1.1: attention with a cap and sinks, and with neither, tiled gains, gates of two values, constants."
    yield whole("gates-and-caps", gates_and_caps(), says)
    says = "Version 1.2: states with a rate a head and one an element, heads of two elements and of one, softplus."
    yield whole("states", states(), says)
    says = "Version 1.3: states by the delta rule, in one group and in two."
    yield whole("corrected-states", corrected_states(), says)


def whole(name: str, data: bytes, says: str) -> Vector:
    sha256 = next(section.decoded for section in read_container(data) if section.id == DIGEST)
    return Vector(f"good-whole-{name}", "artifact", data, says, sha256=sha256.hex())
