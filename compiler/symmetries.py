"""Free symmetries: rewrites of a model that its function does not see, so that nothing has to be stored about them.

Strategy: the hidden units of an MLP may stand in any order, if the rows of the matrix that makes them and the columns of the
matrix that reads them are permuted alike. Sorted by their quantization steps, the steps of both cost next to nothing.
Units are found in the program, not by name: a linear whose only reader is an element-wise activation whose only reader is a linear.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from ..format.operations import Activation, Embed, HashEmbed, Linear
from ..format.program import Program
from .calibration import MatrixStatistics, Statistics
from .model import Model


@dataclass(frozen=True, slots=True)
class HiddenUnits:
    """Units that are the rows of tensor `maker` and the columns of tensor `reader`, and nothing else."""

    maker: int
    reader: int


def find_hidden_units(program: Program) -> list[HiddenUnits]:
    """Every set of hidden units whose order is free."""
    instructions = program.instructions
    readers = Counter(register for op in instructions for register in op.registers)
    weights = Counter(op.weight for op in instructions if isinstance(op, Linear))
    tables = {op.table for op in instructions if isinstance(op, Embed | HashEmbed)}
    found = []
    for op in instructions:
        if not isinstance(op, Linear) or not isinstance(instructions[op.x], Activation):
            continue
        makes = instructions[instructions[op.x].x]
        if not isinstance(makes, Linear) or makes.bias is not None:
            continue
        alone = readers[op.x] == readers[instructions[op.x].x] == 1
        if alone and weights[op.weight] == weights[makes.weight] == 1 and not tables & {op.weight, makes.weight}:
            found.append(HiddenUnits(makes.weight, op.weight))
    return found


def sort_hidden_units(model: Model, statistics: Statistics) -> tuple[Model, Statistics]:
    """Model and statistics with hidden units in the order of their Fisher information, the largest first.

    Equal up to the order of float32 sums.
    """
    values = {i: tensor.values for i, tensor in enumerate(model.tensors)}
    matrices = dict(statistics.matrices)
    for units in find_hidden_units(model.program):
        if units.maker in matrices and units.reader in matrices:
            order = np.argsort(-matrices[units.maker].row_fisher, kind="stable")
            _permute(values, matrices, units, order)
    tensors = tuple(replace(tensor, values=values[i]) for i, tensor in enumerate(model.tensors))
    return replace(model, tensors=tensors), replace(statistics, matrices=matrices)


def _permute(values: dict[int, np.ndarray], matrices: dict[int, MatrixStatistics], units: HiddenUnits, order: np.ndarray) -> None:
    maker, reader = matrices[units.maker], matrices[units.reader]
    values[units.maker] = np.ascontiguousarray(values[units.maker][order])
    values[units.reader] = np.ascontiguousarray(values[units.reader][:, order])
    output_fisher = None if maker.output_fisher is None else np.ascontiguousarray(maker.output_fisher[np.ix_(order, order)])
    matrices[units.maker] = replace(maker, row_fisher=maker.row_fisher[order], output_fisher=output_fisher)
    matrices[units.reader] = replace(reader, input_moment=np.ascontiguousarray(reader.input_moment[np.ix_(order, order)]))
