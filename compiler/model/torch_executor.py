"""Runs a program with torch: differentiable, on any device, for calibration, tuning and training.

Strategy: the operations are in torch_operations.py. A forward pass advances by one instruction at a
time, frees registers after their last use and offers each fresh register to a callback, which may keep,
measure or replace it; whoever needs to stop in between, or to go on with other weights, holds the pass
itself. Weights enter as torch tensors by directory index, so that gradients flow to whatever the caller
passed. Agreement with the numba interpreter is a property test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ...format.container.limits import DEFAULT_LIMITS, Limits
from ...format.program.operands import Row
from ...format.program.program import Program, validate_program
from ...runtime.interpreter import check_length
from .pass_context import EXACT, Arithmetic, PassContext, Rotations
from .torch_operations import EXECUTIONS

RegisterCallback = Callable[[int, Tensor], Tensor]


class TorchExecutor:
    """A program with its weights as torch tensors.

    Parameters
    ----------
    program : Program
    tensors : mapping from directory index to float tensor   all on one device; kept by reference
    limits : Limits                                          what the program may need
    arithmetic : Arithmetic                                  how products are computed

    Raises ArtifactError when program and tensors do not fit.
    """

    def __init__(
        self,
        program: Program,
        tensors: Mapping[int, Tensor],
        limits: Limits = DEFAULT_LIMITS,
        arithmetic: Arithmetic = EXACT,
    ) -> None:
        self.program, self.tensors, self.arithmetic = program, tensors, arithmetic
        shapes = [tuple(tensors[i].shape) if i in tensors else () for i in range(max(tensors, default=-1) + 1)]
        self.shapes = validate_program(program, shapes, limits)
        self.rotations: Rotations = {}  # shared by all passes

    def forward(self, tokens: Tensor, *, registers: RegisterCallback | None = None) -> Tensor:
        """Logits [batch, length, vocabulary] for int64 tokens [batch, length].

        `registers(k, value)` is called with each register [batch, length, width] right after it is computed; what it
        returns takes the register's place.
        """
        return Forward(self, tokens).finish(registers)

    def losses(self, tokens: Tensor, *, registers: RegisterCallback | None = None) -> Tensor:
        """Loss in nats of each next token [batch, length] for int64 tokens [batch, length + 1]."""
        logits = self.forward(tokens[:, :-1], registers=registers).float()
        return F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")


class Forward:
    """One forward pass, which may be stopped between any two instructions.

    tokens : int64 [batch, length]; index : of the next instruction
    registers : the live registers [batch, length, width] by index, those that a later instruction reads
        and the last one; another mapping may be put in its place before the first instruction
    """

    def __init__(self, executor: TorchExecutor, tokens: Tensor) -> None:
        check_length(tokens.shape[1], executor.shapes)
        self.executor, self.tokens = executor, tokens
        boundary = executor.program.boundary_token
        self.context = PassContext(tokens, executor.tensors, boundary, executor.rotations, executor.arithmetic)
        self.index = 0
        self.registers: MutableMapping[int, Tensor] = {}

    def advance(self, callback: RegisterCallback | None = None) -> None:
        """Compute the next register, `callback(k, value)` where there is one, and let go of those that
        nothing reads any more.
        """
        index, executor = self.index, self.executor
        instruction = executor.program.instructions[index]
        read = instruction.registers
        value = EXECUTIONS[type(instruction)](self.context, instruction, *(self.registers[r] for r in read))
        self.registers[index] = value if callback is None else callback(index, value)
        for register in set(read):
            if executor.shapes.last_use[register] == index:
                del self.registers[register]
        self.index += 1

    def advance_to(self, stop: int, callback: RegisterCallback | None = None) -> None:
        """Compute all registers before that of instruction `stop`."""
        while self.index < stop:
            self.advance(callback)

    def advance_behind(self, index: int, callback: RegisterCallback | None = None) -> Tensor:
        """The register of an instruction to come, after all before it."""
        self.advance_to(index + 1, callback)
        return self.registers[index]

    def finish(self, callback: RegisterCallback | None = None) -> Tensor:
        """The logits [batch, length, vocabulary], after all instructions that are left."""
        return self.advance_behind(len(self.executor.program.instructions) - 1, callback)

    def fork(self, executor: TorchExecutor) -> Forward:
        """The same pass from here on with the tensors of another executor of the same program; this one
        stays where it is.
        """
        other = Forward(executor, self.tokens)
        other.index, other.registers = self.index, dict(self.registers)
        return other

    def vector(self, row: Row, width: int) -> Tensor:
        """The values of an operand, see PassContext.vector."""
        return self.context.vector(row, width)


def advance_to(forward: Forward, stop: int) -> Forward:
    """The same pass, come to instruction `stop`, without what gradients would need."""
    with torch.no_grad():
        forward.advance_to(stop)
    return forward
