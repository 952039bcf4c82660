"""A program written anew, instruction by instruction, so that single ones can be changed, left out or added.

Strategy: an edit sees each instruction with the registers of the new program already in it, writes what it likes, and
says which register holds the result; registers of later instructions follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...format.program.operation import Operation
from ...format.program.program import Program


class Rewriting:
    """A program that is being written anew.

    program : that is rewritten;  instructions : written so far
    register : of the new program that holds what register k of the old one did, for all k so far
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.instructions: list[Operation] = []
        self.register: dict[int, int] = {}

    def emit(self, instruction: Operation) -> int:
        """Write an instruction, whose registers are those of the new program; returns its own."""
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def moved(self, index: int) -> Operation:
        """An instruction of the old program with the registers of the new one."""
        instruction, changed = self.program.instructions[index], {}
        for name, kind, value in instruction.values():
            if hasattr(kind, "registers"):
                several = isinstance(value, tuple)
                changed[name] = tuple(self.register[r] for r in value) if several else self.register[value]
        return replace(instruction, **changed)  # type: ignore[type-var]


Edit = Callable[[Rewriting, int, Operation], int]  # (writing, old index, moved instruction): the register of its result


def rewritten(program: Program, edit: Edit) -> Program:
    """The program with each instruction as `edit` writes it."""
    writing = Rewriting(program)
    for index in range(len(program.instructions)):
        writing.register[index] = edit(writing, index, writing.moved(index))
    return replace(program, instructions=tuple(writing.instructions))


def changing(kinds: type | tuple[type, ...], change: Callable[[Rewriting, Operation], int]) -> Edit:
    """An edit of the instructions of some kinds."""

    def edit(writing: Rewriting, index: int, instruction: Operation) -> int:
        return change(writing, instruction) if isinstance(instruction, kinds) else writing.emit(instruction)

    return edit


def replacing(kinds: type | tuple[type, ...], **values: object) -> Edit:
    """An edit that gives instructions of some kinds other operands."""
    return changing(kinds, lambda writing, op: writing.emit(replace(op, **values)))  # type: ignore[type-var]


def skipping(kinds: type | tuple[type, ...]) -> Edit:
    """An edit that leaves instructions of some kinds out."""
    return changing(kinds, lambda writing, op: op.x)  # type: ignore[attr-defined]
