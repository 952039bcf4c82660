"""Model types of Hugging Face's config.json that people have and no instruction computes, with the reason.

Strategy: a model type stands here only where its code leaves no choice; those that are one kind or the other by
their configuration are merely unknown.
"""

from __future__ import annotations

_REASONS = {
    "its attention adds ALiBi biases, which no instruction computes": "bloom mpt",
    "its layers carry a state from token to token (a recurrence), which no instruction computes": (
        "falcon_mamba rwkv jamba zamba zamba2 bamba recurrent_gemma nemotron_h olmo_hybrid xlstm"
    ),
    "it sends each token to a few of its experts, which no instruction computes": (
        "mixtral qwen2_moe qwen3_moe olmoe granitemoe granitemoeshared phimoe deepseek_v2 deepseek_v3 gpt_oss llama4 "
        "llama4_text dbrx jetmoe glm4_moe ernie4_5_moe qwen3_next qwen3_5_moe qwen3_5_moe_text"
    ),
    "its positions are sines that are computed and added, which no instruction computes": "xglm ctrl",
    "its activation is xIELU, which no instruction computes": "apertus",
    "it is an encoder, which predicts no next token": (
        "bert roberta xlm-roberta distilbert albert electra deberta deberta-v2 camembert mpnet modernbert longformer"
    ),
    "it writes one text from another (an encoder and a decoder), and models no text by itself": (
        "t5 mt5 umt5 bart mbart marian pegasus m2m_100 blenderbot led whisper encoder-decoder"
    ),
}
INEXPRESSIBLE = {model_type: reason for reason, types in _REASONS.items() for model_type in types.split()}
