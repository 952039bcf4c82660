"""Tokens whose gradients are far larger than others', in the second moments of what makes keys and values.

Strategy: a trained model's attention rests on a token that says nothing, mostly the first, when it has nothing to look
for (an attention sink, arXiv:2309.17453). What a map makes of that token reaches all later ones, and its gradients are
thousands of times as large as others'. E[x xᵀ] and E[δ δᵀ] by themselves know nothing of that: δ of a few tokens would
stand for all x, while the one direction of x that matters would count as one token in a thousand. So the gradient of
such a token is made as long as others' are, and its input counts as many times more.
"""

from __future__ import annotations

import torch
from torch import Tensor

OUTLYING = 16  # times the median squared gradient of the tokens


def without_excess(gradients: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients [positions, outputs] with outlying ones, whose square is beyond OUTLYING times the median, as long as
    the others are in the mean; and the inputs of these, [some, width], whose second moment is what they weigh more.

    Token by token the products of both moments add up to what they were. All float32.
    """
    squares = gradients.square().sum(1)
    outlying = squares > OUTLYING * squares.median()
    usual = squares[~outlying].mean()
    if not usual > 0:
        return gradients, inputs[:0]
    factors = torch.where(outlying, squares / usual, 1.0)
    return gradients / factors.sqrt()[:, None], inputs[outlying] * (factors[outlying] - 1).sqrt()[:, None]
