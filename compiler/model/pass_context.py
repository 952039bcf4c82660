"""What the operations of a forward pass in torch may ask for: tokens, weights, and what follows from the tokens.

Strategy: positions, documents, masks and rotations are needed by several instructions, so they are made once a
pass or, where they do not depend on the tokens, once an executor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ...format.program import operations as op
from ...format.program.operands import Row
from .float_products import linear

Rotations = dict[tuple, tuple[Tensor, Tensor]]


class Arithmetic(Protocol):
    """How the products of a pass are computed."""

    def product(self, index: int, x: Tensor, weight: Tensor) -> Tensor:
        """x Wᵀ; index : of the weight."""

    def attention(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """Attention of queries [batch, heads, length, n] to keys and values [batch, kv_heads, length, n].

        mask : [batch or 1, 1, length, length], true where a query sees a key; None where it sees itself and all before
        """


class ExactArithmetic:
    """In the type of the factors."""

    def product(self, index: int, x: Tensor, weight: Tensor) -> Tensor:
        """As `Arithmetic`."""
        return linear(x, weight)

    def attention(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """As `Arithmetic`."""
        how = {"attn_mask": mask, "is_causal": mask is None, "scale": scale, "enable_gqa": q.shape[1] != k.shape[1]}
        return F.scaled_dot_product_attention(q, k, v, **how)


EXACT = ExactArithmetic()


class PassContext:
    """What operations may ask of their forward pass.

    tokens : int64 [batch, length]; tensors : weights by directory index, kept by reference
    boundary_token : starts a document; rotations : of earlier passes, to which new ones are added
    arithmetic : how products are computed
    """

    def __init__(
        self,
        tokens: Tensor,
        tensors: Mapping[int, Tensor],
        boundary_token: int,
        rotations: Rotations,
        arithmetic: Arithmetic = EXACT,
    ) -> None:
        self.tokens, self.tensors, self.arithmetic = tokens, tensors, arithmetic
        self._boundary_token, self._rotations = boundary_token, rotations
        self._document_start: Tensor | None = None
        self._masks: dict[tuple[int, bool], Tensor] = {}

    @property
    def positions(self) -> Tensor:
        """0 .. length - 1."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device)

    @property
    def document_start(self) -> Tensor:
        """First position of each position's document, [batch, length]."""
        if self._document_start is None:
            starts = torch.where(self.tokens == self._boundary_token, self.positions, 0)
            self._document_start = starts.cummax(dim=1).values
        return self._document_start

    def mask(self, window: int, document_reset: bool) -> Tensor:
        """True where a query sees a key, [batch or 1, 1, length, length]."""
        key = (window, document_reset)
        if key not in self._masks:
            distance = self.positions[:, None] - self.positions
            seen = (distance >= 0)[None]
            if window:
                seen = seen & (distance < window)
            if document_reset:
                seen = seen & (self.positions >= self.document_start[:, :, None])
            self._masks[key] = seen[:, None]
        return self._masks[key]

    def vector(self, row: Row, width: int) -> Tensor:
        """A row as a tensor that broadcasts over the last dimension of size `width`."""
        values = self.tensors[row.tensor]
        values = values[row.row] if values.dim() == 2 else values
        count = values.shape[0]
        return values if count in (1, width) else values.repeat_interleave(width // count)

    def turn(self, o: op.Rotate, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [length, 1, rotary_dims / 2], times the factor, of the turn of a register; differentiable in
        the frequencies.
        """
        if o.frequencies is None:
            angles = rotation_angles(o.base, o.rotary_dims, like.shape[1]).to(like.device)
        else:
            frequencies = self.vector(o.frequencies, o.rotary_dims // 2).double()
            angles = self.positions[:, None].double() * frequencies
        sine = angles.sin() if o.direction is op.RotationDirection.BACKWARD else -angles.sin()
        return (o.factor * angles.cos()).to(like.dtype).unsqueeze(1), (o.factor * sine).to(like.dtype).unsqueeze(1)

    def rotation(self, o: op.Rope, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [length, 1, rotary_dims / 2] for a register [batch, length, width]."""
        key = (o.base, o.rotary_dims, like.shape[1], like.device, like.dtype)
        if key not in self._rotations:
            angles = rotation_angles(o.base, o.rotary_dims, like.shape[1])
            tables = angles.cos().float(), angles.sin().float()
            self._rotations[key] = tuple(table.to(like).unsqueeze(1) for table in tables)
        return self._rotations[key]


def rotation_angles(base: float, rotary_dims: int, length: int) -> Tensor:
    """float64 [length, rotary_dims / 2]: position * base**(-2i / rotary_dims).

    Computed here and not taken from the interpreter's kernels, so that each executor checks the other's.
    """
    exponents = torch.arange(0, rotary_dims, 2, dtype=torch.float64) / rotary_dims
    frequencies = torch.pow(torch.tensor(base, dtype=torch.float64), -exponents)
    return torch.arange(length, dtype=torch.float64)[:, None] * frequencies
