"""The Parameter Golf baseline and the parts of its records whose formulas are published without ambiguity.

Strategy: the forward pass of the challenge's script, written once as program instructions. U-Net skips pair the last
encoder layer with the first decoder layer; looped layers are names of the same tensors in several places. Per-head norm
and query gain are one instruction, because a factor per head commutes with the rotation.
Departures from a plain state_dict: `ln_scale` and skip gates become derived tensors, since a program has no constants
and no functions of weights; they are exact rewrites of the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...errors import CheckpointError
from ...format.program import operations as op
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
from ..model.program_builder import ProgramBuilder
from .parameter_golf_shapes import (
    BLOCK,
    EMBEDDING_FACTOR,
    FRONTEND_NAME,
    HEAD_FACTOR,
    INITIAL_PARAMETERS,
    RELU_SQUARED,
    SHAPE_PARAMETERS,
    Hyperparameters,
    check_shapes,
    expected_shapes,
    infer_from_shapes,
    parse_given,
    resolve,
)

LAYER_SCALE = "ln_scale"
KEPT_SHARE, SKIP_SHARE = "skip_gates.sigmoid", "skip_weights.gated"


class ParameterGolf:
    """State_dicts of the challenge's baseline script: tok_emb, skip_weights, blocks.N.*, and lm_head when untied."""

    name = FRONTEND_NAME
    model_types = ()

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are the family's."""
        one_layer, _ = resolve({"num_layers": 1, "tie_embeddings": False, "embedding_dim": 1}, {})
        known = {name.removeprefix("blocks.0.") for name in expected_shapes(one_layer, skip_gates=True)}
        return sum((match[2] if (match := BLOCK.fullmatch(name)) else name) in known for name in names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        given = parse_given(architecture)
        told = infer_from_shapes(checkpoint.tensors)
        untold = [name for name in SHAPE_PARAMETERS if name not in told and name not in given]
        if untold:
            raise CheckpointError(
                f"{checkpoint.path} lacks the tensors of {FRONTEND_NAME} that would tell {', '.join(untold)} "
                "(tok_emb.weight, blocks.N.attn.q_gain, blocks.N.attn.c_k.weight, "
                "blocks.N.mlp.fc.weight); it is another architecture or incomplete"
            )
        hyperparameters, defaults = resolve(given, told)
        check_shapes(checkpoint, hyperparameters)
        derived = _derived_tensors(hyperparameters, checkpoint.tensors)
        builder = build_program(hyperparameters, gated="skip_gates" in checkpoint.tensors)
        program = Program(
            tuple(builder.instructions),
            hyperparameters.vocab_size,
            hyperparameters.seq_len,
            hyperparameters.boundary_token,
        )
        tensors = builder.tensors(
            {**checkpoint.tensors, **derived}, {**checkpoint.dtypes, **dict.fromkeys(derived, "float32")}
        )
        document = hyperparameters.document() | {name: given[name] for name in INITIAL_PARAMETERS if name in given}
        return Model(program, tensors, document, defaults)

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as they are: what is rewritten stands beside the checkpoint's own."""
        return list(tensors)


def _derived_tensors(h: Hyperparameters, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors that the program reads and the checkpoint does not hold as such, float32."""
    derived = {}
    if h.ln_scale:
        derived[LAYER_SCALE] = (1 / np.sqrt(np.arange(1, h.num_layers + 1)))[:, None].astype(np.float32)
    if "skip_gates" in tensors:
        kept = 1 / (1 + np.exp(-tensors["skip_gates"].astype(np.float64)))
        derived[KEPT_SHARE] = kept.astype(np.float32)
        derived[SKIP_SHARE] = (tensors["skip_weights"] * (1 - kept)).astype(np.float32)
    return derived


def build_program(h: Hyperparameters, *, gated: bool = False) -> ProgramBuilder:
    """The instructions of an architecture; `gated` when its skips have gates."""
    builder = ProgramBuilder()
    embedded = builder.emit(op.Embed(builder.tensor("tok_emb.weight")))
    if h.factorized:
        embedded = builder.emit(op.Linear(embedded, builder.tensor(EMBEDDING_FACTOR)))
    x = stem = builder.emit(op.RmsNorm(embedded, 1, h.rms_norm_epsilon))
    skips: list[int] = []
    for layer in h.encoder_layers:
        x = _block(builder, h, layer, x, stem)
        skips.append(x)
    for position, layer in enumerate(h.decoder_layers):
        if skips:
            x = _skip(builder, position, x, skips.pop(), gated)
        x = _block(builder, h, layer, x, stem)
    x = builder.emit(op.RmsNorm(x, 1, h.rms_norm_epsilon))
    if h.factorized:
        x = builder.emit(op.Linear(x, builder.tensor(HEAD_FACTOR)))
    logits = builder.emit(op.Linear(x, builder.tensor("tok_emb.weight" if h.tie_embeddings else "lm_head.weight")))
    if h.logit_softcap:
        builder.emit(op.Softcap(logits, h.logit_softcap, op.SoftcapKind.TANH))
    return builder


def _skip(builder: ProgramBuilder, position: int, x: int, skip: int, gated: bool) -> int:
    """x + w * skip, or with gates w * skip + σ(g) * (x - w * skip)."""
    if gated:
        return builder.emit(op.Mix(x, skip, builder.row(KEPT_SHARE, position), builder.row(SKIP_SHARE, position)))
    return builder.emit(op.Add(x, builder.emit(op.Scale(skip, builder.row("skip_weights", position)))))


def _block(builder: ProgramBuilder, h: Hyperparameters, layer: int, x: int, stem: int) -> int:
    """Residual mix with the stem, then attention and MLP, each normalized, scaled and added."""
    prefix = f"blocks.{layer}."
    mix = prefix + "resid_mix"
    x = builder.emit(op.Mix(x, stem, builder.row(mix, 0), builder.row(mix, 1)))
    attention = _attention(builder, h, layer, _layer_norm(builder, h, layer, x))
    x = builder.emit(op.Add(x, builder.emit(op.Scale(attention, builder.row(prefix + "attn_scale")))))
    mlp = _mlp(builder, h, prefix, _layer_norm(builder, h, layer, x))
    return builder.emit(op.Add(x, builder.emit(op.Scale(mlp, builder.row(prefix + "mlp_scale")))))


def _layer_norm(builder: ProgramBuilder, h: Hyperparameters, layer: int, x: int) -> int:
    gain = builder.row(LAYER_SCALE, layer) if h.ln_scale else None
    return builder.emit(op.RmsNorm(x, 1, h.rms_norm_epsilon, gain))


def _attention(builder: ProgramBuilder, h: Hyperparameters, layer: int, x: int) -> int:
    prefix = f"blocks.{layer}.attn."
    q = builder.emit(op.Linear(x, builder.tensor(prefix + "c_q.weight")))
    k = builder.emit(op.Linear(x, builder.tensor(prefix + "c_k.weight")))
    v = builder.emit(op.Linear(x, builder.tensor(prefix + "c_v.weight")))
    q = builder.emit(op.RmsNorm(q, h.num_heads, h.rms_norm_epsilon, builder.row(prefix + "q_gain")))
    k = builder.emit(op.RmsNorm(k, h.num_kv_heads, h.rms_norm_epsilon))
    if h.rotary_dims:
        q = builder.emit(op.Rope(q, h.num_heads, h.rope_base, h.rotary_dims, op.RopeLayout.HALF_SPLIT))
        k = builder.emit(op.Rope(k, h.num_kv_heads, h.rope_base, h.rotary_dims, op.RopeLayout.HALF_SPLIT))
    y = builder.emit(op.Attention(q, k, v, h.num_heads, h.num_kv_heads, 1 / math.sqrt(h.head_dim)))
    if layer >= h.num_layers - h.xsa_last_n:
        y = builder.emit(op.Exclude(y, v, h.num_heads, h.num_kv_heads))
    return builder.emit(op.Linear(y, builder.tensor(prefix + "proj.weight")))


def _mlp(builder: ProgramBuilder, h: Hyperparameters, prefix: str, x: int) -> int:
    hidden = builder.emit(op.Linear(x, builder.tensor(prefix + "mlp.fc.weight")))
    if h.activation == RELU_SQUARED:
        hidden = builder.emit(op.Activation(hidden, op.ActivationKind.RELU_SQUARED))
    else:
        hidden = builder.emit(op.Activation(hidden, op.ActivationKind.LEAKY_RELU_SQUARED, h.activation_slope))
    return builder.emit(op.Linear(hidden, builder.tensor(prefix + "mlp.proj.weight")))
