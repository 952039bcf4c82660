"""What a Hugging Face config.json says of a Llama, in the hyperparameters of the frontend; and what it
says that cannot be.

Strategy: two dictionaries, what the file tells and what the code of its model type assumes where the
file is silent. Whatever would change the function and has no instruction is refused here by name, so
that no model is read as another one. Source: the configuration classes of transformers, and run.c of
llama2.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import CheckpointError
from ..checkpoints.configuration import Configuration

SAME_NAME = (
    "vocab_size",
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rope_theta",
    "rms_norm_eps",
    "tie_word_embeddings",
)
ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu": "gelu"}
SLIDING = "sliding_attention"
EVALUATED_LENGTH = 1024  # longer contexts are possible, and evaluated at this length unless one says otherwise


@dataclass(frozen=True, slots=True)
class Family:
    """What the code of a model type assumes where its configuration is silent.

    windowed : whether attention has a sliding window unless the configuration turns it off
    """

    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    bos_token_id: int | None = None
    windowed: bool = False
    sliding_window: int = 4096
    max_window_layers: int = 0


FAMILIES = {
    "llama": Family(bos_token_id=1),
    "llama2.c": Family(rms_norm_eps=1e-5, bos_token_id=1),
    "mistral": Family(bos_token_id=1, windowed=True),
    "qwen2": Family(max_window_layers=28),
    "qwen3": Family(max_window_layers=28),
}


def read_configuration(configuration: Configuration, layers: int) -> tuple[dict[str, object], dict[str, object]]:
    """(told, assumed) hyperparameters of a configuration for a model of so many layers.

    Raises CheckpointError for what no instruction computes: scaled rotations, other activations, packed weights.
    """
    values = {name: value for name, value in configuration.values.items() if value is not None}
    rope = _rope_settings(values)
    _refuse_what_is_missing(values, rope, configuration.source)
    told = {name: values[name] for name in SAME_NAME if name in values}
    if "rope_theta" in rope:
        told["rope_theta"] = rope["rope_theta"]
    if "hidden_act" in values:
        told["hidden_act"] = ACTIVATIONS[str(values["hidden_act"])]
    family = FAMILIES.get(str(values.get("model_type")))
    assumed: dict[str, object] = {}
    if family is not None:
        assumed = {"rope_theta": family.rope_theta, "rms_norm_eps": family.rms_norm_eps, "hidden_act": "silu"}
        told |= _window(configuration.values, family, layers, assumed)
    _evaluation(values, family or Family(), told, assumed)
    return told, {name: value for name, value in assumed.items() if name not in told}


def _rope_settings(values: Mapping[str, object]) -> Mapping[str, object]:
    """`rope_parameters` of newer files, `rope_scaling` of older ones."""
    found = values.get("rope_parameters") or values.get("rope_scaling") or {}
    return found if isinstance(found, Mapping) else {}


def _refuse_what_is_missing(values: Mapping[str, object], rope: Mapping[str, object], source: str) -> None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default" and not (kind == "linear" and rope.get("factor") == 1):
        raise CheckpointError(
            f"{source} scales the frequencies of the rotations ({kind!r} rope scaling), "
            "and the program's rope has none but base^(-2j/r); this model cannot be expressed yet"
        )
    if values.get("partial_rotary_factor", rope.get("partial_rotary_factor", 1)) != 1:
        raise CheckpointError(f"{source} rotates a part of each head, which no model type known here does")
    activation = values.get("hidden_act", "silu")
    if activation not in ACTIVATIONS:
        raise CheckpointError(
            f"{source} has the activation {activation!r}, which is no instruction; there are "
            f"{', '.join(sorted(ACTIVATIONS))}"
        )
    if "quantization_config" in values:
        method = values["quantization_config"]
        method = method.get("quant_method", method) if isinstance(method, Mapping) else method
        raise CheckpointError(f"{source} says that the weights are quantized ({method}); give the model before that")


def _window(values: Mapping[str, object], family: Family, layers: int, assumed: dict[str, object]) -> dict[str, object]:
    """The sliding window and the layers that have it, as far as told; what is not goes into `assumed`."""
    on = family.windowed if family.windowed else values.get("use_sliding_window", False)
    if not on or ("sliding_window" in values and values["sliding_window"] is None):
        return {"sliding_window": 0, "sliding_layers": []}
    told = {"sliding_window": values["sliding_window"]} if "sliding_window" in values else {}
    assumed["sliding_window"] = family.sliding_window
    kinds = values.get("layer_types")
    if isinstance(kinds, list):
        return told | {"sliding_layers": [layer for layer, kind in enumerate(kinds) if kind == SLIDING]}
    first = values.get("max_window_layers", family.max_window_layers)
    return told | {"sliding_layers": list(range(first if isinstance(first, int) else 0, layers))}


def _evaluation(
    values: Mapping[str, object], family: Family, told: dict[str, object], assumed: dict[str, object]
) -> None:
    """How long sequences are and what begins a document: not of the function, but of how it is
    calibrated and scored.
    """
    longest = values.get("max_position_embeddings")
    if isinstance(longest, int) and 1 <= longest <= EVALUATED_LENGTH:
        told["seq_len"] = longest
    else:
        assumed["seq_len"] = EVALUATED_LENGTH
    beginning = values.get("bos_token_id")
    if isinstance(beginning, int):
        told["boundary_token"] = beginning
        return
    ends = values.get("eos_token_id", family.bos_token_id)
    end = ends[0] if isinstance(ends, list) and ends else ends
    assumed["boundary_token"] = end if isinstance(end, int) else 0
