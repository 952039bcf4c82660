"""The Llama family: Llama, TinyLlama, SmolLM, Mistral, Qwen 2 and 3, llama2.c, under the names of
Hugging Face or of Meta.

Strategy: one block of pre-norm attention and a gated MLP; biases, norms of heads and windows are there
when the tensors or the configuration say so. Departures from the stored tensors are exact and undone by
`restore`: rows of queries and keys are negated where the rotation turns the other way, and a gain that
heads share stands once a head (see `rotations`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import CheckpointError
from ...format.program import operations as op
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
from ..model.program_builder import ProgramBuilder
from .llama_configuration import FAMILIES
from .llama_names import NAMINGS, Naming, naming_of, recognized
from .llama_shapes import FRONTEND_NAME, Hyperparameters, check_shapes, parse_given, resolve
from .rotations import check_frequencies, head_gains, turned, turned_tensors

ACTIVATIONS = {"silu": op.ActivationKind.SILU, "gelu": op.ActivationKind.GELU}


class Llama:
    """State_dicts of LlamaForCausalLM and its kin, and of llama2.c."""

    name = FRONTEND_NAME
    model_types = tuple(FAMILIES)

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are the family's, in the naming that knows most of them."""
        names = list(names)
        return max(recognized(naming, names) for naming in NAMINGS)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        naming = naming_of(checkpoint.tensors)
        resolved = resolve(checkpoint, naming, parse_given(architecture))
        h = resolved.hyperparameters
        check_shapes(checkpoint, h, naming)
        _check_buffers(checkpoint, h, naming)
        builder = build_program(h, naming, checkpoint.tensors)
        program = Program(tuple(builder.instructions), h.vocab_size, h.seq_len, h.boundary_token)
        used = {name: checkpoint.tensors[name] for name in builder.names}
        tensors = builder.tensors(_rewritten(program, used, naming), checkpoint.dtypes)
        return Model(program, tensors, h.document(), resolved.assumed, resolved.told)

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them, from those that the program reads."""
        restored = [tensor.values for tensor in tensors]
        for tensor, (heads, layout) in turned_tensors(program).items():
            restored[tensor] = turned(restored[tensor], heads, layout)
        for tensor, heads in head_gains(program):
            restored[tensor] = restored[tensor][: restored[tensor].size // heads]
        return [replace(tensor, values=values) for tensor, values in zip(tensors, restored, strict=True)]


def _rewritten(program: Program, tensors: Mapping[str, np.ndarray], naming: Naming) -> dict[str, np.ndarray]:
    """The tensors that the program reads, by name: the inverse of `Llama.restore`."""
    names = list(tensors)
    rewritten = dict(tensors)
    for tensor, (heads, layout) in turned_tensors(program).items():
        rewritten[names[tensor]] = turned(tensors[names[tensor]], heads, layout)
    for tensor, heads in head_gains(program):
        rewritten[names[tensor]] = np.tile(tensors[names[tensor]], heads)
    return rewritten


def _check_buffers(checkpoint: Checkpoint, h: Hyperparameters, naming: Naming) -> None:
    """Tables of rotations that the checkpoint holds must be those of its hyperparameters."""
    for name, values in checkpoint.tensors.items():
        if naming.buffers.fullmatch(name):
            try:
                check_frequencies(name, values, h.rope_theta)
            except CheckpointError as error:
                raise CheckpointError(f"{checkpoint.path}: {error}") from error


def build_program(h: Hyperparameters, naming: Naming, present: Iterable[str]) -> ProgramBuilder:
    """The instructions of an architecture; biases and norms of heads where their tensors are `present`."""
    builder, present = ProgramBuilder(), set(present)
    block = _Block(builder, h, naming, present)
    x = builder.emit(op.Embed(builder.tensor(naming.table)))
    for layer in range(h.num_hidden_layers):
        x = builder.emit(op.Add(x, block.attention(layer, block.norm(x, naming.weight(layer, "attention_norm")))))
        x = builder.emit(op.Add(x, block.mlp(layer, block.norm(x, naming.weight(layer, "mlp_norm")))))
    head = naming.table if h.tie_word_embeddings else naming.head
    builder.emit(op.Linear(block.norm(x, naming.norm), builder.tensor(head)))
    return builder


class _Block:
    """Writes the two halves of a layer."""

    def __init__(self, builder: ProgramBuilder, h: Hyperparameters, naming: Naming, present: set[str]) -> None:
        self.builder, self.h, self.naming, self.present = builder, h, naming, present

    def norm(self, x: int, name: str, heads: int = 1) -> int:
        return self.builder.emit(op.RmsNorm(x, heads, self.h.rms_norm_eps, self.builder.row(name)))

    def map(self, layer: int, part: str, x: int) -> int:
        weight, bias = self.naming.weight(layer, part), self.naming.bias(layer, part)
        tensor = self.builder.tensor(weight)
        return self.builder.emit(op.Linear(x, tensor, self.builder.row(bias) if bias in self.present else None))

    def attention(self, layer: int, x: int) -> int:
        h = self.h
        window = h.sliding_window if layer in h.sliding_layers else 0
        q = self._rotated(layer, "query", x, h.num_attention_heads)
        k = self._rotated(layer, "key", x, h.num_key_value_heads)
        v = self.map(layer, "value", x)
        heads = h.num_attention_heads, h.num_key_value_heads
        return self.map(layer, "output", self.builder.emit(op.Attention(q, k, v, *heads, h.head_dim**-0.5, window)))

    def _rotated(self, layer: int, part: str, x: int, heads: int) -> int:
        """Queries or keys: mapped, normalized where the model does that, and rotated."""
        x = self.map(layer, part, x)
        norm = f"{part}_norm"
        if norm in self.naming.parts and self.naming.weight(layer, norm) in self.present:
            x = self.norm(x, self.naming.weight(layer, norm), heads)
        return self.builder.emit(op.Rope(x, heads, self.h.rope_theta, self.h.head_dim, self.naming.layout))

    def mlp(self, layer: int, x: int) -> int:
        gate = self.builder.emit(op.Activation(self.map(layer, "gate", x), ACTIVATIONS[self.h.hidden_act]))
        hidden = self.builder.emit(op.Multiply(gate, self.map(layer, "up", x)))
        return self.map(layer, "down", hidden)
