"""The records of gated decoders that several model types share, or that say much.

Strategy: as in `llama_families`, which gives them to model types, with what these have otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .biases import Rule
from .llama_family import NO_BIASES, Family, HeadNorms, Norms, States, Windows

ATTENTION_BIASES: Mapping[str, Rule] = {
    **NO_BIASES,
    **dict.fromkeys(("query", "key", "value", "output"), ("attention_bias", False)),
}
ALL_BIASES: Mapping[str, Rule] = {
    **ATTENTION_BIASES,
    **dict.fromkeys(("gate", "up", "down"), ("mlp_bias", False)),
}
OF_ALL = tuple(NO_BIASES)  # maps
EVERY = 1 << 30  # a period in which all layers have a window

GATE_UP = dict.fromkeys(("gate", "up"), "mlp.gate_up_proj")
FUSED = dict.fromkeys(("query", "key", "value"), "self_attn.qkv_proj") | GATE_UP
UNGATED = {"gate": ""}

LLAMA = Family(bos_token_id=1, biases=ALL_BIASES)
QWEN2 = Family(windows=Windows.LATE, biases={**NO_BIASES, **dict.fromkeys(("query", "key", "value"), True)})
GEMMA = Family(
    shifted_gains=True,
    scaled_embedding=True,
    tanh_gelu=True,
    activation="gelu_pytorch_tanh",
    head_dim=256,
    bos_token_id=2,
    biases=ATTENTION_BIASES,
)
GEMMA2 = replace(
    GEMMA,
    norms=Norms.BOTH,
    activation_key="hidden_activation",
    tanh_gelu=False,
    windows=Windows.PERIODIC,
    period=2,
    assumes={"query_pre_attn_scalar": 256.0, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
)
GEMMA3 = replace(
    GEMMA2,
    head_norms=HeadNorms.EACH,
    period=6,
    period_key="sliding_window_pattern",
    local_rotation=True,
    local_base=10_000.0,
    rope_theta=1_000_000.0,
    assumes={"query_pre_attn_scalar": 256.0, "final_logit_softcapping": 0.0},
)
OLMO2 = Family(norms=Norms.AFTER, head_norms=HeadNorms.WHOLE, epsilon=1e-5, biases=ATTENTION_BIASES)
GRANITE = replace(
    LLAMA,
    assumes={
        "embedding_multiplier": 1.0,
        "attention_multiplier": 1.0,
        "residual_multiplier": 1.0,
        "logits_scaling": 1.0,
    },
)
FALCON_H1 = replace(
    LLAMA,
    states=States.BESIDE,
    names={
        **{part: f"feed_forward.{part}_proj" for part in ("gate", "up", "down")},
        "mlp_norm": "pre_ff_layernorm",
    },
    singles={"norm": "final_layernorm.weight"},
    keys={"logit_scale": "lm_head_multiplier"},
    epsilon=1e-5,
    biases={
        **ALL_BIASES,
        **{"in_proj": ("mamba_proj_bias", False), "out_proj": ("projectors_bias", False)},
        "conv1d": ("mamba_conv_bias", True),
    },
    assumes={
        **{"embedding_multiplier": 1.0, "logit_scale": 1.0, "key_multiplier": 1.0, "gate_multiplier": 1.0},
        **{"down_multiplier": 1.0, "attention_in_multiplier": 1.0, "attention_out_multiplier": 1.0},
        **{"ssm_in_multiplier": 1.0, "ssm_out_multiplier": 1.0, "ssm_gate_multiplier": 1.0, "ssm_x_multiplier": 1.0},
        **{"ssm_write_multiplier": 1.0, "ssm_read_multiplier": 1.0, "ssm_step_multiplier": 1.0},
    },
)
QWEN3_5 = Family(
    head_norms=HeadNorms.EACH,
    shifted_gains=True,
    states=States.DELTA,
    names={"attention_gate": "self_attn.q_proj"},
    head_dim=256,
    biases={**ATTENTION_BIASES, "attention_gate": ATTENTION_BIASES["query"]},
    assumes={"partial_rotary_factor": 0.25},
)
COHERE = Family(
    norms=Norms.ONCE,
    layer_norms=True,
    interleaved=True,
    keys={"rms_norm_eps": "layer_norm_eps"},
    epsilon=1e-5,
    bos_token_id=5,
    biases=ATTENTION_BIASES,
    assumes={"logit_scale": 0.0625},
)
GLM = Family(
    interleaved=True,
    names=GATE_UP,
    epsilon=1.5625e-07,
    head_dim=128,
    bos_token_id=151_329,
    biases={**NO_BIASES, **dict.fromkeys(("query", "key", "value"), ("attention_bias", True))},
    assumes={"partial_rotary_factor": 0.5},
)
NEMOTRON = Family(
    layer_norms=True,
    shifted_gains=True,
    names=UNGATED,
    keys={"rms_norm_eps": "norm_eps"},
    activation="relu2",
    epsilon=1e-5,
    bos_token_id=2,
    biases=ALL_BIASES,
    assumes={"partial_rotary_factor": 0.5},
)
MODERNBERT = Family(
    layer_norms=True,
    bare_first=True,
    embedding_norm=True,
    names={
        **dict.fromkeys(("gate", "up"), "mlp.Wi"),
        **{"query": "attn.q_proj", "key": "attn.k_proj", "value": "attn.v_proj", "output": "attn.Wo"},
        **{"down": "mlp.Wo", "attention_norm": "attn_norm", "mlp_norm": "mlp_norm"},
    },
    singles={
        **{"table": "embeddings.tok_embeddings.weight", "embedding_norm": "embeddings.norm.weight"},
        **{"norm": "final_norm.weight", "head": "decoder.weight"},
        **{"head_map": "lm_head.dense.weight", "head_norm": "lm_head.norm.weight"},
    },
    keys={
        **{"rms_norm_eps": "norm_eps", "head_act": "classifier_activation", "num_key_value_heads": "", "head_dim": ""},
        **{"rope_theta": "global_rope_theta", "rope_local_base_freq": "local_rope_theta"},
        "sliding_window": "local_attention",
    },
    windows=Windows.PERIODIC,
    period=3,
    period_first=True,
    period_key="global_attn_every_n_layers",
    half_window=True,
    local_rotation=True,
    local_base=10_000.0,
    local_scaling=True,
    activation_key="hidden_activation",
    activation="gelu",
    rope_theta=160_000.0,
    epsilon=1e-5,
    bos_token_id=50_281,
    sliding_window=64,
    biases={
        **ALL_BIASES,
        **dict.fromkeys(("attention_norm", "mlp_norm", "embedding_norm", "norm", "head_norm"), ("norm_bias", False)),
        **{"head_map": ("classifier_bias", False), "head": ("decoder_bias", True)},
    },
    assumes={"head_act": "gelu"},
)
LFM2 = Family(
    head_norms=HeadNorms.EACH,
    convolution=True,
    names={
        **{"output": "self_attn.out_proj", "query_norm": "self_attn.q_layernorm", "key_norm": "self_attn.k_layernorm"},
        **{"gate": "feed_forward.w1", "up": "feed_forward.w3", "down": "feed_forward.w2"},
        **{"attention_norm": "operator_norm", "mlp_norm": "ffn_norm"},
    },
    singles={"norm": "embedding_norm.weight"},
    assumes={"conv_L_cache": 3},
    biases={
        **NO_BIASES,
        **dict.fromkeys(("conv_before", "conv_after", "conv_input", "conv_output", "conv_taps"), ("conv_bias", False)),
    },
    keys={"rms_norm_eps": "norm_eps", "intermediate_size": "", "hidden_act": ""},
    rope_theta=1_000_000.0,
    epsilon=1e-5,
    bos_token_id=1,
)
NANOCHAT = Family(
    head_norms=HeadNorms.EACH,
    gainless=True,
    rotated_first=True,
    backward=True,
    embedding_norm=True,
    names={**UNGATED, "up": "mlp.fc1", "down": "mlp.fc2"},
    activation="relu2",
    bos_token_id=0,
    biases=ATTENTION_BIASES,
    assumes={"final_logit_softcapping": 15.0},
)
OPENELM = Family(
    head_norms=HeadNorms.EACH,
    varied=True,
    names={
        **dict.fromkeys(("query", "key", "value"), "attn.qkv_proj"),
        **{"output": "attn.out_proj", "query_norm": "attn.q_norm", "key_norm": "attn.k_norm"},
        **{"gate": "ffn.proj_1", "up": "ffn.proj_1", "down": "ffn.proj_2"},
        **{"attention_norm": "attn_norm", "mlp_norm": "ffn_norm"},
    },
    singles={"table": "token_embeddings.weight"},
    optional_parts={"use_qk_norm": ("query_norm", "key_norm")},
    keys={
        **{
            "hidden_size": "model_dim",
            "num_hidden_layers": "num_transformer_layers",
            "rope_theta": "rope_freq_constant",
        },
        **{"max_position_embeddings": "max_context_length", "tie_word_embeddings": "share_input_output_layers"},
        **{"use_qk_norm": "normalize_qk_projections", "rms_norm_eps": "", "intermediate_size": ""},
        **{"num_attention_heads": "", "num_key_value_heads": ""},
    },
    activation_key="activation_fn_name",
    head_dim=128,
    bos_token_id=1,
    assumes={"use_qk_norm": False},
)
HYPERCLOVAX = replace(
    LLAMA,
    norms=Norms.BOTH,
    names={
        **{"attention_norm": "input_layernorm", "attention_output_norm": "post_norm1"},
        **{"mlp_norm": "post_attention_layernorm", "mlp_output_norm": "post_norm2"},
    },
    optional_parts={"use_post_norm": ("attention_output_norm", "mlp_output_norm")},
    only_named=True,
    keys={"logit_scale": "logits_scaling"},
    assumes={
        **{"embedding_multiplier": 1.0, "attention_multiplier": 0.0, "residual_multiplier": 1.0},
        **{"logit_scale": 1.0, "use_post_norm": True},
    },
)
