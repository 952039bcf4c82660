"""What nanochat and modded-nanogpt have in common: norms without gains, gates of a few values, squared relu.

Strategy: a builder that names tensors as the checkpoint does, whatever was done to them for the program.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...format.program import operations as op
from ...format.program.operands import Row
from ..model.program_builder import ProgramBuilder
from .layouts import stored_name


class BareBuilder:
    """Emits instructions and counts tensors.

    tensors : those of the program, by the names that `layouts` and `parts` give them
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], epsilon: float) -> None:
        self.tensors, self.epsilon = tensors, epsilon
        self.read: dict[str, list[str]] = {}  # by name in the checkpoint: those of the program
        for name in tensors:
            self.read.setdefault(stored_name(name), []).append(name)
        self.builder = ProgramBuilder()
        self.emit = self.builder.emit

    def tensor(self, name: str, part: int = 0) -> int:
        """The index of a tensor, or of one of its parts."""
        return self.builder.tensor(self.read[name][part])

    def row(self, name: str, row: int = 0) -> Row:
        """An element of a column, or a whole vector."""
        return self.builder.row(self.read[name][0], row)

    def linear(self, x: int, name: str, part: int = 0) -> int:
        return self.emit(op.Linear(x, self.tensor(name, part)))

    def norm(self, x: int, groups: int = 1) -> int:
        return self.emit(op.RmsNorm(x, groups, self.epsilon))

    def relu_squared(self, x: int, up: str, down: str) -> int:
        """An MLP of two maps."""
        return self.linear(self.emit(op.Activation(self.linear(x, up), op.ActivationKind.RELU_SQUARED)), down)

    def gate(self, x: int, name: str, factor: float = 1.0) -> int:
        """factor times the sigmoid of a map of the first elements, as many as the map has columns."""
        start = self.emit(op.Slice(x, 0, self.tensors[self.read[name][0]].shape[1]))
        opened = self.emit(op.Activation(self.linear(start, name), op.ActivationKind.SIGMOID))
        return self.builder.times(opened, factor)

    def gated(self, gate: int, x: int, width: int) -> int:
        """Each value of the gate times its part of x."""
        return self.emit(op.Multiply(self.emit(op.Broadcast(gate, width, op.BroadcastKind.SPREAD)), x))

    def smeared(self, x: int, gate: str, factor: Row, width: int) -> int:
        """x plus the stream of the token before, times a gate of one value a token and a factor."""
        opened = self.emit(op.Scale(self.gate(x, gate), factor))
        return self.emit(op.Add(x, self.gated(opened, self.emit(op.Shift(x, 1)), width)))

    def less(self, x: int, other: int, factor: Row) -> int:
        """x - factor * other."""
        return self.emit(op.Add(x, self.emit(op.Affine(self.emit(op.Scale(other, factor)), -1.0, 0.0))))
