"""Repeated blocks of a program: runs of instructions that come several times over with other tensors.

Strategy: two blocks are the same when their operations, widths and settings are, and when what they read
is: the same place of the block before, the same register outside, or anything before the repeats began
(such as the skips of a U-net). From each place the longest repetition is taken, of equals that of the shortest block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..format.program.operands import RegisterOperand, RegistersOperand, RowOperand, TensorOperand
from ..format.program.operation import Operation
from ..format.program.program import Program

LEAST_BLOCK, MOST_BLOCK = 4, 256  # instructions
MOST_INSTRUCTIONS = 4_000  # beyond them nothing is looked for


@dataclass(frozen=True, slots=True)
class Run:
    """`period` instructions from `start`, `count` times one after another; a count of 1: no repetition."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count


def find_runs(program: Program, widths: Sequence[int]) -> list[Run]:
    """Runs that cover the program in order."""
    shapes = [(type(each), widths[index], *_settings(each)) for index, each in enumerate(program.instructions)]
    runs: list[Run] = []
    start = 0
    while start < len(shapes):
        found = _repetition(program, shapes, start) if len(shapes) <= MOST_INSTRUCTIONS else None
        if found is None and runs and runs[-1].count == 1:
            runs[-1] = Run(runs[-1].start, runs[-1].period + 1, 1)
        else:
            runs.append(found or Run(start, 1, 1))
        start = runs[-1].stop
    return runs


def _settings(instruction: Operation) -> tuple[object, ...]:
    named = RegisterOperand | RegistersOperand | TensorOperand | RowOperand
    return tuple(value for _, kind, value in instruction.values() if not isinstance(kind, named))


def _repetition(program: Program, shapes: Sequence[object], start: int) -> Run | None:
    best: Run | None = None
    for period in range(LEAST_BLOCK, min(MOST_BLOCK, (len(shapes) - start) // 2) + 1):
        count = 1
        while _same(program, shapes, start, start + (count - 1) * period, period):
            count += 1
        if count > 1 and (best is None or count * period > best.count * best.period):
            best = Run(start, period, count)
    return best


def _same(program: Program, shapes: Sequence[object], first: int, start: int, period: int) -> bool:
    """Whether the block at `start` comes again behind itself; `first` is where the repetition began."""
    if shapes[start : start + period] != shapes[start + period : start + 2 * period]:
        return False
    for index in range(start, start + period):
        before, after = program.instructions[index].registers, program.instructions[index + period].registers
        for one, two in zip(before, after, strict=True):
            if two - one != period and two != one and not (one < first and two < first):
                return False
    return True
