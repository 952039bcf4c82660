"""The program of a gated decoder: embedding, layers of attention and a gated MLP, norm, head.

Strategy: one builder for all families, which reads top to bottom. Where families differ it asks their record
(`llama_families`) or a hyperparameter; a step that a family does not have returns its input.
"""

from __future__ import annotations

from collections.abc import Collection

from ...format.program import operations as op
from ..model.program_builder import ProgramBuilder
from .llama_families import HeadNorms
from .llama_hyperparameters import Hyperparameters
from .llama_names import OUTPUT_BIAS, Naming
from .parts import ONE
from .rope_scaling import Rotation, make_rotation

ACTIVATIONS = {
    "silu": op.ActivationKind.SILU,
    "gelu": op.ActivationKind.GELU,
    "gelu_pytorch_tanh": op.ActivationKind.GELU_TANH,
    "relu": op.ActivationKind.RELU,
}
FREQUENCIES = "rope_frequencies"  # a tensor of the program that no checkpoint stores


def rotations(h: Hyperparameters) -> tuple[Rotation, Rotation]:
    """(of layers that see everything, of those with a window)"""
    everywhere = make_rotation(h.rope_theta, h.rotary_dims, h.rope_scaling, h.seq_len)
    return everywhere, Rotation(h.rope_local_base_freq, h.rotary_dims) if h.traits.local_rotation else everywhere


def build_program(h: Hyperparameters, naming: Naming, present: Collection[str]) -> ProgramBuilder:
    """The instructions of an architecture; maps have the biases that are `present` under their stored names."""
    builder = ProgramBuilder()
    block = _Block(builder, h, naming, present)
    x = builder.emit(op.Embed(builder.tensor(naming.table)))
    x = block.times(h.hidden_size**0.5 if h.traits.scaled_embedding else h.embedding_multiplier, x)
    for layer in range(h.num_hidden_layers):
        x = block.layer(layer, x)
    x = block.norm(naming.norm, x)
    head = builder.tensor(naming.table if h.tie_word_embeddings else naming.head)
    bias = builder.row(OUTPUT_BIAS) if OUTPUT_BIAS in present else None
    x = block.times(1 / h.logits_scaling, builder.emit(op.Linear(x, head, bias)))
    if h.final_logit_softcapping:
        builder.emit(op.Softcap(x, h.final_logit_softcapping, op.SoftcapKind.TANH))
    return builder


class _Block:
    """Writes one layer."""

    def __init__(self, builder: ProgramBuilder, h: Hyperparameters, naming: Naming, present: Collection[str]) -> None:
        self.builder, self.h, self.naming, self.present = builder, h, naming, present
        self.rotations = rotations(h)

    def layer(self, layer: int, x: int) -> int:
        """Attention and MLP, each added to the stream."""
        for name, half in (("attention", self.attention), ("mlp", self.mlp)):
            y = half(layer, self.layer_norm(layer, f"{name}_norm", x))
            y = self.layer_norm(layer, f"{name}_output_norm", y)
            x = self.builder.emit(op.Add(x, self.times(self.h.residual_multiplier, y)))
        return x

    def attention(self, layer: int, x: int) -> int:
        h = self.h
        q = self.rotated(layer, "query", x, h.num_attention_heads)
        k = self.rotated(layer, "key", x, h.num_key_value_heads)
        v = self.map(layer, "value", x)
        heads = h.num_attention_heads, h.num_key_value_heads
        scale = h.attention_multiplier or (h.query_pre_attn_scalar or h.head_dim) ** -0.5
        window = h.sliding_window if layer in h.sliding_layers else 0
        if h.attn_logit_softcapping:
            y = self.builder.emit(op.CappedAttention(q, k, v, *heads, scale, window, False, h.attn_logit_softcapping))
        else:
            y = self.builder.emit(op.Attention(q, k, v, *heads, scale, window))
        return self.map(layer, "output", y)

    def rotated(self, layer: int, part: str, x: int, heads: int) -> int:
        """Queries or keys: mapped, normalized and turned, the latter two where the layer does that."""
        h = self.h
        x = self.head_norm(layer, f"{part}_norm", self.map(layer, part, x), heads)
        if layer in h.unrotated_layers:
            return x
        turn = self.rotations[layer in h.sliding_layers]
        frequencies = None if turn.scaled is None else self.builder.row(FREQUENCIES)
        base = turn.base if frequencies is None else 1.0
        forward = op.RotationDirection.FORWARD
        return self.builder.emit(
            op.Rotate(x, heads, turn.dims, base, frequencies, turn.factor, self.naming.layout, forward)
        )

    def mlp(self, layer: int, x: int) -> int:
        gate = self.builder.emit(op.Activation(self.map(layer, "gate", x), ACTIVATIONS[self.h.hidden_act]))
        hidden = self.builder.emit(op.Multiply(gate, self.map(layer, "up", x)))
        return self.map(layer, "down", hidden)

    def map(self, layer: int, part: str, x: int) -> int:
        """A linear map, with its bias if it has one."""
        biased = self.naming.stored(layer, part, "bias") in self.present
        weight = self.builder.tensor(self.naming.name(layer, part))
        bias = self.builder.row(self.naming.name(layer, part, "bias")) if biased else None
        return self.builder.emit(op.Linear(x, weight, bias))

    def layer_norm(self, layer: int, part: str, x: int) -> int:
        return self.norm(self.naming.stored(layer, part), x) if part in self.naming.parts else x

    def norm(self, name: str, x: int) -> int:
        return self.builder.emit(op.RmsNorm(x, 1, self.h.rms_norm_eps, self.builder.row(self.gain(name))))

    def head_norm(self, layer: int, part: str, x: int, heads: int) -> int:
        """Queries or keys normalized, as a whole or head by head with one gain for all heads."""
        kind = self.h.traits.head_norms
        if kind is HeadNorms.NONE:
            return x
        if kind is HeadNorms.WHOLE:
            return self.layer_norm(layer, part, x)
        x = self.builder.emit(op.RmsNorm(x, heads, self.h.rms_norm_eps))
        return self.builder.emit(op.ScaleTiled(x, self.builder.row(self.gain(self.naming.stored(layer, part)))))

    def gain(self, name: str) -> str:
        """What the program calls a gain."""
        return name + ONE if self.h.traits.shifted_gains else name

    def times(self, factor: float, x: int) -> int:
        return x if factor == 1 else self.builder.emit(op.Affine(x, factor, 0.0))
