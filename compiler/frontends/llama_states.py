"""Layers of a gated decoder that carry a state: mixers of Mamba-2 in place of attention, or beside it.

Strategy: the mixers themselves are in `state_mixer`; here is what the shapes and a config.json tell of them, in the
hyperparameters of the frontend. Source: modeling_granitemoehybrid.py and modeling_falcon_h1.py of transformers 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import CheckpointError
from ...files.printable import shown_value
from ..checkpoints.configuration import FULL
from .llama_family import Family, States
from .state_mixer import GATE, NAMES, READ, STEP, WRITE, X, refuse_limits, sizes_told, state_of_group

KINDS = ("layer_types", "layers_block_type")  # the latter in older files of Granite's hybrids
CARRYING, ATTENDING = ("mamba", "linear_attention"), ("attention", FULL)
IN_PLACE = ("state_layers",)
OF_MIXERS = ("mamba_d_ssm", "mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_d_conv")
OF_NORMS = ("mamba_rms_norm", "mamba_norm_before_gate")  # where they are not the same in all models of a family
OF_SHAPES = {"mamba_d_ssm": "inner", "mamba_n_heads": "heads", "mamba_d_conv": "taps"}
MULTIPLIERS = {  # names of the numbers that a configuration gives in a list
    "mlp_multipliers": ("gate_multiplier", "down_multiplier"),
    "ssm_multipliers": tuple(f"ssm_{part}_multiplier" for part in (GATE, X, WRITE, READ, STEP)),
}
MIXER = re.compile(r"(?P<at>.*layers\.(?P<layer>\d{1,4})\.mamba\.)(?P<inner>.+)")
Values = Mapping[str, object]
Changes = dict[str, object]


def hyperparameters_of(states: States) -> tuple[str, ...]:
    """Those that a family with such layers has, but for what it assumes."""
    return {States.NONE: (), States.IN_PLACE: (*IN_PLACE, *OF_MIXERS), States.BESIDE: (*OF_MIXERS, *OF_NORMS)}[states]


def is_of_a_mixer(name: str) -> bool:
    """Whether a stored tensor is one of a layer's mixer."""
    match = MIXER.fullmatch(name)
    return match is not None and NAMES.fullmatch(match["inner"]) is not None


def states_from_shapes(tensors: Mapping[str, np.ndarray], family: Family) -> dict[str, Any]:
    """What the tensors tell, 0 of mixers where there are none; and `width`, of all groups, for `complete_states`."""
    if family.states is States.NONE:
        return {}
    mixers = {int(match["layer"]): match["at"] for name in tensors if (match := MIXER.fullmatch(name))}
    shapes: dict[str, Any] = {"state_layers": sorted(mixers)} if family.states is States.IN_PLACE else {}
    if not mixers and family.states is States.IN_PLACE:
        return shapes | dict.fromkeys(OF_MIXERS, 0)
    told = sizes_told(mixers[min(mixers)], tensors) if mixers else {}
    shapes |= {name: told[size] for name, size in OF_SHAPES.items() if size in told}
    if family.states is States.BESIDE:
        shapes["mamba_rms_norm"] = any(f"{at}norm.weight" in tensors for at in mixers.values())
    return shapes | ({"width": told["width"]} if "width" in told else {})


def complete_states(shapes: dict[str, Any], known: Mapping[str, Any]) -> None:
    """The state of a group: the tensors tell the width of all."""
    width, groups = shapes.pop("width", None), known.get("mamba_n_groups")
    if width is not None and groups:
        shapes["mamba_d_state"] = state_of_group(width, groups, "mamba_n_groups")


def states_told(values: Values, family: Family, layers: int, source: str) -> Changes:
    """What a configuration tells of states.

    Raises CheckpointError for experts, and for limits of the steps.
    """
    if family.states is States.NONE:
        return {}
    told: Changes = {}
    if family.states is States.IN_PLACE:
        told["state_layers"] = _carrying(values, layers, source)
        if values.get("num_local_experts", 1):  # which silence means, too
            raise CheckpointError(f"{source} sends each token to a few of its experts, which no instruction computes")
        if not told["state_layers"]:
            return told
    told |= {name: values.get(name) for name in OF_MIXERS if values.get(name) is not None}
    if family.states is States.BESIDE:
        told |= {name: values.get(name) for name in OF_NORMS if values.get(name) is not None}
    refuse_limits(values.get("time_step_limit"), "time_step_limit", source)
    return told


def _carrying(values: Values, layers: int, source: str) -> list[int]:
    """The layers with a state in place of attention: all where nothing is said."""
    kinds = next((values[name] for name in KINDS if values.get(name) is not None), None)
    if not isinstance(kinds, list):
        return list(range(layers))
    other = next((kind for kind in kinds if kind not in (*CARRYING, *ATTENDING)), None)
    if len(kinds) != layers or other is not None:
        wrong = f"has the kind of layer {shown_value(other)}" if other is not None else f"tells of {len(kinds)} layers"
        raise CheckpointError(f"{source} {wrong}; there are {layers} layers, each 'mamba' or 'attention'")
    return [layer for layer, kind in enumerate(kinds) if kind in CARRYING]


def spread_multipliers(values: Values, source: str) -> Changes:
    """The numbers that a configuration gives in lists, by names of their own."""
    told: Changes = {}
    for name, names in MULTIPLIERS.items():
        numbers = values.get(name)
        if numbers is None:
            continue
        if not isinstance(numbers, list) or len(numbers) != len(names):
            raise CheckpointError(f"{source}: {name} is {shown_value(numbers)}; it must be {len(names)} numbers")
        told |= dict(zip(names, numbers, strict=True))
    return told
