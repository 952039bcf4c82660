"""The hyperparameters of the GPT families, each with its domain.

Strategy: names are those of Hugging Face's config.json where it has one that most families share. `gpt_resolution`
finds their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from .architecture_file import Parameter, checked_parameters
from .gpt_configuration import ACTIVATIONS
from .gpt_families import FAMILIES

FRONTEND_NAME = "gpt"
MAX_LAYERS = 1024
PARAMETERS = {
    "family": Parameter(str, choices=tuple(FAMILIES)),
    "vocab_size": Parameter(int, least=1),
    "num_hidden_layers": Parameter(int, least=1, most=MAX_LAYERS),
    "hidden_size": Parameter(int, least=1),
    "intermediate_size": Parameter(int, least=1),
    "num_attention_heads": Parameter(int, least=1),
    "num_key_value_heads": Parameter(int, least=1),
    "tie_word_embeddings": Parameter(bool),
    "hidden_act": Parameter(str, choices=tuple(dict.fromkeys(ACTIVATIONS.values()))),
    "layer_norm_eps": Parameter(float, least=1e-30),
    "rotary_dims": Parameter(int, least=0),  # 0: none
    "rope_theta": Parameter(float, least=1),
    "parallel_residual": Parameter(bool),  # attention and MLP read the same stream
    "norm_first": Parameter(bool),  # before attention and MLP, not after their sums
    "final_norm": Parameter(bool),
    "scale_attention": Parameter(bool),  # by 1 / sqrt(width of a head)
    "scale_by_width": Parameter(bool),  # by 1 / sqrt(width of the model) in its place
    "scale_by_layer": Parameter(bool),  # and by 1 / (layer + 1)
    "sliding_window": Parameter(int, least=0),  # 0: none
    "sliding_layers": Parameter(list),  # those whose attention has the window
    "seq_len": Parameter(int, least=1, most=1 << 20),
    "boundary_token": Parameter(int, least=0),
    "norm": Parameter(str, choices=("layer_norm", "rms_norm")),
    "rope_interleaved": Parameter(bool),  # a rotation turns elements 0 and 1, not 0 and the first of the second half
    "gate_first": Parameter(bool),  # of two maps into the MLP that numbers alone tell apart
    "fused_by_head": Parameter(bool),  # queries, keys, values of the first head, then those of the next
    "scale_embedding": Parameter(bool),  # by the root of the model's width
    "head_dim": Parameter(int, least=1),  # of queries, keys and values
    "query_key_norm": Parameter(str, choices=("none", "rms_norm", "layer_norm")),
    "query_key_norm_first": Parameter(bool),  # before the rotation
    "logit_softcap": Parameter(float, least=0),  # c of c tanh(logits / c), 0: none
    "keys_in_turn": Parameter(bool),  # fewer than queries: query h reads keys h modulo their number
    "gains_less_one": Parameter(bool),  # of norms, which are stored less 1
    "embedding_norm": Parameter(bool),  # of the token embedding, without a gain
}
OF_FOUND = (  # others fix them
    *("norm", "rope_interleaved", "gate_first", "fused_by_head", "scale_embedding"),
    *("head_dim", "query_key_norm", "query_key_norm_first", "logit_softcap"),
    *("gains_less_one", "embedding_norm", "keys_in_turn"),
)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One architecture of the families, complete and consistent; see PARAMETERS."""

    family: str
    vocab_size: int
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    tie_word_embeddings: bool
    hidden_act: str
    layer_norm_eps: float
    rotary_dims: int
    rope_theta: float
    parallel_residual: bool
    norm_first: bool
    final_norm: bool
    scale_attention: bool
    scale_by_width: bool
    scale_by_layer: bool
    sliding_window: int
    sliding_layers: list[int]
    seq_len: int
    boundary_token: int
    norm: str = "layer_norm"
    rope_interleaved: bool = False
    gate_first: bool = True
    fused_by_head: bool = False
    scale_embedding: bool = False
    head_dim: int = 0  # 0: the model's width over the heads
    query_key_norm: str = "none"
    query_key_norm_first: bool = True
    logit_softcap: float = 0.0
    gains_less_one: bool = False
    embedding_norm: bool = False
    keys_in_turn: bool = False

    @property
    def head_width(self) -> int:
        """Elements of a query, a key or a value of one head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def document(self) -> dict[str, object]:
        """As an architecture file would say it."""
        values = asdict(self)
        return {"frontend": FRONTEND_NAME, **{name: values[name] for name in names_of(self.family)}}


def names_of(family: str) -> list[str]:
    """The hyperparameters that a family has."""
    record = FAMILIES[family]
    own = {*record.fixed, *record.assumed}
    return [name for name in PARAMETERS if record.is_found or name not in OF_FOUND or name in own]


def parse_given(architecture: Mapping[str, object]) -> dict[str, object]:
    """The caller's hyperparameters, checked one by one."""
    return checked_parameters(architecture, PARAMETERS, FRONTEND_NAME)
