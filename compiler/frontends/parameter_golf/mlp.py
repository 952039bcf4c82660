"""The MLP of the challenge's models: a power of what is above zero, leaky or not, perhaps gated or normalized."""

from __future__ import annotations

from ....format.program import operations as op
from .attention import normalized
from .hyperparameters import LEAKY_RELU_SQUARED, RELU_SQUARED
from .layers import Place
from .names import matrices_of
from .traits import FUSED_QKV, MLP_GATE
from .writer import Writer


def mlp(w: Writer, place: Place, x: int) -> int:
    """The output of a block's MLP, before its scale; x normalized."""
    maps = matrices_of(w, place)
    hidden = _activated(w, w.linear(x, maps.up))
    if w.h.has(FUSED_QKV):
        hidden = normalized(w, hidden)
    y = w.linear(hidden, maps.down)
    if w.h.has(MLP_GATE):
        weight = f"blocks.{place.block}.mlp.mlp_gate_proj.weight"
        gate = w.gate(x, weight, w.h.mlp_gate_window, w.h.model_dim, outer=2.0)
        y = w.emit(op.Multiply(y, gate))
    return y


def _activated(w: Writer, x: int) -> int:
    h = w.h
    if h.activation == RELU_SQUARED:
        return w.emit(op.Activation(x, op.ActivationKind.RELU_SQUARED))
    if h.activation == LEAKY_RELU_SQUARED:
        return w.emit(op.Activation(x, op.ActivationKind.LEAKY_RELU_SQUARED, h.activation_slope))
    return _power(w, x, h.activation_power)


def _power(w: Writer, x: int, power: int) -> int:
    """max(x, 0) to a whole power, by squares and products."""
    squares = w.emit(op.Activation(x, op.ActivationKind.RELU_SQUARED)) if power >= 2 else None
    y = w.emit(op.Activation(x, op.ActivationKind.RELU)) if power % 2 else None
    for _ in range(power // 2):
        y = squares if y is None else w.emit(op.Multiply(y, squares))
    return y
