"""Attention of a gated decoder: queries, keys and values, what normalizes, limits and rotates them.

Strategy: as in `llama_program`, whose layers this is a half of: a step that a family does not have returns its input.
"""

from __future__ import annotations

from collections.abc import Collection

from ...format.program import operations as op
from ..model.program_builder import ProgramBuilder
from .llama_family import HeadNorms
from .llama_hyperparameters import Hyperparameters
from .llama_names import ATTENTION_GATE, FREQUENCIES, Naming
from .llama_steps import Steps
from .rope_scaling import Rotation, make_rotation


def rotations(h: Hyperparameters) -> tuple[Rotation, Rotation]:
    """(of layers that see everything, of those with a window)"""
    everywhere = make_rotation(h.rope_theta, h.rotary_dims, h.rope_scaling, h.seq_len)
    return everywhere, Rotation(h.rope_local_base_freq, h.rotary_dims) if h.traits.local_rotation else everywhere


class Attention(Steps):
    """Writes the attention of every layer."""

    def __init__(self, builder: ProgramBuilder, h: Hyperparameters, naming: Naming, present: Collection[str]) -> None:
        super().__init__(builder, h, naming, present)
        self.rotations = rotations(h)

    def of(self, layer: int, x: int) -> int:
        """From the stream to what is added to it."""
        h = self.h
        heads = h.heads(layer)
        q = self.turned(layer, "query", x, heads[0])
        k = self.turned(layer, "key", x, heads[1])
        v = self.clipped(self.map(layer, "value", x))
        scale = h.attention_multiplier or (h.query_pre_attn_scalar or h.head_dim) ** -0.5
        window = h.sliding_window if layer in h.sliding_layers else 0
        if h.attn_logit_softcapping:
            y = self.builder.emit(op.CappedAttention(q, k, v, *heads, scale, window, False, h.attn_logit_softcapping))
        else:
            y = self.builder.emit(op.Attention(q, k, v, *heads, scale, window))
        if ATTENTION_GATE in self.naming.parts:
            gate = self.builder.emit(op.Activation(self.map(layer, ATTENTION_GATE, x), op.ActivationKind.SIGMOID))
            y = self.builder.emit(op.Multiply(y, gate))
        return self.map(layer, "output", self.layer_norm(layer, "attention_inner_norm", y))

    def turned(self, layer: int, part: str, x: int, heads: int) -> int:
        """Queries or keys: mapped, normalized and rotated, the latter two in the family's order."""
        x = self.clipped(self.map(layer, part, x))
        x = self.builder.times(x, self.h.key_multiplier) if part == "key" else x
        if self.h.traits.rotated_first:
            return self.head_norm(layer, f"{part}_norm", self.rotated(layer, x, heads), heads)
        return self.rotated(layer, self.head_norm(layer, f"{part}_norm", x, heads), heads)

    def rotated(self, layer: int, x: int, heads: int) -> int:
        """Queries or keys, turned where the layer does that."""
        if layer in self.h.unrotated_layers:
            return x
        turn = self.rotations[layer in self.h.sliding_layers]
        frequencies = None if turn.scaled is None else self.builder.row(FREQUENCIES)
        base = turn.base if frequencies is None else 1.0
        direction = op.RotationDirection.BACKWARD if self.h.traits.backward else op.RotationDirection.FORWARD
        return self.builder.emit(
            op.Rotate(x, heads, turn.dims, base, frequencies, turn.factor, self.naming.layout, direction)
        )

    def clipped(self, x: int) -> int:
        """max(-c, min(c, x)): of two relus, each with its corner at one end."""
        end = self.h.clip_qkv
        if not end:
            return x
        above = self.builder.emit(op.Activation(self.builder.emit(op.Affine(x, 1.0, -end)), op.ActivationKind.RELU))
        least = self.builder.emit(op.Activation(self.builder.emit(op.Affine(x, 1.0, end)), op.ActivationKind.RELU))
        beyond = self.builder.emit(op.Affine(above, -1.0, -end))
        return self.builder.emit(op.Add(least, beyond))

    def head_norm(self, layer: int, part: str, x: int, heads: int) -> int:
        """Queries or keys normalized, as a whole or head by head with one gain for all heads, or one for each."""
        kind = self.h.traits.head_norms
        if kind is HeadNorms.NONE or not (part in self.naming.parts or self.h.traits.gainless):
            return x
        if kind is HeadNorms.WHOLE:
            return self.layer_norm(layer, part, x)
        if kind is HeadNorms.OWN:
            return self.norm_of_each(self.naming.stored(layer, part), x, heads)
        x = self.builder.emit(op.RmsNorm(x, heads, self.h.rms_norm_eps))
        if self.h.traits.gainless:
            return x
        return self.builder.emit(op.ScaleTiled(x, self.builder.row(self.gain(self.naming.stored(layer, part)))))

    def norm_of_each(self, name: str, x: int, heads: int) -> int:
        """LayerNorms of the heads, by the rows of a matrix of gains."""
        width, each = self.h.head_dim, []
        for head in range(heads):
            y = self.builder.emit(op.Slice(x, head * width, (head + 1) * width)) if heads > 1 else x
            each.append(self.builder.emit(op.LayerNorm(y, self.h.rms_norm_eps, self.builder.row(name, head))))
        return self.builder.emit(op.Concat(tuple(each))) if heads > 1 else each[0]
