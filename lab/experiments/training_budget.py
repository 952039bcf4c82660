"""How much a training may cost: minutes of this machine turned into floating-point operations, and those into updates.

Strategy: the speed of one model's training is measured once and kept with the experiment's parts, so that a
run that goes on later gives each model what the first run would have. On the CPU it is processor time that
counts, which neighbours do not change; elsewhere wall time.
"""

from __future__ import annotations

import time

import numpy as np

from ...compiler.model.model import Model
from ..train.program_cost import training_flops
from ..train.training import Schedule, train_model
from .keeping import KeptParts

UNMEASURED, MEASURED = 2, 6  # updates
LEAST_UPDATES = 10


def training_clock(device: str) -> float:
    """Seconds: of all this process's threads on the CPU, of the wall elsewhere."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def measured_speed(
    kept: KeptParts, model: Model, tokens: np.ndarray, *, batch_sequences: int, device: str, threads: int
) -> float:
    """Floating-point operations a second in training `model`; measured once a folder."""
    update_flops = training_flops(model) * batch_sequences * model.program.sequence_length

    def measure() -> float:
        times: list[float] = []
        train_model(
            model,
            tokens,
            Schedule(UNMEASURED + MEASURED, batch_sequences, seed=0),
            device=device,
            threads=threads,
            progress=lambda done, total: times.append(training_clock(device)),
        )
        return MEASURED * update_flops / max(times[-1] - times[UNMEASURED - 1], 1e-9)

    return float(
        kept.part(
            "speed", {"update_flops": update_flops, "device": device, "batch_sequences": batch_sequences}, measure
        )
    )


def affordable_updates(model: Model, flops: float, batch_sequences: int) -> int:
    """Updates of so many sequences that `flops` pay for, LEAST_UPDATES at least."""
    return max(LEAST_UPDATES, round(flops / (training_flops(model) * batch_sequences * model.program.sequence_length)))
