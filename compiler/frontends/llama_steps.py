"""The single steps of a gated decoder's program: maps, norms, factors.

Strategy: each is one instruction, or none where a model does not have it.
"""

from __future__ import annotations

from collections.abc import Collection

from ...format.program import operations as op
from ...format.program.operands import Row
from ..model.program_builder import ProgramBuilder
from .llama_hyperparameters import Hyperparameters
from .llama_names import GAIN_OF_ONE, Naming
from .llama_shapes import bias_of
from .parts import ONE

ACTIVATIONS = {
    "silu": op.ActivationKind.SILU,
    "gelu": op.ActivationKind.GELU,
    "gelu_pytorch_tanh": op.ActivationKind.GELU_TANH,
    "relu": op.ActivationKind.RELU,
    "relu2": op.ActivationKind.RELU_SQUARED,
}


class Steps:
    """Writes the parts that layers are made of; maps have the biases that are `present` under their stored names."""

    def __init__(self, builder: ProgramBuilder, h: Hyperparameters, naming: Naming, present: Collection[str]) -> None:
        self.builder, self.h, self.naming, self.present = builder, h, naming, present

    def map(self, layer: int, part: str, x: int) -> int:
        """A linear map of a layer, with its bias if it has one."""
        biased = self.naming.stored(layer, part, "bias") in self.present
        weight = self.builder.tensor(self.naming.name(layer, part))
        bias = self.builder.row(self.naming.name(layer, part, "bias")) if biased else None
        return self.builder.emit(op.Linear(x, weight, bias))

    def linear(self, name: str, x: int) -> int:
        """A map outside the layers."""
        return self.builder.emit(op.Linear(x, self.builder.tensor(name), self.vector(bias_of(name))))

    def vector(self, name: str) -> Row | None:
        """A vector as an operand; None where it is not there."""
        return self.builder.row(name) if name in self.present else None

    def layer_norm(self, layer: int, part: str, x: int) -> int:
        """One of a layer's norms, or what it would read where the layer has none."""
        if layer == 0 and part == "attention_norm" and self.h.traits.bare_first:
            return x
        if self.h.traits.gainless:
            return self.norm("", x) if part in ("attention_norm", "mlp_norm") else x
        return self.norm(self.naming.stored(layer, part), x) if part in self.naming.parts else x

    def norm(self, name: str, x: int) -> int:
        """A norm of the whole register, by the gain of that name."""
        if self.h.traits.layer_norms:
            gain = self.builder.row(self.gain(name) if name else GAIN_OF_ONE)
            shift = self.vector(bias_of(name)) if name else None
            return self.builder.emit(op.LayerNorm(x, self.h.rms_norm_eps, gain, shift))
        return self.builder.emit(
            op.RmsNorm(x, 1, self.h.rms_norm_eps, self.builder.row(self.gain(name)) if name else None)
        )

    def gain(self, name: str) -> str:
        """What the program calls a gain."""
        return name + ONE if self.h.traits.shifted_gains else name
