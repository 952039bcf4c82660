"""Settings of well-known models, as their config.json has them, in models that are small but for their heads: rotations
number by number, windows layer by layer, and logits, against transformers.
"""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import assert_computes, drawn_tokens
from peer_models import peer_logits, peer_model

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.format.program.operations import Attention, CappedAttention, Rotate

SMALL = {"vocab_size": 29, "intermediate_size": 24, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
FOUR_HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
LLAMA3 = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192}
SHORT, LONG = [1.0 + 0.01 * j for j in range(48)], [1.0 + 1.2 * j for j in range(48)]
PUBLISHED = {
    "llama-3.2-1b": {
        "model_type": "llama",
        **FOUR_HEADS,
        "hidden_size": 256,
        "head_dim": 64,
        "num_hidden_layers": 2,
        "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "rope_scaling": {"rope_type": "llama3", **LLAMA3},
        "tie_word_embeddings": True,
    },
    "tinyllama-1.1b": {
        "model_type": "llama",
        **FOUR_HEADS,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
    },
    "qwen2.5-0.5b": {
        "model_type": "qwen2",
        **FOUR_HEADS,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "max_position_embeddings": 32_768,
        "max_window_layers": 24,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "sliding_window": 32_768,
        "use_sliding_window": False,
        "tie_word_embeddings": True,
    },
    "qwen2.5-7b-with-yarn": {
        "model_type": "qwen2",
        **FOUR_HEADS,
        "hidden_size": 512,
        "num_hidden_layers": 2,
        "max_position_embeddings": 131_072,
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32_768, "type": "yarn"},
        "use_sliding_window": False,
    },
    "gemma-2-2b": {
        "model_type": "gemma2",
        **FOUR_HEADS,
        "hidden_size": 64,
        "head_dim": 32,
        "num_hidden_layers": 5,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": 30.0,
        "attn_logit_softcapping": 50.0,
    },
    "gemma-3-270m": {
        "model_type": "gemma3_text",
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "hidden_size": 64,
        "head_dim": 256,
        "num_hidden_layers": 7,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 32_768,
        "query_pre_attn_scalar": 256,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "rope_scaling": None,
        "sliding_window": 3,
        "_sliding_window_pattern": 6,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
    },
    "gemma-3-4b": {
        "model_type": "gemma3_text",
        **FOUR_HEADS,
        "hidden_size": 64,
        "head_dim": 64,
        "num_hidden_layers": 7,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "phi-3-mini-128k": {
        "model_type": "phi3",
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "hidden_size": 192,
        "num_hidden_layers": 2,
        "max_position_embeddings": 131_072,
        "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "rope_scaling": {"type": "longrope", "short_factor": SHORT, "long_factor": LONG},
        "sliding_window": 262_144,
    },
    "phi-4-mini": {
        "model_type": "phi3",
        **FOUR_HEADS,
        "hidden_size": 512,
        "num_hidden_layers": 2,
        "max_position_embeddings": 131_072,
        "original_max_position_embeddings": 4096,
        "partial_rotary_factor": 0.75,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {"type": "longrope", "short_factor": SHORT, "long_factor": LONG},
        "tie_word_embeddings": True,
    },
    "smollm3-3b": {
        "model_type": "smollm3",
        **FOUR_HEADS,
        "hidden_size": 256,
        "num_hidden_layers": 5,
        "max_position_embeddings": 65_536,
        "no_rope_layer_interval": 4,
        "no_rope_layers": [1, 1, 1, 0, 1],
        "rope_theta": 5_000_000.0,
        "use_sliding_window": False,
    },
    "olmo-2-1b": {
        "model_type": "olmo2",
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6,
        "rope_theta": 500_000,
        "tie_word_embeddings": False,
    },
    "mistral-7b-v0.1": {
        "model_type": "mistral",
        **FOUR_HEADS,
        "hidden_size": 512,
        "num_hidden_layers": 2,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "sliding_window": 4096,
    },
    "granite-3.3-2b": {
        "model_type": "granite",
        **FOUR_HEADS,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "attention_multiplier": 0.015625,
        "embedding_multiplier": 12.0,
        "logits_scaling": 8.0,
        "residual_multiplier": 0.22,
        "max_position_embeddings": 131_072,
        "rope_theta": 10_000_000.0,
        "tie_word_embeddings": True,
    },
    "ettin-decoder-17m": {
        "model_type": "modernbert-decoder",
        "num_attention_heads": 4,
        "hidden_size": 256,
        "num_hidden_layers": 7,
        "pad_token_id": 0,
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 160_000.0,
        "local_attention": 8,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 8192,
        "norm_eps": 1e-5,
        "tie_word_embeddings": True,
    },
    "granite-4.0-350m": {
        "model_type": "granitemoehybrid",
        **FOUR_HEADS,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "attention_multiplier": 0.015625,
        "embedding_multiplier": 12.0,
        "logits_scaling": 4.0,
        "residual_multiplier": 0.246,
        "layer_types": ["attention"] * 2,
        "mamba_n_heads": 16,
        "num_local_experts": 0,
        "num_experts_per_tok": 0,
        "position_embedding_type": "rope",
        "rope_theta": 10_000_000,
        "shared_intermediate_size": 24,
        "tie_word_embeddings": True,
    },
    "granite-4.0-h-350m": {
        "model_type": "granitemoehybrid",
        **FOUR_HEADS,
        "hidden_size": 256,
        "num_hidden_layers": 3,
        "attention_multiplier": 0.015625,
        "embedding_multiplier": 12,
        "logits_scaling": 3,
        "residual_multiplier": 0.246,
        "layer_types": ["mamba", "mamba", "attention"],
        **{"mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 32},
        **{"mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 16, "mamba_proj_bias": False},
        **{"normalization_function": "rmsnorm", "num_local_experts": 0, "num_experts_per_tok": 0},
        "position_embedding_type": "nope",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000,
        "shared_intermediate_size": 24,
        "time_step_limit": [0.0, float("inf")],
        "tie_word_embeddings": True,
    },
    "falcon-h1-tiny-90m": {
        "model_type": "falcon_h1",
        **FOUR_HEADS,
        "hidden_size": 256,
        "head_dim": 64,
        "num_hidden_layers": 2,
        **{
            "attention_in_multiplier": 1.0,
            "attention_out_multiplier": 0.9375,
            "embedding_multiplier": 5.656854249492381,
        },
        **{"key_multiplier": 0.390625, "lm_head_multiplier": 0.0390625, "mlp_multipliers": [0.8838, 0.5859375]},
        **{"ssm_in_multiplier": 1.25, "ssm_out_multiplier": 0.23570226039551587},
        "ssm_multipliers": [0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738],
        **{"mamba_chunk_size": 128, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 64},
        **{"mamba_d_ssm": 512, "mamba_d_state": 64, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 8},
        **{"mamba_norm_before_gate": False, "mamba_proj_bias": False, "mamba_rms_norm": False, "mamba_use_mlp": True},
        **{"time_step_floor": 0.0001, "time_step_max": 0.1, "time_step_min": 0.001, "projectors_bias": False},
        "max_position_embeddings": 262_144,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 100_000_000_000.0,
        "tie_word_embeddings": True,
    },
    "qwen3.5-0.8b": {
        "model_type": "qwen3_5_text",
        **FOUR_HEADS,
        "hidden_size": 256,
        "head_dim": 256,
        "num_hidden_layers": 4,
        **{"attention_bias": False, "attn_output_gate": True, "full_attention_interval": 4},
        "layer_types": ["linear_attention"] * 3 + ["full_attention"],
        **{"linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 2},
        **{"linear_num_value_heads": 2, "linear_value_head_dim": 128, "mamba_ssm_dtype": "float32"},
        **{"mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": False},
        "max_position_embeddings": 262_144,
        "partial_rotary_factor": 0.25,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            **{"mrope_interleaved": True, "mrope_section": [11, 11, 10], "rope_type": "default"},
            **{"partial_rotary_factor": 0.25, "rope_theta": 10_000_000},
        },
        "tie_word_embeddings": True,
    },
    "lfm2-350m": {
        "model_type": "lfm2",
        **FOUR_HEADS,
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "block_auto_adjust_ff_dim": True,
        "block_ff_dim": 36,
        "block_ffn_dim_multiplier": 1.0,
        "block_multiple_of": 8,
        "conv_L_cache": 3,
        "conv_bias": False,
        "full_attn_idxs": [2],
        "norm_eps": 1e-5,
        "rope_theta": 1_000_000.0,
    },
    "ernie-4.5-0.3b": {
        "model_type": "ernie4_5",
        **FOUR_HEADS,
        "hidden_size": 256,
        "head_dim": 128,
        "num_hidden_layers": 2,
        "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000,
        "use_bias": False,
        "tie_word_embeddings": True,
    },
    "hunyuan-0.5b": {
        "model_type": "hunyuan_v1_dense",
        **FOUR_HEADS,
        "hidden_size": 256,
        "head_dim": 128,
        "num_hidden_layers": 2,
        "max_position_embeddings": 262_144,
        "rope_scaling": {
            **{"alpha": 1000.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0, "mscale": 1.0},
            **{"mscale_all_dim": 1.0, "type": "dynamic"},
        },
        "rope_theta": 10_000.0,
        "use_qk_norm": True,
        "tie_word_embeddings": True,
    },
    "exaone-4.0-1.2b": {
        "model_type": "exaone4",
        **FOUR_HEADS,
        "hidden_size": 256,
        "head_dim": 64,
        "num_hidden_layers": 2,
        "layer_types": ["full_attention"] * 2,
        "max_position_embeddings": 65_536,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {**LLAMA3, "rope_type": "llama3"},
        "rope_theta": 1_000_000,
        "sliding_window": None,
        "sliding_window_pattern": None,
        "tie_word_embeddings": True,
    },
}  # facts that their files state, but for the sizes


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_configuration_is_understood(name, tmp_path):
    config = {**SMALL, **PUBLISHED[name]}
    peer = peer_model(config, tmp_path)
    for folder in (None, config):  # as transformers wrote it now, and as the file has it
        model = build_model(read_checkpoint(tmp_path), folder)
        assert_computes(model, peer_logits(peer, drawn_tokens(29)), drawn_tokens(29), tolerance=1e-4)
        attentions = [op for op in model.program.instructions if isinstance(op, Attention | CappedAttention)]
        assert [op.window for op in attentions] == [window_of(peer, layer) for layer in range(len(attentions))]
        check_rotations(model, peer)


def window_of(peer, layer: int) -> int:
    config = peer.config
    kinds = getattr(config, "layer_types", None)
    everywhere = config.model_type in ("mistral", "phi3")
    windowed = everywhere or (kinds is not None and kinds[layer] == "sliding_attention")
    return (getattr(config, "sliding_window", None) or 0) if windowed else 0


def check_rotations(model, peer) -> None:
    """Inverse frequencies and the factor of every rotation are those of one kind of layers."""
    made = peer.model.rotary_emb
    if made is None:  # a hybrid whose states tell positions
        assert not any(isinstance(op, Rotate) for op in model.program.instructions)
        return
    kinds = [kind for kind in ("full_attention", "sliding_attention") if hasattr(made, f"{kind}_inv_freq")]
    names = [(f"{kind}_inv_freq", f"{kind}_attention_scaling") for kind in kinds] or [("inv_freq", "attention_scaling")]
    known = [(getattr(made, frequencies).numpy(), getattr(made, factor)) for frequencies, factor in names]
    for op in model.program.instructions:
        if isinstance(op, Rotate):
            values = op.base ** (-np.arange(0, op.rotary_dims, 2) / op.rotary_dims)
            if op.frequencies is not None:
                values = model.tensors[op.frequencies.tensor].values
            same = [len(f) == len(values) and np.allclose(f, values, rtol=1e-5, atol=0) for f, _ in known]
            assert any(fits and abs(op.factor - factor) < 1e-6 for fits, (_, factor) in zip(same, known, strict=True))
