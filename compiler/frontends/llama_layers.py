"""Which layers of a gated decoder have a window, do not rotate, or have a convolution, as a config.json says.

Strategy: `layer_types` names the kind of each layer where the file has it; else the family's own rule tells, of which
`llama_family` has the kinds. A kind that no instruction computes is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import CheckpointError
from ..checkpoints.configuration import CONVOLUTION, FULL, SLIDING
from .agreement import refuse_zeros
from .llama_family import Family, Unrotated, Windows
from .llama_states import states_told

KINDS = "layer_types"
Values = Mapping[str, object]
Changes = dict[str, object]


def layers_told(values: Values, family: Family, layers: int, source: str) -> Changes:
    """Lists of layers, and the window, as far as a configuration tells them."""
    told: Changes = {}
    told |= states_told(values, family, layers, source)
    if values.get("layer_sharing"):
        raise CheckpointError(f"{source} says layer_sharing: layers that run twice, which are not read")
    if family.windows is not Windows.NONE:
        told |= _window(values, family, layers, source)
    if family.unrotated is not Unrotated.NONE:
        told["unrotated_layers"] = unrotated_layers(values, family, layers, told)
    if family.convolution:
        told["conv_layers"] = _convolutions(values, layers)
    return told


def unrotated_layers(values: Values, family: Family, layers: int, known: Values) -> list[int]:
    """Layers without rotation; `known` : `sliding_window` and `sliding_layers`, where the family has them."""
    if family.unrotated is Unrotated.UNLESS_SAID:
        return [] if values.get("position_embedding_type") == "rope" else list(range(layers))
    if family.unrotated is not Unrotated.LISTED:
        windowed = known.get("sliding_layers")
        windowed = windowed if isinstance(windowed, list) else []
        if known.get("sliding_window") == 0:  # of which the two kinds make the opposite
            return [] if family.unrotated is Unrotated.FULL_OF_TWO else list(range(layers))
        return [layer for layer in range(layers) if layer not in windowed]
    rotated = values.get("no_rope_layers")
    if isinstance(rotated, list):
        _check_length("no_rope_layers", rotated, layers)
        return [layer for layer, told in enumerate(rotated) if not told]
    interval = values.get("no_rope_layer_interval")
    period = interval if isinstance(interval, int) and interval > 0 else 4
    return [layer for layer in range(layers) if (layer + 1) % period == 0]


def windowed_layers(values: Values, family: Family, layers: int) -> list[int]:
    """The layers with a window, where they have one."""
    kinds = values.get(KINDS)
    if family.windows is not Windows.ALL and isinstance(kinds, list):
        _check_kinds(kinds, layers, (SLIDING, FULL))
        return [layer for layer, kind in enumerate(kinds) if kind == SLIDING]
    if family.windows is Windows.LATE:
        first = values.get("max_window_layers")
        return list(range(first if isinstance(first, int) else family.max_window_layers, layers))
    if family.windows is Windows.UNROTATED:
        return unrotated_layers(values, family, layers, {})
    told = values.get(family.period_key)
    if isinstance(told, str):
        raise CheckpointError(
            f"{family.period_key} is a text, which its code does not read; say {KINDS}, layer by layer"
        )
    period = told if isinstance(told, int) and told > 0 else family.period
    behind = 0 if family.period_first else 1
    return [layer for layer in range(layers) if family.windows is Windows.ALL or (layer + behind) % period]


def _window(values: Values, family: Family, layers: int, source: str) -> Changes:
    """The sliding window and the layers that have it, as far as told."""
    listed = isinstance(values.get(KINDS), list)  # which SmolLM3's code believes whatever else is said
    asked = family.windows is Windows.LATE or (family.windows is Windows.UNROTATED and not listed)
    window = values.get("sliding_window")
    off = (asked and not values.get("use_sliding_window")) or ("sliding_window" in values and window is None)
    refuse_zeros(values, () if off else ("sliding_window",), source)
    none = off and not family.local_rotation  # else they rotate otherwise, and a wrong list of kinds is told
    told: Changes = {"sliding_layers": [] if none else windowed_layers(values, family, layers)}
    if family.half_window and isinstance(window, int):
        window //= 2
    return told | ({"sliding_window": 0} if off else {"sliding_window": window})


def _convolutions(values: Values, layers: int) -> list[int]:
    kinds, full = values.get(KINDS), values.get("full_attn_idxs")
    if isinstance(kinds, list):
        _check_kinds(kinds, layers, (CONVOLUTION, FULL))
        return [layer for layer, kind in enumerate(kinds) if kind == CONVOLUTION]
    return [layer for layer in range(layers) if isinstance(full, list) and layer not in full]


def _check_kinds(kinds: list[object], layers: int, known: tuple[str, str]) -> None:
    _check_length(KINDS, kinds, layers)
    other = next((kind for kind in kinds if kind not in known), None)
    if other is not None:
        raise CheckpointError(f"{KINDS} has {other!r}, which is no instruction; there are {known[0]} and {known[1]}")


def _check_length(name: str, told: list[object], layers: int) -> None:
    if len(told) != layers:
        raise CheckpointError(f"{name} tells of {len(told)} layers, and the tensors are of {layers}")
