"""GPTQ with given row steps, as the public challenge's records run it: act-order, 1 % damping, blocks of 128 columns.

Strategy: quantize one column at a time, in the order of falling Hessian diagonal, and let the columns
not yet quantized take over the error through U, the upper Cholesky factor of the inverse Hessian.
Source: the GPTQ paper's algorithm 1 with the activation order of its authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor

DAMPING = 0.01
BLOCK_COLUMNS = 128


def quantize_gptq(weight: Tensor, hessian: Tensor, scale: Tensor, highest_code: int) -> Tensor:
    """int8 codes [rows, columns] of a float32 weight; the encoder's scales [rows] are the decoder's.

    hessian : [columns, columns]   E[x xᵀ] up to a factor; a column that is never active is set to zero
    """
    hessian = hessian.float().clone()
    diagonal = hessian.diagonal()
    dead = diagonal == 0
    diagonal[dead] = 1
    diagonal += DAMPING * diagonal.mean()
    order = diagonal.argsort(descending=True, stable=True)
    weight = weight.float().masked_fill(dead, 0)[:, order]
    factor = _inverse_factor(hessian[order][:, order])
    codes = torch.empty_like(weight)
    step = scale.float()
    columns = weight.shape[1]
    for start in range(0, columns, BLOCK_COLUMNS):
        stop = min(start + BLOCK_COLUMNS, columns)
        errors = torch.empty(weight.shape[0], stop - start)
        for j in range(start, stop):
            codes[:, j] = (weight[:, j] / step).round().clamp(-highest_code, highest_code)
            errors[:, j - start] = (weight[:, j] - codes[:, j] * step) / factor[j, j]
            weight[:, j:stop] -= torch.outer(errors[:, j - start], factor[j, j:stop])
        weight[:, stop:] -= errors @ factor[start:stop, stop:]
    return codes[:, order.argsort()].to(torch.int8)


def _inverse_factor(hessian: Tensor) -> Tensor:
    """U, upper triangular, with Uᵀ U = H⁻¹."""
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    return torch.linalg.cholesky(inverse, upper=True)
