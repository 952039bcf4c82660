"""Small models of somebody's own code, with weights large enough for every part of what they compute to matter."""

from __future__ import annotations

import numpy as np

VOCABULARY, WIDTH, HIDDEN, HEADS, KEYS, LAYERS = 48, 32, 64, 4, 2, 2
ROTATED = {"rotary_dims": 8, "rope_theta": 10_000, "rope_interleaved": False}
LLAMA = {"norm": "rms_norm", "norm_first": True, "hidden_act": "silu", "layer_norm_eps": 1e-6, **ROTATED}
GPT = {"norm": "layer_norm", "norm_first": True, "hidden_act": "gelu"}
NORMED = {**LLAMA, "query_key_norm": "rms_norm", "query_key_norm_first": True, "logit_softcap": 12.0}
NORMED |= {"scale_embedding": True}


def loud_state(kind: str) -> dict[str, np.ndarray]:
    """Tensors that are large enough for every part to matter."""
    random = np.random.default_rng(5)

    def matrix(rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
        return (gain * random.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)

    def vector() -> np.ndarray:
        return (1 + random.random(WIDTH)).astype(np.float32)

    keys = WIDTH // HEADS * KEYS
    state = {"tok_emb.weight": matrix(VOCABULARY, WIDTH, 4), "norm.weight": vector()}
    if kind == "gpt":
        state["pos_emb.weight"] = matrix(64, WIDTH, 2)
    for layer in range(LAYERS):
        name = f"layers.{layer}."
        state |= {f"{name}attn_norm.weight": vector(), f"{name}ffn_norm.weight": vector()}
        state |= {f"{name}attention.q_proj.weight": matrix(WIDTH, WIDTH, 2)}
        state |= {f"{name}attention.k_proj.weight": matrix(keys, WIDTH, 2)}
        state |= {f"{name}attention.v_proj.weight": matrix(keys, WIDTH, 3)}
        state |= {f"{name}attention.o_proj.weight": matrix(WIDTH, WIDTH, 3)}
        state |= {f"{name}mlp.gate_proj.weight": matrix(HIDDEN, WIDTH, 0.5)} if kind == "llama" else {}
        state |= {
            f"{name}mlp.up_proj.weight": matrix(HIDDEN, WIDTH, 0.5),
            f"{name}mlp.down_proj.weight": matrix(WIDTH, HIDDEN, 8),
        }
    return state | {"lm_head.weight": matrix(VOCABULARY, WIDTH, 2)}
