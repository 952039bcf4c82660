"""Masks, positions and rotations in a state_dict are told from weights by what they hold, small masks by more."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bytecap.compiler.checkpoints.buffers import without_buffers
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.compiler.checkpoints.stored import stored_torch
from bytecap.errors import CheckpointError

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
    "h.0.attn.attention.bias": TRIANGLE,
    "h.0.attention.bias": TRIANGLE.half(),
    "att.mask": torch.triu(torch.ones(4, 4), 1),
    "blocks.0.sa.heads.0.tril": torch.tril(torch.ones(2, 2)),
    "self_attn._future_mask": TRIANGLE.to(torch.int64),
    "seen": torch.tril(torch.ones(2, 2)).bool(),
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
    "mix": torch.eye(64),
    "turn": 1 - torch.eye(64),
    "attn.mask": torch.eye(6),
    "mlp.bias": TRIANGLE,
    "seen": torch.tril(torch.ones(2, 2)).to(torch.uint8),
    "codes": TRIANGLE.to(torch.int8),
}
SHOWN = {  # from whether a position is seen to the number of a mask
    "ones": lambda seen: seen.float(),
    "zeros": lambda seen: (~seen).float(),
    "scores": lambda seen: torch.zeros(seen.shape).masked_fill(~seen, -6e4),
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


COUNTED = {
    "n_averaged": torch.tensor(3),
    "bn.num_batches_tracked": torch.tensor(3),
    "initted": torch.tensor(True),
    "step": torch.tensor([7]),
    "blocks.0.attn._extra_state": torch.zeros(9, dtype=torch.uint8),
}
UNCOUNTED = {
    "step": torch.tensor(0.5),
    "heads": torch.tensor(3),
    "steps": torch.tensor([1, 2]),
    "_extra_state": torch.ones(2),
}


@pytest.mark.parametrize("name", COUNTED)
def test_counts_of_a_training_are_left_out_and_named(name):
    found = without_buffers(stored({"a": torch.ones(2), name: COUNTED[name]}))
    assert list(found.tensors) == ["a"] and found.note == f"left out, counts and states of a training: {name}"


@pytest.mark.parametrize("name", UNCOUNTED)
def test_other_numbers_stay(name):
    assert list(without_buffers(stored({name: UNCOUNTED[name]})).tensors) == [name]


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_stay(name):
    found = without_buffers(stored({name: WEIGHTS[name]}))
    assert list(found.tensors) == [name] and found.note == ""


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("size", range(2, 10))
def test_what_chance_may_draw_is_a_mask_by_its_name_only(size, shown):
    for window in range(2, size + 1):
        square = torch.ones(size, size).bool()
        values = SHOWN[shown](torch.tril(square) & torch.triu(square, 1 - window))
        found = without_buffers(stored({"gate": values, "attn.mask": values, "h.0.attn.bias": values}))
        assert list(found.tensors) == (["gate"] if size < 8 else [])


def test_what_looks_like_a_small_mask_and_is_no_weight_is_refused_by_name(tmp_path):
    path = tmp_path / "model.pt"
    for values, way_out in (
        (TRIANGLE.to(torch.uint8), r"not plain floating point: seen \(uint8\); .*leave them out with --ignore NAME"),
        (torch.zeros(6, 6).masked_fill(TRIANGLE == 0, float("-inf")), "not finite: seen .*--ignore NAME leaves out"),
    ):
        torch.save({"a": torch.ones(2), "seen": values}, path)
        with pytest.raises(CheckpointError, match=way_out):
            read_checkpoint(path)
        assert list(read_checkpoint(path, Selection(ignore=("seen",))).tensors) == ["a"]
