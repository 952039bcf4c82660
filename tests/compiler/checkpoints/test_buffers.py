"""Masks, positions and rotations in a state_dict are told from weights by what they hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bytecap.compiler.checkpoints.buffers import without_buffers
from bytecap.compiler.checkpoints.stored import stored_torch

TRIANGLE = torch.tril(torch.ones(6, 6))
WINDOW = TRIANGLE - torch.tril(torch.ones(6, 6), -3)
BUFFERS = {
    "h.0.attn.bias": TRIANGLE.reshape(1, 1, 6, 6),
    "h.1.attn.bias": TRIANGLE.bool(),
    "h.2.attn.bias": TRIANGLE.to(torch.uint8),
    "mask": TRIANGLE == 0,
    "causal_mask": torch.zeros(6, 6).masked_fill(TRIANGLE == 0, float("-inf")),
    "attn_mask": torch.zeros(6, 6).masked_fill(TRIANGLE == 0, -1e9),
    "h.3.attn.bias": WINDOW.reshape(1, 1, 6, 6),
    "h.0.attn.masked_bias": torch.tensor(-1e4),
    "position_ids": torch.arange(9)[None],
}
ROTATIONS = {
    "rotary_emb.inv_freq": torch.ones(4),
    "blocks.0.attn.rotary.inv_freq": torch.ones(4),
    "freqs_cis": torch.polar(torch.ones(5, 4), torch.ones(5, 4)),
    "rope.cos_cached": torch.ones(5, 8),
    "freqs_sin": torch.ones(5, 4),
}
WEIGHTS = {
    "h.0.attn.weight": TRIANGLE,  # a weight whatever it holds
    "h.0.attn.bias": torch.ones(6),
    "h.1.attn.bias": torch.ones(6, 6),
    "scale": torch.tensor([[1.0]]),
    "two": torch.eye(2) + 1,
    "masks": torch.stack([TRIANGLE, TRIANGLE]),
    "position_ids": torch.arange(9) + 1,
    "masked_bias": torch.tensor(0.5),
    "cosine": torch.ones(4),
}


def stored(tensors):
    return {name: stored_torch(tensor) for name, tensor in tensors.items()}


@pytest.mark.parametrize("name", BUFFERS)
def test_what_the_model_computes_is_left_out_and_named(name):
    found = without_buffers(stored({"a": torch.ones(2), name: BUFFERS[name]}))
    assert list(found.tensors) == ["a"] and found.note == f"left out, since the model computes them: {name}"


@pytest.mark.parametrize("name", ROTATIONS)
def test_tables_of_rotations_are_set_aside(name):
    found = without_buffers(stored({"a": torch.ones(2), name: ROTATIONS[name]}))
    assert list(found.tensors) == ["a"] and list(found.rotations) == [name] and name in found.note
    assert found.rotations[name].dtype == np.float32 and found.rotations[name].shape == ROTATIONS[name].shape


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_stay(name):
    found = without_buffers(stored({name: WEIGHTS[name]}))
    assert list(found.tensors) == [name] and found.note == ""
