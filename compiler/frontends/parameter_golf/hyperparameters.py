"""The hyperparameters of a model of the challenge: their names, domains and the baseline's values, and a whole set.

Strategy: names are those of the public scripts. Shapes tell the first group, names of tensors make some of the
second group matter (`NEEDS`), and what nothing tells is resolved in `resolution`. A set is complete and consistent;
its document says only what matters for the traits at hand, and rebuilds the same program.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from ....errors import CheckpointError
from ..architecture_file import Parameter
from .traits import (
    FACTORIZED,
    FUSED_QKV,
    GATE_PROJECTION,
    GATE_WEIGHT,
    LANE_LAMBDAS,
    LANE_MERGE,
    SKIP_GATES,
    SMEAR_GATE,
    VALUE_EMBEDDING,
)

FRONTEND_NAME = "parameter-golf"
RELU_SQUARED, LEAKY_RELU_SQUARED, RELU_POWER = "relu_squared", "leaky_relu_squared", "relu_power"
BEFORE_PROJECTION, AFTER_PROJECTION = "before_projection", "after_projection"
MEAN_LANE, MLP_LANE, ATTENTION_LANE = "mean", "mlp", "attn"
AT_ONCE, IN_TURN = "at_once", "in_turn"
FIRST_LANE, BOTH_LANES, NO_LANE = "first", "both", "none"
MAX_LAYERS = 1024

# Told by shapes; the defaults are for a fresh model only.
SHAPE_PARAMETERS = {
    "vocab_size": Parameter(int, 1024, least=1),
    "num_layers": Parameter(int, 9, least=1, most=MAX_LAYERS),
    "model_dim": Parameter(int, 512, least=1),
    "num_heads": Parameter(int, 8, least=1),
    "num_kv_heads": Parameter(int, 4, least=1),
    "mlp_mult": Parameter(float, 2.0, least=0),
    "tie_embeddings": Parameter(bool, True),
}
# Not told by shapes; the defaults are the baseline's.
OTHER_PARAMETERS = {
    "embedding_dim": Parameter(int, least=1),  # told by a factorized table; default: model_dim, a table that is not
    "factorized_norm": Parameter(str, BEFORE_PROJECTION, choices=(BEFORE_PROJECTION, AFTER_PROJECTION)),
    "rope_base": Parameter(float, 10_000.0, least=1),
    "rotary_dims": Parameter(int, least=0),  # default: the whole head
    "rope_type": Parameter(str, "rope", choices=("rope", "yarn")),
    "rope_train_seq_len": Parameter(int, 0, least=0),  # longer sequences raise the base; 0: none do
    "yarn_max_len": Parameter(int, 4096, least=1),
    "logit_softcap": Parameter(float, 30.0, least=0),  # 0: none
    "softcap_type": Parameter(str, "tanh", choices=("tanh", "poly")),
    "seq_len": Parameter(int, 1024, least=1, most=1 << 20),
    "boundary_token": Parameter(int, 1, least=0),
    "rms_norm_epsilon": Parameter(float, 1.1920929e-07, least=1e-30),
    "activation": Parameter(str, RELU_SQUARED, choices=(RELU_SQUARED, LEAKY_RELU_SQUARED, RELU_POWER)),
    "activation_slope": Parameter(float, 0.5),  # of leaky_relu_squared
    "activation_power": Parameter(int, 2, least=1, most=16),  # of relu_power
    "encoder_layers": Parameter(list),  # default: the first half of the layers
    "decoder_layers": Parameter(list),  # default: the rest
    "ln_scale": Parameter(bool, False),
    "xsa_last_n": Parameter(int, 0, least=0),
    "parallel_residual_start": Parameter(int, -1, least=-1),  # layers from here on: attention and MLP side by side
    "disable_layer0_attn": Parameter(bool, False),
    "document_attention": Parameter(bool, False),  # attention does not look across documents
    "smear_document_reset": Parameter(bool, False),
    "ve_layers": Parameter(list),  # default: the last ones
    "gate_attn_src": Parameter(str, "proj", choices=("proj", "q")),
    "sparse_attn_gate_scale": Parameter(float, 1.0),
    "parallel_start_layer": Parameter(int, 0, least=0),  # of two lanes
    "parallel_start_layer_is_physical": Parameter(bool, True),
    "parallel_final_lane": Parameter(str, MEAN_LANE, choices=(MEAN_LANE, MLP_LANE, ATTENTION_LANE)),
    "lane_update": Parameter(str, AT_ONCE, choices=(AT_ONCE, IN_TURN)),
    "lane_skips": Parameter(str, FIRST_LANE, choices=(FIRST_LANE, BOTH_LANES, NO_LANE)),
    "skips_beyond": Parameter(str, "none", choices=("none", "last")),  # which weights skips have that none are left for
    "bitnet_group_size": Parameter(int, 0, least=0),  # 0: weights are used as they are, not made ternary
    "fp_storage": Parameter(str, "none", choices=("none", "fp8")),
}
# Of fresh models only.
INITIAL_PARAMETERS = {"qk_gain_init": Parameter(float, 1.5)}
PARAMETERS = SHAPE_PARAMETERS | OTHER_PARAMETERS | INITIAL_PARAMETERS

# Parameters that matter only where the model has one of these parts; the others always do.
NEEDS = {
    "factorized_norm": {FACTORIZED},
    "smear_document_reset": {SMEAR_GATE},
    "ve_layers": {VALUE_EMBEDDING},
    "gate_attn_src": {GATE_PROJECTION},
    "sparse_attn_gate_scale": {GATE_WEIGHT},
    "parallel_start_layer": {LANE_MERGE, LANE_LAMBDAS},
    "parallel_start_layer_is_physical": {LANE_LAMBDAS},
    "parallel_final_lane": {LANE_LAMBDAS},
    "lane_update": {LANE_LAMBDAS},
    "lane_skips": {LANE_MERGE, LANE_LAMBDAS},
    "skips_beyond": {SKIP_GATES},
    "bitnet_group_size": {FUSED_QKV},
    "fp_storage": {FUSED_QKV},
}


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One architecture of the family, complete and consistent; field names are the challenge's."""

    vocab_size: int
    num_layers: int
    model_dim: int
    num_heads: int
    num_kv_heads: int
    mlp_mult: float
    tie_embeddings: bool
    embedding_dim: int
    factorized_norm: str
    rope_base: float
    rotary_dims: int
    rope_type: str
    rope_train_seq_len: int
    yarn_max_len: int
    logit_softcap: float
    softcap_type: str
    seq_len: int
    boundary_token: int
    rms_norm_epsilon: float
    activation: str
    activation_slope: float
    activation_power: int
    encoder_layers: list[int]
    decoder_layers: list[int]
    ln_scale: bool
    xsa_last_n: int
    parallel_residual_start: int
    disable_layer0_attn: bool
    document_attention: bool
    smear_document_reset: bool
    ve_layers: list[int]
    gate_attn_src: str
    sparse_attn_gate_scale: float
    parallel_start_layer: int
    parallel_start_layer_is_physical: bool
    parallel_final_lane: str
    lane_update: str
    lane_skips: str
    skips_beyond: str
    bitnet_group_size: int
    fp_storage: str
    # Told by shapes alone; 0 where the part is not there.
    num_blocks: int = 0
    skip_rows: int = 0
    gate_window: int = 0
    mlp_gate_window: int = 0
    smear_gate_window: int = 0
    bigram_rows: int = 0
    bigram_dim: int = 0
    ve_dim: int = 0
    ve_count: int = 0
    traits: frozenset[str] = frozenset()

    @property
    def head_dim(self) -> int:
        return self.model_dim // self.num_heads

    @property
    def key_dim(self) -> int:
        return self.num_kv_heads * self.head_dim

    @property
    def mlp_dim(self) -> int:
        return round(self.mlp_mult * self.model_dim)

    @property
    def factorized(self) -> bool:
        """Whether projections stand between the token tables and the trunk (ALBERT, arXiv:1909.11942)."""
        return self.embedding_dim != self.model_dim or FACTORIZED in self.traits

    @property
    def skips(self) -> int:
        """Encoder outputs that reach the decoder."""
        return min(len(self.encoder_layers), len(self.decoder_layers))

    def has(self, trait: str) -> bool:
        return trait in self.traits

    def document(self) -> dict[str, object]:
        """As an architecture file would say it: what matters for these traits."""
        known = asdict(self)
        return {"frontend": FRONTEND_NAME} | {
            name: known[name]
            for name in SHAPE_PARAMETERS | OTHER_PARAMETERS
            if matters(name, self.traits) and name not in unused_values(known)
        }


TOLD_BY_SHAPES_ALONE = tuple(
    field.name for field in fields(Hyperparameters) if field.name not in (*PARAMETERS, "traits")
)


def matters(name: str, traits: frozenset[str]) -> bool:
    """Whether a parameter means anything for a model with these parts."""
    return name not in NEEDS or not NEEDS[name].isdisjoint(traits)


def unused_values(known: dict[str, object]) -> set[str]:
    """Parameters that the others make meaningless."""
    unused = set()
    if known["activation"] != LEAKY_RELU_SQUARED:
        unused.add("activation_slope")
    if known["activation"] != RELU_POWER:
        unused.add("activation_power")
    if known["embedding_dim"] in (None, known["model_dim"]):
        unused.add("embedding_dim")
    if known["rope_type"] != "yarn":
        unused.add("yarn_max_len")
    return unused


def require(condition: bool, message: str) -> None:
    """CheckpointError that names the architecture unless `condition` holds."""
    if not condition:
        raise CheckpointError(f"architecture: {message}")


def check_consistent(h: Hyperparameters) -> None:
    """CheckpointError for values that contradict each other."""
    require(h.num_heads % h.num_kv_heads == 0, f"num_kv_heads {h.num_kv_heads} does not divide num_heads {h.num_heads}")
    even = h.rotary_dims % 2 == 0 and h.rotary_dims <= h.head_dim
    require(even, f"rotary_dims {h.rotary_dims} is not an even number of at most {h.head_dim}, the head width")
    require(h.mlp_dim >= 1, f"mlp_mult {h.mlp_mult:g} leaves the MLP without units")
    require(
        h.boundary_token < h.vocab_size, f"boundary_token {h.boundary_token} is not below vocab_size {h.vocab_size}"
    )
    used = {*h.encoder_layers, *h.decoder_layers}
    beyond = sorted(used - set(range(h.num_layers)))
    require(not beyond, f"encoder_layers and decoder_layers name layer {beyond[:1]}, but num_layers is {h.num_layers}")
    unused = sorted(set(range(h.num_layers)) - used)
    require(not unused, f"encoder_layers and decoder_layers never use layer {unused[:1]}")
    require(
        not h.has(VALUE_EMBEDDING) or len(h.ve_layers) == h.ve_count,
        f"ve_layers has {len(h.ve_layers)} layers, and the checkpoint {h.ve_count} ve_layer_scales",
    )
    require(
        all(layer < h.num_blocks for layer in h.ve_layers),
        f"ve_layers names a layer beyond the {h.num_blocks} blocks of the checkpoint",
    )
    require(
        h.rope_type == "rope" or h.rope_train_seq_len > 0,
        "rope_type yarn needs rope_train_seq_len, the length of the sequences in training",
    )
    steps = len(h.encoder_layers) + len(h.decoder_layers)
    require(
        h.num_blocks in (h.num_layers, steps),
        f"the checkpoint has {h.num_blocks} blocks, neither one for each of {h.num_layers} layers nor one for each of "
        f"{steps} steps",
    )
    _check_lanes(h)


def _check_lanes(h: Hyperparameters) -> None:
    if not (h.has(LANE_MERGE) or h.has(LANE_LAMBDAS)):
        return
    start, last = h.parallel_start_layer, h.num_layers - 1
    require(
        0 < start <= last,
        f"parallel_start_layer is {start}; two lanes begin at a layer between 1 and {last}",
    )
