"""Pruned weights and those under weight norm are read as what torch's modules compute with; others are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.errors import CheckpointError


def pruned(module: nn.Linear) -> nn.Linear:
    return prune.random_unstructured(prune.random_unstructured(module, "weight", 0.5), "bias", 0.25)


WAYS = {
    "pruned": (pruned, ("2 tensors pruned, made whole: map.weight, map.bias",)),
    "weight norm": (parametrizations.weight_norm, ("1 tensor under weight norm, made whole: map.weight",)),
    "weight norm of columns": (
        lambda module: parametrizations.weight_norm(module, dim=1),
        ("1 tensor under weight norm, made whole: map.weight",),
    ),
    "older weight norm": (torch.nn.utils.weight_norm, ("1 tensor under weight norm, made whole: map.weight",)),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", WAYS)
def test_weights_are_what_the_module_computes_with(tmp_path, name):
    torch.manual_seed(0)
    way, notes = WAYS[name]
    model = nn.ModuleDict({"map": way(nn.Linear(5, 7)), "other": nn.Linear(7, 2)})
    with torch.no_grad():
        for values in model.parameters():
            values += torch.randn_like(values)
    whole = {"map.weight": model["map"](torch.eye(5)).T - model["map"](torch.zeros(1, 5)).T}
    torch.save(model.state_dict(), tmp_path / "m.pt")
    read = read_checkpoint(tmp_path / "m.pt")
    assert {*read.tensors} == {"map.weight", "map.bias", "other.weight", "other.bias"} and read.notes == notes
    np.testing.assert_allclose(read.tensors["map.weight"], whole["map.weight"].detach(), atol=1e-6)
    np.testing.assert_allclose(read.tensors["map.bias"], model["map"](torch.zeros(5)).detach(), atol=0)


def test_pruned_weights_keep_their_type_and_their_place(tmp_path):
    state = {"a": torch.ones(2), "w_orig": torch.tensor([[0.1, 0.2]]).bfloat16(), "w_mask": torch.tensor([[1.0, 0.0]])}
    torch.save({**state, "z": torch.ones(1)}, tmp_path / "m.pt")
    read = read_checkpoint(tmp_path / "m.pt")
    assert [*read.tensors] == ["a", "w", "z"] and read.dtypes["w"] == "bfloat16"
    assert read.tensors["w"][0, 1] == 0 and read.tensors["w"][0, 0] != 0


@pytest.mark.parametrize("way", [parametrizations.spectral_norm, parametrizations.orthogonal])
def test_another_parametrization_is_named(tmp_path, way):
    torch.save(nn.ModuleDict({"map": way(nn.Linear(5, 5))}).state_dict(), tmp_path / "m.pt")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "m.pt")
    assert str(caught.value).startswith(
        f"{tmp_path / 'm.pt'} holds weights that a parametrization of the module comput"
    )
    assert str(caught.value).endswith(
        "which is not known here; torch.nn.utils.parametrize.remove_parametrizations makes it an ordinary one; save "
        "the state_dict after that"
    )


@pytest.mark.parametrize(
    "state",
    [
        {"w_orig": torch.ones(2, 3), "w_mask": torch.full((2, 3), 0.5)},
        {"w_orig": torch.ones(2, 3), "w_mask": torch.ones(3)},
        {"k_g": torch.ones(2, 1), "k_v": torch.ones(2, 3)},
        {"weight_g": torch.ones(2, 3), "weight_v": torch.ones(3, 2)},
        {"w": torch.ones(2, 3), "w_orig": torch.ones(2, 3), "w_mask": torch.ones(2, 3)},
    ],
)
def test_what_only_has_such_names_stays_as_it_is(tmp_path, state):
    torch.save(state, tmp_path / "m.pt")
    assert read_checkpoint(tmp_path / "m.pt").tensors.keys() == state.keys()
