"""What running a program takes, known before anything runs: multiply-adds a token, and memory for vectors.

Strategy: one upper bound an instruction, from its widths and shapes. Elementwise operations count their output,
products their matrix, attention the keys that a token may see in a sequence of the program's own length, a scan its
state twice, one by the delta rule three times. Executors spread a vector to the width that it meets, and take a
constant of that width for one that is left out; many instructions may share one short vector, so that the file's size
does not bound this memory. Both sums have a limit: spec/program.md, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import operations as op
from .operands import RowOperand
from .operation import Operation


@dataclass(frozen=True, slots=True)
class ProgramWork:
    """Upper bounds: multiply-adds of one token in a sequence of `sequence_length`; elements of all spread vectors."""

    multiply_adds: int
    vector_floats: int


def program_work(
    instructions: Sequence[Operation], widths: Sequence[int], shapes: Sequence[tuple[int, ...]], sequence_length: int
) -> ProgramWork:
    """The sums over all instructions of a program whose shapes fit; `shapes` are those of the directory's tensors."""
    pairs = list(zip(instructions, widths, strict=True))
    return ProgramWork(
        sum(_multiply_adds(instruction, width, widths, shapes, sequence_length) for instruction, width in pairs),
        sum(width * _vectors(instruction) for instruction, width in pairs),
    )


def _multiply_adds(
    instruction: Operation, width: int, widths: Sequence[int], shapes: Sequence[tuple[int, ...]], length: int
) -> int:
    if isinstance(instruction, op.Linear):
        rows, columns = shapes[instruction.weight]
        return rows * columns
    if isinstance(instruction, op.Attention | op.CappedAttention):
        seen = min(instruction.window, length) if instruction.window else length
        return seen * (widths[instruction.q] + width)
    if isinstance(instruction, op.SCANS):
        passes = 3 if isinstance(instruction, op.DeltaScan) else 2
        return passes * width * (widths[instruction.write] // instruction.groups)
    return width


def _vectors(instruction: Operation) -> int:
    """How many vector operands it has, given or left out."""
    return sum(isinstance(kind, RowOperand) for _, kind in instruction.operands)
