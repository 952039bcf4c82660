"""Layers of a gated decoder that carry a state: mixers of Mamba-2 or delta nets in place of attention, or beside it.

Strategy: the mixers themselves are in `state_mixer` and `delta_mixer`; here is what the shapes and a config.json tell
of them, in the hyperparameters of the frontend. Source: modeling_granitemoehybrid.py, modeling_falcon_h1.py and
modeling_qwen3_5.py of transformers 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import CheckpointError
from ...files.printable import shown_value
from ..checkpoints.configuration import FULL
from . import delta_mixer, state_mixer
from .delta_mixer import DeltaSizes, delta_shapes, delta_sizes_told
from .llama_family import Family, States
from .state_mixer import (
    GATE,
    READ,
    STEP,
    WRITE,
    MixerSizes,
    X,
    mixer_shapes,
    refuse_limits,
    sizes_told,
    state_of_group,
)

KINDS = ("layer_types", "layers_block_type")  # the latter in older files of Granite's hybrids
CARRYING, ATTENDING = ("mamba", "linear_attention"), ("attention", FULL)
IN_PLACE = ("state_layers",)
OF_MIXERS = ("mamba_d_ssm", "mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_d_conv")
OF_NORMS = ("mamba_rms_norm", "mamba_norm_before_gate")  # where they are not the same in all models of a family
DELTA_ASSUMED = {  # hyperparameters of delta nets, with what their code assumes
    **{"linear_num_value_heads": 32, "linear_num_key_heads": 16, "linear_value_head_dim": 128},
    **{"linear_key_head_dim": 128, "linear_conv_kernel_dim": 4},
}
OF_DELTA = tuple(DELTA_ASSUMED)
OF_SHAPES = {"mamba_d_ssm": "inner", "mamba_n_heads": "heads", "mamba_d_conv": "taps"} | {
    "linear_num_value_heads": "heads",
    "linear_value_head_dim": "value",
    "linear_conv_kernel_dim": "taps",
}
MULTIPLIERS = {  # names of the numbers that a configuration gives in a list
    "mlp_multipliers": ("gate_multiplier", "down_multiplier"),
    "ssm_multipliers": tuple(f"ssm_{part}_multiplier" for part in (GATE, X, WRITE, READ, STEP)),
}
MODULES = {States.IN_PLACE: "mamba", States.BESIDE: "mamba", States.DELTA: "linear_attn"}  # names within a layer
NAMES = {"mamba": state_mixer.NAMES, "linear_attn": delta_mixer.NAMES}
MIXER = re.compile(rf"(?P<at>.*layers\.(?P<layer>\d{{1,4}})\.(?P<module>{'|'.join(NAMES)})\.)(?P<inner>.+)")
PERIOD = 4  # of delta nets, of which so many layers have one of attention
Values = Mapping[str, object]
Changes = dict[str, object]


def hyperparameters_of(states: States) -> tuple[str, ...]:
    """Those that a family with such layers has, but for what it assumes."""
    in_place = {States.IN_PLACE: (*IN_PLACE, *OF_MIXERS), States.DELTA: (*IN_PLACE, *OF_DELTA)}
    return {States.NONE: (), States.BESIDE: (*OF_MIXERS, *OF_NORMS), **in_place}[states]


def module_of_a_mixer(name: str) -> str:
    """The module, of those in MODULES, that a stored tensor belongs to; "" where it is of no layer's mixer."""
    match = MIXER.fullmatch(name)
    return match["module"] if match is not None and NAMES[match["module"]].fullmatch(match["inner"]) else ""


def shapes_of_mixer(
    at: str, sizes: MixerSizes | DeltaSizes, tensors: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors of the mixer whose names begin by `at`."""
    return delta_shapes(at, sizes) if isinstance(sizes, DeltaSizes) else mixer_shapes(at, sizes, tensors)


def states_from_shapes(tensors: Mapping[str, np.ndarray], family: Family) -> dict[str, Any]:
    """What the tensors tell, 0 of mixers where there are none; and `width`, of all groups, for `complete_states`."""
    if family.states is States.NONE:
        return {}
    mixers = {int(match["layer"]): match["at"] for name in tensors if (match := MIXER.fullmatch(name))}
    delta, of = family.states is States.DELTA, hyperparameters_of(family.states)
    shapes: dict[str, Any] = {"state_layers": sorted(mixers)} if "state_layers" in of else {}
    if not mixers and "state_layers" in of:
        return dict.fromkeys(of, 0) | shapes
    told = (delta_sizes_told if delta else sizes_told)(mixers[min(mixers)], tensors) if mixers else {}
    shapes |= {name: told[size] for name, size in OF_SHAPES.items() if size in told and name in of}
    if family.states is States.BESIDE:
        shapes["mamba_rms_norm"] = any(f"{at}norm.weight" in tensors for at in mixers.values())
    return shapes | ({"width": told["width"]} if "width" in told else {})


def complete_states(shapes: dict[str, Any], known: Mapping[str, Any]) -> None:
    """The state of a group: the tensors tell the width of all."""
    width = shapes.pop("width", None)
    delta = "linear_num_value_heads" in shapes
    number, size = ("linear_num_key_heads", "linear_key_head_dim") if delta else ("mamba_n_groups", "mamba_d_state")
    if width is not None and known.get(number):
        shapes[size] = state_of_group(width, known[number], number)


def states_told(values: Values, family: Family, layers: int, source: str) -> Changes:
    """What a configuration tells of states.

    Raises CheckpointError for experts, and for limits of the steps.
    """
    if family.states is States.NONE:
        return {}
    told: Changes = {}
    if family.states is States.DELTA:
        told["state_layers"] = _carrying(values, layers, source, PERIOD)
        sizes = OF_DELTA if told["state_layers"] else ()
        return told | {name: values.get(name) for name in sizes if values.get(name) is not None}
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


def _carrying(values: Values, layers: int, source: str, period: int = 0) -> list[int]:
    """The layers with a state in place of attention; where nothing is said all, or all but every n-th of a period."""
    kinds = next((values[name] for name in KINDS if values.get(name) is not None), None)
    if not isinstance(kinds, list):
        told = values.get("full_attention_interval", period)
        period = told if period and isinstance(told, int) and told > 0 else period
        return [layer for layer in range(layers) if not period or (layer + 1) % period]
    other = next((kind for kind in kinds if kind not in (*CARRYING, *ATTENDING)), None)
    if len(kinds) != layers or other is not None:
        wrong = f"has the kind of layer {shown_value(other)}" if other is not None else f"tells of {len(kinds)} layers"
        known = f"{CARRYING[bool(period)]!r} or {ATTENDING[bool(period)]!r}"
        raise CheckpointError(f"{source} {wrong}; there are {layers} layers, each {known}")
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
