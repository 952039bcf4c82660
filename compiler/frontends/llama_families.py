"""The families of gated decoders, as data: what the code of each model type does, and what it assumes where its
configuration is silent.

Strategy: one record a model type of Hugging Face's config.json. All of them embed, add attention and a gated MLP to a
stream layer by layer, normalize and map to logits; a record says where they differ. Source: the modeling and
configuration code of transformers 5; run.c of llama2.c.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .biases import Rule


class Norms(enum.Enum):
    """Where the halves of a layer are normalized: what they read, what they give, or both."""

    BEFORE = "before"
    AFTER = "after"
    BOTH = "both"


class HeadNorms(enum.Enum):
    """What of queries and keys is normalized: nothing, each head, or all heads as one."""

    NONE = "none"
    EACH = "each"
    WHOLE = "whole"


class Windows(enum.Enum):
    """Which layers see a window of the past, unless `layer_types` says so."""

    NONE = "none"
    ALL = "all"
    LATE = "late"  # from max_window_layers on, if use_sliding_window says so
    PERIODIC = "periodic"  # all but every n-th
    UNROTATED = "unrotated"  # those without rotation, if use_sliding_window says so


NO_BIASES: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(("query", "key", "value", "output", "gate", "up", "down"), False)
)
ATTENTION_BIASES: Mapping[str, Rule] = {
    **NO_BIASES,
    **dict.fromkeys(("query", "key", "value", "output"), ("attention_bias", False)),
}
ALL_BIASES: Mapping[str, Rule] = {
    **ATTENTION_BIASES,
    **dict.fromkeys(("gate", "up", "down"), ("mlp_bias", False)),
}


@dataclass(frozen=True, slots=True)
class Family:
    """What the code of a model type does.

    shifted_gains : gains are stored less 1
    scaled_embedding : the embedding is multiplied by the root of the stream's width
    fused : queries, keys and values stand in one tensor, gate and up in another
    period : of Windows.PERIODIC;  period_key : what its configuration may call it
    local_rotation : layers with a window turn by a base of their own, which nothing scales; local_base : assumed for
        it (None: the same base)
    activation_key : what its configuration calls the activation;  tanh_gelu : "gelu" means its tanh form here
    yarn_is_longrope : rotations that its older files call "yarn" are those of "longrope"
    trained_length : assumed where a scaling needs it and nobody tells it (None: the longest length)
    biases : which maps have a bias, by part
    assumes : by hyperparameter that not every family has, what its code assumes
    rope_theta, epsilon, activation, head_dim, bos_token_id, sliding_window, max_window_layers : likewise, of
        hyperparameters that all have; a sliding_window of 0 is none
    """

    norms: Norms = Norms.BEFORE
    head_norms: HeadNorms = HeadNorms.NONE
    shifted_gains: bool = False
    scaled_embedding: bool = False
    fused: bool = False
    windows: Windows = Windows.NONE
    period: int = 0
    period_key: str = ""
    local_rotation: bool = False
    local_base: float | None = None
    activation_key: str = "hidden_act"
    tanh_gelu: bool = False
    yarn_is_longrope: bool = False
    trained_length: int | None = None
    biases: Mapping[str, Rule] = field(default_factory=lambda: NO_BIASES)
    rope_theta: float = 10_000.0
    epsilon: float = 1e-6
    activation: str = "silu"
    assumes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    head_dim: int | None = None
    bos_token_id: int | None = None
    sliding_window: int = 4096
    max_window_layers: int = 28

    @property
    def optional(self) -> tuple[str, ...]:
        """The hyperparameters that not every family has."""
        windowed = ("sliding_window", "sliding_layers") if self.windows is not Windows.NONE else ()
        local = ("rope_local_base_freq",) if self.local_rotation else ()
        unrotated = ("unrotated_layers",) if self.windows is Windows.UNROTATED else ()
        return (*windowed, *local, *unrotated, *self.assumes)


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

FAMILIES: Mapping[str, Family] = {
    "llama": LLAMA,
    "llama2.c": replace(LLAMA, epsilon=1e-5, biases=NO_BIASES),
    "mistral": replace(LLAMA, windows=Windows.ALL, biases=NO_BIASES),
    "qwen2": QWEN2,
    "qwen3": replace(QWEN2, head_norms=HeadNorms.EACH, biases=ATTENTION_BIASES),
    "smollm3": Family(windows=Windows.UNROTATED, rope_theta=2_000_000.0, bos_token_id=128_000, biases=ALL_BIASES),
    "gemma": GEMMA,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "olmo2": OLMO2,
    "olmo3": replace(OLMO2, windows=Windows.PERIODIC, period=4, rope_theta=500_000.0, local_rotation=True),
    "phi3": replace(
        LLAMA,
        epsilon=1e-5,
        biases=NO_BIASES,
        fused=True,
        windows=Windows.ALL,
        sliding_window=0,
        yarn_is_longrope=True,
        trained_length=4096,
        assumes={"partial_rotary_factor": 1.0},
    ),
    "granite": GRANITE,
}
MULTIMODAL = {"gemma3": "gemma3_text"}  # model types whose text_config is the model that is read
