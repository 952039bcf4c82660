"""Hyperparameters of a gated decoder: names, ranges, and the record of them all.

Strategy: names are those of Hugging Face's config.json, whichever file they came from; those that a family's code
does not read stand at the value that changes nothing, and are not part of its document.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .architecture_file import Parameter
from .delta_mixer import DeltaSizes
from .llama_families import FAMILIES
from .llama_family import Family, States
from .llama_states import hyperparameters_of
from .state_mixer import GATE, READ, STEP, WRITE, MixerSizes, X

FRONTEND_NAME = "llama"
MAX_LAYERS = 1024
ACTIVATIONS = ("silu", "gelu", "gelu_pytorch_tanh", "relu", "relu2")
FACTORS = (  # of what stands before or behind a map
    *("key_multiplier", "attention_in_multiplier", "attention_out_multiplier", "gate_multiplier", "down_multiplier"),
    *("ssm_in_multiplier", "ssm_out_multiplier", "ssm_gate_multiplier", "ssm_x_multiplier", "ssm_write_multiplier"),
    *("ssm_read_multiplier", "ssm_step_multiplier"),
)
OF_EVERY_FAMILY = {
    "family": Parameter(str, choices=tuple(sorted(FAMILIES))),
    "vocab_size": Parameter(int, least=1),
    "num_hidden_layers": Parameter(int, least=1, most=MAX_LAYERS),
    "hidden_size": Parameter(int, least=1),
    "intermediate_size": Parameter(int, least=1),
    "num_attention_heads": Parameter(int, least=1),
    "num_key_value_heads": Parameter(int, least=1),
    "head_dim": Parameter(int, least=2),
    "tie_word_embeddings": Parameter(bool),
    "rope_theta": Parameter(float, least=1),
    "rope_scaling": Parameter(dict),  # {}: none
    "rms_norm_eps": Parameter(float, least=1e-30),
    "hidden_act": Parameter(str, choices=ACTIVATIONS),
    "seq_len": Parameter(int, least=1, most=1 << 20),
    "boundary_token": Parameter(int, least=0),
}
OF_SOME = {
    "sliding_window": Parameter(int, least=0),  # 0: none
    "sliding_layers": Parameter(list),  # those whose attention has the window
    "rope_local_base_freq": Parameter(float, least=1),  # of those layers
    "unrotated_layers": Parameter(list),
    "conv_layers": Parameter(list),  # those with a short convolution in place of attention
    "conv_L_cache": Parameter(int, least=1),  # how many positions it sees
    "state_layers": Parameter(list),  # those that carry a state in place of attention
    "mamba_d_ssm": Parameter(int, least=0),  # width of what they carry; 0: none does
    "mamba_n_heads": Parameter(int, least=0),
    "mamba_n_groups": Parameter(int, least=0),
    "mamba_d_state": Parameter(int, least=0),
    "mamba_d_conv": Parameter(int, least=0),
    "mamba_rms_norm": Parameter(bool),
    "mamba_norm_before_gate": Parameter(bool),
    "linear_num_value_heads": Parameter(int, least=0),  # of what a delta net carries; 0: none does
    "linear_num_key_heads": Parameter(int, least=0),
    "linear_value_head_dim": Parameter(int, least=0),
    "linear_key_head_dim": Parameter(int, least=0),
    "linear_conv_kernel_dim": Parameter(int, least=0),
    "layer_heads": Parameter(list),  # of queries, layer by layer
    "layer_key_heads": Parameter(list),
    "layer_widths": Parameter(list),  # of MLPs
    "partial_rotary_factor": Parameter(float, least=0, most=1),
    "query_pre_attn_scalar": Parameter(float, least=0),
    "attention_multiplier": Parameter(float, least=0),
    "attn_logit_softcapping": Parameter(float, least=0),  # 0: none
    "final_logit_softcapping": Parameter(float, least=0),
    "embedding_multiplier": Parameter(float),
    "residual_multiplier": Parameter(float),
    "logits_scaling": Parameter(float, least=1e-30),
    "logit_scale": Parameter(float),
    "clip_qkv": Parameter(float, least=0),  # 0: none
    "head_act": Parameter(str, choices=ACTIVATIONS),  # of the map before the one that makes the logits
    "use_qk_norm": Parameter(bool),
    "use_post_norm": Parameter(bool),
    **dict.fromkeys(FACTORS, Parameter(float)),
}
PARAMETERS = OF_EVERY_FAMILY | OF_SOME


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One architecture, complete and consistent; see PARAMETERS."""

    family: str
    vocab_size: int
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    tie_word_embeddings: bool
    rope_theta: float
    rope_scaling: dict[str, object]
    rms_norm_eps: float
    hidden_act: str
    seq_len: int
    boundary_token: int
    sliding_window: int = 0
    sliding_layers: list[int] = field(default_factory=list)
    rope_local_base_freq: float = 0.0
    unrotated_layers: list[int] = field(default_factory=list)
    conv_layers: list[int] = field(default_factory=list)
    conv_L_cache: int = 1
    layer_heads: list[int] = field(default_factory=list)  # []: the same everywhere
    layer_key_heads: list[int] = field(default_factory=list)
    layer_widths: list[int] = field(default_factory=list)
    partial_rotary_factor: float = 1.0
    query_pre_attn_scalar: float = 0.0  # 0: the width of a head
    attention_multiplier: float = 0.0  # 0: one over the root of the scalar above
    attn_logit_softcapping: float = 0.0
    final_logit_softcapping: float = 0.0
    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    logits_scaling: float = 1.0
    logit_scale: float = 1.0
    clip_qkv: float = 0.0
    head_act: str = ""
    use_qk_norm: bool = False
    use_post_norm: bool = False
    state_layers: list[int] = field(default_factory=list)
    mamba_d_ssm: int = 0
    mamba_n_heads: int = 0
    mamba_n_groups: int = 0
    mamba_d_state: int = 0
    mamba_d_conv: int = 0
    mamba_rms_norm: bool = True
    mamba_norm_before_gate: bool = False
    linear_num_value_heads: int = 0
    linear_num_key_heads: int = 0
    linear_value_head_dim: int = 0
    linear_key_head_dim: int = 0
    linear_conv_kernel_dim: int = 0
    key_multiplier: float = 1.0
    attention_in_multiplier: float = 1.0
    attention_out_multiplier: float = 1.0
    gate_multiplier: float = 1.0
    down_multiplier: float = 1.0
    ssm_in_multiplier: float = 1.0
    ssm_out_multiplier: float = 1.0
    ssm_gate_multiplier: float = 1.0
    ssm_x_multiplier: float = 1.0
    ssm_write_multiplier: float = 1.0
    ssm_read_multiplier: float = 1.0
    ssm_step_multiplier: float = 1.0

    @property
    def mixer(self) -> MixerSizes | DeltaSizes:
        """Of the layers that carry a state."""
        if self.traits.states is States.DELTA:
            heads, widths = (self.linear_num_value_heads, self.linear_num_key_heads), self.linear_value_head_dim
            return DeltaSizes(self.hidden_size, *heads, widths, self.linear_key_head_dim, self.linear_conv_kernel_dim)
        sizes = self.mamba_d_ssm, self.mamba_n_heads, self.mamba_n_groups, self.mamba_d_state, self.mamba_d_conv
        return MixerSizes(self.hidden_size, *sizes, 0, self.mamba_rms_norm, self.mamba_norm_before_gate)

    @property
    def mixer_layers(self) -> list[int]:
        """The layers that carry a state, in place of attention or beside it."""
        return list(range(self.num_hidden_layers)) if self.traits.states is States.BESIDE else self.state_layers

    @property
    def mixer_factors(self) -> dict[str, float]:
        """By part of a mixer's first map, of what it gives."""
        own = (self.ssm_gate_multiplier, self.ssm_x_multiplier, self.ssm_write_multiplier, self.ssm_read_multiplier)
        return dict(zip((GATE, X, WRITE, READ, STEP), (*own, self.ssm_step_multiplier), strict=True))

    @property
    def traits(self) -> Family:
        """What the code of the family does."""
        return FAMILIES[self.family]

    @property
    def queries(self) -> int:
        """Width of all queries together."""
        return self.num_attention_heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all keys together, and of all values."""
        return self.num_key_value_heads * self.head_dim

    def heads(self, layer: int) -> tuple[int, int]:
        """Heads of queries and of keys of a layer."""
        if self.layer_heads and self.layer_key_heads:
            return self.layer_heads[layer], self.layer_key_heads[layer]
        return self.num_attention_heads, self.num_key_value_heads

    def width(self, layer: int) -> int:
        """Hidden units of a layer's MLP."""
        return self.layer_widths[layer] if self.layer_widths else self.intermediate_size

    @property
    def rotary_dims(self) -> int:
        """How many elements of each head are rotated."""
        return int(self.head_dim * self.partial_rotary_factor)

    def document(self) -> dict[str, object]:
        """As an architecture file would say it."""
        return {"frontend": FRONTEND_NAME, **{name: getattr(self, name) for name in names_of(self.traits)}}


def names_of(family: Family) -> list[str]:
    """The hyperparameters that a family has."""
    some = (*family.optional, *hyperparameters_of(family.states))
    return [*OF_EVERY_FAMILY, *(name for name in OF_SOME if name in some)]
