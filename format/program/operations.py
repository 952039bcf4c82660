"""The operations a program is made of, each a frozen dataclass whose annotations say what its operands are.

Strategy: one dataclass per operation, with its wire id and the minor version of the format that brought
it (0 unless it says `since`), and one tuple of them all; everything else about operations (the encoding in
`program`, the shape rules in `operation_shapes`, the executors) is a table over that tuple. The meaning of
each is normative in spec/program.md, section 4; the docstrings only name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..registry import keyed
from .head_operations import SCANS as SCANS
from .head_operations import Attention, CappedAttention, DeltaScan, Rope, Rotate, Scan
from .kinds import (
    LATER_ACTIVATIONS,
    ActivationKind,
    BroadcastKind,
    HashKind,
    SoftcapKind,
)
from .kinds import RopeLayout as RopeLayout
from .kinds import RotationDirection as RotationDirection
from .operands import (
    Count,
    EnumOperand,
    Flag,
    OptionalVector,
    Positive,
    Real,
    Register,
    Registers,
    TensorIndex,
    Vector,
    Whole,
)
from .operation import Operation, operation


@operation(1)
@dataclass(frozen=True)
class Embed(Operation):
    """Row `token` of a table."""

    table: TensorIndex


@operation(2)
@dataclass(frozen=True)
class HashEmbed(Operation):
    """The table row chosen by a hash of the current and the previous token."""

    table: TensorIndex
    kind: Annotated[HashKind, EnumOperand(HashKind)]
    multiplier_current: Whole
    multiplier_previous: Whole


@operation(3)
@dataclass(frozen=True)
class Linear(Operation):
    """x Wᵀ, plus a bias."""

    x: Register
    weight: TensorIndex
    bias: OptionalVector = None


@operation(4)
@dataclass(frozen=True)
class RmsNorm(Operation):
    """Each of `groups` equal parts of x divided by its root mean square, times a gain."""

    x: Register
    groups: Count
    epsilon: Positive
    gain: OptionalVector = None


@operation(5)
@dataclass(frozen=True)
class LayerNorm(Operation):
    """x standardized over its width, times a gain, plus a bias."""

    x: Register
    epsilon: Positive
    gain: Vector
    bias: OptionalVector = None


@operation(6)
@dataclass(frozen=True)
class Scale(Operation):
    """vector * x."""

    x: Register
    vector: Vector


@operation(7)
@dataclass(frozen=True)
class Mix(Operation):
    """a * x + b * y."""

    x: Register
    y: Register
    a: Vector
    b: Vector


@operation(8)
@dataclass(frozen=True)
class Add(Operation):
    """x + y."""

    x: Register
    y: Register


@operation(9)
@dataclass(frozen=True)
class Multiply(Operation):
    """x * y."""

    x: Register
    y: Register


@operation(10)
@dataclass(frozen=True)
class Activation(Operation):
    """An element-wise function; `slope` belongs to leaky-relu-squared and is 0 otherwise."""

    x: Register
    kind: Annotated[ActivationKind, EnumOperand(ActivationKind, LATER_ACTIVATIONS)]
    slope: Real = 0.0


@operation(13)
@dataclass(frozen=True)
class Exclude(Operation):
    """Each head of y less its projection on the value vector of the same position."""

    y: Register
    v: Register
    heads: Count
    kv_heads: Count


@operation(14)
@dataclass(frozen=True)
class Shift(Operation):
    """x of the position `by` earlier, zero where there is none."""

    x: Register
    by: Count
    reset_at_document: Flag = False


@operation(15)
@dataclass(frozen=True)
class Slice(Operation):
    """Elements start to stop - 1 of x."""

    x: Register
    start: Whole
    stop: Whole


@operation(16)
@dataclass(frozen=True)
class Concat(Operation):
    """Several registers side by side."""

    xs: Registers


@operation(17)
@dataclass(frozen=True)
class Softcap(Operation):
    """A bounded function of x between -cap and cap."""

    x: Register
    cap: Positive
    kind: Annotated[SoftcapKind, EnumOperand(SoftcapKind)]


@operation(18, since=1)
@dataclass(frozen=True)
class PositionEmbed(Operation):
    """Row `position + offset` of a table."""

    table: TensorIndex
    offset: Whole = 0


@operation(20, since=1)
@dataclass(frozen=True)
class Broadcast(Operation):
    """A narrow register at a multiple of its width: each element many times, or all of them in turn."""

    x: Register
    width: Count
    kind: Annotated[BroadcastKind, EnumOperand(BroadcastKind)]


@operation(21, since=1)
@dataclass(frozen=True)
class ScaleTiled(Operation):
    """vector * x, the vector repeated over the width: gains that all heads share."""

    x: Register
    vector: Vector


@operation(22, since=1)
@dataclass(frozen=True)
class Affine(Operation):
    """factor * x + offset, with constants of the program."""

    x: Register
    factor: Real
    offset: Real


OPERATIONS: tuple[type[Operation], ...] = (
    Embed,
    HashEmbed,
    Linear,
    RmsNorm,
    LayerNorm,
    Scale,
    Mix,
    Add,
    Multiply,
    Activation,
    Rope,
    Attention,
    Exclude,
    Shift,
    Slice,
    Concat,
    Softcap,
    PositionEmbed,
    Rotate,
    Broadcast,
    ScaleTiled,
    Affine,
    CappedAttention,
    Scan,
    DeltaScan,
)
OPERATIONS_BY_ID = keyed(OPERATIONS, "wire_id", "name")
