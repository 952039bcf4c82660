"""nanochat: Karpathy's GPT of relu-squared MLPs, normalized queries and keys, value embeddings, smear and backout.

Strategy: one builder; what its tensors show (smear, backout, value embeddings, mixes with the first stream) is there
when they are, so that older checkpoints load, too. Three numbers that the code has changed over time and no tensor
tells are assumed where the tensors are those of the code that has them now, and asked for otherwise. Rows beyond the
vocabulary, which pad the tables and are cut off the logits, are left out of the program and come back as zeros.
Source: nanochat/gpt.py of github.com/karpathy/nanochat, 2026-07-03.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...format.program import operations as op
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
from ..model.program_builder import ProgramBuilder
from .bare_builder import BareBuilder
from .layouts import column_name, cut_name, stored_name, stored_tensors
from .nanochat_shapes import (
    BACKOUT,
    FROM_FIRST,
    FRONTEND_NAME,
    HEAD,
    LAYER,
    RESIDUAL,
    SMEAR,
    SMEAR_GATE,
    TABLE,
    VALUE_TABLES,
    Hyperparameters,
    check_shapes,
    parse_given,
    recognized,
    resolve,
)

PADDED = (TABLE, HEAD)  # and the value embeddings: rows for tokens


class Nanochat:
    """State_dicts of nanochat's GPT."""

    name = FRONTEND_NAME
    model_types = (FRONTEND_NAME,)

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are nanochat's."""
        return recognized(stored_name(name) for name in names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        resolved = resolve(checkpoint, parse_given(architecture))
        h = resolved.hyperparameters
        check_shapes(checkpoint, h)
        tensors = program_tensors(checkpoint.tensors, h)
        builder = _Builder(h, tensors).program()
        program = Program(tuple(builder.instructions), h.vocab_size, h.seq_len, h.boundary_token)
        dtypes = {name: checkpoint.dtypes[stored_name(name)] for name in builder.names}
        return Model(program, builder.tensors(tensors, dtypes), h.document(), resolved.assumed, resolved.told)

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them."""
        return stored_tensors(program, tensors)


def program_tensors(tensors: Mapping[str, np.ndarray], h: Hyperparameters) -> dict[str, np.ndarray]:
    """The tensors as a program reads them: tables without their padding, factors of layers as rows of one."""
    read = {}
    for name, values in tensors.items():
        if (name in PADDED or VALUE_TABLES.fullmatch(name)) and len(values) > h.vocab_size:
            name, values = cut_name(name, len(values)), values[: h.vocab_size]
        elif name in (RESIDUAL, FROM_FIRST):
            name, values = column_name(name), values[:, None]
        read[name] = np.ascontiguousarray(values)
    return read


class _Builder(BareBuilder):
    """Writes the program of one model."""

    def __init__(self, h: Hyperparameters, tensors: Mapping[str, np.ndarray]) -> None:
        super().__init__(tensors, h.rms_norm_eps)
        self.h = h

    def program(self) -> ProgramBuilder:
        """From the tokens to the logits."""
        h = self.h
        x = self.emit(op.Embed(self.tensor(TABLE)))
        x = self.norm(x) if h.embedding_norm else x
        if SMEAR_GATE in self.read:
            x = self.smeared(x, SMEAR_GATE, self.row(SMEAR), h.hidden_size)
        first = middle = x
        for layer in range(h.num_hidden_layers):
            at = LAYER.format(layer)
            if RESIDUAL in self.read:
                x = self.emit(op.Mix(x, first, self.row(RESIDUAL, layer), self.row(FROM_FIRST, layer)))
            x = self.emit(op.Add(x, self.attention(layer, at, self.norm(x))))
            hidden = self.relu_squared(self.norm(x), f"{at}mlp.c_fc.weight", f"{at}mlp.c_proj.weight")
            x = self.emit(op.Add(x, hidden))
            if layer == h.num_hidden_layers // 2:
                middle = x
        if BACKOUT in self.read:
            x = self.less(x, middle, self.row(BACKOUT))
        x = self.linear(self.norm(x), HEAD)
        if h.logit_softcap:
            self.emit(op.Softcap(x, h.logit_softcap, op.SoftcapKind.TANH))
        return self.builder

    def attention(self, layer: int, at: str, x: int) -> int:
        h = self.h
        q, k = (
            self.norm(self.rotated(self.linear(x, f"{at}attn.{name}.weight"), heads), heads)
            for name, heads in (("c_q", h.num_attention_heads), ("c_k", h.num_key_value_heads))
        )
        v = self.linear(x, f"{at}attn.c_v.weight")
        table = f"value_embeds.{layer}.weight"
        if table in self.read:
            gate = self.gate(x, f"{at}attn.ve_gate.weight", h.value_gate_factor)
            own = self.emit(op.Embed(self.tensor(table)))
            v = self.emit(op.Add(v, self.gated(gate, own, h.num_key_value_heads * h.head_dim)))
        scale = h.query_key_factor**2 / h.head_dim**0.5
        short = h.window_pattern[layer % len(h.window_pattern)] == "S" and layer < h.num_hidden_layers - 1
        window = h.short_window + 1 if short else 0
        attended = self.emit(op.Attention(q, k, v, h.num_attention_heads, h.num_key_value_heads, scale, window))
        return self.linear(attended, f"{at}attn.c_proj.weight")

    def rotated(self, x: int, heads: int) -> int:
        base, dims, layout = self.h.rope_theta, self.h.head_dim, op.RopeLayout.HALF_SPLIT
        if self.h.rope_backward:
            return self.emit(op.Rope(x, heads, base, dims, layout))
        return self.emit(op.Rotate(x, heads, dims, base, None, 1.0, layout, op.RotationDirection.FORWARD))
