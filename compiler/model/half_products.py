"""Products of matrices in bfloat16, for tuning and calibration: about twice as fast where the processor has them.

Strategy: both factors are rounded to 8 significant bits, the processor adds in float32, and the result is rounded once
more. Next to the errors of quantized weights, which tuning is to make up for, that is little: on a trained model it
adds some 4 % to the variance that a gradient has from its choice of text (docs/decisions/distillation.md), and less to
second moments, which vary more from text to text. Rounded logits would add more, so the head multiplies in float32 on
the way there. Where the processor lacks the instructions, or where they are pinned for a reproducible compile, products
stay float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ...format.program.operations import Linear
from ...format.program.program import Program
from .float_products import linear
from .half_attention import LONGEST, HalfAttention
from .half_kernels import HALF
from .pass_context import EXACT, Arithmetic
from .structure import find_head


def arithmetic_for(program: Program, half: bool, fixed: Mapping[int, Tensor] | None = None) -> Arithmetic:
    """Products in bfloat16, but for those of the head on the way there; exact ones where not `half`.

    fixed : weights that stay for some passes, which are rounded once and not for each
    """
    if not half:
        return EXACT
    head, maps = find_head(program), (op for op in program.instructions if isinstance(op, Linear) and fixed)
    rounded = {weight: fixed[weight].to(HALF) for weight in {op.weight for op in maps}}
    return HalfProducts(() if head is None else [program.instructions[head].weight], rounded)


class HalfProducts:
    """`Arithmetic` of pass_context.py: products of float32 registers in bfloat16, there and back.

    exact : tensor indexes of weights whose products are float32 on the way there
    rounded : by tensor index, weights in bfloat16 where they are at hand
    """

    def __init__(self, exact: Collection[int] = (), rounded: Mapping[int, Tensor] | None = None) -> None:
        self._exact, self._rounded = frozenset(exact), rounded or {}

    def product(self, index: int, x: Tensor, weight: Tensor) -> Tensor:
        """As `Arithmetic`."""
        half = self._rounded.get(index)
        return _HalfLinear.apply(x, weight, weight.to(HALF) if half is None else half, index in self._exact)

    def attention(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        """As `Arithmetic`."""
        if mask is not None or q.shape[2] > LONGEST:
            return EXACT.attention(q, k, v, mask, scale)
        return HalfAttention.apply(q, k, v, scale)


class _HalfLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, half_weight: Tensor, exact: bool) -> Tensor:
        half_x = x.to(HALF)
        ctx.save_for_backward(half_x if ctx.needs_input_grad[1] else None, half_weight)
        return linear(x, weight) if exact else F.linear(half_x, half_weight).float()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        half_x, half_weight = ctx.saved_tensors
        gradient = gradient.to(HALF)
        for_x = (gradient @ half_weight).float() if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return for_x, None, None, None
        return for_x, (gradient.flatten(0, -2).mT @ half_x.flatten(0, -2)).float(), None, None
