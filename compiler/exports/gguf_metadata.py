"""A Hugging Face configuration as the metadata of a GGUF file: the inverse of checkpoints/gguf_configuration.py.

Strategy: the keys that all architectures share come from the same table that reading uses. llama.cpp has
some of a model's numbers as constants of its architecture; a configuration that says otherwise is refused
by name, since the file would be another model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import OutputError
from ..checkpoints.configuration import SLIDING
from ..checkpoints.gguf_configuration import GLOBAL_EVERY, KEYS, LOCAL_ROPE_BASE, RENAMED, SCALED_BY_WIDTH
from ..checkpoints.gguf_names import ARCHITECTURES
from ..checkpoints.gguf_own_words import (
    EXAONE_LAYERS_WITH_WINDOWS,
    OWN_KEYS,
    key_heads,
    length_of_lfm2,
    scales_of_minicpm,
)
from ..frontends.llama_configuration import rope_settings
from ..frontends.llama_families import FAMILIES, MULTIMODAL
from ..frontends.rope_scaling import base_by_alpha
from .gguf_agreement import refuse_another_model

ALIASES = {
    "mistral": "llama",
    "gemma3": "gemma3",
}  # model types that llama.cpp calls otherwise
BY_MODEL_TYPE = {architecture.model_type: name for name, architecture in ARCHITECTURES.items()} | ALIASES
DEFAULTS: Mapping[str, Mapping[str, object]] = {  # of the architectures that are no gated decoders
    "gpt2": {"layer_norm_eps": 1e-5},
    "gptneox": {
        "layer_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "partial_rotary_factor": 0.25,
        "use_parallel_residual": True,
    },
    "phi2": {"layer_norm_eps": 1e-5, "rope_theta": 10_000.0, "partial_rotary_factor": 0.5},
    "stablelm": {"layer_norm_eps": 1e-5, "rope_theta": 10_000.0, "partial_rotary_factor": 0.25},
}
GELUS = {  # which llama.cpp computes where Hugging Face has a choice
    "gpt2": ("activation_function", ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")),
    "phi2": ("hidden_act", ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")),
    "gptneox": ("hidden_act", ("gelu",)),
    "stablelm": ("hidden_act", ("silu",)),
}
MISTRAL_WINDOW = 4096  # unless the file says null
FILLED_BY_HEADS = ("exaone4", "nemotron")  # whose width is that of all queries
WITHOUT_ROTATION = ("gpt2",)
WINDOWED = ("gemma2", "gemma3")  # architectures whose windows llama.cpp computes


def gguf_metadata(configuration: Mapping[str, object]) -> tuple[str, dict[str, object], np.ndarray | None]:
    """(architecture, metadata without the tokenizer's, `llama3_factors`) of a configuration.

    Raises OutputError for a model type that llama.cpp does not know, or knows with other constants.
    """
    model_type = str(configuration.get("model_type"))
    architecture = BY_MODEL_TYPE.get(model_type)
    if architecture is None:
        raise OutputError(
            f"a GGUF file of a {model_type!r} cannot be written; known are {', '.join(sorted(BY_MODEL_TYPE))}"
        )
    values = _values(architecture, configuration)
    _refuse_other_constants(architecture, values)
    metadata = {f"{architecture}.{theirs}": values[ours] for theirs, ours in KEYS.items() if ours in values}
    own = OWN_KEYS.get(architecture, {})
    metadata |= {f"{architecture}.{theirs}": values[ours] for theirs, ours in own.items() if values.get(ours)}
    if architecture == "minicpm":
        metadata |= {f"{architecture}.{name}": value for name, value in scales_of_minicpm(values).items()}
    metadata[f"{architecture}.attention.value_length"] = values["head_dim"]
    if architecture not in WITHOUT_ROTATION:
        rotated = int(values["head_dim"] * float(values.get("partial_rotary_factor", 1)))
        metadata[f"{architecture}.rope.dimension_count"] = rotated
        metadata |= {f"{architecture}.{name}": value for name, value in _scaling(values).items()}
    for name in ("sliding_window", "attn_logit_softcapping", "final_logit_softcapping"):
        if architecture not in WINDOWED:
            metadata.pop(f"{architecture}.{next(theirs for theirs, ours in KEYS.items() if ours == name)}", None)
    factors = llama3_factors(configuration)
    refuse_another_model(configuration, architecture, metadata, {} if factors is None else {"all": factors})
    return architecture, metadata, factors


def _values(architecture: str, configuration: Mapping[str, object]) -> dict:
    """The configuration under the names of `KEYS`, complete as far as llama.cpp needs it."""
    theirs = {old: new for new, old in RENAMED.get(architecture, {}).items()}
    values = {theirs.get(name, name): value for name, value in configuration.items() if value is not None}
    rope = rope_settings(values)
    if architecture == "hunyuan-dense":
        rope = {**rope, **_base_of_hunyuan(rope, values)}
    values |= {name: rope[name] for name in ("rope_theta", "partial_rotary_factor") if name in rope}
    local = (values.get("rope_parameters") or {}).get(SLIDING) or {}
    values |= {"rope_local_base_freq": local["rope_theta"]} if "rope_theta" in local else {}
    values = {**_defaults(architecture, str(configuration.get("model_type"))), **values}
    if configuration.get("model_type") == "mistral" and "sliding_window" not in configuration:
        values["sliding_window"] = MISTRAL_WINDOW
    missing = [name for name in ("hidden_size", "num_hidden_layers", "num_attention_heads") if name not in values]
    if missing:
        raise OutputError(f"the artifact's configuration does not say {', '.join(missing)}, which a GGUF file needs")
    values.setdefault("num_key_value_heads", values["num_attention_heads"])
    values.setdefault("head_dim", values["hidden_size"] // values["num_attention_heads"])
    if architecture == "lfm2":
        values |= {"num_key_value_heads": key_heads(values), "intermediate_size": length_of_lfm2(values)}
    values.setdefault("intermediate_size", 4 * values["hidden_size"])
    values.setdefault("max_position_embeddings", 2048)
    return values


def _base_of_hunyuan(rope: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
    """The base of rotations that an alpha scales, as the file has it; nothing where none does."""
    alpha, width = rope.get("alpha"), values.get("head_dim")
    base = rope.get("rope_theta", values.get("rope_theta", 10_000.0))
    if not (isinstance(alpha, int | float) and isinstance(width, int) and isinstance(base, int | float) and width > 2):
        return {}
    return {"rope_theta": base_by_alpha(base, alpha, width)}


def _defaults(architecture: str, model_type: str) -> Mapping[str, object]:
    """What Hugging Face's class assumes where a config.json is silent."""
    family = FAMILIES.get(MULTIMODAL.get(model_type, model_type))
    if family is None:
        return DEFAULTS[architecture]
    head = {} if family.head_dim is None else {"head_dim": family.head_dim}
    own = {**OWN_KEYS.get(architecture, {}), "": "partial_rotary_factor"}.values()
    said = {name: family.assumes[name] for name in own if name in family.assumes}
    epsilon = "layer_norm_eps" if family.layer_norms else "rms_norm_eps"
    return {epsilon: family.epsilon, "rope_theta": family.rope_theta, **head, **said}


def _scaling(values: Mapping[str, object]) -> dict[str, object]:
    """Scaled rotations, as far as GGUF has words for them; the factors of "llama3" and "longrope" are tensors."""
    scaling = rope_settings(values)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind in ("default", "llama3") or scaling.get("alpha"):  # of which the base has taken account
        return {}
    if kind not in ("linear", "yarn"):
        raise OutputError(f"rotations scaled by {kind!r} cannot be written to a GGUF file")
    original = scaling.get("original_max_position_embeddings")
    found = {"rope.scaling.type": kind, "rope.scaling.factor": float(scaling["factor"])}
    return found | ({} if original is None else {"rope.scaling.original_context_length": original})


def llama3_factors(configuration: Mapping[str, object]) -> np.ndarray | None:
    """float32 [r/2] by which llama.cpp divides the frequencies of a Llama 3, None for other models.

    Source: Meta's apply_scaling; wavelengths between the two bounds are interpolated.
    """
    scaling = rope_settings(configuration)
    if scaling.get("rope_type", scaling.get("type")) != "llama3":
        return None
    values = _values("llama", configuration)
    width, base = int(values["head_dim"]), float(values["rope_theta"])
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    original, factor = float(scaling["original_max_position_embeddings"]), float(scaling["factor"])
    wavelengths = 2 * np.pi * base ** (np.arange(0, width, 2) / width)
    smooth = np.clip((original / wavelengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def _refuse_other_constants(architecture: str, values: Mapping[str, object]) -> None:
    """OutputError where llama.cpp would compute something else than the configuration says."""
    window, longest = values.get("sliding_window"), values["max_position_embeddings"]
    used = values.get("use_sliding_window", architecture in ("llama", "phi3"))
    if architecture not in WINDOWED and window and used and window < longest:
        raise OutputError(f"llama.cpp has no sliding window of {window} for {architecture}; write a folder")
    if architecture == "exaone4" and values["num_hidden_layers"] == EXAONE_LAYERS_WITH_WINDOWS:
        raise OutputError("llama.cpp has windows in an exaone4 of 64 layers, whatever a GGUF file says; write a folder")
    width, heads = values["hidden_size"], values["num_attention_heads"]
    if architecture in FILLED_BY_HEADS and values["head_dim"] * heads != width:
        raise OutputError(f"llama.cpp's {architecture} has heads of {width // heads} in a stream of {width} alone")
    head = values["head_dim"]
    if SCALED_BY_WIDTH.get(architecture) == values["num_hidden_layers"]:
        head = values["hidden_size"] // values["num_attention_heads"]
    if architecture in SCALED_BY_WIDTH and values.get("query_pre_attn_scalar", head) != head:
        raise OutputError(f"llama.cpp scales the scores of {architecture} by the width {head} alone")
    if architecture == "gemma3":
        count = values["num_hidden_layers"]
        usual = [("full" if (n + 1) % GLOBAL_EVERY == 0 else "sliding") + "_attention" for n in range(count)]
        local = values.get("rope_local_base_freq", LOCAL_ROPE_BASE)
        if values.get("layer_types", usual) != usual or local != LOCAL_ROPE_BASE:
            raise OutputError("llama.cpp has Gemma 3's windows in five of six layers, with rotations of base 10,000")
    name, computed = GELUS.get(architecture, ("", ("",)))
    if values.get(name, computed[0]) not in computed:
        raise OutputError(f"llama.cpp computes {computed[0]} in {architecture}, not {values[name]}")
    if values.get("scale_attn_by_inverse_layer_idx") or not values.get("scale_attn_weights", True):
        raise OutputError("llama.cpp scales all scores of gpt2 by their width alone")
