"""Adam in the eigenvectors of a matrix's second moments, in which its gradients are nearly uncorrelated.

Strategy: as SOAP (arXiv:2409.11321), with the bases that calibration has measured already. A gradient is turned into
the basis, Adam (arXiv:1412.6980) makes its direction there, and the direction is turned back. What has no basis is
tuned weight by weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..model.half_kernels import HALF
from ..statistics.matrix_statistics import MatrixStatistics

FIRST_DECAY, SECOND_DECAY = 0.9, 0.95
LEAST_DEVIATION = 1e-12


@dataclass(frozen=True, slots=True)
class Basis:
    """Orthonormal directions of a matrix [rows, columns].

    outputs : [rows, rows] columns are eigenvectors of G = E[δ δᵀ]; inputs : [columns, columns], of H = E[x xᵀ]; both
        float32, or bfloat16, in which products with them are taken then: they add less than gradients are off by
    """

    outputs: torch.Tensor
    inputs: torch.Tensor

    @classmethod
    def of(cls, statistics: MatrixStatistics, device: str = "cpu", *, half: bool = False) -> Basis:
        kind, sides = HALF if half else torch.float32, (statistics.output_fisher, statistics.hessian)
        vectors = (torch.from_numpy(np.linalg.eigh(side.astype(np.float64))[1]) for side in sides)
        return cls(*(found.float().to(device, kind) for found in vectors))

    def rotate(self, matrix: torch.Tensor) -> torch.Tensor:
        return (self.outputs.T @ matrix.to(self.outputs) @ self.inputs).float()

    def rotate_back(self, matrix: torch.Tensor) -> torch.Tensor:
        return (self.outputs @ matrix.to(self.outputs) @ self.inputs.T).float()


@dataclass(slots=True)
class Moments:
    """Adam's running averages of one tensor's gradient and of its square (arXiv:1412.6980), and their age."""

    first: torch.Tensor
    second: torch.Tensor
    basis: Basis | None
    age: int = 0

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient if self.basis is None else self.basis.rotate(gradient)
        self.age += 1
        self.first.mul_(FIRST_DECAY).add_(gradient, alpha=1 - FIRST_DECAY)
        self.second.mul_(SECOND_DECAY).addcmul_(gradient, gradient, value=1 - SECOND_DECAY)
        deviation = (self.second / (1 - SECOND_DECAY**self.age)).sqrt_().add_(LEAST_DEVIATION)
        update = self.first.div(1 - FIRST_DECAY**self.age).div_(deviation)
        return update if self.basis is None else self.basis.rotate_back(update)
