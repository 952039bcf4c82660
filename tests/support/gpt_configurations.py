"""Tiny configurations of the GPT families, each with what sets it apart from the others."""

from __future__ import annotations

HUGGING = {"vocab_size": 29, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "bos_token_id": 1}
HUGGING |= {"intermediate_size": 20, "max_position_embeddings": 32}
OPENAI = {"vocab_size": 29, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 32, "bos_token_id": 1}
NEO = {"vocab_size": 29, "hidden_size": 24, "num_layers": 3, "num_heads": 3, "max_position_embeddings": 32}
NEO |= {"intermediate_size": 20, "window_size": 4, "attention_types": [[["global", "local"], 1], [["local"], 1]]}
OPT = {"model_type": "opt", "vocab_size": 29, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
FALCON = {"model_type": "falcon", "vocab_size": 29, "hidden_size": 24, "num_hidden_layers": 2, "bos_token_id": 1}
OPT |= {"ffn_dim": 20, "max_position_embeddings": 32, "bos_token_id": 2}

GPT_CONFIGURATIONS: dict[str, dict[str, object]] = {
    "gpt2": {"model_type": "gpt2", **OPENAI},
    "gpt2-scaled-by-layer": {"model_type": "gpt2", **OPENAI, "scale_attn_by_inverse_layer_idx": True, "n_inner": 20},
    "cerebras-gpt": {"model_type": "gpt2", **OPENAI, "activation_function": "gelu", "n_inner": 20},
    "gpt-neo": {"model_type": "gpt_neo", **NEO, "bos_token_id": 1},
    "gpt-j": {"model_type": "gptj", **OPENAI, "rotary_dim": 4, "n_inner": 20},
    "gpt-neox": {"model_type": "gpt_neox", **HUGGING, "rotary_pct": 0.5, "rotary_emb_base": 500},
    "gpt-neox-sequential": {"model_type": "gpt_neox", **HUGGING, "rotary_pct": 1.0, "use_parallel_residual": False},
    "phi": {"model_type": "phi", **HUGGING, "partial_rotary_factor": 0.5},
    "phi-grouped": {"model_type": "phi", **HUGGING, "num_key_value_heads": 1, "rope_theta": 100.0},
    "stablelm": {"model_type": "stablelm", **HUGGING, "num_key_value_heads": 3, "use_qkv_bias": True},
    "stablelm-parallel": {
        "model_type": "stablelm",
        **HUGGING,
        "num_key_value_heads": 1,
        "use_parallel_residual": True,
        "partial_rotary_factor": 0.5,
    },
    "starcoder2": {"model_type": "starcoder2", **HUGGING, "num_key_value_heads": 1, "sliding_window": 5},
    "starcoder2-without-window": {"model_type": "starcoder2", **HUGGING, "num_key_value_heads": 3},
    "gpt-bigcode": {"model_type": "gpt_bigcode", **OPENAI, "n_inner": 20},
    "gpt-bigcode-all-heads": {"model_type": "gpt_bigcode", **OPENAI, "multi_query": False},
    "codegen": {"model_type": "codegen", **OPENAI, "n_embd": 32, "n_head": 8, "rotary_dim": 2, "n_inner": 20},
    "gpt1": {"model_type": "openai-gpt", **OPENAI},
    "biogpt": {"model_type": "biogpt", **HUGGING},
    "persimmon": {"model_type": "persimmon", **HUGGING},
    "phi-norms-of-heads": {"model_type": "phi", **HUGGING, "qk_layernorm": True, "num_key_value_heads": 1},
    "falcon": {**FALCON, "num_attention_heads": 3, "bias": True, "ffn_hidden_size": 20},
    "falcon-in-turn": {**FALCON, "num_attention_heads": 3, "multi_query": False, "parallel_attn": False},
    "falcon-grouped": {**FALCON, "num_attention_heads": 4, "new_decoder_architecture": True, "num_kv_heads": 2},
    "opt": OPT,
    "opt-projected": {**OPT, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
}
