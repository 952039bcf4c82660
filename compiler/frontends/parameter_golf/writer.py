"""Writes the program of a model of the challenge: the builder, the hyperparameters, and phrases that come often."""

from __future__ import annotations

from dataclasses import dataclass

from ....format.program import operations as op
from ....format.program.operands import Row
from ....format.program.operation import Operation
from ...model.program_builder import ProgramBuilder
from .hyperparameters import Hyperparameters


@dataclass(frozen=True, slots=True)
class Writer:
    """builder : collects the instructions;  h : of the model;  names : the tensors that there are to read"""

    builder: ProgramBuilder
    h: Hyperparameters
    names: frozenset[str]

    def emit(self, instruction: Operation) -> int:
        """Append an instruction; returns its register."""
        return self.builder.emit(instruction)

    def tensor(self, name: str) -> int:
        """Directory index of a tensor."""
        return self.builder.tensor(name)

    def row(self, name: str, row: int = 0) -> Row:
        """A row of a matrix, or a whole vector, as an operand."""
        return self.builder.row(name, row)

    def linear(self, x: int, weight: str) -> int:
        """x Wᵀ."""
        return self.emit(op.Linear(x, self.tensor(weight)))

    def times(self, x: int, factor: float) -> int:
        """x times a number that is no weight; x itself for 1."""
        return self.builder.times(x, factor)

    def blend(self, x: int, y: int, share: str) -> int:
        """x + share * (y - x), the share a vector."""
        difference = self.emit(op.Add(y, self.times(x, -1.0)))
        return self.emit(op.Add(x, self.emit(op.Scale(difference, self.row(share)))))

    def gate(self, x: int, weight: str, window: int, width: int, *, inner: float = 1.0, outer: float = 1.0) -> int:
        """outer * σ(inner * W x) of the first `window` elements of x, each of its values spread over a part of `width`.

        One value a head, where W has a row a head; one value a position, where it has one row.
        """
        whole = self.h.embedding_dim if weight.startswith("smear") else self.h.model_dim
        source = x if window == whole else self.emit(op.Slice(x, 0, window))
        inside = self.times(self.linear(source, weight), inner)
        value = self.times(self.emit(op.Activation(inside, op.ActivationKind.SIGMOID)), outer)
        return self.emit(op.Broadcast(value, width, op.BroadcastKind.SPREAD))
