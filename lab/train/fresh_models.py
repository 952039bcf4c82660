"""Models with fresh weights, ready to be trained: the other end of the frontends, which read trained ones.

Strategy: an architecture that can be started afresh has one function here, from hyperparameters and a
seed to a state_dict; the frontend of the same name then makes the model of it, as it does of a
checkpoint. A frontend needs no such function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ...compiler.checkpoints.checkpoint import Checkpoint
from ...compiler.frontends import build_model
from ...compiler.frontends.architecture_file import FRONTEND_KEY
from ...compiler.frontends.parameter_golf.given import parse_given
from ...compiler.frontends.parameter_golf.hyperparameters import FRONTEND_NAME, INITIAL_PARAMETERS, Hyperparameters
from ...compiler.frontends.parameter_golf.resolution import resolve
from ...compiler.frontends.parameter_golf.shapes import expected_shapes
from ...compiler.frontends.parameter_golf.sizes import FACTORS
from ...compiler.model.model import Model
from ...errors import CheckpointError
from ...format.registry import paired

TIED_TABLE_DEVIATION = 0.005
UNTIED_TABLE_DEVIATION = 1.0
InitialState = Callable[[Mapping[str, object], int], dict[str, np.ndarray]]


def initial_model(architecture: Mapping[str, object], seed: int) -> Model:
    """A model with fresh float32 weights; equal arguments give equal weights.

    Raises CheckpointError for hyperparameters that do not fit, and when the architecture is none that
    can be started afresh.
    """
    only = next(iter(INITIAL_STATES)) if len(INITIAL_STATES) == 1 else None
    name = architecture.get(FRONTEND_KEY, only)
    if not isinstance(name, str) or name not in INITIAL_STATES:
        raise CheckpointError(f"no fresh weights for the architecture {name!r}; known are {', '.join(INITIAL_STATES)}")
    state = INITIAL_STATES[name](architecture, seed)
    checkpoint = Checkpoint(state, dict.fromkeys(state, "float32"), Path("initial weights"))
    return build_model(checkpoint, {**architecture, FRONTEND_KEY: name})


def parameter_golf_state(architecture: Mapping[str, object], seed: int) -> dict[str, np.ndarray]:
    """Fresh weights as the challenge starts them: projections back into the residual stream are zero."""
    given = parse_given(architecture)
    hyperparameters = resolve(given, {}).hyperparameters
    gain = given.values.get("qk_gain_init", INITIAL_PARAMETERS["qk_gain_init"].default)
    generator = np.random.default_rng(seed)
    shapes = expected_shapes(hyperparameters)
    return {name: _golf_tensor(name, shape, gain, hyperparameters, generator) for name, shape in shapes.items()}


def _golf_tensor(
    name: str, shape: tuple[int, ...], gain: float, h: Hyperparameters, generator: np.random.Generator
) -> np.ndarray:
    """One fresh tensor; matrices are uniform on ±1/sqrt(columns), the standard start of a linear layer."""
    if name == "tok_emb.weight":
        deviation = TIED_TABLE_DEVIATION if h.tie_embeddings else UNTIED_TABLE_DEVIATION
        return (generator.standard_normal(shape) * deviation).astype(np.float32)
    if name.endswith(("proj.weight", "lm_head.weight")) and name not in FACTORS:
        return np.zeros(shape, np.float32)
    if name.endswith(".weight"):
        bound = 1 / math.sqrt(shape[1])
        return generator.uniform(-bound, bound, shape).astype(np.float32)
    if name.endswith("resid_mix"):
        return np.stack([np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)])
    return np.full(shape, gain if name.endswith("q_gain") else 1, np.float32)


INITIAL_STATES: dict[str, InitialState] = paired([(FRONTEND_NAME, parameter_golf_state)])
