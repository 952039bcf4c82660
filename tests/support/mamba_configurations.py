"""Tiny configurations of models that carry a state, each with what sets it apart from the others."""

from __future__ import annotations

import numpy as np

Config = dict[str, object]

MIXERS: Config = {
    "vocab_size": 29,
    "hidden_size": 24,
    "state_size": 4,
    "num_hidden_layers": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
MAMBA: Config = MIXERS | {"model_type": "mamba"}
MAMBA2: Config = MIXERS | {"model_type": "mamba2", "num_heads": 6, "head_dim": 8, "n_groups": 2, "chunk_size": 8}
MAMBA_CONFIGURATIONS: dict[str, Config] = {
    "mamba": MAMBA,
    "mamba-all-biases": MAMBA
    | {
        **{"use_bias": True, "expand": 3, "conv_kernel": 3, "time_step_rank": 5, "layer_norm_epsilon": 1e-2},
        **{"tie_word_embeddings": False, "hidden_act": "gelu"},
    },
    "mamba2": MAMBA2,
    "mamba2-all-biases": MAMBA2
    | {
        **{"use_bias": True, "conv_kernel": 3, "layer_norm_epsilon": 1e-2, "n_groups": 1, "state_size": 7},
        **{"tie_word_embeddings": True, "hidden_act": "gelu"},
    },
    "mamba2-without-biases": MAMBA2 | {"use_conv_bias": False, "conv_kernel": 1, "num_heads": 12, "head_dim": 4},
}


def random_configuration(config: Config, seed: int) -> Config:
    """The same family with other sizes, tied or not, with biases or without."""
    random = np.random.default_rng(seed)
    drawn = dict(config) | {"hidden_size": 8 * int(random.integers(1, 4)), "expand": int(random.choice([1, 2, 3]))}
    drawn |= {"state_size": int(random.integers(1, 20)), "conv_kernel": int(random.integers(1, 6))}
    drawn |= {name: bool(random.integers(2)) for name in ("use_bias", "use_conv_bias", "tie_word_embeddings")}
    drawn["layer_norm_epsilon"] = float(random.choice([1e-6, 1e-2]))
    if config["model_type"] == "mamba":
        return drawn | {"time_step_rank": ("auto", 1, 7)[random.integers(3)]}
    inner = int(str(drawn["hidden_size"])) * int(str(drawn["expand"]))
    heads = int(random.choice([each for each in (1, 2, 4, 8) if inner % each == 0]))
    groups = int(random.choice([each for each in (1, 2, 4) if heads % each == 0]))
    return drawn | {"num_heads": heads, "head_dim": inner // heads, "n_groups": groups}
