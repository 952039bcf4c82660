"""When a walk tunes what, for how long: shares of the updates before its groups, and the control tensors at its end.

Strategy: every group of matrices that a sequential walk comes to has an equal share of the updates; all weights that
are not quantized yet are tuned. The rate of an update is a share of each tensor's quantization error, because that is
how far a weight may usefully move.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import torch

from ..job import CompileJob
from ..model.model import Model
from ..settings import DistillationSettings
from .distillation import Distiller
from .representation import Quantized

WEIGHTS_OF_ALL_UPDATES = 1 << 22  # of a model; larger ones take fewer updates, by the root of their weights
LEAST_UPDATES = 8  # fewer are not worth judging


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
        self._total = scaled_updates(settings.steps, distiller, settings.passes)
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
    distiller.tune(tensors, rates, scaled_updates(settings.final_steps, distiller, settings.passes))
    return {i: tensors[i].numpy() for i in vectors}


def all_updates(settings: DistillationSettings, distiller: Distiller) -> int:
    """Updates of a whole walk: of its matrices, then of the control tensors."""
    return sum(scaled_updates(n, distiller, settings.passes) for n in (settings.steps, settings.final_steps))


def wanted_updates(updates: int, model: Model) -> int:
    """Fewer for large models: what updates add to the time of a compile grows as the weights to the power of 1.5."""
    return round(updates * min(1.0, WEIGHTS_OF_ALL_UPDATES / model.parameters) ** 0.5)


def scaled_updates(updates: int, distiller: Distiller, passes: float) -> int:
    """What is wanted of a model; never more than so many passes over the text."""
    wanted = wanted_updates(updates, distiller.model)
    return min(wanted, int(passes * len(distiller.training)) // distiller.batch_sequences)


def notes_of_distillation(job: CompileJob, text_tokens: int) -> list[str]:
    """What is to be said of a job's distillation before it begins, by a calibration text of so many tokens; nothing
    where none of it is held out to judge.
    """
    settings = job.recipe.distillation
    if not len(job.held_out):
        return []
    return note_of_short_text(settings, job.model, text_tokens) + note_of_labels(settings)


def note_of_short_text(settings: DistillationSettings, model: Model, tokens: int) -> list[str]:
    """What is to be said where the calibration text has fewer passes than the wanted updates take; else nothing."""
    wanted = wanted_updates(settings.steps, model)
    most = int(settings.passes * tokens) // settings.batch_tokens
    if not settings.enabled or most >= wanted:
        return []
    text = "pass" if settings.passes == 1 else "passes"
    return [
        f"distillation makes {most:,} of {wanted:,} updates wanted: {settings.passes:g} {text} over this text; "
        "more calibration text buys bytes"
    ]


def note_of_labels(settings: DistillationSettings) -> list[str]:
    """What is to be said where the model is trained on the calibration text, not only measured and tuned by it."""
    if not settings.enabled or not settings.labels:
        return []
    return [
        f"distillation also learns the text's own tokens (labels = {settings.labels:g}): the artifact is trained on "
        "this text, so a score on it says nothing, and its divergence from the float model is greater"
    ]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
