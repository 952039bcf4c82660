"""Runs a program with numpy and numba; needs no torch.

Strategy: everything that does not depend on the tokens is settled at construction: shapes
validated, each instruction bound to its kernel, registers assigned to buffers by their lifetimes. A
call then runs the steps for one sequence after the other in the same buffers, which for usual
lengths stay in cache. So a sequence's numbers never depend on the batch it came in, and memory
beyond the weights is one sequence's live registers plus the result. Single-threaded inside (callers
limit the BLAS with threadpoolctl); kernels and products release the GIL, and calls share no mutable
state, so several threads may call one interpreter at once.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import DataError
from ..format.container.limits import DEFAULT_LIMITS, Limits
from ..format.program.program import Program, ProgramShapes, validate_program
from . import kernels_exponential
from .binding import BindContext, Step, Workspace
from .operation_kernels import BINDERS

Plan = list[tuple[Step, np.ndarray, list[np.ndarray]]]  # step, output register, input registers


class Interpreter:
    """A program with its weights, ready to run.

    Parameters
    ----------
    program : Program
    tensors : sequence of float32 C-contiguous arrays   the whole directory; kept by reference
    limits : Limits                                     what the program may need

    Raises ArtifactError when program and tensors do not fit, ValueError for a tensor of another
    dtype or layout.
    """

    def __init__(self, program: Program, tensors: Sequence[np.ndarray], limits: Limits = DEFAULT_LIMITS) -> None:
        for index, tensor in enumerate(tensors):
            if tensor.dtype != np.float32 or not tensor.flags.c_contiguous:
                raise ValueError(f"tensor {index} is {tensor.dtype}, expected C-contiguous float32")
        self.program = program
        self.shapes = validate_program(program, [tensor.shape for tensor in tensors], limits)
        context = BindContext(tensors, self.shapes.widths)
        self._steps = [BINDERS[type(instruction)](instruction, context) for instruction in program.instructions]
        self._inputs = [instruction.registers for instruction in program.instructions]
        self._buffers, self._capacities = assign_buffers(program, self.shapes)

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """float32 [batch, length, vocabulary] for int [batch, length]; raises DataError for an id out of range."""
        tokens = self.checked(tokens)
        result = np.empty((*tokens.shape, self.program.vocabulary_size), np.float32)
        for index, logits in enumerate(self._run(tokens)):
            result[index] = logits
        return result

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        """Loss in nats of each next token: float64 [batch, length] for int [batch, length + 1].

        Entry t is -ln p(tokens[t + 1] | tokens[0..t]); NaN where the logits are not finite. Within
        1e-5 nats of exact arithmetic on the float32 logits. Raises DataError for an id out of
        range.
        """
        tokens = self.checked(tokens)
        losses = np.empty((tokens.shape[0], tokens.shape[1] - 1), np.float64)
        for index, logits in enumerate(self._run(tokens[:, :-1])):
            kernels_exponential.cross_entropy_rows(logits, tokens[index, 1:], losses[index])
        return losses

    def checked(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens as C-contiguous int64 [batch, length]; raises DataError for an id out of range."""
        tokens = np.ascontiguousarray(tokens, np.int64)
        if tokens.ndim != 2:
            raise ValueError(f"tokens have {tokens.ndim} dimensions, expected [batch, length]")
        wrong = np.argwhere((tokens < 0) | (tokens >= self.program.vocabulary_size))
        if wrong.size:
            row, column = (int(i) for i in wrong[0])
            raise DataError(
                f"token id {tokens[row, column]} at position {column} of sequence {row} is not below the model's "
                f"vocabulary size {self.program.vocabulary_size}; tokenize with the model's own tokenizer"
            )
        return tokens

    def _run(self, tokens: np.ndarray) -> Iterator[np.ndarray]:
        """The logits [length, vocabulary] of each sequence in turn, valid until the next one."""
        check_length(tokens.shape[1], self.shapes)
        if tokens.shape[1] == 0:
            return
        plan, logits = self.plan(tokens.shape[1])
        workspace = Workspace(self.program.boundary_token)
        for row in tokens:
            run_plan(plan, workspace, row)
            yield logits

    def plan(self, length: int) -> tuple[Plan, np.ndarray]:
        """The steps over registers for `length` tokens, and the register [length, vocabulary] that holds the logits."""
        memory = [np.empty(capacity * length, np.float32) for capacity in self._capacities]
        registers = [
            memory[buffer][: width * length].reshape(length, width)
            for buffer, width in zip(self._buffers, self.shapes.widths, strict=True)
        ]
        plan = [
            (step, register, [registers[i] for i in inputs])
            for step, register, inputs in zip(self._steps, registers, self._inputs, strict=True)
        ]
        return plan, registers[-1]


def run_plan(plan: Plan, workspace: Workspace, tokens: np.ndarray) -> None:
    """Compute every register for the next tokens of a workspace, int64 [length]."""
    workspace.begin(tokens)
    for step, out, inputs in plan:
        step(workspace, out, *inputs)


def check_length(length: int, shapes: ProgramShapes) -> None:
    """Raise DataError for sequences that go beyond the model's position tables."""
    if shapes.longest_sequence is not None and length > shapes.longest_sequence:
        raise DataError(
            f"a sequence of {length:,} tokens is beyond the model's table of {shapes.longest_sequence:,} positions; "
            f"choose a sequence length of at most {shapes.longest_sequence:,}"
        )


def assign_buffers(program: Program, shapes: ProgramShapes) -> tuple[list[int], list[int]]:
    """Buffer of each register, and capacity of each buffer in floats per token.

    Two registers share a buffer only when their lifetimes do not overlap. A register takes the
    smallest free buffer that holds it, else the largest free one is enlarged, so that wide
    registers of different widths follow each other in the same memory.
    """
    buffers: list[int] = []
    capacities: list[int] = []
    free: list[tuple[int, int]] = []  # (capacity, buffer), sorted
    for index, instruction in enumerate(program.instructions):
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
