"""State_dicts of models that people wrote themselves, as checkpoints, and what their architecture files say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from golden_logits import assert_computes, checkpoint_of, drawn_tokens
from handwritten_parts import HEADS, VOCABULARY, WIDTH, with_weights
from torch import nn

from bytecap.compiler.checkpoints.buffers import without_buffers
from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.checkpoints.configuration import as_configuration
from bytecap.compiler.checkpoints.stored import stored_torch
from bytecap.compiler.frontends import build_model, restored_tensors

HEAD = WIDTH // HEADS
Said = dict[str, object]
State = dict[str, np.ndarray]


def state_of(model: nn.Module) -> State:
    """The state_dict as a checkpoint reads it, without masks."""
    found = without_buffers({name: stored_torch(values) for name, values in model.state_dict().items()})
    return {name: stored.values for name, stored in found.tensors.items() if stored.values is not None}


def checkpoint_with(state: State, config: Said | None) -> Checkpoint:
    """A checkpoint beside a configuration as it is read from a file."""
    return replace(checkpoint_of(state, None), configuration=as_configuration(config, "its file"))


def logits_of(model: nn.Module, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(tokens)).numpy()


H: Said = {"num_attention_heads": HEADS}
ROTATED: Said = {**H, "rotary_dims": HEAD, "rope_theta": 10_000, "layer_norm_eps": 1e-6}
TUTORIAL: Said = {**ROTATED, "norm": "rms_norm", "norm_first": True, "hidden_act": "silu"}
ENCODER: Said = {**H, "norm_first": True, "hidden_act": "gelu"}
NEIGHBOURS: Said = {**TUTORIAL, "rope_interleaved": True}
HALVES: Said = {**TUTORIAL, "rope_interleaved": False}
PLAIN: Said = {"norm_first": True, "hidden_act": "relu"}
LITGPT: Said = {**ROTATED, "parallel_residual": False, "norm": "rms_norm", "hidden_act": "silu"}
SIZES: Said = {"d_model": WIDTH, "nhead": HEADS, "num_layers": 2, "dim_feedforward": 40, "vocab_size": VOCABULARY}
METAS: Said = {"dim": WIDTH, "n_heads": HEADS, "n_layers": 2, "norm_eps": 1e-6, "vocab_size": VOCABULARY}
NANOGPTS: Said = {"n_embd": WIDTH, "n_head": HEADS, "n_layer": 2, "bias": False, "block_size": 32}


def assert_computed_and_given_back(make: Callable[[], nn.Module], said: Said, family: str) -> None:
    """A module's state is read as that family, computes what the module does, and comes back under its own names."""
    module, tokens = with_weights(make()), drawn_tokens(VOCABULARY)
    state = state_of(module)
    model = build_model(checkpoint_of(state, None), said)
    assert_computes(model, logits_of(module, tokens), tokens)
    assert model.architecture["family"] == family
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[name], values) for name, values in state.items())
