"""How much a training may cost: minutes of this machine turned into floating-point operations, and those into steps.

Strategy: the speed of one model's training is measured once and kept with the experiment's parts, so that a run that goes on later
gives each model what the first run would have. On the CPU it is processor time that counts, which neighbours do not
change; elsewhere wall time.
"""

from __future__ import annotations

import time

import numpy as np

from ...compiler.model.model import Model
from ..train.program_cost import training_flops
from ..train.training import train_model
from .keeping import KeptParts

UNMEASURED_STEPS, MEASURED_STEPS = 2, 6
LEAST_STEPS = 10


def training_clock(device: str) -> float:
    """Seconds: of all this process's threads on the CPU, of the wall elsewhere."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def measured_speed(
    kept: KeptParts, model: Model, tokens: np.ndarray, *, batch_sequences: int, device: str, threads: int
) -> float:
    """Floating-point operations a second in training `model`; measured once a folder."""
    step_flops = training_flops(model) * batch_sequences * model.program.sequence_length

    def measure() -> float:
        times: list[float] = []
        train_model(
            model, tokens, steps=UNMEASURED_STEPS + MEASURED_STEPS, batch_sequences=batch_sequences, seed=0, device=device, threads=threads,
            progress=lambda done, total: times.append(training_clock(device)),
        )  # fmt: skip
        return MEASURED_STEPS * step_flops / max(times[-1] - times[UNMEASURED_STEPS - 1], 1e-9)

    return float(
        kept.part("speed", {"step_flops": step_flops, "device": device, "batch_sequences": batch_sequences}, measure)
    )


def affordable_training_steps(model: Model, flops: float, batch_sequences: int) -> int:
    """Steps of so many sequences that `flops` pay for, LEAST_STEPS at least."""
    return max(LEAST_STEPS, round(flops / (training_flops(model) * batch_sequences * model.program.sequence_length)))
