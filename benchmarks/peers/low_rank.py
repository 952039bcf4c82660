"""LQER, low-rank quantization error reconstruction, in the asymmetric form of the challenge's records
(pull request 1797).

Strategy: of all matrices take those whose quantization error E has the largest Frobenius norm; E = U S
Vᵀ, cut to rank r, gives factors A = U_r S_r and B = V_rᵀ. A is held in 2 bits, -2..1, with one float16
step for the matrix; B in 4 bits, -8..7, with a float16 step for each 64 values in row order. Both stand
as one code a byte and are left to the general codec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

PUBLISHED_RANK, PUBLISHED_MATRICES = 4, 3
A_LOWEST, A_HIGHEST, A_RANGE = -2, 1, 1.5
B_LOWEST, B_HIGHEST, B_RANGE = -8, 7, 7.5
B_GROUP = 64
LEAST_SCALE = 1e-10


@dataclass(frozen=True)
class Correction:
    """Factors of one matrix's correction.

    a : int8 [rows, rank]; a_scale : float16 []; b : int8 [rank, columns]; b_scale : float16 [groups]
    """

    a: Tensor
    a_scale: Tensor
    b: Tensor
    b_scale: Tensor

    def product(self) -> Tensor:
        """What is added to the dequantized matrix, float32 [rows, columns]."""
        steps = self.b_scale.float().repeat_interleave(B_GROUP)[: self.b.numel()].view_as(self.b)
        return (self.a.float() * self.a_scale.float()) @ (self.b.float() * steps)


def correct_error(error: Tensor, rank: int) -> Correction:
    """The quantized factors of float32 `error` [rows, columns], cut to `rank`."""
    u, s, v = torch.linalg.svd(error.double(), full_matrices=False)
    a, b = (u[:, :rank] * s[:rank]).float(), v[:rank].float()
    a_scale = (a.abs().max() / A_RANGE).clamp_min(LEAST_SCALE).half()
    flat = b.flatten()
    padded = torch.nn.functional.pad(flat, (0, -len(flat) % B_GROUP)).view(-1, B_GROUP)
    b_scale = (padded.abs().amax(1) / B_RANGE).clamp_min(LEAST_SCALE).half()
    b_codes = (padded / b_scale.float()[:, None]).round().clamp(B_LOWEST, B_HIGHEST)
    a_codes = (a / a_scale.float()).round().clamp(A_LOWEST, A_HIGHEST)
    return Correction(
        a_codes.to(torch.int8), a_scale, b_codes.flatten()[: len(flat)].view_as(b).to(torch.int8), b_scale
    )


def worst_matrices(errors: Mapping[str, Tensor], count: int) -> list[str]:
    """Names of the `count` matrices with the largest Frobenius norm of their error, largest first."""
    return sorted(errors, key=lambda name: float(errors[name].norm()), reverse=True)[:count]
