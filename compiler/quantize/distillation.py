"""Distillation: the weights that are still float make up for the ones that are integers already.

Strategy: the float model is the teacher, KL(teacher || student) on calibration text the loss. Between two steps of the
sequential quantization all weights that are not quantized yet are tuned by Adam; at the end the control tensors alone.
Adam runs in the eigenvectors of a matrix's second moments, in which its gradients are nearly uncorrelated (SOAP,
arXiv:2409.11321, with the bases that calibration has measured already). A step's rate is a share of each tensor's
quantization error, because that is how far a weight may usefully move.
Held-out sequences decide whether a tuning is kept. A batch is cut into parts whose gradients are summed in order, so the
result does not depend on the thread count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from ..model.model import Model
from ..model.torch_executor import TorchExecutor
from ..statistics.calibration import MatrixStatistics
from ..workers import run_jobs

PART_TOKENS = 1024
FIRST_DECAY, SECOND_DECAY = 0.9, 0.95
LEAST_DEVIATION = 1e-12


@dataclass(frozen=True, slots=True)
class Basis:
    """Orthonormal directions of a matrix [rows, columns].

    outputs : float32[rows, rows] columns are eigenvectors of G = E[δ δᵀ]; inputs : float32[columns, columns], of H = E[x xᵀ]
    """

    outputs: torch.Tensor
    inputs: torch.Tensor

    @classmethod
    def of(cls, statistics: MatrixStatistics, device: str = "cpu") -> Basis:
        sides = statistics.output_fisher, statistics.hessian
        return cls(*(torch.from_numpy(np.linalg.eigh(side.astype(np.float64))[1]).float().to(device) for side in sides))

    def rotate(self, matrix: torch.Tensor) -> torch.Tensor:
        return self.outputs.T @ matrix @ self.inputs

    def rotate_back(self, matrix: torch.Tensor) -> torch.Tensor:
        return self.outputs @ matrix @ self.inputs.T


@dataclass(slots=True)
class _Moments:
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
        step = self.first.div(1 - FIRST_DECAY**self.age).div_(deviation)
        return step if self.basis is None else self.basis.rotate_back(step)


@dataclass(slots=True)
class Distiller:
    """A teacher, the sequences that students learn from, and those that judge them.

    training, held_out : int64[n, length]; every training sequence is used once before any is used again, in an order
    drawn from `seed`. bases : of matrices to tune, by tensor index; without one, a weight is a direction of its own.
    """

    model: Model
    training: np.ndarray
    held_out: np.ndarray
    batch_sequences: int
    seed: int
    threads: int
    device: str = "cpu"
    bases: Mapping[int, Basis] = field(default_factory=dict)
    _teacher: TorchExecutor = field(init=False)
    _order: np.ndarray = field(init=False)
    _taken: int = field(init=False, default=0)
    _moments: dict[int, _Moments] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        tensors = {i: torch.from_numpy(t.values).to(self.device) for i, t in enumerate(self.model.tensors)}
        self._teacher = TorchExecutor(self.model.program, tensors)
        self._order = np.random.default_rng(self.seed).permutation(len(self.training))

    def divergence(self, tensors: Mapping[int, torch.Tensor]) -> float:
        """KL(teacher || student) in nats a token on the held-out sequences; `tensors` on the distiller's device."""
        student = TorchExecutor(self.model.program, tensors)

        def measure(part: np.ndarray) -> float:
            with torch.no_grad():
                return float(self._divergence(student, part).double().sum())

        return sum(run_jobs(measure, _parts(self.held_out), self.threads)) / self.held_out.size

    def tune(self, tensors: dict[int, torch.Tensor], rates: Mapping[int, float], steps: int) -> bool:
        """Tune the tensors named in `rates` in place of their old values; False, and nothing changed, when that does not help.

        rates : tensor index -> step of a weight at first, falling linearly to 0 over `steps`.
        """
        if not rates or steps < 1:
            return False
        working = {i: t.to(self.device) for i, t in tensors.items()}
        loss = self.divergence(working)
        working.update({i: working[i].clone() for i in rates})
        for i in rates:
            if i not in self._moments:
                self._moments[i] = _Moments(
                    torch.zeros_like(working[i]), torch.zeros_like(working[i]), self.bases.get(i)
                )
        for step in range(steps):
            gradients = self._gradients(working, list(rates))

            def move(i: int, gradients=gradients, share=1 - step / steps) -> None:
                working[i].sub_(self._moments[i].direction(gradients[i]), alpha=rates[i] * share)

            run_jobs(move, list(rates), self.threads)
        if self.divergence(working) >= loss:
            return False
        tensors.update({i: working[i].to(tensors[i].device) for i in rates})
        return True

    def _gradients(self, tensors: Mapping[int, torch.Tensor], wanted: Collection[int]) -> dict[int, torch.Tensor]:
        """Gradients of the mean divergence over the next batch."""
        batch = self._next_batch()

        def measure(part: np.ndarray) -> tuple[torch.Tensor, ...]:
            leaves = {i: t.detach().requires_grad_(i in wanted) for i, t in tensors.items()}
            loss = self._divergence(TorchExecutor(self.model.program, leaves), part).sum() / batch.size
            return torch.autograd.grad(loss, [leaves[i] for i in wanted])

        parts = run_jobs(measure, _parts(batch), self.threads)
        return {i: sum(part[k] for part in parts) for k, i in enumerate(wanted)}

    def _divergence(self, student: TorchExecutor, sequences: np.ndarray) -> torch.Tensor:
        """KL in nats of each position, [n, length]."""
        tokens = torch.from_numpy(sequences).to(self.device)
        with torch.no_grad():
            expected = self._teacher.forward(tokens).float().log_softmax(-1)
        found = student.forward(tokens).float().log_softmax(-1)
        return (expected.exp() * (expected - found)).sum(-1)

    def _next_batch(self) -> np.ndarray:
        """The next sequences in the drawn order, around and around."""
        chosen = np.arange(self._taken, self._taken + min(self.batch_sequences, len(self._order))) % len(self._order)
        self._taken += len(chosen)
        return self.training[self._order[chosen]]


def _parts(sequences: np.ndarray) -> list[np.ndarray]:
    count = max(1, PART_TOKENS // sequences.shape[1])
    return [sequences[i : i + count] for i in range(0, len(sequences), count)]
