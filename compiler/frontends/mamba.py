"""Mamba and Mamba-2 under the names of transformers and of mamba_ssm: mixers that carry a state, and nothing else.

Strategy: the mixers are in `state_mixer`; what a configuration says is in `mamba_configuration`, what shapes tell in
`mamba_shapes`. The tensors are the checkpoint's own, but that parts of a map are read one by one and the weights of a
convolution tap by tap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...format.program import operations as op
from ...format.program.program import Program
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
from ..model.program_builder import ProgramBuilder
from .layouts import column_taps
from .llama_steps import ACTIVATIONS
from .mamba_configuration import FAMILIES
from .mamba_shapes import (
    FRONTEND_NAME,
    HEAD,
    LAYER,
    NORM,
    Hyperparameters,
    check_shapes,
    mixer_at,
    recognized,
    resolve,
    stored_name,
    table_of,
)
from .parts import join_parts
from .state_mixer import Mixer, mixer_values


class Mamba:
    """State_dicts of MambaForCausalLM, Mamba2ForCausalLM and MambaLMHeadModel."""

    name = FRONTEND_NAME
    model_types = FAMILIES

    def recognize(self, names: Iterable[str]) -> int:
        """How many names are those of a Mamba, as a checkpoint or a program has them."""
        return recognized(names)

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; see `build_model` of this folder."""
        resolved = resolve(checkpoint, architecture)
        h = resolved.hyperparameters
        check_shapes(checkpoint, h)
        builder = build_program(h, checkpoint.tensors)
        program = Program(tuple(builder.instructions), h.vocab_size, h.seq_len, h.boundary_token)
        values = dict(checkpoint.tensors)
        for layer in range(h.num_hidden_layers):
            values |= mixer_values(mixer_at(layer), h.sizes.parts, checkpoint.tensors)
        dtypes = {name: checkpoint.dtypes[stored_name(name)] for name in builder.names}
        return Model(program, builder.tensors(values, dtypes), h.document(), resolved.assumed, resolved.told)

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them."""
        return join_parts([column_taps(tensor) for tensor in tensors])


def build_program(h: Hyperparameters, tensors: Mapping[str, np.ndarray]) -> ProgramBuilder:
    """From the tokens to the logits."""
    builder, table = ProgramBuilder(), table_of(tensors)
    mixer = Mixer(builder, tensors, h.layer_norm_epsilon, ACTIVATIONS[h.hidden_act])

    def norm(name: str, x: int) -> int:
        return builder.emit(op.RmsNorm(x, 1, h.layer_norm_epsilon, builder.row(name)))

    x = builder.emit(op.Embed(builder.tensor(table)))
    for layer in range(h.num_hidden_layers):
        y = mixer.of(mixer_at(layer), h.sizes, norm(f"{LAYER.format(layer)}norm.weight", x))
        x = builder.emit(op.Add(x, y))
    head = builder.tensor(table if h.tie_word_embeddings else HEAD)
    builder.emit(op.Linear(norm(NORM, x), head))
    return builder
