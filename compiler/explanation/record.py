"""What a compile did, as data: the source of `compile --json` and of the printed report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...files.ledger import Ledger
from ...format.artifact import decode_tensors, read_artifact
from ...format.inspection import inspect_artifact
from ..job import CompileJob
from ..rate_control.artifacts import profile_bytes
from ..rate_control.landing import Landing
from ..statistics.swaps import measure_divergences
from .prediction import judge_prediction


def build_report(
    job: CompileJob, landing: Landing, ledger: Ledger, seconds: dict[str, float], candidates: dict | None = None
) -> dict:
    """JSON-able report of a compile; bytes are integers that add up to the artifact, losses are nats a token.

    seconds : by stage; candidates : the tables of the menu, where the recipe asked for one
    """
    model, trial = job.model, landing.trial
    arrays = decode_tensors(read_artifact(trial.data))
    found = inspect_artifact(trial.data)
    rows = found.tensors
    weights = sum(t.values.size for t in model.tensors)
    tensors = [
        {
            "name": tensor.name,
            "shape": list(tensor.values.shape),
            "elements": tensor.values.size,
            "bytes": rows[index].bytes,
            "bits_per_weight": rows[index].bits_per_weight,
            "set_bytes": sum(term.set_bytes for term in rows[index].terms),
            "book_bytes": sum(term.book_bytes for term in rows[index].terms),
            "quantizer": trial.quantized[index].label,
            "predicted_loss": trial.quantized[index].predicted_loss,
        }
        for index, tensor in enumerate(model.tensors)
    ]
    predicted, measured = sum(t["predicted_loss"] for t in tensors), _measured_loss(job, arrays)
    return {
        "architecture": dict(model.architecture),
        "defaults": list(model.defaults),
        "told": dict(model.told),
        "notes": list(model.notes),
        "weights_read": model.weights,
        "calibration_tokens": job.statistics.tokens,
        "weights": weights,
        "byte_price": trial.byte_price,
        "trials": [{"byte_price": price, "bytes": size} for price, size in landing.tried],
        "at_finest_steps": landing.at_finest,
        "predicted_loss": predicted,
        "measured_loss": measured,
        "prediction": judge_prediction(job, predicted, measured),
        "held_out_tokens": int(job.held_out.size),
        "bits_per_weight": 8 * ledger.artifact_bytes / weights,
        "recipe": job.recipe.to_toml(),
        "profiles": profile_bytes(job, trial),
        "seconds": seconds,
        "tensors": tensors,
        "metadata": [{"name": row.name, "bytes": row.bytes} for row in found.metadata],
        "candidates": candidates,
    }


def _measured_loss(job: CompileJob, arrays: Sequence[np.ndarray]) -> float | None:
    """KL divergence from the float model in nats a token on the held-out sequences; None without any."""
    if not len(job.held_out):
        return None
    how = {"threads": job.threads, "device": job.device}
    return measure_divergences(job.model, [dict(enumerate(arrays))], job.held_out, **how)[0]
