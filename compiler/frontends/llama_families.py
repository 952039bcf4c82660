"""The families of gated decoders, as data: what the code of each model type does, and what it assumes where its
configuration is silent.

Strategy: one record a model type of Hugging Face's config.json. All of them embed, add attention and a gated MLP to a
stream layer by layer, normalize and map to logits; a record says where they differ. Source: the modeling and
configuration code of transformers 5; run.c of llama2.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .llama_family import NO_BIASES, Family, HeadNorms, Norms, States, Unrotated, Windows
from .llama_forebears import (
    ALL_BIASES,
    ATTENTION_BIASES,
    COHERE,
    EVERY,
    FALCON_H1,
    FUSED,
    GATE_UP,
    GEMMA,
    GEMMA2,
    GEMMA3,
    GLM,
    GRANITE,
    HYPERCLOVAX,
    LFM2,
    LLAMA,
    MODERNBERT,
    NANOCHAT,
    NEMOTRON,
    OF_ALL,
    OLMO2,
    OPENELM,
    QWEN2,
    QWEN3_5,
    UNGATED,
)

FAMILIES: Mapping[str, Family] = {
    "llama": LLAMA,
    "llama2.c": replace(LLAMA, epsilon=1e-5, biases=NO_BIASES),
    "mistral": replace(LLAMA, windows=Windows.ALL, biases=NO_BIASES),
    "ministral": Family(windows=Windows.PERIODIC, period=EVERY, bos_token_id=1, only_named=True),
    "qwen2": QWEN2,
    "qwen3": replace(QWEN2, head_norms=HeadNorms.EACH, biases=ATTENTION_BIASES),
    "qwen3_5_text": QWEN3_5,
    "smollm3": Family(
        windows=Windows.UNROTATED,
        unrotated=Unrotated.LISTED,
        rope_theta=2_000_000.0,
        bos_token_id=128_000,
        biases=ALL_BIASES,
    ),
    "gemma": GEMMA,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "vaultgemma": replace(GEMMA2, norms=Norms.BEFORE, names={"mlp_norm": "pre_feedforward_layernorm"}),
    "olmo": Family(
        layer_norms=True,
        gainless=True,
        keys={"rms_norm_eps": ""},
        epsilon=1e-5,
        bos_token_id=50_279,
        biases=ATTENTION_BIASES,
        assumes={"clip_qkv": 0.0},
    ),
    "olmo2": OLMO2,
    "olmo3": replace(OLMO2, windows=Windows.PERIODIC, period=4, rope_theta=500_000.0, local_rotation=True),
    "phi3": replace(
        LLAMA,
        epsilon=1e-5,
        biases=NO_BIASES,
        names=FUSED,
        windows=Windows.ALL,
        sliding_window=0,
        yarn_is_longrope=True,
        trained_length=4096,
        assumes={"partial_rotary_factor": 1.0},
    ),
    "granite": GRANITE,
    "granitemoehybrid": replace(
        GRANITE,
        biases=ATTENTION_BIASES
        | {"conv1d": ("mamba_conv_bias", True)}
        | dict.fromkeys(("in_proj", "out_proj"), ("mamba_proj_bias", False)),
        names={**dict.fromkeys(("gate", "up"), "shared_mlp.input_linear"), "down": "shared_mlp.output_linear"},
        keys={"intermediate_size": "shared_intermediate_size"},
        states=States.IN_PLACE,
        unrotated=Unrotated.UNLESS_SAID,
    ),
    "falcon_h1": FALCON_H1,
    "modernbert-decoder": MODERNBERT,
    "ernie4_5": Family(
        interleaved=True,
        rope_theta=500_000.0,
        epsilon=1e-5,
        head_dim=128,
        bos_token_id=1,
        biases=dict.fromkeys(OF_ALL, ("use_bias", False)),
        only_named=True,
    ),
    "hunyuan_v1_dense": Family(
        head_norms=HeadNorms.EACH,
        rotated_first=True,
        names={"query_norm": "self_attn.query_layernorm", "key_norm": "self_attn.key_layernorm"},
        ntk_alpha=True,
        epsilon=1e-5,
        bos_token_id=1,
        biases=ATTENTION_BIASES,
    ),
    "exaone4": Family(
        norms=Norms.AFTER,
        head_norms=HeadNorms.EACH,
        windows=Windows.PERIODIC,
        period=4,
        period_key="sliding_window_pattern",
        unrotated=Unrotated.FULL_OF_TWO,
        epsilon=1e-5,
        bos_token_id=0,
        only_named=True,
    ),
    "nanochat": NANOCHAT,
    "lfm2": LFM2,
    "cohere": replace(
        COHERE,
        head_norms=HeadNorms.OWN,
        optional_parts={"use_qk_norm": ("query_norm", "key_norm")},
        rope_theta=500_000.0,
        assumes={**COHERE.assumes, "use_qk_norm": False},
    ),
    "cohere2": replace(
        COHERE,
        windows=Windows.PERIODIC,
        period=4,
        period_key="sliding_window_pattern",
        unrotated=Unrotated.FULL,
        only_named=True,
    ),
    "glm": GLM,
    "glm4": replace(
        GLM,
        norms=Norms.BOTH,
        names={
            **GATE_UP,
            **{"attention_norm": "input_layernorm", "attention_output_norm": "post_self_attn_layernorm"},
            **{"mlp_norm": "post_attention_layernorm", "mlp_output_norm": "post_mlp_layernorm"},
        },
    ),
    "helium": replace(
        LLAMA,
        interleaved=True,
        rope_theta=100_000.0,
        epsilon=1e-8,
        head_dim=128,
        biases={**ALL_BIASES, "output": False},
        only_named=True,
    ),
    "arcee": replace(LLAMA, names=UNGATED, activation="relu2", epsilon=1e-5, bos_token_id=128_000),
    "nemotron": NEMOTRON,
    "jais2": replace(
        NEMOTRON,
        shifted_gains=False,
        keys={"rms_norm_eps": "layer_norm_eps"},
        bos_token_id=0,
        biases={part: (rule[0], True) for part, rule in ALL_BIASES.items() if not isinstance(rule, bool)},
        assumes={},
        only_named=True,
    ),
    "bitnet": replace(
        LLAMA,
        names={"attention_inner_norm": "self_attn.attn_sub_norm", "mlp_inner_norm": "mlp.ffn_sub_norm"},
        activation="relu2",
        rope_theta=500_000.0,
        epsilon=1e-5,
        bos_token_id=128_000,
        biases=ATTENTION_BIASES,
    ),
    "minicpm": Family(
        scaled_by_depth=True,
        keys={"embedding_multiplier": "scale_emb"},
        bos_token_id=1,
        biases=ATTENTION_BIASES,
        assumes={"embedding_multiplier": 1.0, "residual_multiplier": 1.0, "logits_scaling": 1.0},
        only_named=True,
    ),
    "mobilellm": replace(LLAMA, keys={"tie_word_embeddings": "share_embedding"}, only_named=True),
    "openelm": OPENELM,
    "seed_oss": Family(
        head_dim=128,
        bos_token_id=0,
        biases={
            **ALL_BIASES,
            **dict.fromkeys(("query", "key", "value"), ("attention_bias", True)),
            "output": ("attention_out_bias", False),
        },
        only_named=True,
    ),
    "hyperclovax": HYPERCLOVAX,
}
# by model type whose text_config is the model that is read, that of the text
MULTIMODAL = {"gemma3": "gemma3_text", "qwen3_5": "qwen3_5_text"}
