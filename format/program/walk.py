"""Walks between the registers of a program: back to what makes one, and forward to what reads it."""

from __future__ import annotations

from .operation import Operation
from .program import Program

MOST_STEPS = 1_000_000  # of all walks through one program together; real ones take some thousands


class Walk:
    """Walks between registers; a program made to have endless ways is walked so far and no farther."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.steps_left = MOST_STEPS
        self.readers: dict[int, list[int]] = {}
        for index, instruction in enumerate(program.instructions):
            for register in instruction.registers:
                self.readers.setdefault(register, []).append(index)

    def step(self) -> bool:
        """Count a step; whether there may be more."""
        self.steps_left -= 1
        return self.steps_left > 0

    def origins(self, register: int, through: tuple[type[Operation], ...]) -> set[int]:
        """The instructions that the walk back ends at: the nearest on every way that are not of `through`."""
        ends: set[int] = set()
        seen, pending = set(), [register]
        while pending and self.step():
            index = pending.pop()
            if index in seen:
                continue
            seen.add(index)
            instruction = self.program.instructions[index]
            if isinstance(instruction, through):
                pending += instruction.registers
            else:
                ends.add(index)
        return ends

    def of_kind(self, indices: set[int], *kinds: type[Operation]) -> list[int]:
        return [index for index in sorted(indices) if isinstance(self.program.instructions[index], kinds)]
