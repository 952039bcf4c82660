"""Names and shapes of every tensor that a model of the challenge has, and the comparison with what there is.

Strategy: one table a part. A checkpoint may hold a copy of a tied head and the heads of a multi-token loss besides,
which the model does not use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ....errors import CheckpointError
from ...checkpoints.checkpoint import Checkpoint
from ..misfit import misfit
from .hyperparameters import FRONTEND_NAME, Hyperparameters
from .sizes import HEAD, TABLE, is_copy_of_table
from .traits import (
    BANKS,
    BIGRAM,
    BIGRAM_SUM,
    FACTORIZED_REVERSE,
    FUSED_QKV,
    GATE_PROJECTION,
    GATE_WEIGHT,
    LANE_LAMBDAS,
    LANE_MERGE,
    MLP_GATE,
    PASS_MLP,
    REPEAT_MLP,
    SKIP_GATES,
    SMEAR,
    SMEAR_FIRST,
    SMEAR_GATE,
    VALUE_EMBEDDING,
    VOCABULARY_BIAS,
)

Shapes = dict[str, tuple[int, ...]]
UNUSED = re.compile(r"mtp_heads\.\d{1,4}\.weight")


def expected_shapes(h: Hyperparameters) -> Shapes:
    """Name and shape of every tensor of the state_dict."""
    d, e = h.model_dim, h.embedding_dim
    rows = h.skip_rows if _skips_fit(h) else h.skips
    shapes: Shapes = {TABLE: (h.vocab_size, e), "skip_weights": (rows, d)}
    if h.factorized:
        back = "embed_proj_rev.weight" if h.has(FACTORIZED_REVERSE) else "head_proj.weight"
        shapes |= {"embed_proj.weight": (d, e), back: (e, d)}
    if h.has(SKIP_GATES):
        shapes["skip_gates"] = (rows, d)
    shapes |= _embedding_parts(h) | _lanes(h)
    for block in range(h.num_blocks):
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in _block(h).items()}
    if h.has(BANKS):
        shapes |= _banks(h)
    else:
        maps = _block_matrices(h)
        shapes |= {f"blocks.{layer}.{name}": shape for layer in range(h.num_layers) for name, shape in maps.items()}
    if not h.tie_embeddings:
        shapes[HEAD] = (h.vocab_size, d if h.has(VOCABULARY_BIAS) else e)
    return shapes


def _embedding_parts(h: Hyperparameters) -> Shapes:
    """What is added to the token table, and to values and logits by token."""
    d, e = h.model_dim, h.embedding_dim
    shapes: Shapes = {}
    if h.has(BIGRAM_SUM):
        shapes |= {
            "bigram_hash.table.weight": (h.bigram_rows, h.bigram_dim),
            "bigram_hash.proj.weight": (e, h.bigram_dim),
        }
    if h.has(BIGRAM):
        shapes |= {"bigram.embed.weight": (h.bigram_rows, h.bigram_dim), "bigram.scale": ()}
        shapes["bigram.proj.weight"] = (e, h.bigram_dim)
    if h.has(SMEAR_FIRST):
        shapes["smeargate.gate"] = (e,)
    if h.has(SMEAR):
        shapes["smear.gate"] = (d,)
    if h.has(SMEAR_GATE):
        shapes |= {"smear_gate.weight": (1, h.smear_gate_window), "smear_lambda": (1,)}
    if h.has(VALUE_EMBEDDING):
        shapes |= {"ve_shared.embed.weight": (h.vocab_size, h.ve_dim), "ve_shared.scale": ()}
        shapes["ve_shared.proj.weight"] = (h.key_dim, h.ve_dim)
        shapes |= {f"ve_layer_scales.{index}": (1,) for index in range(h.ve_count)}
    if h.has(VOCABULARY_BIAS):
        shapes["vocab_bias"] = (h.vocab_size,)
    return shapes


def _lanes(h: Hyperparameters) -> Shapes:
    shapes: Shapes = {"lane_merge": ()} if h.has(LANE_MERGE) else {}
    if h.has(LANE_LAMBDAS):
        shapes |= {"parallel_post_lambdas": (h.num_layers, 2, 2), "parallel_resid_lambdas": (h.num_layers, 2)}
    return shapes


def _block(h: Hyperparameters) -> Shapes:
    """The vectors and gates of a block, below its prefix."""
    d = h.model_dim
    shapes: Shapes = {"attn_scale": (d,), "mlp_scale": (d,), "resid_mix": (2, d), "attn.q_gain": (h.num_heads,)}
    if h.has(GATE_PROJECTION):
        shapes["attn.attn_gate_proj.weight"] = (h.num_heads, h.gate_window)
    if h.has(GATE_WEIGHT):
        shapes["attn.attn_gate_w"] = (h.num_heads, h.gate_window)
    if h.has(MLP_GATE):
        shapes["mlp.mlp_gate_proj.weight"] = (1, h.mlp_gate_window)
    return shapes


def _block_matrices(h: Hyperparameters) -> Shapes:
    d, keys = h.model_dim, h.key_dim
    maps: Shapes = {"attn.c_q.weight": (d, d), "attn.c_k.weight": (keys, d), "attn.c_v.weight": (keys, d)}
    if h.has(FUSED_QKV):
        maps = {"attn.c_qkv.weight": (d + 2 * keys, d)}
    return maps | {"attn.proj.weight": (d, d), "mlp.fc.weight": (h.mlp_dim, d), "mlp.proj.weight": (d, h.mlp_dim)}


def _banks(h: Hyperparameters) -> Shapes:
    layers, d = h.num_layers, h.model_dim
    return {
        "qo_bank": (2 * layers, d, d),
        "kv_bank": (2 * layers, h.key_dim, d),
        "mlp_up_bank": (layers, h.mlp_dim, d),
        "mlp_down_bank": (layers, d, h.mlp_dim),
    }


def untied_shapes(h: Hyperparameters) -> Shapes:
    """MLPs of a layer's later passes."""
    up, down = (h.mlp_dim, h.model_dim), (h.model_dim, h.mlp_dim)
    order = [*h.encoder_layers, *h.decoder_layers]
    repeated = sorted({layer for layer in order if order.count(layer) > 1})
    names = [f"repeat_mlp.{index}" for index in range(len(repeated)) if h.has(REPEAT_MLP)]
    if h.has(PASS_MLP):
        names += [f"override_mlps.{layer}_p{number}" for layer in repeated for number in range(1, order.count(layer))]
    return {f"{name}.fc.weight": up for name in names} | {f"{name}.proj.weight": down for name in names}


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters) -> tuple[str, ...]:
    """Compare the checkpoint with the architecture; the names of tensors that the model does not use.

    Raises CheckpointError that lists missing, unexpected and misshapen tensors.
    """
    tensors = checkpoint.tensors
    untied = untied_shapes(h)
    optional = {name for name in untied if name.startswith("repeat_mlp.") and _may_be_tied(name, tensors)}
    optional |= {"skip_weights"} if h.skips == 0 else set()
    optional |= {"bigram.proj.weight"} if h.bigram_dim == h.embedding_dim else set()  # scripts leave square ones out
    optional |= {"ve_shared.proj.weight"} if h.ve_dim == h.key_dim else set()
    unused = {name for name in tensors if UNUSED.fullmatch(name)}
    if h.tie_embeddings and (is_copy_of_table(tensors) or h.has(VOCABULARY_BIAS)):
        unused |= {HEAD} & tensors.keys()
    found = misfit(tensors, expected_shapes(h) | untied, optional=optional, surplus=unused)
    if not found:
        return tuple(sorted(unused))
    heads = f"{h.num_heads} heads, {h.num_kv_heads} key-value heads"
    size = f"{h.num_layers} layers of width {h.model_dim}, {heads}, MLP of {h.mlp_dim}, vocabulary of {h.vocab_size}"
    raise CheckpointError(
        f"{checkpoint.path} does not fit {FRONTEND_NAME} with {size}; {found}{_loop_hint(tensors, h)}"
    )


def _may_be_tied(name: str, tensors: Mapping[str, np.ndarray]) -> bool:
    """A repeated layer may share its MLP, or the first map of it alone."""
    return name.endswith("fc.weight") or name.replace("proj.weight", "fc.weight") not in tensors


def _skips_fit(h: Hyperparameters) -> bool:
    """As many weights as skips, or, in some scripts, as many as there would be without repeated layers."""
    return h.skip_rows in (h.skips, h.num_layers // 2) and h.skip_rows <= h.skips


def _loop_hint(tensors: Mapping[str, np.ndarray], h: Hyperparameters) -> str:
    """Looped layers are not visible in a state_dict, except in the number of skip weights."""
    if _skips_fit(h) or "skip_weights" not in tensors:
        return ""
    return (
        f"; {h.skip_rows} skip weights where the layer lists make {h.skips}: "
        "when layers are looped, give encoder_layers and decoder_layers in the architecture file"
    )
