"""Calibration stops when twice the text leaves the steps alone, and not before."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_models import golf_model, random_sequences

from bytecap.compiler.statistics.calibration import Statistics, measure_statistics
from bytecap.compiler.statistics.convergence import Convergence, step_change
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics


def statistics(fisher: list[float], moment: list[float]) -> Statistics:
    return Statistics({0: MatrixStatistics(np.diag(moment).astype(float), np.array(fisher))}, {}, 1)


@pytest.mark.parametrize(
    ("fisher", "moment", "octaves"),
    [
        ([1, 1], [1, 1], 0.0),
        ([4, 4], [1, 1], math.sqrt(0.5)),
        ([1, 1], [16, 16], math.sqrt(2)),
        ([4, 1], [1, 4], math.sqrt(0.5)),
    ],
)
def test_the_change_of_steps_in_octaves(fisher: list[float], moment: list[float], octaves: float) -> None:
    judge = Convergence(octaves + 0.01)
    assert not judge.reached(statistics([1, 1], [1, 1]))
    assert judge.reached(statistics(fisher, moment))
    if octaves:
        judge = Convergence(octaves - 0.01)
        judge.reached(statistics([1, 1], [1, 1]))
        assert not judge.reached(statistics(fisher, moment))


def test_no_matrices_never_change() -> None:
    assert step_change({}, {}) == 0.0


def test_measuring_stops_at_a_doubling_and_equals_measuring_that_text() -> None:
    """And not before as many tokens are read as the widest matrix has inputs: fewer do not span them."""
    model, sequences = golf_model(3), random_sequences(24, 24, 16, seed=5)
    assert max(tensor.values.shape[-1] for tensor in model.tensors) == 32
    asked: list[int] = []

    def enough(found: Statistics) -> bool:
        asked.append(found.tokens)
        return len(asked) == 3

    options = {"batch_sequences": 1, "seed": 0, "device": "cpu", "threads": 2}
    found = measure_statistics(model, sequences, enough=enough, **options)
    assert asked == [32, 64, 128]
    assert found.tokens == 128
    same = measure_statistics(model, sequences[:8], **options)
    for i in found.matrices:
        assert np.array_equal(found.matrices[i].row_fisher, same.matrices[i].row_fisher)
        assert np.array_equal(found.matrices[i].hessian, same.matrices[i].hessian)
    whole = measure_statistics(model, sequences, enough=lambda _: False, **options)
    assert whole.tokens == sequences.size
