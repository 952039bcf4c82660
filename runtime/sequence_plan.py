"""The steps of a program over the registers of one sequence, and its logits, some columns at a time.

Strategy: registers are assigned to buffers by their lifetimes, so that what is dead is written over and the
buffers of usual lengths stay in cache. The logits of a large vocabulary would be the widest register by far, and a
loss needs no more of them than sums along the vocabulary. So the linear map that makes them, and what works element by
element behind it, is bound to ranges of its columns, and runs when somebody asks, over one range after the other.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..errors import BudgetError
from ..format.program import operations as op
from ..format.program.operands import Row
from ..format.program.operation import Operation
from ..format.program.program import Program, ProgramShapes
from .attention import score_floats
from .binding import BindContext, Step, Workspace
from .machine_memory import memory_bytes
from .scan import state_floats

TILE_FLOATS = 1 << 22  # logits at once: 16 MiB
LEAST_COLUMNS = 256
BEHIND_HEAD = op.Softcap | op.Scale | op.ScaleTiled | op.Affine | op.Activation

BindInstruction = Callable[[Operation, BindContext], Step]


class Clock(Protocol):
    """Ends work that takes too long: `check` raises when it is time."""

    def check(self) -> None:
        """Called between two instructions."""


class SequencePlan:
    """Registers for sequences of one length, and the steps that fill them.

    program, shapes : a validated program; context : its tensors; bind : makes the step of an instruction
    steps : of all instructions

    Raises BudgetError when the sequence takes more memory than this process may have.
    """

    def __init__(
        self,
        program: Program,
        shapes: ProgramShapes,
        steps: Sequence[Step],
        context: BindContext,
        bind: BindInstruction,
        length: int,
    ) -> None:
        self._vocabulary_size = program.vocabulary_size
        self._head = find_head_start(program)
        buffers, capacities = assign_buffers(program, shapes, self._head)
        check_memory(sequence_bytes(program, shapes, length), length)
        memory = [np.empty(capacity * length, np.float32) for capacity in capacities]
        self._registers = [
            memory[buffer][: width * length].reshape(length, width)
            for buffer, width in zip(buffers, shapes.widths, strict=False)
        ]
        self._steps = [
            (step, register, [self._registers[i] for i in instruction.registers])
            for step, register, instruction in zip(steps, self._registers, program.instructions, strict=False)
        ]
        self._read = self._registers[program.instructions[self._head].registers[0] if self._head < len(steps) else -1]
        self._tail = program.instructions[self._head :]
        self._context, self._bind = context, bind

    def run(self, workspace: Workspace, tokens: np.ndarray, clock: Clock | None = None) -> None:
        """Compute every register before the head for the next tokens of a workspace, int64 [length]."""
        workspace.begin(tokens)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is found in the losses
            for step, out, inputs in self._steps:
                step(workspace, out, *inputs)
                if clock is not None:
                    clock.check()

    def logits(self, workspace: Workspace, positions: slice) -> Iterator[tuple[slice, np.ndarray]]:
        """(columns, float32 [positions, columns]) that together are the logits of these positions of the sequence
        that was run; each is valid until the next one and may be overwritten.
        """
        read = self._read[positions]
        if not self._tail:
            yield slice(0, self._vocabulary_size), read
        for number, columns, tile in self._tail_values(workspace, read):
            if number == len(self._tail) - 1:
                yield columns, tile

    def first_overflow(self, workspace: Workspace, tokens: np.ndarray) -> int | None:
        """Index of the first instruction that makes values that are not finite of int64 tokens [length], None where
        all are finite.
        """
        workspace.begin(tokens)
        with np.errstate(over="ignore", invalid="ignore"):
            for index, (step, out, inputs) in enumerate(self._steps):
                step(workspace, out, *inputs)
                if not np.isfinite(out).all():
                    return index
        tail = self._tail_values(workspace, self._read)
        return min((self._head + number for number, _, tile in tail if not np.isfinite(tile).all()), default=None)

    def _tail_values(self, workspace: Workspace, read: np.ndarray) -> Iterator[tuple[int, slice, np.ndarray]]:
        """(number in the tail, columns, values) of each instruction of the tail, for one range of columns after the
        other; of the head's input float32 [positions, width].
        """
        width = tile_columns(self._vocabulary_size, read.shape[0])
        memory = [np.empty(read.shape[0] * width, np.float32) for _ in self._tail[:2]]
        for start in range(0, self._vocabulary_size if self._tail else 0, width):
            columns, tile = slice(start, min(start + width, self._vocabulary_size)), read
            for number, instruction in enumerate(self._tail):
                shape = read.shape[0], columns.stop - columns.start
                out = memory[number % 2][: shape[0] * shape[1]].reshape(shape)
                with np.errstate(over="ignore", invalid="ignore"):
                    self._step(instruction, columns)(workspace, out, tile)
                tile = out
                yield number, columns, tile

    def _step(self, instruction: Operation, columns: slice) -> Step:
        """The step of an instruction of the tail for some of its columns."""
        return self._bind(*at_columns(instruction, self._context, self._vocabulary_size, columns))


def tile_columns(vocabulary_size: int, positions: int) -> int:
    """Columns of the logits that are there at once."""
    return min(vocabulary_size, max(LEAST_COLUMNS, TILE_FLOATS // max(1, positions)))


def sequence_bytes(program: Program, shapes: ProgramShapes, length: int) -> int:
    """Memory of one running sequence of `length` tokens: registers, attention scores or a state, and some logits."""
    head = find_head_start(program)
    _, capacities = assign_buffers(program, shapes, head)
    tail = min(2, len(program.instructions) - head)
    logits = tail * length * tile_columns(program.vocabulary_size, length)
    attentions = [o for o in program.instructions if isinstance(o, op.Attention | op.CappedAttention)]
    scores = max((score_floats(o, max(1, length)) for o in attentions), default=0)
    states = [state_floats(o, shapes.widths) for o in program.instructions if isinstance(o, op.SCANS)]
    return 4 * (sum(capacities) * length + logits + max([scores, *states]))


def check_memory(needed: int, length: int) -> None:
    """Raise BudgetError for a sequence that takes so many bytes, where this process may not have them."""
    there = memory_bytes()
    if there is not None and needed > there:
        raise BudgetError(
            f"one sequence of {length:,} tokens takes {needed / 2**30:,.1f} GiB, and this process may have "
            f"{there / 2**30:,.1f} GiB; choose shorter sequences",
            argument="sequence_length",
        )


def at_columns(
    instruction: Operation, context: BindContext, width: int, columns: slice
) -> tuple[Operation, BindContext]:
    """An instruction of the tail and its context, with tensors of its own, cut to some columns of its output."""
    if isinstance(instruction, op.Linear):
        tensors = [context.tensors[instruction.weight][columns], context.vector(instruction.bias, width)[columns]]
        bias = None if instruction.bias is None else Row(1)
        return replace(instruction, x=0, weight=0, bias=bias), BindContext(tensors, [tensors[0].shape[1]])
    if isinstance(instruction, op.Scale | op.ScaleTiled):
        tiled = isinstance(instruction, op.ScaleTiled)
        vector = (context.tiled_vector if tiled else context.vector)(instruction.vector, width)
        return op.Scale(0, Row(0)), BindContext([vector[columns]], [columns.stop - columns.start])
    return instruction, context


def find_head_start(program: Program) -> int:
    """Index of the linear instruction from which on the program is the head: it, and what works on its output element
    by element, one after the other; the number of instructions when there is none.
    """
    index = len(program.instructions) - 1
    while isinstance(instruction := program.instructions[index], BEHIND_HEAD) and instruction.x == index - 1:
        index -= 1
    return index if isinstance(program.instructions[index], op.Linear) else len(program.instructions)


def assign_buffers(program: Program, shapes: ProgramShapes, stop: int) -> tuple[list[int], list[int]]:
    """Buffer of each register before `stop`, and capacity of each buffer in floats per token.

    Two registers share a buffer only when their lifetimes do not overlap. A register takes the
    smallest free buffer that holds it, else the largest free one is enlarged, so that wide
    registers of different widths follow each other in the same memory.
    """
    buffers: list[int] = []
    capacities: list[int] = []
    free: list[tuple[int, int]] = []  # (capacity, buffer), sorted
    for index, instruction in enumerate(program.instructions[:stop]):
        width = shapes.widths[index]
        fitting = bisect.bisect_left(free, (width, 0))
        if free:
            _, buffer = free.pop(min(fitting, len(free) - 1))
            capacities[buffer] = max(capacities[buffer], width)
        else:
            buffer = len(capacities)
            capacities.append(width)
        buffers.append(buffer)
        for register in dict.fromkeys(instruction.registers):
            if shapes.last_use[register] == index:
                bisect.insort(free, (capacities[buffers[register]], buffers[register]))
    return buffers, capacities
