"""Writes a program instruction by instruction, naming tensors instead of counting them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...format.program.operands import Row
from ...format.program.operations import Operation
from .model import ModelTensor


class ProgramBuilder:
    """Collects instructions; a tensor gets the next directory index when it is first named.

    So the directory is in the order of first use and holds nothing that the program does not read.
    """

    def __init__(self) -> None:
        self.instructions: list[Operation] = []
        self.names: dict[str, int] = {}

    def emit(self, instruction: Operation) -> int:
        """Append an instruction; returns its register."""
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def tensor(self, name: str) -> int:
        """Directory index of a tensor."""
        return self.names.setdefault(name, len(self.names))

    def row(self, name: str, row: int = 0) -> Row:
        """A row of a matrix, or a whole vector, as an operand."""
        return Row(self.tensor(name), row)

    def tensors(self, values: Mapping[str, np.ndarray], dtypes: Mapping[str, str]) -> tuple[ModelTensor, ...]:
        """The named tensors in directory order."""
        return tuple(ModelTensor(name, values[name], dtypes[name]) for name in self.names)
