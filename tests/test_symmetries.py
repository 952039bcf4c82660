"""Hidden units are found where their order is free and only there, and sorting them changes nothing but their order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import bare_model, golf_model, random_sequences

from bytecap.compiler.calibration import measure_statistics
from bytecap.compiler.symmetries import HiddenUnits, find_hidden_units, sort_hidden_units
from bytecap.compiler.torch_executor import TorchExecutor
from bytecap.format.operands import Row
from bytecap.format.operations import Activation, ActivationKind, Add, Embed, Linear, Operation
from bytecap.format.program import Program

SEQUENCES = random_sequences(24, 12, 16, seed=3)
RELU, GELU = ActivationKind.RELU_SQUARED, ActivationKind.GELU


def program(*operations: Operation) -> Program:
    return Program(operations, 24, 16, 1)


def measured(model):
    return measure_statistics(model, SEQUENCES, batch_sequences=4, seed=0, device="cpu", threads=1)


def test_the_mlps_of_a_model_are_found() -> None:
    model = golf_model(5)
    names = [tensor.name for tensor in model.tensors]
    found = [(names[units.maker], names[units.reader]) for units in find_hidden_units(model.program)]
    assert found == [(f"blocks.{i}.mlp.fc.weight", f"blocks.{i}.mlp.proj.weight") for i in range(2)]


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ([Embed(0), Linear(0, 1), Activation(1, GELU, 0.0), Linear(2, 2)], [HiddenUnits(1, 2)]),
        ([Embed(0), Linear(0, 1), Linear(1, 2)], []),  # no activation between
        ([Embed(0), Linear(0, 1, Row(3, 0)), Activation(1, RELU, 0.0), Linear(2, 2)], []),  # a bias has an order, too
        ([Embed(0), Linear(0, 1), Activation(1, RELU, 0.0), Add(1, 2), Linear(2, 2)], []),  # the units are read twice
        ([Embed(0), Linear(0, 1), Activation(1, RELU, 0.0), Linear(2, 2), Linear(2, 3)], []),  # the activations are
        ([Embed(0), Linear(0, 1), Activation(1, RELU, 0.0), Linear(2, 1)], []),  # one matrix in both places
        ([Embed(0), Linear(0, 0), Activation(1, RELU, 0.0), Linear(2, 2)], []),  # the rows are tokens
    ],
)
def test_where_the_order_is_free(operations: list, found: list) -> None:
    assert find_hidden_units(program(*operations)) == found


def test_sorting_changes_the_order_and_nothing_else() -> None:
    model = golf_model(5)
    statistics = measured(model)
    sorted_model, found = sort_hidden_units(model, statistics)
    logits = [
        TorchExecutor(m.program, {i: torch.from_numpy(t.values) for i, t in enumerate(m.tensors)}).forward(torch.from_numpy(SEQUENCES))
        for m in (model, sorted_model)
    ]
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-4)
    again = measured(sorted_model)
    for units in find_hidden_units(model.program):
        fisher = found.matrices[units.maker].row_fisher
        assert (np.diff(fisher) <= 0).all() and len(set(fisher)) > 1
        assert not np.array_equal(sorted_model.tensors[units.maker].values, model.tensors[units.maker].values)
    for i, matrix in found.matrices.items():
        np.testing.assert_allclose(matrix.row_fisher, again.matrices[i].row_fisher, rtol=0.05)
        np.testing.assert_allclose(matrix.input_moment, again.matrices[i].input_moment, rtol=0.02, atol=1e-4)
        assert sorted_model.tensors[i].values.flags.c_contiguous
    assert [t.name for t in sorted_model.tensors] == [t.name for t in model.tensors]


def test_a_model_without_such_units_stays_as_it_is() -> None:
    random = np.random.default_rng(0)
    model = bare_model(program(Embed(0), Linear(0, 1)), random.standard_normal((24, 8)), random.standard_normal((24, 8)))
    sorted_model, _ = sort_hidden_units(model, measured(model))
    assert all(np.array_equal(a.values, b.values) for a, b in zip(model.tensors, sorted_model.tensors, strict=True))
