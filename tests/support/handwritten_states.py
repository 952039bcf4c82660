"""State_dicts of models that people wrote themselves, as checkpoints, and what their architecture files say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from golden_logits import checkpoint_of
from handwritten_parts import HEADS, VOCABULARY, WIDTH
from torch import nn

from bytecap.compiler.checkpoints.buffers import without_buffers
from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.checkpoints.configuration import as_configuration
from bytecap.compiler.checkpoints.stored import stored_torch

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
