"""Writes a program instruction by instruction, by the names of tensors; and phrases of many families."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...format.program import operations as op
from ...format.program.operands import Row
from .model import ModelTensor


class ProgramBuilder:
    """Collects instructions; a tensor gets the next directory index when it is first named.

    So the directory is in the order of first use and holds nothing that the program does not read.
    """

    def __init__(self) -> None:
        self.instructions: list[op.Operation] = []
        self.names: dict[str, int] = {}

    def emit(self, instruction: op.Operation) -> int:
        """Append an instruction; returns its register."""
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def tensor(self, name: str) -> int:
        """Directory index of a tensor."""
        return self.names.setdefault(name, len(self.names))

    def row(self, name: str, row: int = 0) -> Row:
        """A row of a matrix, or a whole vector, as an operand."""
        return Row(self.tensor(name), row)

    def times(self, x: int, factor: float) -> int:
        """x times a number that is no weight; x itself for 1."""
        return x if factor == 1 else self.emit(op.Affine(x, factor, 0.0))

    def biased(self, x: int, name: str) -> int:
        """x plus a vector: no instruction adds one by itself, so it scales a register of ones."""
        ones = self.emit(op.Affine(x, 0.0, 1.0))
        return self.emit(op.Add(x, self.emit(op.Scale(ones, self.row(name)))))

    def convolved(self, x: int, taps: str, count: int) -> int:
        """Every element with those of the count - 1 positions before it, each times its row of `taps`; the last is that
        of the position itself.
        """
        past = [x, *(self.emit(op.Shift(x, by, False)) for by in range(1, count))]
        rows = [self.row(taps, count - 1 - by) for by in range(count)]
        terms = [self.emit(op.Mix(past[by], past[by + 1], rows[by], rows[by + 1])) for by in range(0, count - 1, 2)]
        terms += [self.emit(op.Scale(past[-1], rows[-1]))] if count % 2 else []
        total = terms[0]
        for term in terms[1:]:
            total = self.emit(op.Add(total, term))
        return total

    def tensors(self, values: Mapping[str, np.ndarray], dtypes: Mapping[str, str]) -> tuple[ModelTensor, ...]:
        """The named tensors in directory order."""
        return tuple(ModelTensor(name, values[name], dtypes[name]) for name in self.names)
