"""A bias for the output head: that it takes the mean error of the logits away, pays where it is taken,
and is left out elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import ARCHITECTURE, CALM, golf_model, random_sequences

from bytecap.compiler.job import CompileJob
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.structure import find_head
from bytecap.compiler.quantize.grids import GridQuantizer, PlainGrids
from bytecap.compiler.rate_control.quick_trials import QuickTrials
from bytecap.compiler.recipe import parse_recipe, read_recipe
from bytecap.compiler.rewrites.head_bias import add_head_bias, mean_error, quantize_bias, weigh_bias, with_bias
from bytecap.compiler.statistics.calibration import Statistics
from bytecap.compiler.statistics.convergence import calibrate
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.compiler.workers import one_thread_each
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.program.program import validate_program
from bytecap.progress import silent_stage
from bytecap.runtime.interpreter import Interpreter

RECIPE = parse_recipe("biased", {"bias-head": {"enabled": True}, "calibrate": {"tokens": 512}})
UNCAPPED = {"tie_embeddings": False, "logit_softcap": 0.0}


def measured(model: Model, sequences: np.ndarray) -> Statistics:
    with one_thread_each():
        return calibrate(model, sequences.ravel(), RECIPE.calibration, progress=silent_stage, **CALM)


def around_mean(model: Model, statistics: Statistics) -> Statistics:
    """Statistics of a head whose inputs are nearly always the same, and whose outputs matter more than
    its grid was told.
    """
    weight = model.program.instructions[find_head(model.program)].weight
    mean = np.random.default_rng(3).standard_normal(len(statistics.head_mean))
    hessian = np.multiply.outer(mean, mean) + 1e-3 * np.eye(len(mean))
    matrices = {**statistics.matrices, weight: MatrixStatistics(hessian, 1e-2 * statistics.head_fisher)}
    return replace(statistics, matrices=matrices, head_mean=mean)


@pytest.fixture(scope="module")
def case() -> tuple[Model, np.ndarray, Statistics]:
    model = golf_model(3, **UNCAPPED)
    sequences = random_sequences(ARCHITECTURE["vocab_size"], 32, ARCHITECTURE["seq_len"], seed=2)
    return model, sequences, measured(model, sequences)


def test_a_bias_of_zeros_changes_nothing_and_is_the_last_tensor(case) -> None:
    model, sequences, statistics = case
    biased, known = with_bias(model, statistics)
    validate_program(biased.program, [t.values.shape for t in biased.tensors])
    before, after = (
        Interpreter(m.program, [t.values for t in m.tensors]).logits(sequences[:2]) for m in (model, biased)
    )
    assert np.array_equal(before, after)
    assert biased.tensors[-1].name == "output_bias" and known.vectors[len(model.tensors)].shape == (
        ARCHITECTURE["vocab_size"],
    )


def test_the_mean_error_of_the_logits_vanishes(case) -> None:
    """Of a head that alone is coarse, over the very tokens that the mean was measured on."""
    model, sequences, statistics = case
    biased, known = with_bias(model, statistics)
    with one_thread_each():
        job = CompileJob(biased, known, sequences.ravel(), sequences[:0], RECIPE, {}, **CALM)
        trial = QuickTrials(job, PlainGrids(biased, known, GridQuantizer(RECIPE.quantization), 1)).at(2e-2)
    arrays = decode_tensors(read_artifact(trial.data))
    head = biased.program.instructions[find_head(biased.program)]
    weights = [
        array if i in (head.weight, head.bias.tensor) else t.values
        for i, (t, array) in enumerate(zip(biased.tensors, arrays, strict=True))
    ]
    unbiased = [np.zeros_like(w) if i == head.bias.tensor else w for i, w in enumerate(weights)]
    exact = Interpreter(model.program, [t.values for t in model.tensors]).logits(sequences)
    errors = [
        np.square((Interpreter(biased.program, w).logits(sequences) - exact).mean((0, 1))).sum()
        for w in (weights, unbiased)
    ]
    assert errors[0] < 0.1 * errors[1]
    missing = mean_error(model, statistics, trial.quantized[head.weight])
    assert trial.quantized[head.bias.tensor].predicted_loss < 0 and np.allclose(
        arrays[head.bias.tensor], missing, atol=0.3 * np.abs(missing).max()
    )


def test_what_a_bias_saves_is_the_loss_of_the_mean_error() -> None:
    bias, own, fisher = np.array([0.5, -0.25, 0.0]), np.array([0.25, 0.0, 0.0]), np.array([1.0, 2.0, 4.0])
    found = quantize_bias(bias, own, fisher, 1e-4)
    assert found.predicted_loss == pytest.approx(-0.5 * (0.0625 + 2 * 0.0625), rel=1e-3)
    assert np.abs(found.weights - bias).max() < 1e-3


def test_kept_only_where_it_pays(case) -> None:
    """It pays where the grid was made for other costs than the head's, not for inputs without a mean."""
    model, _, statistics = case
    quantizer = GridQuantizer(RECIPE.quantization)
    with one_thread_each():
        saved, cost = weigh_bias(model, around_mean(model, statistics), quantizer, 1e-2)
        assert saved > cost
        kept, known = add_head_bias(model, around_mean(model, statistics), RECIPE)
        assert len(kept.tensors) == len(model.tensors) + 1 and len(known.vectors) == len(statistics.vectors) + 1
        centred = replace(statistics, head_mean=np.zeros_like(statistics.head_mean))
        assert add_head_bias(model, centred, RECIPE) == (model, centred)
        assert add_head_bias(model, around_mean(model, statistics), read_recipe("default"))[0] is model
        assert add_head_bias(kept, known, RECIPE) == (kept, known)


def test_off_unless_everything_is_asked_for() -> None:
    assert not read_recipe("default").head_bias.enabled and read_recipe("everything").head_bias.enabled
