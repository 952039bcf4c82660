"""What a compile did, as data: the source of `compile --json` and of the printed report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...files.ledger import Ledger
from ...format.artifact import decode_tensors, read_artifact
from ...format.inspection import inspect_artifact
from ..menu.candidate_tables import candidate_tables
from ..quantize.composite import CompositeMatrix, Quantized
from ..rate_control.landing import Landing
from ..rate_control.trials import Trials
from ..statistics.swaps import measure_divergences


def build_report(trials: Trials, landing: Landing, ledger: Ledger, seconds: dict[str, float]) -> dict:
    """JSON-able report of a compile; bytes are integers that add up to the artifact, losses are nats a token."""
    model, trial = trials.model, landing.trial
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
            "quantizer": _quantizer(trial.quantized[index]),
            "predicted_loss": trial.quantized[index].predicted_loss,
        }
        for index, tensor in enumerate(model.tensors)
    ]
    return {
        "architecture": dict(model.architecture),
        "defaults": list(model.defaults),
        "calibration_tokens": trials.statistics.tokens,
        "weights": weights,
        "byte_price": trial.byte_price,
        "trials": [{"byte_price": price, "bytes": size} for price, size in landing.tried],
        "at_finest_steps": landing.at_finest,
        "predicted_loss": sum(t["predicted_loss"] for t in tensors),
        "measured_loss": _measured_loss(trials, arrays),
        "held_out_tokens": int(trials.held_out.size),
        "bits_per_weight": 8 * ledger.artifact_bytes / weights,
        "recipe": trials.plan.to_toml(),
        "profiles": trials.profile_bytes(trial),
        "seconds": seconds,
        "tensors": tensors,
        "metadata": [{"name": row.name, "bytes": row.bytes} for row in found.metadata],
        "candidates": candidate_tables(trials, landing),
    }


def _quantizer(quantized: Quantized) -> str:
    """The kind of candidate, or of integers where the matrix is one grid."""
    if isinstance(quantized, CompositeMatrix):
        return " ".join(map(str, (quantized.kind, *quantized.setting)))
    return f"trellis-{states}" if (states := quantized.grid.trellis_states) else "uniform"


def _measured_loss(trials: Trials, arrays: Sequence[np.ndarray]) -> float | None:
    """KL divergence from the float model in nats a token on the held-out sequences; None without any."""
    if not len(trials.held_out):
        return None
    return measure_divergences(trials.model, [dict(enumerate(arrays))], trials.held_out, threads=trials.threads)[0]
