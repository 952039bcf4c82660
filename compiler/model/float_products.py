"""Products of matrices in the type they have, there and back, by whichever library is fastest at it.

Strategy: float32 on the processor goes where wide_products.py says; its operation has no gradient, so that is written
out here. All else are torch's own products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..wide_products import has_wide_products, multiply_wide


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x Wᵀ for [..., columns] and [rows, columns] of one type and place: [..., rows]; differentiable once in both."""
    if x.dtype != torch.float32 or x.device.type != "cpu" or not has_wide_products():
        return F.linear(x, weight)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _WideLinear.apply(x, weight)
    return multiply_wide(x, weight)


class _WideLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        return multiply_wide(x, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x = multiply_wide(gradient, weight.mT) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return for_x, None
        return for_x, multiply_wide(gradient.flatten(0, -2).mT, x.flatten(0, -2).mT)
