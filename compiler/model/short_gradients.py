"""Operations whose gradients are written out, in fewer passes over memory than the ones that torch derives.

Strategy: what torch derives goes step by step back through a formula and keeps what every step read. Most operations of
a model are bound by memory, so their gradients are given here in closed form, from what the forward pass has at hand.
The values of the forward pass are the same to the bit as those of the plain formula that stands beside each.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class RmsNorm(torch.autograd.Function):
    """x / sqrt(mean(x²) + epsilon) over the last dimension."""

    @staticmethod
    def forward(ctx, x: Tensor, epsilon: float) -> Tensor:
        inverse = x.square().mean(-1, keepdim=True).add_(epsilon).rsqrt_()
        y = x * inverse
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        y, inverse = ctx.saved_tensors
        along = (gradient * y).mean(-1, keepdim=True)
        return torch.addcmul(gradient, y, along, value=-1).mul_(inverse), None


class SquaredRelu(torch.autograd.Function):
    """max(x, 0)²."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return (gradient * positive).mul_(2)


class TanhSoftcap(torch.autograd.Function):
    """cap tanh(x / cap)."""

    @staticmethod
    def forward(ctx, x: Tensor, cap: float) -> Tensor:
        bounded = (x / cap).tanh_()
        ctx.save_for_backward(bounded)
        return cap * bounded

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (bounded,) = ctx.saved_tensors
        return torch.addcmul(gradient, gradient * bounded, bounded, value=-1), None


class HalfSplitTurn(torch.autograd.Function):
    """The pairs (x_i, x_{i + n}) of each head [..., 2 n] turned by constant angles: (x_i c + x_{i + n} s, x_{i + n} c -
    x_i s).

    cosine, sine : [length, 1, n], which get no gradients
    """

    @staticmethod
    def forward(ctx, heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _turned(heads, cosine, sine)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        cosine, sine = ctx.saved_tensors
        return _turned(gradient, cosine, -sine), None, None


def _turned(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    across = torch.cat((second, first), dim=-1).mul_(torch.cat((sine, -sine), dim=-1))
    return (heads * torch.cat((cosine, cosine), dim=-1)).add_(across)
