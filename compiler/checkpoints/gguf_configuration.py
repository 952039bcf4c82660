"""The metadata of a GGUF file as a Hugging Face configuration.

Strategy: one table of keys that all architectures share, and the few that one has for itself. What the file does not
say is left out, so that frontends assume it by name and say so. Factors of the rotations' frequencies, which GGUF keeps
as a tensor, become Hugging Face's own word for them: "longrope", with one list for every length.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from .configuration import FULL, SLIDING, Configuration
from .gguf_names import ARCHITECTURES, part_of
from .gguf_own_words import OWN_KEYS, constants_of_llama_cpp, kinds_of_layers

SOURCE = "its GGUF metadata"
KEYS = {  # after "ARCHITECTURE."
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_eps",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "rope.freq_base": "rope_theta",
    "use_parallel_residual": "use_parallel_residual",
    "vocab_size": "vocab_size",
}
NONE_IS_ZERO = ("sliding_window", "attn_logit_softcapping", "final_logit_softcapping")  # in GGUF
TOKENIZER_KEYS = {"tokenizer.ggml.bos_token_id": "bos_token_id", "tokenizer.ggml.eos_token_id": "eos_token_id"}
GPT2_NAMES = {
    "max_position_embeddings": "n_positions",
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "layer_norm_eps": "layer_norm_epsilon",
}
NEOX_NAMES = {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}
RENAMED = {  # by architecture, whose class in transformers reads no others
    "gpt2": GPT2_NAMES,
    "gptneox": NEOX_NAMES,
    "lfm2": {"rms_norm_eps": "norm_eps"},
    "nemotron": {"layer_norm_eps": "norm_eps"},
}
ACTIVATIONS = {  # which llama.cpp computes for an architecture, under Hugging Face's key
    "gemma": {"hidden_activation": "gelu_pytorch_tanh"},
    "gemma2": {"hidden_activation": "gelu_pytorch_tanh"},
    "gemma3": {"hidden_activation": "gelu_pytorch_tanh"},
    "gpt2": {"activation_function": "gelu_new"},
    "gptneox": {"hidden_act": "gelu"},
    "phi2": {"hidden_act": "gelu_new"},
    "arcee": {"hidden_act": "relu2"},
    "nemotron": {"hidden_act": "relu2"},
}
SILU = {"hidden_act": "silu"}  # of all others here
LOCAL_ROPE_BASE = 10_000.0  # of Gemma 3's layers with a window, where llama.cpp has it as a constant
GLOBAL_EVERY = 6
MOST_LAYERS = 1 << 12
SINGLE = (  # besides KEYS, which may stand once a layer as well
    "expert_count",
    "rope.dimension_count",
    "rope.freq_base_swa",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "attention.causal",
    "rope.scaling.original_context_length",
)
ATTENTION_BIAS = {"attention_bias": {"attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output"}}
ALL_BIASES = ATTENTION_BIAS | {"mlp_bias": {"ffn_gate", "ffn_up", "ffn_down"}}
BIASES = {  # by architecture, the keys that Hugging Face's class asks, and of which parts they say that there is one
    **dict.fromkeys(("qwen3", "gemma", "gemma2", "gemma3", "olmo2"), ATTENTION_BIAS),
    **dict.fromkeys(("llama", "smollm3", "granite", "nemotron"), ALL_BIASES),
    "stablelm": {"use_qkv_bias": {"attn_q", "attn_k", "attn_v"}},
}
ROTATE_PARTLY = (
    "gptneox",
    "phi2",
    "stablelm",
    "nemotron",
)  # Hugging Face's classes assume a part where nothing is said
SCALED_BY_WIDTH = {"gemma2": 46, "gemma3": 62}  # layers of the one size whose scores llama.cpp scales by width / heads
SMOLLM3_ROTATES_NOT_EVERY = 4  # a constant of llama.cpp, too


def gguf_configuration(
    metadata: Mapping[str, object], names: Collection[str], factors: Mapping[str, np.ndarray], path: Path
) -> Configuration:
    """What a file says of its model.

    names : of its tensors, in GGUF;  factors : "long" and "short" factors of the frequencies, or "all", float32 [r/2]

    Raises CheckpointError for an architecture that is not known here, and for values that differ between layers.
    """
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} is a GGUF of the architecture {architecture!r}, which no frontend knows; known are "
            f"{', '.join(ARCHITECTURES)}"
        )
    own = {name.removeprefix(f"{architecture}."): value for name, value in metadata.items()}
    own, kinds = kinds_of_layers(own, path) if architecture == "lfm2" else (own, {})
    own |= {name: _one(own[name], name, path) for name in SINGLE if name in own}
    if own.get("expert_count"):
        raise CheckpointError(f"{path} is a mixture of {own['expert_count']} experts, which no frontend knows")
    values: dict[str, object] = {"model_type": ARCHITECTURES[architecture].model_type}
    if own.get("attention.causal") is False:
        raise CheckpointError(f"{path} says that attention looks ahead; such a model predicts no next token")
    values |= {ours: _one(own[theirs], theirs, path) for theirs, ours in KEYS.items() if theirs in own}
    if "num_attention_heads" in values:
        values.setdefault("num_key_value_heads", values["num_attention_heads"])
    values |= {ours: _one(own[theirs], theirs, path) for theirs, ours in _own_keys(architecture, own).items()} | kinds
    values |= {name: None for name in NONE_IS_ZERO if values.get(name) == 0}
    values |= {ours: metadata[theirs] for theirs, ours in TOKENIZER_KEYS.items() if theirs in metadata}
    values |= {"tie_word_embeddings": "output.weight" not in names, **ACTIVATIONS.get(architecture, SILU)}
    values |= _rotation(own, values, factors, path) | _of_architecture(architecture, own, values, path)
    values |= _biases(architecture, names)
    renamed = RENAMED.get(architecture, {})
    return Configuration({renamed.get(name, name): value for name, value in values.items()}, SOURCE)


def _biases(architecture: str, names: Collection[str]) -> dict[str, object]:
    """Which maps have a bias: llama.cpp takes those that are there, where others ask the configuration."""
    there = {part_of(name) for name in names if name.endswith(".bias")}
    return {key: True for key, parts in BIASES.get(architecture, {}).items() if there & parts}


def _one(value: object, name: str, path: Path) -> object:
    """A value that may stand once a layer, as long as it is the same everywhere."""
    if isinstance(value, np.ndarray):
        if not value.size or (value != value[0]).any():
            raise CheckpointError(f"{path} has another {name} in every layer, which no frontend knows")
        return value[0].item()
    if isinstance(value, list):
        raise CheckpointError(f"{path}: {name} is a list of {len(value):,} values, where one is expected")
    return value


def _rotation(
    own: Mapping[str, object], values: Mapping[str, object], factors: Mapping[str, np.ndarray], path: Path
) -> dict[str, object]:
    """The share of a head that is rotated, and the scaling of the frequencies."""
    found: dict[str, object] = {}
    heads, width, rotated = (
        values.get("num_attention_heads"),
        values.get("hidden_size"),
        own.get("rope.dimension_count"),
    )
    head = values.get("head_dim", width // heads if isinstance(heads, int) and heads and isinstance(width, int) else 0)
    partial = own.get("general.architecture") in ROTATE_PARTLY
    if isinstance(rotated, int) and isinstance(head, int) and head and (rotated != head or partial):
        found["partial_rotary_factor"] = rotated / head
    original = own.get("rope.scaling.original_context_length")
    told = {} if original is None else {"original_max_position_embeddings": original}
    scaling = _scaling(own, factors, path)
    if scaling.get("rope_type") == "longrope":
        return found | {"rope_scaling": scaling} | told  # where Hugging Face's Phi-3 reads it
    return found | ({"rope_scaling": scaling | told} if scaling else {})


def _scaling(own: Mapping[str, object], factors: Mapping[str, np.ndarray], path: Path) -> dict[str, object]:
    """How frequencies are scaled, as llama.cpp reads it: linearly where a factor has no type, whatever its key.

    Raises CheckpointError for what Hugging Face has no word for.
    """
    kind, factor = own.get("rope.scaling.type", "linear"), own.get("rope.scaling.factor", own.get("rope.scale_linear"))
    stretched = kind != "none" and isinstance(factor, int | float) and factor not in (0, 1)
    sharper = own.get("rope.scaling.attn_factor", 1.0)
    if factors and not (stretched and kind != "longrope"):
        lists = {f"{which}_factor": factors.get(which, factors.get("all")) for which in ("short", "long")}
        both = {name: each.tolist() for name, each in lists.items() if each is not None}
        return {"rope_type": "longrope", **both, "attention_factor": sharper}
    if factors:
        raise CheckpointError(f"{path} has factors of the rotations' frequencies and scales them by {factor} besides")
    if sharper != 1 and not (stretched and kind == "yarn"):
        raise CheckpointError(
            f"{path} has a rope.scaling.attn_factor of {sharper} without YaRN, which no frontend knows"
        )
    if not stretched or not isinstance(factor, int | float):
        return {}
    betas = {name: own.get(f"rope.scaling.yarn_{name}") for name in ("beta_fast", "beta_slow")}
    found = {name: value for name, value in betas.items() if value is not None and kind == "yarn"}
    if sharper != 1 and isinstance(sharper, int | float):
        found["attention_factor"] = sharper * (1 + 0.1 * math.log(factor))
    return {"rope_type": kind, "factor": factor, **found}


def _own_keys(architecture: str, own: Mapping[str, object]) -> dict[str, str]:
    """Keys of one architecture that a file has; 0 means none."""
    return {theirs: ours for theirs, ours in OWN_KEYS.get(architecture, {}).items() if own.get(theirs)}


def _of_architecture(
    architecture: str, own: Mapping[str, object], values: Mapping[str, object], path: Path
) -> dict[str, object]:
    """What Hugging Face's configuration says of one architecture and llama.cpp knows from its name."""
    layers = values.get("num_hidden_layers", 0)
    count = layers if isinstance(layers, int) and layers <= MOST_LAYERS else 0  # more than the tensors is refused later
    if architecture == "gemma3":
        every = [SLIDING if (n + 1) % GLOBAL_EVERY else FULL for n in range(count)]
        base = own.get("rope.freq_base_swa", LOCAL_ROPE_BASE)
        return {"layer_types": every, "rope_local_base_freq": base, **_scale(architecture, values)}
    if architecture == "gemma2":
        every = [FULL if n % 2 else SLIDING for n in range(count)]
        return {"layer_types": every, **_scale(architecture, values)}
    if architecture == "phi3":
        return {"pad_token_id": None}  # else one beyond a vocabulary that is smaller than Phi-3's
    if architecture == "smollm3":
        return {"no_rope_layers": [int((n + 1) % SMOLLM3_ROTATES_NOT_EVERY != 0) for n in range(count)]}
    return constants_of_llama_cpp(architecture, own, values, count, path)


def _scale(architecture: str, values: Mapping[str, object]) -> dict[str, object]:
    """The number by whose root Gemma's scores are divided, where sizes tell it."""
    width, heads = values.get("hidden_size"), values.get("num_attention_heads")
    scalar = values.get("head_dim")
    if values.get("num_hidden_layers") == SCALED_BY_WIDTH[architecture]:
        scalar = width // heads if isinstance(width, int) and isinstance(heads, int) and heads else None
    return {} if scalar is None else {"query_pre_attn_scalar": scalar}
