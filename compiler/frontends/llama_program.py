"""The program of a gated decoder: embedding, layers of attention and an MLP, norm, head.

Strategy: one builder for all families, which reads top to bottom. Where families differ it asks their record
(`llama_families`) or a hyperparameter; a step that a family does not have returns its input. How queries, keys and
values are made of a stream is in `llama_attention`.
"""

from __future__ import annotations

from collections.abc import Collection

from ...format.program import operations as op
from ..model.program_builder import ProgramBuilder
from .delta_mixer import DeltaMixer, DeltaSizes
from .layouts import taps_name
from .llama_attention import Attention
from .llama_family import Norms
from .llama_hyperparameters import Hyperparameters
from .llama_names import CONVOLUTION, OUTPUT_BIAS, TAPS, Naming
from .llama_shapes import bias_of
from .llama_steps import ACTIVATIONS, Steps
from .state_mixer import Mixer

__all__ = ["ACTIVATIONS", "build_program"]


def build_program(h: Hyperparameters, naming: Naming, present: Collection[str]) -> ProgramBuilder:
    """The instructions of an architecture; maps have the biases that are `present` under their stored names."""
    builder = ProgramBuilder()
    block = _Block(builder, h, naming, present)
    x = builder.emit(op.Embed(builder.tensor(naming.table)))
    x = builder.times(x, h.hidden_size**0.5 if h.traits.scaled_embedding else h.embedding_multiplier)
    if h.traits.embedding_norm:
        x = block.norm(naming.embedding_norm, x)
    for layer in range(h.num_hidden_layers):
        x = block.layer(layer, x)
    x = block.norm(naming.norm, x)
    if naming.head_map:
        x = block.linear(naming.head_map, x)
        x = block.norm(naming.head_norm, builder.emit(op.Activation(x, ACTIVATIONS[h.head_act])))
    head = builder.tensor(naming.table if h.tie_word_embeddings else naming.head)
    bias = next((name for name in (bias_of(naming.head), OUTPUT_BIAS) if name in present), "")
    x = builder.emit(op.Linear(x, head, builder.row(bias) if bias else None))
    x = builder.times(x, h.logit_scale / h.logits_scaling)
    if h.final_logit_softcapping:
        builder.emit(op.Softcap(x, h.final_logit_softcapping, op.SoftcapKind.TANH))
    return builder


class _Block(Steps):
    """Writes one layer."""

    def __init__(self, builder: ProgramBuilder, h: Hyperparameters, naming: Naming, present: Collection[str]) -> None:
        super().__init__(builder, h, naming, present)
        self.attentions = Attention(builder, h, naming, present)
        self.mixers = Mixer(builder, present, h.rms_norm_eps, ACTIVATIONS[h.hidden_act])
        self.delta_nets = DeltaMixer(builder, present, h.rms_norm_eps, ACTIVATIONS[h.hidden_act])

    def layer(self, layer: int, x: int) -> int:
        """Attention and MLP, each added to the stream."""
        if self.h.traits.norms is Norms.ONCE:
            y = self.layer_norm(layer, "attention_norm", x)
            return self.builder.emit(op.Add(self.builder.emit(op.Add(x, self.attention(layer, y))), self.mlp(layer, y)))
        for name, half in (("attention", self.attention), ("mlp", self.mlp)):
            y = half(layer, self.layer_norm(layer, f"{name}_norm", x))
            y = self.layer_norm(layer, f"{name}_output_norm", y)
            x = self.builder.emit(op.Add(x, self.builder.times(y, self.h.residual_multiplier)))
        return x

    def attention(self, layer: int, x: int) -> int:
        """Attention, what stands in its place, or both a mixer and it."""
        if layer in self.h.conv_layers:
            return self.convolution(layer, x)
        if layer not in self.h.mixer_layers:
            return self.attentions.of(layer, x)
        at, sizes = self.naming.mixer(layer), self.h.mixer
        if isinstance(sizes, DeltaSizes):
            return self.delta_nets.of(at, sizes, x)
        read = self.builder.times(x, self.h.ssm_in_multiplier)
        y = self.mixers.of(at, sizes, read, self.h.mixer_factors)
        y = self.builder.times(y, self.h.ssm_out_multiplier)
        if layer in self.h.state_layers:
            return y
        beside = self.attentions.of(layer, self.builder.times(x, self.h.attention_in_multiplier))
        return self.builder.emit(op.Add(y, self.builder.times(beside, self.h.attention_out_multiplier)))

    def mlp(self, layer: int, x: int) -> int:
        """up, activation, down; where there is a gate, it goes through the activation and multiplies."""
        kind = ACTIVATIONS[self.h.hidden_act]
        gated = "gate" in self.naming.parts
        activated = self.builder.times(self.map(layer, "gate" if gated else "up", x), self.h.gate_multiplier)
        hidden = self.builder.emit(op.Activation(activated, kind))
        if gated:
            hidden = self.builder.emit(op.Multiply(hidden, self.map(layer, "up", x)))
        down = self.map(layer, "down", self.layer_norm(layer, "mlp_inner_norm", hidden))
        return self.builder.times(down, self.h.down_multiplier)

    def convolution(self, layer: int, x: int) -> int:
        """Every element of a product with those before it, each at its weight, and that multiplied and mapped."""
        before, after, inner = (self.map(layer, part, x) for part in CONVOLUTION[:3])
        x = self.builder.emit(op.Multiply(before, inner))
        y = self.builder.convolved(x, taps_name(self.naming.stored(layer, TAPS)), self.h.conv_L_cache)
        bias = self.naming.stored(layer, TAPS, "bias")
        y = self.builder.biased(y, bias) if bias in self.present else y
        return self.map(layer, "conv_output", self.builder.emit(op.Multiply(after, y)))
