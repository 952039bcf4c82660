"""Sequential quantization: what each matrix is quantized against, and that correcting the drift pays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_fisher import naive_hessians, run
from naive_quantization import damped_hessian
from second_order import measured
from sequential_walk import DAMPING, SEQUENCES, model, one_after_the_other, quantizer, sequentially, with_weights
from tiny_models import bare_model, golf_model, random_sequences

from bytecap.compiler.model.model import Model
from bytecap.compiler.quantize.grid_matrix import QuantizedMatrix
from bytecap.compiler.quantize.sequential import Walk, quantize_sequentially, walk_widths
from bytecap.compiler.settings import SequentialSettings
from bytecap.compiler.statistics import outlying_tokens
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.program.operations import Activation, ActivationKind, Embed, Linear
from bytecap.format.program.program import Program, validate_program
from bytecap.format.tensors.grid import GridValues

pytestmark = pytest.mark.usefixtures("full_factors")

NO_GRID = GridValues(np.zeros((1, 1), np.int32), None, None, 1.0, 0)


def unchanged(_: int, target: np.ndarray, statistics: MatrixStatistics) -> QuantizedMatrix:
    """A quantizer without loss."""
    return QuantizedMatrix(NO_GRID, target.astype(np.float32), 0.0)


def told(width: int) -> float:
    """What the tokens of SEQUENCES tell of so many inputs: half where there are sixteen for each."""
    return SEQUENCES.size / (SEQUENCES.size + 16 * width)


def believed(real: np.ndarray, before: np.ndarray) -> np.ndarray:
    """H' as far as it is told, else the float model's H with the mean squares that the inputs have now; by loops."""
    share, expected = told(len(real)), np.empty_like(real)
    grown = [min(max(real[i, i] / before[i, i], 1 / 4), 4) for i in range(len(real))]
    for i in range(len(real)):
        for j in range(len(real)):
            expected[i, j] = share * real[i, j] + (1 - share) * before[i, j] * np.sqrt(grown[i] * grown[j])
    return expected


def linear_weights(of: Model) -> list[int]:
    """In program order, each once."""
    return list(dict.fromkeys(op.weight for op in of.program.instructions if isinstance(op, Linear)))


@pytest.mark.parametrize("correction", [0.0, 0.5, 1.0])
def test_without_quantization_error_nothing_changes(correction: float) -> None:
    """Both models stay equal: the targets are the weights, and the moments those of plain calibration."""
    statistics = measured(model(), SEQUENCES)
    results, asked = sequentially(model(), statistics, unchanged, SEQUENCES, correction=correction)
    assert [index for index, _, _ in asked] == [w for w in linear_weights(model()) if w != 0] == list(results)
    for index, target, real in asked:
        np.testing.assert_allclose(target, model().tensors[index].values, atol=0 if correction == 0 else 1e-5)
        np.testing.assert_allclose(real.hessian, statistics.matrices[index].hessian, rtol=1e-4, atol=1e-5)
        assert real.row_fisher is statistics.matrices[index].row_fisher


@pytest.fixture
def without_excess(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token is outlying, so that moments are those of all tokens alike."""
    monkeypatch.setattr(outlying_tokens, "OUTLYING", 1e9)


@pytest.mark.usefixtures("without_excess")
def test_each_matrix_sees_the_inputs_that_the_quantized_model_gives_it() -> None:
    """Their moment in the finished model as far as few tokens tell it, the embedding quantized beforehand."""
    table = np.round(model().tensors[0].values * 4).astype(np.float32) / 4
    results, asked = sequentially(
        model(), measured(model(), SEQUENCES), quantizer(0.02), SEQUENCES, fixed={0: table}, correction=0.0
    )
    finished = with_weights(model(), {0: table} | {i: q.weights for i, q in results.items()})
    before, real_moments = naive_hessians(model(), SEQUENCES), naive_hessians(finished, SEQUENCES)
    for index, target, real in asked:
        expected = believed(real_moments[index], before[index])
        assert np.array_equal(target, model().tensors[index].values)
        np.testing.assert_allclose(real.hessian, expected, rtol=1e-4, atol=1e-5 * expected.max())
    assert any(not np.allclose(before[i], moment, rtol=0.01) for i, moment in real_moments.items())


@pytest.mark.usefixtures("without_excess")
@pytest.mark.parametrize("correction", [0.3, 1.0])
def test_the_corrected_target_is_the_least_squares_one(correction: float) -> None:
    """T minimizes E|W x - T x'|² with damping: T (H' + d I) = W (C + d I), then blended with W, the more so the fewer
    tokens there are for each input.
    """
    results, asked = sequentially(
        model(), measured(model(), SEQUENCES), quantizer(0.02), SEQUENCES, correction=correction
    )
    finished = with_weights(model(), {i: q.weights for i, q in results.items()})
    (_, float_registers), (_, real_registers) = run(model(), SEQUENCES), run(finished, SEQUENCES)
    sources = {op.weight: op.x for op in model().program.instructions if isinstance(op, Linear)}
    moved = 0.0
    for index, target, real in asked:
        x, y = (
            registers[sources[index]].detach().double().flatten(0, 1).numpy()
            for registers in (float_registers, real_registers)
        )
        solid = damped_hessian(y.T @ y / len(y), DAMPING)
        weights = model().tensors[index].values.astype(np.float64)
        best = weights @ (x.T @ y / len(x) + solid - y.T @ y / len(y)) @ np.linalg.inv(solid)
        share = told(y.shape[1]) * correction
        np.testing.assert_allclose(target, weights + share * (best - weights), rtol=1e-3, atol=2e-3)
        np.testing.assert_allclose(real.hessian, believed(y.T @ y / len(y), x.T @ x / len(x)), rtol=1e-4, atol=1e-5)
        moved += np.abs(target - weights).mean()
    assert moved > 0.01


def two_layers() -> tuple[Model, np.ndarray]:
    """Table, a wide hidden layer, a head, and tokens."""
    random = np.random.default_rng(2)
    program = Program(
        (Embed(0), Linear(0, 1, None), Activation(1, ActivationKind.SILU, 0.0), Linear(2, 2, None)), 60, 16, 0
    )
    shapes = ((60, 12), (40, 12), (60, 40))
    return bare_model(
        program, *(random.standard_normal(shape) / shape[1] ** 0.5 for shape in shapes)
    ), random_sequences(60, 30, 16)


def output_error(of: Model, weights: dict[int, np.ndarray], sequences: np.ndarray) -> float:
    with torch.no_grad():
        return float((run(of, sequences)[0] - run(with_weights(of, weights), sequences)[0]).square().mean())


@pytest.mark.parametrize("byte_price", [0.002, 0.01])
def test_correcting_the_drift_lowers_the_output_error(byte_price: float) -> None:
    network, sequences = two_layers()
    statistics = measured(network, sequences)
    table = quantizer(byte_price)(0, network.tensors[0].values, statistics.matrices[0]).weights
    errors = []
    for correction in (0.0, 1.0):
        results, _ = sequentially(
            network, statistics, quantizer(byte_price), sequences, fixed={0: table}, correction=correction
        )
        errors.append(output_error(network, {0: table} | {i: q.weights for i, q in results.items()}, sequences))
    plain = {
        i: quantizer(byte_price)(i, network.tensors[i].values, statistics.matrices[i]).weights
        for i in statistics.matrices
    }
    assert errors[1] < 0.9 * errors[0] and errors[1] < 0.9 * output_error(network, plain, sequences)


def test_equal_bits_whatever_the_threads() -> None:
    statistics = measured(model(), SEQUENCES)
    one, two = (sequentially(model(), statistics, quantizer(0.01), SEQUENCES, threads=threads)[0] for threads in (1, 2))
    assert list(one) == list(two)
    for index, result in one.items():
        assert (
            np.array_equal(result.grid.codes, two[index].grid.codes)
            and result.weights.tobytes() == two[index].weights.tobytes()
        )


def test_a_matrix_used_twice_is_quantized_at_its_first_use() -> None:
    looped = golf_model(1, num_layers=2, encoder_layers=[0, 1], decoder_layers=[1, 0])
    statistics = measured(looped, SEQUENCES)
    results, asked = sequentially(looped, statistics, quantizer(0.01), SEQUENCES)
    assert [index for index, _, _ in asked] == [w for w in linear_weights(looped) if w != 0] == list(results)


def test_what_is_decided_already_is_left_alone() -> None:
    statistics = measured(model(), SEQUENCES)
    everything = {i: t.values for i, t in enumerate(model().tensors)}
    results, asked = sequentially(model(), statistics, quantizer(0.01), SEQUENCES, fixed=everything)
    assert results == {} and asked == []


def test_a_walk_holds_as_much_as_it_is_said_to() -> None:
    """Of every batch what is live where a new input is measured, and of one on its way the most of all instructions."""
    held, on_the_way = [], []

    class Watched(Walk):
        def advance_to(self, stop: int) -> None:
            for batch in self.batches:
                forward = batch.quantized_forward
                while forward.index < stop:
                    before = sum(value.shape[-1] for value in forward.registers.values())
                    made = forward.advance_behind(forward.index).shape[-1]
                    on_the_way.append(before + made)
                batch.advance_to(stop)
                held.append(sum(value.shape[-1] for value in forward.registers.values()))

    statistics, settings = measured(model(), SEQUENCES), SequentialSettings(batch_sequences=3)
    walk = Watched(model(), {0: model().tensors[0].values}, SEQUENCES, settings, DAMPING, 1)
    quantize_sequentially(walk, statistics.matrices, one_after_the_other(quantizer(0.01)))
    shapes = validate_program(model().program, [t.values.shape for t in model().tensors], DEFAULT_LIMITS)
    assert (max(held), max(on_the_way)) == walk_widths(model().program, shapes)
    assert max(held) < max(on_the_way)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_sequences(count: int) -> None:
    """Fewer sequences than a batch, and a last batch that is not full."""
    statistics = measured(model(), SEQUENCES[:count])
    _, asked = sequentially(model(), statistics, unchanged, SEQUENCES[:count])
    for index, _, real in asked:
        np.testing.assert_allclose(real.hessian, statistics.matrices[index].hessian, rtol=1e-4, atol=1e-5)
