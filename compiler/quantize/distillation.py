"""Distillation: the weights that are still float make up for the ones that are integers already.

Strategy: the float model is the teacher, KL(teacher || student) on calibration text the loss. Before
each group of matrices that the sequential walk quantizes, all weights that are not quantized yet are
tuned by Adam; at the end the control tensors alone. Adam runs in the eigenvectors of a matrix's Hessian
and output Fisher, in which its gradients are nearly uncorrelated (SOAP, arXiv:2409.11321, with the
bases that calibration has measured already). The rate of an update is a share of each tensor's
quantization error, because that is how far a weight may usefully move. Held-out sequences decide
whether a tuning is kept. A batch is cut into parts whose gradients are summed in order, so the result
does not depend on the thread count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from ..job import CompileJob
from ..model.model import Model
from ..model.torch_executor import TorchExecutor
from ..settings import DistillationSettings
from ..statistics.calibration import MatrixStatistics, calibration_sequences
from ..workers import run_jobs
from .representation import Quantized

PART_TOKENS = 1024
FIRST_DECAY, SECOND_DECAY = 0.9, 0.95
LEAST_DEVIATION = 1e-12
WEIGHTS_OF_ALL_UPDATES = 1 << 22  # of a model; larger ones take fewer updates in proportion
LEAST_UPDATES = 8  # fewer are not worth judging


@dataclass(frozen=True, slots=True)
class Basis:
    """Orthonormal directions of a matrix [rows, columns].

    outputs : float32[rows, rows] columns are eigenvectors of G = E[δ δᵀ]; inputs : float32[columns,
        columns], of H = E[x xᵀ]
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
        update = self.first.div(1 - FIRST_DECAY**self.age).div_(deviation)
        return update if self.basis is None else self.basis.rotate_back(update)


@dataclass(slots=True)
class Distiller:
    """A teacher, the sequences that students learn from, and those that judge them.

    training, held_out : int64[n, length]; every training sequence is used once before any is used
        again, in an order drawn from `seed`
    bases : of matrices to tune, by tensor index; without one, a weight is a direction of its own
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

    def state(self) -> dict[str, object]:
        """How far the tuning has come: sequences taken, and the averages of each tensor's gradients."""
        moments = {
            str(i): {"first": m.first.cpu().numpy(), "second": m.second.cpu().numpy(), "age": m.age}
            for i, m in self._moments.items()
        }
        return {"taken": self._taken, "moments": moments}

    def restore(self, state: Mapping) -> None:
        """Go on from such a state."""
        self._taken = state["taken"]
        for name, kept in state["moments"].items():
            sides = (torch.from_numpy(np.array(kept[side])).to(self.device) for side in ("first", "second"))
            self._moments[int(name)] = _Moments(*sides, self.bases.get(int(name)), kept["age"])

    def divergence(self, tensors: Mapping[int, torch.Tensor]) -> float:
        """KL(teacher || student) in nats a token on the held-out sequences; `tensors` on the distiller's device."""
        student = TorchExecutor(self.model.program, tensors)

        def measure(part: np.ndarray) -> float:
            with torch.no_grad():
                return float(self._divergence(student, part).double().sum())

        return sum(run_jobs(measure, _parts(self.held_out), self.threads)) / self.held_out.size

    def tune(self, tensors: dict[int, torch.Tensor], rates: Mapping[int, float], updates: int) -> bool:
        """Tune the tensors named in `rates` in place of their old values; False, and nothing changed,
        when that does not help.

        rates : tensor index -> length of the first update of a weight, falling linearly to 0 over so many `updates`.
        """
        if not rates or updates < 1:
            return False
        working = {i: t.to(self.device) for i, t in tensors.items()}
        loss = self.divergence(working)
        working.update({i: working[i].clone() for i in rates})
        for i in rates:
            if i not in self._moments:
                self._moments[i] = _Moments(
                    torch.zeros_like(working[i]), torch.zeros_like(working[i]), self.bases.get(i)
                )
        for update in range(updates):
            gradients = self._gradients(working, list(rates))

            def move(i: int, gradients=gradients, share=1 - update / updates) -> None:
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


def make_distiller(job: CompileJob) -> Distiller:
    """The distiller of a walk: all calibration text to learn from, the held-out sequences to judge by."""
    length = job.model.program.sequence_length
    training = calibration_sequences(job.text, length, len(job.text))
    known = {i: matrix for i, matrix in job.statistics.matrices.items() if matrix.output_fisher is not None}
    bases = run_jobs(lambda matrix: Basis.of(matrix, job.device), list(known.values()), job.threads)
    return Distiller(
        job.model,
        training,
        job.held_out,
        max(1, job.recipe.distillation.batch_tokens // length),
        job.seed,
        job.threads,
        job.device,
        dict(zip(known, bases, strict=True)),
    )


class Refiner:
    """Tunes the waiting matrices of a walk, for an equal share of the updates before each of its groups.

    Called as `Refine` of sequential.py. Shares below LEAST_UPDATES are saved up for a later group.
    """

    def __init__(
        self, distiller: Distiller, settings: DistillationSettings, error: Callable[[int], float], groups: int
    ) -> None:
        """Plan the shares.

        error : tensor index -> root mean square error of a matrix quantized by itself: how far an update goes
        groups : how many of them will come
        """
        self.distiller, self.error, self.groups, self.length = distiller, error, groups, settings.step_size
        self._total = scaled_updates(settings.steps, distiller)
        self._turn = self._spent = 0

    def state(self) -> dict[str, object]:
        """How many shares were spent, and how far the tuning has come."""
        return {"turn": self._turn, "spent": self._spent, "distiller": self.distiller.state()}

    def restore(self, state: Mapping) -> None:
        """Go on from such a state."""
        self._turn, self._spent = state["turn"], state["spent"]
        self.distiller.restore(state["distiller"])

    def __call__(self, tensors: dict[int, torch.Tensor], waiting: Collection[int]) -> None:
        self._turn += 1
        due = self._total * self._turn // self.groups - self._spent
        if due < LEAST_UPDATES:
            return
        self._spent += due
        rates = {i: self.length * self.error(i) for i in waiting}
        self.distiller.tune(tensors, rates, due)


def tune_vectors(
    distiller: Distiller, settings: DistillationSettings, quantized: Mapping[int, Quantized], vectors: Collection[int]
) -> dict[int, np.ndarray]:
    """Values of the control tensors, tuned with everything else quantized; their old values where that
    does not help.
    """
    shapes = [t.values.shape for t in distiller.model.tensors]
    tensors = {i: torch.from_numpy(q.weights.reshape(shapes[i])) for i, q in quantized.items()}
    rates = {i: settings.vector_step_size * _rms(distiller.model.tensors[i].values) for i in vectors}
    distiller.tune(tensors, rates, scaled_updates(settings.final_steps, distiller))
    return {i: tensors[i].numpy() for i in vectors}


def scaled_updates(updates: int, distiller: Distiller) -> int:
    """Fewer for large models; never more than one pass over the text."""
    wanted = round(updates * min(1.0, WEIGHTS_OF_ALL_UPDATES / distiller.model.parameters))
    return min(wanted, len(distiller.training) // distiller.batch_sequences)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
