"""Hyperparameters and tensor shapes of the Parameter Golf baseline family.

Strategy: shapes tell widths, heads and layers, by majority over the layers, so that one wrong tensor is reported as
misshapen and does not bend the rest. What shapes cannot tell comes from the caller or from the challenge's defaults.
The complete set of expected names and shapes is then compared with what the checkpoint holds.
Names and defaults are those of the public challenge's baseline script and its records.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .architecture_file import Parameter, checked_parameters
from .misfit import misfit

FRONTEND_NAME = "parameter-golf"
RELU_SQUARED, LEAKY_RELU_SQUARED = "relu_squared", "leaky_relu_squared"
BLOCK = re.compile(r"blocks\.(\d{1,4})\.(.+)")
EMBEDDING_FACTOR, HEAD_FACTOR = "embed_proj.weight", "head_proj.weight"
FACTORS = {EMBEDDING_FACTOR, HEAD_FACTOR}
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
# Not told by shapes.
OTHER_PARAMETERS = {
    "embedding_dim": Parameter(int, least=1),  # told by a factorized table; default: model_dim, a table that is not
    "rope_base": Parameter(float, 10_000.0, least=1),
    "rotary_dims": Parameter(int, least=0),  # default: the whole head
    "logit_softcap": Parameter(float, 30.0, least=0),  # 0: none
    "seq_len": Parameter(int, 1024, least=1, most=1 << 20),
    "boundary_token": Parameter(int, 1, least=0),
    "rms_norm_epsilon": Parameter(float, 1.1920929e-07, least=1e-30),
    "activation": Parameter(str, RELU_SQUARED, choices=(RELU_SQUARED, LEAKY_RELU_SQUARED)),
    "activation_slope": Parameter(float, 0.5),  # of leaky_relu_squared
    "encoder_layers": Parameter(list),  # default: the first half of the layers
    "decoder_layers": Parameter(list),  # default: the rest
    "ln_scale": Parameter(bool, False),
    "xsa_last_n": Parameter(int, 0, least=0),
}
# Of fresh models only.
INITIAL_PARAMETERS = {"qk_gain_init": Parameter(float, 1.5)}
PARAMETERS = SHAPE_PARAMETERS | OTHER_PARAMETERS | INITIAL_PARAMETERS


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
    rope_base: float
    rotary_dims: int
    logit_softcap: float
    seq_len: int
    boundary_token: int
    rms_norm_epsilon: float
    activation: str
    activation_slope: float
    encoder_layers: list[int]
    decoder_layers: list[int]
    ln_scale: bool
    xsa_last_n: int

    @property
    def head_dim(self) -> int:
        return self.model_dim // self.num_heads

    @property
    def mlp_dim(self) -> int:
        return round(self.mlp_mult * self.model_dim)

    @property
    def factorized(self) -> bool:
        """Whether projections stand between the token tables and the trunk (ALBERT, arXiv:1909.11942)."""
        return self.embedding_dim != self.model_dim

    @property
    def skips(self) -> int:
        """Encoder outputs that reach the decoder."""
        return min(len(self.encoder_layers), len(self.decoder_layers))

    def document(self) -> dict[str, object]:
        """As an architecture file would say it."""
        document = asdict(self)
        if self.activation == RELU_SQUARED:
            del document["activation_slope"]
        if not self.factorized:
            del document["embedding_dim"]
        return {"frontend": FRONTEND_NAME, **document}


def resolve(given: Mapping[str, object], shapes: Mapping[str, object]) -> tuple[Hyperparameters, tuple[str, ...]]:
    """Hyperparameters from what the caller gave, then the shapes, then defaults; and the names that came from defaults.

    `given` has passed `checked_parameters`. Raises CheckpointError when the values contradict each other.
    """
    known = {**shapes, **given}
    defaults = [name for name in SHAPE_PARAMETERS | OTHER_PARAMETERS if name not in known]
    known |= {name: PARAMETERS[name].default for name in defaults}
    if ("encoder_layers" in given) != ("decoder_layers" in given):
        raise CheckpointError("architecture: encoder_layers and decoder_layers go together; give both or neither")
    layers = list(range(known["num_layers"]))
    half = len(layers) // 2
    _require(
        known["model_dim"] % known["num_heads"] == 0,
        f"num_heads {known['num_heads']} does not divide model_dim {known['model_dim']}",
    )
    derived = {
        "encoder_layers": layers[:half],
        "decoder_layers": layers[half:],
        "rotary_dims": known["model_dim"] // known["num_heads"],
        "embedding_dim": known["model_dim"],
    }
    known |= {name: value for name, value in derived.items() if known[name] is None}
    hyperparameters = Hyperparameters(**{name: known[name] for name in SHAPE_PARAMETERS | OTHER_PARAMETERS})
    _check_consistent(hyperparameters)
    without = {"activation_slope"} if hyperparameters.activation == RELU_SQUARED else set()
    without |= set() if hyperparameters.factorized else {"embedding_dim"}
    return hyperparameters, tuple(name for name in defaults if name not in without)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckpointError(f"architecture: {message}")


def _check_consistent(h: Hyperparameters) -> None:
    _require(
        h.num_heads % h.num_kv_heads == 0, f"num_kv_heads {h.num_kv_heads} does not divide num_heads {h.num_heads}"
    )
    even = h.rotary_dims % 2 == 0 and h.rotary_dims <= h.head_dim
    _require(even, f"rotary_dims {h.rotary_dims} is not an even number of at most {h.head_dim}, the head width")
    _require(h.mlp_dim >= 1, f"mlp_mult {h.mlp_mult:g} leaves the MLP without units")
    _require(
        h.boundary_token < h.vocab_size, f"boundary_token {h.boundary_token} is not below vocab_size {h.vocab_size}"
    )
    _require(h.xsa_last_n <= h.num_layers, f"xsa_last_n {h.xsa_last_n} is more than num_layers {h.num_layers}")
    used = {*h.encoder_layers, *h.decoder_layers}
    beyond = sorted(used - set(range(h.num_layers)))
    _require(not beyond, f"encoder_layers and decoder_layers name layer {beyond[:1]}, but num_layers is {h.num_layers}")
    unused = sorted(set(range(h.num_layers)) - used)
    _require(not unused, f"encoder_layers and decoder_layers never use layer {unused[:1]}")


def parse_given(architecture: Mapping[str, object]) -> dict[str, object]:
    """The caller's hyperparameters, checked one by one."""
    return checked_parameters(architecture, PARAMETERS, FRONTEND_NAME)


def infer_from_shapes(tensors: Mapping[str, np.ndarray]) -> dict[str, object]:
    """What the tensors' shapes tell; a name is absent when no tensor tells it."""
    blocks = [(match[2], tensors[name].shape) for name in tensors if (match := BLOCK.fullmatch(name))]
    layers = [int(match[1]) for name in tensors if (match := BLOCK.fullmatch(name))]

    def sizes(suffix: str, axis: int, rank: int = 2) -> list[int]:
        return [shape[axis] for name, shape in blocks if name == suffix and len(shape) == rank]

    def matrix(name: str) -> tuple[int, ...]:
        return tensors[name].shape if name in tensors and tensors[name].ndim == 2 else ()

    table, head = matrix("tok_emb.weight"), matrix("lm_head.weight")
    factorized = not FACTORS.isdisjoint(tensors)
    found: dict[str, object] = {
        "vocab_size": next(iter([*table[:1], *head[:1]]), None),
        "num_layers": max(layers) + 1 if layers else None,
        "model_dim": _most_common(
            [*([] if factorized else table[1:]), *sizes("attn.c_q.weight", 1), *sizes("mlp.fc.weight", 1)]
        ),
        "num_heads": _most_common(sizes("attn.q_gain", 0, rank=1)),
    }
    keys, hidden = _most_common(sizes("attn.c_k.weight", 0)), _most_common(sizes("mlp.fc.weight", 0))
    if found["model_dim"] and found["num_heads"] and keys:
        found["num_kv_heads"] = max(1, keys * found["num_heads"] // found["model_dim"])
    if found["model_dim"] and hidden:
        found["mlp_mult"] = hidden / found["model_dim"]
    found["embedding_dim"] = next(iter(table[1:]), None) if factorized else None
    found["tie_embeddings"] = not head or _is_copy_of_table(tensors)
    return {name: value for name, value in found.items() if value} | {"tie_embeddings": found["tie_embeddings"]}


def _most_common(values: Iterable[int]) -> int | None:
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _is_copy_of_table(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether the head is stored although it is tied."""
    names = ("tok_emb.weight", "lm_head.weight")
    return all(name in tensors for name in names) and np.array_equal(tensors[names[0]], tensors[names[1]])


def expected_shapes(h: Hyperparameters, *, skip_gates: bool = False) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the state_dict."""
    d, key_dim = h.model_dim, h.num_kv_heads * h.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "tok_emb.weight": (h.vocab_size, h.embedding_dim),
        "skip_weights": (h.skips, d),
    }
    if h.factorized:
        shapes |= {EMBEDDING_FACTOR: (d, h.embedding_dim), HEAD_FACTOR: (h.embedding_dim, d)}
    if skip_gates:
        shapes["skip_gates"] = (h.skips, d)
    block = {
        "attn_scale": (d,),
        "mlp_scale": (d,),
        "resid_mix": (2, d),
        "attn.q_gain": (h.num_heads,),
        "attn.c_q.weight": (d, d),
        "attn.c_k.weight": (key_dim, d),
        "attn.c_v.weight": (key_dim, d),
        "attn.proj.weight": (d, d),
        "mlp.fc.weight": (h.mlp_dim, d),
        "mlp.proj.weight": (d, h.mlp_dim),
    }
    for layer in range(h.num_layers):
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in block.items()}
    if not h.tie_embeddings:
        shapes["lm_head.weight"] = (h.vocab_size, h.embedding_dim)
    return shapes


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters) -> None:
    """Compare the checkpoint with the architecture; CheckpointError that lists missing, unexpected and
    misshapen tensors.
    """
    tensors = checkpoint.tensors
    expected = expected_shapes(h, skip_gates="skip_gates" in tensors)
    optional = {"skip_weights"} if h.skips == 0 else set()
    if h.tie_embeddings and _is_copy_of_table(tensors):
        expected["lm_head.weight"] = expected["tok_emb.weight"]
    found = misfit(tensors, expected, optional=optional)
    if not found:
        return
    heads = f"{h.num_heads} heads, {h.num_kv_heads} key-value heads"
    size = f"{h.num_layers} layers of width {h.model_dim}, {heads}, MLP of {h.mlp_dim}, vocabulary of {h.vocab_size}"
    raise CheckpointError(
        f"{checkpoint.path} does not fit {FRONTEND_NAME} with {size}; {found}{_loop_hint(tensors, h)}"
    )


def _loop_hint(tensors: Mapping[str, np.ndarray], h: Hyperparameters) -> str:
    """Looped layers are not visible in a state_dict, except in the number of skip weights."""
    weights = tensors.get("skip_weights")
    if weights is None or weights.ndim != 2 or weights.shape[0] == h.skips:
        return ""
    return (
        f"; {weights.shape[0]} skip weights where the layer lists make {h.skips}: "
        "when layers are looped, give encoder_layers and decoder_layers in the architecture file"
    )
