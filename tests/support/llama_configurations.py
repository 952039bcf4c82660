"""Tiny configurations of the gated decoders, each with what sets it apart from the others."""

from __future__ import annotations

import numpy as np

Config = dict[str, object]

DECODER: Config = {
    "vocab_size": 29,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 16}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0, 1.5],
    "long_factor": [2.0, 4.0],
    "original_max_position_embeddings": 32,
}
SHORT_LONGROPE = LONGROPE | {"original_max_position_embeddings": 8}


def _scaled(**scaling: object) -> Config:
    return DECODER | {"model_type": "llama", "rope_parameters": {"rope_theta": 10_000.0, **scaling}}


def _windows(*kinds: str) -> dict[str, object]:
    return {"layer_types": [f"{kind}_attention" for kind in kinds], "num_hidden_layers": len(kinds)}


GEMMA3: Config = DECODER | {
    "model_type": "gemma3_text",
    "head_dim": 8,
    "sliding_window": 4,
    "query_pre_attn_scalar": 12,
    "tie_word_embeddings": True,
    **_windows("sliding", "sliding", "full"),
}
LLAMA_CONFIGURATIONS: dict[str, Config] = {
    "llama": DECODER | {"model_type": "llama", "rms_norm_eps": 1e-3},
    "llama-tied-one-key-head": DECODER
    | {
        "model_type": "llama",
        "tie_word_embeddings": True,
        "num_key_value_heads": 1,
        "head_dim": 12,
    },
    "llama-all-biases": DECODER | {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama-linear": _scaled(rope_type="linear", factor=4.0),
    "llama-dynamic": _scaled(rope_type="dynamic", factor=4.0),
    "llama-llama3": _scaled(**LLAMA3),
    "llama-yarn": _scaled(**YARN),
    "llama-yarn-strengths": _scaled(**YARN, mscale=0.7, mscale_all_dim=1.3, beta_fast=8.0, truncate=False),
    "mistral": DECODER | {"model_type": "mistral", "sliding_window": 4},
    "mistral-without-window": DECODER | {"model_type": "mistral", "sliding_window": None},
    "qwen2": DECODER | {"model_type": "qwen2", "use_sliding_window": False},
    "qwen2-window-in-late-layers": DECODER
    | {
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 4,
        "max_window_layers": 1,
    },
    "qwen3": DECODER | {"model_type": "qwen3", "head_dim": 12, "tie_word_embeddings": True},
    "smollm3": DECODER
    | {
        "model_type": "smollm3",
        "num_hidden_layers": 3,
        "no_rope_layer_interval": 2,
        "tie_word_embeddings": True,
    },
    "gemma": DECODER | {"model_type": "gemma", "head_dim": 8, "tie_word_embeddings": True},
    "gemma2": DECODER
    | {
        "model_type": "gemma2",
        "head_dim": 8,
        "sliding_window": 4,
        "query_pre_attn_scalar": 12,
        "attn_logit_softcapping": 1.5,
        "final_logit_softcapping": 3.0,
        "tie_word_embeddings": True,
        **_windows("sliding", "full"),
    },
    "gemma3": GEMMA3,
    "gemma3-linear": GEMMA3
    | {
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }
    },
    "olmo2": DECODER | {"model_type": "olmo2"},
    "olmo3": DECODER
    | {
        "model_type": "olmo3",
        "sliding_window": 4,
        "rope_parameters": {
            "full_attention": YARN,
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
        **_windows("sliding", "full"),
    },
    "phi3": DECODER | {"model_type": "phi3", "sliding_window": 4},
    "phi3-longrope": DECODER
    | {
        "model_type": "phi3",
        "original_max_position_embeddings": 32,
        "rope_parameters": {**LONGROPE, "partial_rotary_factor": 0.5},
    },
    "phi3-longrope-beyond": DECODER
    | {
        "model_type": "phi3",
        "original_max_position_embeddings": 8,
        "rope_parameters": {**SHORT_LONGROPE, "partial_rotary_factor": 0.5},
    },
    "granite": DECODER
    | {
        "model_type": "granite",
        "embedding_multiplier": 3.0,
        "attention_multiplier": 0.2,
        "residual_multiplier": 0.5,
        "logits_scaling": 4.0,
    },
}
HALF_BASES = {"full_attention": {"rope_type": "default", "rope_theta": 700.0}}
HALF_BASES |= {"sliding_attention": {"rope_type": "default", "rope_theta": 30.0}}
SCALES: Config = {"embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5}
MODERNBERT: Config = {name: value for name, value in DECODER.items() if name != "num_key_value_heads"}
MODERNBERT |= {"model_type": "modernbert-decoder", "pad_token_id": 0, "tie_word_embeddings": True}
WITHOUT_STATE: Config = DECODER | SCALES | {"model_type": "granitemoehybrid", "logits_scaling": 4.0, "mamba_n_heads": 4}
WITHOUT_STATE |= {"num_local_experts": 0, "shared_intermediate_size": 24, "layer_types": ["full_attention"] * 2}
DELTA: Config = DECODER | {"model_type": "qwen3_5_text", "num_hidden_layers": 3, "head_dim": 16}
DELTA |= {"full_attention_interval": 3, "linear_num_value_heads": 4, "linear_num_key_heads": 2}
DELTA |= {"linear_value_head_dim": 12, "linear_key_head_dim": 8, "rms_norm_eps": 1e-3}
LFM2: Config = DECODER | {"model_type": "lfm2", "block_auto_adjust_ff_dim": False}
OF_STATES: Config = {"mamba_n_heads": 6, "mamba_d_state": 5, "mamba_n_groups": 2, "mamba_chunk_size": 8}
WITH_STATES: Config = WITHOUT_STATE | OF_STATES | {"hidden_size": 24, "num_hidden_layers": 3}
WITH_STATES |= {"layer_types": ["linear_attention", "full_attention", "linear_attention"]}
FALCON_H1: Config = DECODER | OF_STATES | {"model_type": "falcon_h1", "mamba_d_ssm": 30, "rms_norm_eps": 1e-3}
MULTIPLIERS: Config = {
    **{"embedding_multiplier": 3.0, "lm_head_multiplier": 0.25, "key_multiplier": 0.5, "mlp_multipliers": [0.75, 1.5]},
    **{"attention_in_multiplier": 1.25, "attention_out_multiplier": 0.5, "ssm_in_multiplier": 0.8},
    **{"ssm_out_multiplier": 0.6, "ssm_multipliers": [0.7, 1.3, 0.4, 1.6, 0.9]},
}
NTK_ALPHA = {"rope_type": "dynamic", "alpha": 1000.0, "factor": 1.0, "rope_theta": 10_000.0}
LLAMA_CONFIGURATIONS |= {
    "modernbert-decoder": MODERNBERT | {"num_hidden_layers": 3, "local_attention": 8},
    "modernbert-decoder-all-biases": MODERNBERT
    | {
        **{"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True},
        **{"tie_word_embeddings": False, "local_attention": 6, "classifier_activation": "relu"},
        **{"rope_parameters": HALF_BASES, **_windows("sliding", "full")},
    },
    "granite-without-state": WITHOUT_STATE | {"position_embedding_type": "rope"},
    "granite-without-rotations": WITHOUT_STATE | {"attention_bias": True, "tie_word_embeddings": True},
    "granite-with-states": WITH_STATES | {"position_embedding_type": "rope"},
    "granite-with-states-all-biases": WITH_STATES
    | {
        **{"mamba_proj_bias": True, "attention_bias": True, "mamba_n_groups": 1, "mamba_d_conv": 3},
        **{"tie_word_embeddings": True, "layer_types": ["full_attention", "linear_attention"], "num_hidden_layers": 2},
    },
    "falcon-h1": FALCON_H1 | MULTIPLIERS,
    "falcon-h1-all-biases": FALCON_H1
    | {
        **{"mamba_proj_bias": True, "projectors_bias": True, "attention_bias": True, "mlp_bias": True},
        **{"mamba_rms_norm": True, "tie_word_embeddings": True, "head_dim": 6, "rope_theta": 1e11},
    },
    "falcon-h1-norm-behind-gate": FALCON_H1
    | {"mamba_rms_norm": True, "mamba_norm_before_gate": False, "mamba_conv_bias": False, "mamba_d_conv": 1},
    "ernie": DECODER | {"model_type": "ernie4_5", "head_dim": 12, "use_bias": True, "tie_word_embeddings": True},
    "hunyuan": DECODER | {"model_type": "hunyuan_v1_dense", "head_dim": 12, "rope_parameters": NTK_ALPHA},
    "exaone4": DECODER | {"model_type": "exaone4", "sliding_window": 4, **_windows("sliding", "full")},
    "exaone4-without-window": DECODER
    | {"model_type": "exaone4", "sliding_window": None, "rope_parameters": LLAMA3, **_windows("full", "full")},
    "nanochat-of-transformers": DECODER | {"model_type": "nanochat", "attention_bias": True},
    "qwen3-5": DELTA,
    "qwen3-5-all-biases": DELTA
    | {
        **{"attention_bias": True, "tie_word_embeddings": True, "num_hidden_layers": 2, "linear_num_key_heads": 4},
        **{"layer_types": ["full_attention", "linear_attention"], "linear_conv_kernel_dim": 3},
        "rope_parameters": {
            **{"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.5},
            **{"mrope_interleaved": True, "mrope_section": [2, 1, 1]},
        },
    },
    "lfm2": LFM2 | {"layer_types": ["conv", "full_attention"]},
    "lfm2-longer": LFM2 | {"full_attn_idxs": [0], "conv_L_cache": 4, "norm_eps": 1e-2, "tie_word_embeddings": True},
    "lfm2-biases": LFM2 | {"layer_types": ["conv", "full_attention"], "conv_bias": True},
    "olmo": DECODER | {"model_type": "olmo", "clip_qkv": 0.5},
    "cohere": DECODER | {"model_type": "cohere", "tie_word_embeddings": True},
    "cohere-head-norms": DECODER | {"model_type": "cohere", "use_qk_norm": True, "logit_scale": 0.5},
    "cohere2": DECODER | {"model_type": "cohere2", "sliding_window": 4, **_windows("sliding", "full")},
    "glm": DECODER | {"model_type": "glm", "head_dim": 8},
    "glm4": DECODER | {"model_type": "glm4", "head_dim": 8, "attention_bias": False},
    "helium": DECODER | {"model_type": "helium", "head_dim": 8, "mlp_bias": True},
    "arcee": DECODER | {"model_type": "arcee"},
    "nemotron": DECODER | {"model_type": "nemotron", "head_dim": 12, "attention_bias": True},
    "jais2": DECODER | {"model_type": "jais2"},
    "bitnet": DECODER | {"model_type": "bitnet"},
    "seed-oss": DECODER | {"model_type": "seed_oss", "head_dim": 8, "attention_out_bias": True},
    "vaultgemma": DECODER
    | {
        **{"model_type": "vaultgemma", "head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 12},
        **{"attn_logit_softcapping": 1.5, "final_logit_softcapping": 3.0, "tie_word_embeddings": True},
    },
    "hyperclovax": DECODER | SCALES | {"model_type": "hyperclovax", "logits_scaling": 0.25},
    "hyperclovax-plain": DECODER | {"model_type": "hyperclovax", "use_post_norm": False, "head_dim": 12},
    "ministral": DECODER
    | {"model_type": "ministral", "head_dim": 8, "sliding_window": 4, **_windows("full", "sliding")},
}
PARTLY_ROTATED = ("glm", "glm4", "nemotron", "qwen3_5_text")
SEQUENCE_LENGTHS = {"phi3-longrope-beyond": 64}  # told, where the length changes the function


def random_configuration(config: Config, seed: int) -> Config:
    """The same family with other sizes, tied or not, with its window (if it has one) at another place."""
    random = np.random.default_rng(seed)
    drawn = dict(config)
    kv_heads = int(random.choice([1, 2, 3]))
    heads = kv_heads * int(random.choice([1, 2]))
    even = "rope_parameters" in config or config["model_type"] in PARTLY_ROTATED
    head_dim = 8 if even else int(random.choice([4, 8, 10]))
    drawn |= {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "hidden_size": heads * head_dim}
    if "head_dim" in config:
        drawn["head_dim"] = head_dim
    drawn["intermediate_size"] = int(random.integers(5, 40))
    drawn["tie_word_embeddings"] = bool(random.integers(2))
    drawn["rms_norm_eps"] = float(random.choice([1e-6, 1e-2]))
    if config.get("sliding_window"):
        drawn["sliding_window"] = int(random.integers(1, 9))
    if config["model_type"] in ("llama", "qwen3", "granite", "smollm3"):
        drawn["attention_bias"] = bool(random.integers(2))
    if "rope_parameters" not in config:
        drawn["rope_theta"] = float(random.choice([100.0, 1e5]))
    if "linear_num_key_heads" in config:
        drawn |= _random_delta_net(random)
    return drawn | (_random_mixer(drawn, random) if "mamba_d_state" in config else {})


def _random_delta_net(random: np.random.Generator) -> Config:
    """Sizes of a delta net."""
    groups, of_each = (int(random.integers(1, 4)) for _ in range(2))
    sizes = {"linear_num_key_heads": groups, "linear_num_value_heads": groups * of_each}
    widths = {f"linear_{kind}_head_dim": int(random.integers(4, 20)) for kind in ("key", "value")}
    return {**sizes, **widths, "linear_conv_kernel_dim": int(random.integers(1, 6))}


def _random_mixer(drawn: Config, random: np.random.Generator) -> Config:
    """Sizes of a mixer that fit the others, with biases or without."""
    names = ("mamba_proj_bias", "mamba_conv_bias", "projectors_bias", "mamba_rms_norm", "mamba_norm_before_gate")
    flags = {name: bool(random.integers(2)) for name in names}
    expand = int(random.choice([1, 2]))
    inner = int(str(drawn["hidden_size"])) * expand
    heads = int(random.choice([each for each in (1, 2, 4, 8) if inner % each == 0]))
    sizes = {"mamba_expand": expand, "mamba_d_ssm": inner, "mamba_n_heads": heads, "mamba_d_head": inner // heads}
    groups = int(random.choice([each for each in (1, 2, 4) if heads % each == 0]))
    multipliers = {
        "key_multiplier": float(random.choice([0.3, 1.0])),
        "ssm_multipliers": list(random.uniform(0.5, 2, 5)),
    }
    of_group = {"mamba_d_state": int(random.integers(1, 20)), "mamba_d_conv": int(random.integers(1, 6))}
    return {**flags, **sizes, **of_group, "mamba_n_groups": groups, **multipliers}
