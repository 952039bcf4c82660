"""Runs a program with numpy and numba; needs no torch.

Strategy: everything that does not depend on the tokens is settled at construction: shapes
validated, each instruction bound to its kernel. A call then runs the steps for one sequence after the
other in the same registers (sequence_plan.py), and takes the logits some columns of the vocabulary at a time.
So a sequence's numbers never depend on the batch it came in, and memory beyond the weights is one
sequence's live registers, one range of logits and the result. Single-threaded inside (callers
limit the BLAS with threadpoolctl); kernels and products release the GIL, and calls share no mutable
state, so several threads may call one interpreter at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import DataError
from ..format.container.limits import DEFAULT_LIMITS, Limits
from ..format.program.operation import Operation
from ..format.program.program import Program, ProgramShapes, validate_program
from . import kernels_exponential
from .binding import BindContext, Step, Workspace
from .operation_kernels import BINDERS
from .sequence_plan import Clock, SequencePlan


class Interpreter:
    """A program with its weights, ready to run.

    Parameters
    ----------
    program : Program
    tensors : sequence of float32 C-contiguous arrays   the whole directory; kept by reference
    limits : Limits                                     what the program may need
    names : sequence of str                             of the tensors, for errors; by default their numbers
    clock : Clock or None                               may be set; asked after every instruction

    Raises ArtifactError when program and tensors do not fit, ValueError for a tensor of another
    dtype or layout.
    """

    def __init__(
        self,
        program: Program,
        tensors: Sequence[np.ndarray],
        limits: Limits = DEFAULT_LIMITS,
        names: Sequence[str] = (),
    ) -> None:
        for index, tensor in enumerate(tensors):
            if tensor.dtype != np.float32 or not tensor.flags.c_contiguous:
                raise ValueError(f"tensor {index} is {tensor.dtype}, expected C-contiguous float32")
        self.program, self.tensors = program, tensors
        self.names = names or [f"tensor {index}" for index in range(len(tensors))]
        self.clock: Clock | None = None
        self.shapes = validate_program(program, [tensor.shape for tensor in tensors], limits)
        self._context = BindContext(tensors, self.shapes.widths)
        self._steps = [bind_step(instruction, self._context) for instruction in program.instructions]

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """float32 [batch, length, vocabulary] for int [batch, length]; raises DataError for an id out of range."""
        tokens = self.checked(tokens)
        result = np.empty((*tokens.shape, self.program.vocabulary_size), np.float32)
        for index, columns, logits in self.logit_ranges(tokens):
            result[index, :, columns] = logits
        return result

    def token_losses(self, tokens: np.ndarray, *, needed_from: int = 0) -> np.ndarray:
        """Loss in nats of each next token: float64 [batch, length] for int [batch, length + 1].

        Entry t is -ln p(tokens[t + 1] | tokens[0..t]); NaN where the logits are not finite. Within
        1e-5 nats of exact arithmetic on the float32 logits. Those before `needed_from` are NaN, too:
        they are context, whose logits nobody computes. Raises DataError for an id out of range.
        """
        tokens = self.checked(tokens)
        losses = np.full((tokens.shape[0], tokens.shape[1] - 1), np.nan)
        for index, columns, logits in self.logit_ranges(tokens[:, :-1], needed_from):
            if columns.start == 0:
                sums = kernels_exponential.new_softmax_sums(logits.shape[0])
            kernels_exponential.add_to_softmax_sums(logits, tokens[index, needed_from + 1 :] - columns.start, sums)
            if columns.stop == self.program.vocabulary_size:
                losses[index, needed_from:] = kernels_exponential.losses_of_sums(sums)
        return losses

    def warm_up(self) -> None:
        """Run two tokens, so that numba compiles what it has to before a clock is started."""
        self.token_losses(np.full((1, 2), self.program.boundary_token, np.int64))

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

    def logit_ranges(self, tokens: np.ndarray, needed_from: int = 0) -> Iterator[tuple[int, slice, np.ndarray]]:
        """(sequence, columns, logits [length - needed_from, columns]) in order for tokens that were checked, see
        `SequencePlan.logits`.
        """
        check_length(tokens.shape[1], self.shapes)
        if tokens.shape[1] <= needed_from:
            return
        plan, workspace = self.plan(tokens.shape[1]), Workspace(self.program.boundary_token)
        for index, row in enumerate(tokens):
            plan.run(workspace, row, self.clock)
            for columns, logits in plan.logits(workspace, slice(needed_from, row.size)):
                yield index, columns, logits

    def plan(self, length: int) -> SequencePlan:
        """The steps over fresh registers for `length` tokens."""
        return SequencePlan(self.program, self.shapes, self._steps, self._context, bind_step, length)


def bind_step(instruction: Operation, context: BindContext) -> Step:
    """The step of an instruction."""
    return BINDERS[type(instruction)](instruction, context)


def check_length(length: int, shapes: ProgramShapes) -> None:
    """Raise DataError for sequences that go beyond the model's position tables."""
    if shapes.longest_sequence is not None and length > shapes.longest_sequence:
        raise DataError(
            f"a sequence of {length:,} tokens is beyond the model's table of {shapes.longest_sequence:,} positions; "
            f"choose a sequence length of at most {shapes.longest_sequence:,}"
        )
