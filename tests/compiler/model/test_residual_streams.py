"""Residual streams: which layers write into them, and that they make up for the error that is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_fisher import run
from naive_quantization import damped_hessian
from second_order import measured
from sequential_walk import DAMPING, SEQUENCES, model, quantizer, sequentially, with_weights
from tiny_models import bare_model, golf_model, random_sequences

from bytecap.compiler.model.residual_streams import Residual, find_residuals
from bytecap.compiler.model.torch_executor import Forward, TorchExecutor
from bytecap.format.program.operands import Row
from bytecap.format.program.operations import Activation, ActivationKind, Add, Affine, Embed, Linear, Mix, Scale
from bytecap.format.program.program import Program


def names_of(of, found: dict[int, Residual]) -> set[str]:
    return {of.tensors[of.program.instructions[index].weight].name for index in found}


def test_projections_back_into_the_stream_are_found() -> None:
    found = names_of(model(), find_residuals(model().program))
    layers = {t.name.split(".")[1] for t in model().tensors if t.name.startswith("blocks.")}
    assert found == {f"blocks.{layer}.{part}.proj.weight" for layer in layers for part in ("attn", "mlp")}


def test_weights_used_twice_are_not() -> None:
    looped = golf_model(1, num_layers=2, encoder_layers=[0, 1], decoder_layers=[1])
    assert {name.split(".")[1] for name in names_of(looped, find_residuals(looped.program))} == {"0"}


PROGRAMS = {
    "a sum": ((Embed(0), Linear(0, 1), Add(0, 1)), {1: Residual(0)}),
    "a sum the other way": ((Embed(0), Linear(0, 1), Add(1, 0)), {1: Residual(0)}),
    "a scaled output": ((Embed(0), Linear(0, 1), Scale(1, Row(2, 0)), Add(0, 2)), {1: Residual(0, Row(2, 0))}),
    "an output times a constant": ((Embed(0), Linear(0, 1), Affine(1, 0.25, 1.0), Add(0, 2)), {1: Residual(0, 0.25)}),
    "a mix": ((Embed(0), Linear(0, 1), Mix(0, 1, Row(2, 0), Row(2, 1))), {1: Residual(0, Row(2, 1), Row(2, 0))}),
    "a mix the other way": (
        (Embed(0), Linear(0, 1), Mix(1, 0, Row(2, 0), Row(2, 1))),
        {1: Residual(0, Row(2, 0), Row(2, 1))},
    ),
    "an activation between": ((Embed(0), Linear(0, 1), Activation(1, ActivationKind.SILU, 0.0), Add(0, 2)), {}),
    "another reader": ((Embed(0), Linear(0, 1), Add(0, 1), Add(1, 2)), {}),
    "its own double": ((Embed(0), Linear(0, 1), Add(1, 1)), {}),
    "a stream that comes later": ((Embed(0), Linear(0, 1), Scale(0, Row(2, 0)), Add(1, 2)), {}),
    "nothing reads it": ((Embed(0), Linear(0, 1)), {}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_counts_as_a_stream(name: str) -> None:
    instructions, expected = PROGRAMS[name]
    assert find_residuals(Program(instructions, 10, 8, 0)) == expected


def test_gains() -> None:
    own, other = torch.tensor([2.0, 0.5, 1e-6, -1.0]), torch.tensor([1.0, 1.0, 1.0, 3.0])
    vectors = {"own": own, "other": other}
    assert Residual(0).gain(vectors.__getitem__) == 1.0
    assert Residual(0, "own").gain(vectors.__getitem__).tolist() == [0.5, 2.0, 0.0, -1.0]
    assert Residual(0, 0.25).gain(vectors.__getitem__) == 4.0
    assert Residual(0, 0.0).gain(vectors.__getitem__) == 0.0
    assert Residual(0, "own", "other").gain(vectors.__getitem__).tolist() == [0.5, 2.0, 0.0, -3.0]


@pytest.mark.usefixtures("full_factors")
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_the_target_makes_up_for_the_stream(share: float) -> None:
    """Targets of projections move by the least-squares map from the layer's real inputs to the stream's error, over
    its scale, and less of it the fewer tokens tell it."""
    plain = model()
    table = np.round(plain.tensors[0].values * 4).astype(np.float32) / 4
    results, asked = sequentially(
        plain, measured(plain, SEQUENCES), quantizer(0.02), SEQUENCES, fixed={0: table}, correction=0.0, residual=share
    )
    finished = with_weights(plain, {0: table} | {i: q.weights for i, q in results.items()})
    (_, right), (_, real) = run(plain, SEQUENCES), run(finished, SEQUENCES)
    streams, moved = find_residuals(plain.program), 0
    forward = Forward(
        TorchExecutor(plain.program, {i: torch.from_numpy(t.values) for i, t in enumerate(plain.tensors)}),
        torch.zeros(1, 1, dtype=torch.int64),
    )
    for index, operation in enumerate(plain.program.instructions):
        target = next((t for w, t, _ in asked if isinstance(operation, Linear) and w == operation.weight), None)
        if target is None:
            continue
        expected = np.zeros_like(target)
        if index in streams:
            stream = streams[index]
            error = (right[stream.register] - real[stream.register]).detach().double().flatten(0, 1).numpy()
            x = real[operation.x].detach().double().flatten(0, 1).numpy()
            scale = forward.vector(stream.own, error.shape[1]).double().numpy()
            solid = damped_hessian(x.T @ x / len(x), DAMPING)
            told = len(x) / (len(x) + 4 * x.shape[1])
            expected = share * told * ((error / scale).T @ x / len(x)) @ np.linalg.inv(solid)
            moved += np.abs(expected).max() > 0.01
        np.testing.assert_allclose(target - plain.tensors[operation.weight].values, expected, rtol=1e-2, atol=2e-3)
    assert moved == len(streams)


def test_it_lowers_the_error_of_the_output() -> None:
    """A layer beside a coarse table: what it reads tells much of what the stream lacks."""
    random = np.random.default_rng(4)
    program = Program(
        (Embed(0), Linear(0, 1), Activation(1, ActivationKind.SILU, 0.0), Linear(2, 2), Add(0, 3), Linear(4, 3)),
        60,
        16,
        0,
    )
    shapes = ((60, 12), (40, 12), (12, 40), (60, 12))
    network = bare_model(program, *(random.standard_normal(shape) / shape[1] ** 0.5 for shape in shapes))
    sequences = random_sequences(60, 30, 16)
    table = np.round(network.tensors[0].values * 3).astype(np.float32) / 3
    errors = []
    for residual in (0.0, 1.0):
        results, _ = sequentially(
            network, measured(network, sequences), quantizer(0.002), sequences, fixed={0: table}, residual=residual
        )
        found = run(with_weights(network, {0: table} | {i: q.weights for i, q in results.items()}), sequences)[0]
        errors.append(float((run(network, sequences)[0] - found).detach().square().mean()))
    assert errors[1] < 0.7 * errors[0]
