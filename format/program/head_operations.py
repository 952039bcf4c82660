"""The operations on heads: rotations, attention, and the scans that carry a state.

Strategy: declared as all operations are, see operations.py, which lists them with the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .kinds import RopeLayout, RotationDirection
from .operands import (
    AtLeastOne,
    Count,
    EnumOperand,
    Flag,
    OptionalVector,
    Positive,
    Real,
    Register,
    TensorIndex,
    Whole,
)
from .operation import Operation, operation


@operation(11)
@dataclass(frozen=True)
class Rope(Operation):
    """Rotary position embedding on the first `rotary_dims` elements of each head."""

    x: Register
    heads: Count
    base: AtLeastOne
    rotary_dims: Count
    layout: Annotated[RopeLayout, EnumOperand(RopeLayout)]


@operation(12)
@dataclass(frozen=True)
class Attention(Operation):
    """Causal softmax attention with grouped queries; `window` 0 sees the whole past."""

    q: Register
    k: Register
    v: Register
    heads: Count
    kv_heads: Count
    scale: Positive
    window: Whole = 0
    document_reset: Flag = False


@operation(19, since=1)
@dataclass(frozen=True)
class Rotate(Operation):
    """As `rope`, in either direction, with frequencies that may be data (base is 1 then) and a factor of the result."""

    x: Register
    heads: Count
    rotary_dims: Count
    base: AtLeastOne
    frequencies: OptionalVector
    factor: Positive
    layout: Annotated[RopeLayout, EnumOperand(RopeLayout)]
    direction: Annotated[RotationDirection, EnumOperand(RotationDirection)]


@operation(23, since=1)
@dataclass(frozen=True)
class CappedAttention(Operation):
    """Attention whose scores a tanh bounds by `cap` when it is above 0, with a sink a head when `sinks` are given."""

    q: Register
    k: Register
    v: Register
    heads: Count
    kv_heads: Count
    scale: Positive
    window: Whole
    document_reset: Flag
    cap: Real
    sinks: OptionalVector = None


@operation(24, since=2)
@dataclass(frozen=True)
class Scan(Operation):
    """A state of each head that decays by rates and its step, takes in x times `write`, and is read by `read`."""

    x: Register
    step: Register
    write: Register
    read: Register
    heads: Count
    groups: Count
    log_rates: TensorIndex


@operation(25, since=3)
@dataclass(frozen=True)
class DeltaScan(Operation):
    """A scan that takes in, by its strength, what x has beyond what the state already holds for `write`."""

    x: Register
    step: Register
    strength: Register
    write: Register
    read: Register
    heads: Count
    groups: Count
    log_rates: TensorIndex


SCANS = (Scan, DeltaScan)
