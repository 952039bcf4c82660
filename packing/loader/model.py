"""The model of an artifact as the shipped loader runs it: instruction by instruction, whole batches at once.

Strategy: a register is let go after its last reader. Everything is float32 unless the caller sets an autocast, so that
the loss agrees with other executors; the loss itself is float32 of float32 logits, a few positions at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .operations import OPERATIONS, ForwardPass
from .program import Instruction

POSITIONS_AT_ONCE = 4096  # whose losses are made at once


class Model:
    """A program with its tensors.

    instructions : the k-th writes register k, the last the logits
    tensors : float32 on one device, by the artifact's index; boundary : token that starts a document
    """

    def __init__(self, instructions: Sequence[Instruction], tensors: Sequence[Tensor], boundary: int) -> None:
        self.instructions, self.tensors, self.boundary = instructions, tensors, boundary
        last_reader = {register: index for index, step in enumerate(instructions) for register in step[1]}
        self.done_after: list[list[int]] = [[] for _ in instructions]
        for register, index in last_reader.items():
            self.done_after[index].append(register)

    def logits(self, tokens: Tensor) -> Tensor:
        """[batch, length, vocabulary] of int64 tokens [batch, length]."""
        run, registers = ForwardPass(tokens, self.tensors, self.boundary), {}
        for index, (operation, read, operands) in enumerate(self.instructions):
            registers[index] = OPERATIONS[operation](run, *[registers[k] for k in read], *operands)
            for register in self.done_after[index]:
                del registers[register]
        return registers[len(self.instructions) - 1]

    @torch.inference_mode()
    def losses(self, tokens: Tensor) -> Tensor:
        """float32 [batch, length] nats of each next token of int64 tokens [batch, length + 1]."""
        logits, targets = self.logits(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()
        parts = [
            F.cross_entropy(logits[first : first + POSITIONS_AT_ONCE].float(), part, reduction="none")
            for first, part in zip(
                range(0, len(targets), POSITIONS_AT_ONCE), targets.split(POSITIONS_AT_ONCE), strict=True
            )
        ]
        return torch.cat(parts).view(len(tokens), -1)
