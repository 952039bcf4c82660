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


class _Builder:
    """Writes the program of one model."""

    def __init__(self, h: Hyperparameters, tensors: Mapping[str, np.ndarray]) -> None:
        self.h, self.tensors = h, tensors
        self.read = {stored_name(name): name for name in tensors}
        self.builder = ProgramBuilder()
        self.emit = self.builder.emit

    def program(self) -> ProgramBuilder:
        """From the tokens to the logits."""
        h = self.h
        x = first = self.smeared(self.norm(self.emit(op.Embed(self.tensor(TABLE)))))
        middle = x
        for layer in range(h.num_hidden_layers):
            if RESIDUAL in self.read:
                factors = (self.builder.row(self.read[name], layer) for name in (RESIDUAL, FROM_FIRST))
                x = self.emit(op.Mix(x, first, *factors))
            x = self.emit(op.Add(x, self.attention(layer, self.norm(x))))
            hidden = self.emit(op.Activation(self.map(layer, "mlp.c_fc", self.norm(x)), op.ActivationKind.RELU_SQUARED))
            x = self.emit(op.Add(x, self.map(layer, "mlp.c_proj", hidden)))
            if layer == h.num_hidden_layers // 2:
                middle = x
        if BACKOUT in self.read:
            backed = self.emit(op.Scale(middle, self.builder.row(self.read[BACKOUT])))
            x = self.emit(op.Add(x, self.emit(op.Affine(backed, -1.0, 0.0))))
        logits = self.emit(op.Linear(self.norm(x), self.tensor(HEAD)))
        self.emit(op.Softcap(logits, h.logit_softcap, op.SoftcapKind.TANH))
        return self.builder

    def smeared(self, x: int) -> int:
        """x plus the stream of the token before, times a gate of one value a token."""
        if SMEAR_GATE not in self.read:
            return x
        gate = self.gate(x, SMEAR_GATE, 1.0)
        gate = self.emit(op.Scale(gate, self.builder.row(self.read[SMEAR])))
        return self.emit(op.Add(x, self.gated(gate, self.emit(op.Shift(x, 1)), self.h.hidden_size)))

    def attention(self, layer: int, x: int) -> int:
        h = self.h
        q, k = (
            self.norm(self.rotated(self.map(layer, f"attn.{name}", x), heads), heads)
            for name, heads in (("c_q", h.num_attention_heads), ("c_k", h.num_key_value_heads))
        )
        v = self.map(layer, "attn.c_v", x)
        table = f"value_embeds.{layer}.weight"
        if table in self.read:
            gate = self.gate(x, LAYER.format(layer) + "attn.ve_gate.weight", h.value_gate_factor)
            own = self.emit(op.Embed(self.tensor(table)))
            v = self.emit(op.Add(v, self.gated(gate, own, h.num_key_value_heads * h.head_dim)))
        scale = h.query_key_factor**2 / h.head_dim**0.5
        window = h.short_window + 1 if h.window_pattern[layer % len(h.window_pattern)] == "S" else 0
        window = 0 if layer == h.num_hidden_layers - 1 else window
        attended = self.emit(op.Attention(q, k, v, h.num_attention_heads, h.num_key_value_heads, scale, window))
        return self.map(layer, "attn.c_proj", attended)

    def gate(self, x: int, name: str, factor: float) -> int:
        """factor times the sigmoid of a map of the first elements, as many as the map has columns."""
        start = self.emit(op.Slice(x, 0, self.tensors[self.read[name]].shape[1]))
        opened = self.emit(op.Activation(self.emit(op.Linear(start, self.tensor(name))), op.ActivationKind.SIGMOID))
        return opened if factor == 1 else self.emit(op.Affine(opened, factor, 0.0))

    def gated(self, gate: int, x: int, width: int) -> int:
        """Each value of the gate times its part of x."""
        return self.emit(op.Multiply(self.emit(op.Broadcast(gate, width, op.BroadcastKind.SPREAD)), x))

    def rotated(self, x: int, heads: int) -> int:
        return self.emit(op.Rope(x, heads, self.h.rope_theta, self.h.head_dim, op.RopeLayout.HALF_SPLIT))

    def norm(self, x: int, groups: int = 1) -> int:
        return self.emit(op.RmsNorm(x, groups, self.h.rms_norm_eps))

    def map(self, layer: int, part: str, x: int) -> int:
        return self.emit(op.Linear(x, self.tensor(f"{LAYER.format(layer)}{part}.weight")))

    def tensor(self, name: str) -> int:
        return self.builder.tensor(self.read[name])
