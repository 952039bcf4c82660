"""Calibration against slow twins: moments token by token, the Fisher information label by label, and
the loss itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from naive_fisher import expected_squares, linear_outputs, naive_hessians
from second_order import mean_divergence, measured, predicted_divergence
from tiny_models import bare_model, golf_model, random_sequences

from bytecap.compiler.model import logit_parts
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.quantize.drift import moment_with
from bytecap.compiler.statistics import batch_pass, calibration, outlying_tokens
from bytecap.compiler.statistics.batch_pass import MeasuredProgram, lower_moment, second_moment
from bytecap.compiler.statistics.calibration import calibration_sequences, measure_statistics, told_share
from bytecap.compiler.workers import one_thread_each
from bytecap.format.program.operands import Row
from bytecap.format.program.operations import (
    Activation,
    ActivationKind,
    Add,
    Attention,
    Embed,
    HashEmbed,
    HashKind,
    Linear,
    PositionEmbed,
    RmsNorm,
    RopeLayout,
    Rotate,
    RotationDirection,
    Scale,
    Softcap,
    SoftcapKind,
)
from bytecap.format.program.program import Program

pytestmark = pytest.mark.usefixtures("full_factors")

VOCABULARY, WIDTH = 6, 4


def small_network(*, softcap: bool = True, tied: bool = False, hashed: bool = False) -> Model:
    """Position by position: table, gain, hidden layer, head."""
    random = np.random.default_rng(7)
    first = HashEmbed(0, HashKind.POLYNOMIAL, 5, 3) if hashed else Embed(0)
    head = 0 if tied else 3
    instructions = [
        first,
        RmsNorm(0, 1, 1e-3, Row(1)),
        Linear(1, 2, None),
        Activation(2, ActivationKind.TANH, 0.0),
        Linear(3, head, None),
    ]
    if softcap:
        instructions.append(Softcap(4, 3.0, SoftcapKind.TANH))
    arrays = [
        random.standard_normal((VOCABULARY, WIDTH)),
        1 + 0.3 * random.standard_normal(WIDTH),
        random.standard_normal((WIDTH, WIDTH)),
    ]
    if not tied:
        arrays.append(1.5 * random.standard_normal((VOCABULARY, WIDTH)))
    return bare_model(Program(tuple(instructions), VOCABULARY, 6, 0), *arrays)


def position_network() -> Model:
    """Tables of tokens and positions, one attention over turned queries and keys, head."""
    random = np.random.default_rng(5)
    turn = (1, WIDTH, 1.0, Row(4), 1.2, RopeLayout.HALF_SPLIT, RotationDirection.FORWARD)
    instructions = (
        Embed(0),
        PositionEmbed(1, 2),
        Add(0, 1),
        Linear(2, 2, None),
        Rotate(3, *turn),
        Attention(4, 4, 2, 1, 1, 1.0),
        Add(2, 5),
        Linear(6, 3, None),
    )
    arrays = [random.standard_normal(shape) for shape in ((VOCABULARY, WIDTH), (9, WIDTH), (WIDTH, WIDTH))]
    arrays += [1.5 * random.standard_normal((VOCABULARY, WIDTH)), np.array([1.0, 0.3])]
    return bare_model(Program(instructions, VOCABULARY, 6, 0), *arrays)


def attention_network() -> Model:
    return golf_model(3, vocab_size=VOCABULARY, model_dim=8, seq_len=6, mlp_mult=1)


def assert_near(found: np.ndarray, expected: np.ndarray, relative: float) -> None:
    """Element by element, and far closer on the whole."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=relative, atol=relative * 0.2 * float(np.max(expected)))
    assert abs(found.sum() / expected.sum() - 1) < relative / 2


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 700))
def test_sequences_are_spread_evenly(sequences: int, length: int, wanted: int) -> None:
    text = np.arange(sequences * length + (length - 1) // 2, dtype=np.uint16)
    found = calibration_sequences(text, length, wanted)
    assert found.dtype == np.int64 and found.shape == (min(sequences, -(-wanted // length)), length)
    starts = found[:, 0]
    assert np.array_equal(found, starts[:, None] + np.arange(length))  # unbroken pieces of the text
    gaps = np.diff(starts)
    assert starts[0] == 0 and (gaps >= length).all() and (len(gaps) == 0 or gaps.max() - gaps.min() <= length)
    assert (sequences * length - starts[-1]) - (gaps.max() if len(gaps) else sequences * length) <= length


@given(st.integers(1, 12), st.integers(1, 6), st.booleans())
def test_others_are_found_apart(count: int, multiple: int, fewer: bool) -> None:
    """Half as many, as many or six times as many: of a long text no sequence is among both."""
    text = np.arange(40 * count * multiple)
    one, other = (count * multiple, count) if fewer else (count, count * multiple)
    measured_on, apart = calibration_sequences(text, 1, one), calibration_sequences(text, 1, other, apart=True)
    assert apart.shape == (other, 1) and not np.isin(apart, measured_on).any()
    gaps = np.diff(apart[:, 0])
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    whole = calibration_sequences(text, 1, text.size, apart=True)
    assert np.array_equal(whole[:, 0], text)  # of a text that is taken whole there are no others


def test_moments_equal_the_sum_of_outer_products() -> None:
    random = np.random.default_rng(0)
    x, y = (random.standard_normal((3, 5, 4)).astype(np.float32) for _ in range(2))
    pairs = zip(x.reshape(-1, 4).astype(np.float64), y.reshape(-1, 4).astype(np.float64), strict=True)
    expected = sum(np.outer(a, b) for a, b in pairs)
    found = moment_with(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    own = second_moment(torch.from_numpy(x)).numpy()
    assert own.dtype == np.float32 and np.array_equal(own, own.T)
    np.testing.assert_allclose(own, moment_with(torch.from_numpy(x), torch.from_numpy(x)), atol=1e-5)


@pytest.mark.parametrize("part", [1, 4, 6, 7, 100])
def test_a_second_moment_by_parts_is_the_same(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where factors are rounded, torch's products make parts of rows, as far as the lower half goes."""
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 5, 7)).astype(np.float32))
    whole = lower_moment(x).numpy()
    assert np.array_equal(whole, second_moment(x).numpy())
    monkeypatch.setattr(batch_pass, "are_rounded", lambda: True)
    monkeypatch.setattr(batch_pass, "MOMENT_PART", part)
    found = lower_moment(x).numpy()
    assert found.dtype == np.float32 and found.shape == whole.shape
    np.testing.assert_allclose(np.tril(found), np.tril(whole), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_hessians_equal_naive_sums(batch: int) -> None:
    model = golf_model(1)
    sequences = random_sequences(24, 7, 16)
    statistics = measured(model, sequences, batch=batch)
    expected = naive_hessians(model, sequences)
    assert statistics.tokens == sequences.size and expected.keys() <= statistics.matrices.keys()
    for tensor, moment in expected.items():
        found = statistics.matrices[tensor].hessian
        np.testing.assert_array_equal(found, found.T)
        excess = statistics.matrices[tensor].excess
        found = found if excess is None else found - excess
        np.testing.assert_allclose(found, moment, rtol=2e-4, atol=1e-5 * moment.max())


def test_every_tensor_is_measured_once() -> None:
    model = golf_model(1)
    statistics = measured(model, random_sequences(24, 4, 16))
    assert set(statistics.matrices) | set(statistics.vectors) == set(range(len(model.tensors)))
    assert not set(statistics.matrices) & set(statistics.vectors)
    for tensor, matrix in statistics.matrices.items():
        rows, columns = model.tensors[tensor].values.shape
        assert matrix.hessian.shape == (columns, columns) and matrix.row_fisher.shape == (rows,)
        assert matrix.hessian.dtype == matrix.row_fisher.dtype == np.float64
        assert (matrix.row_fisher >= 0).all() and np.linalg.eigvalsh(matrix.hessian)[0] > -1e-6
    for tensor, fisher in statistics.vectors.items():
        assert fisher.shape == model.tensors[tensor].values.shape and fisher.dtype == np.float64 and (fisher > 0).all()


@pytest.mark.parametrize("softcap", [True, False])
def test_fisher_of_the_head_is_exact(softcap: bool) -> None:
    """Not sampled: equal to the expectation over all labels after one pass over each token."""
    model, sequences = small_network(softcap=softcap), random_sequences(VOCABULARY, 3, 6)
    expected = expected_squares(
        model, sequences, lambda _, registers: {3: registers[4]}, lambda g: g.square().sum((0, 1))
    )
    np.testing.assert_allclose(measured(model, sequences).matrices[3].row_fisher, expected[3], rtol=1e-4)


def test_fisher_of_a_hidden_layer_approaches_the_expectation_over_labels() -> None:
    model, sequences = small_network(), random_sequences(VOCABULARY, 3, 6)
    expected = expected_squares(
        model, sequences, lambda _, registers: {2: registers[2]}, lambda g: g.square().sum((0, 1))
    )
    found = measured(model, np.repeat(sequences, 800, axis=0), batch=600).matrices[2].row_fisher
    assert_near(found, expected[2], 0.1)


def test_output_fisher_approaches_the_expectation_over_labels() -> None:
    """Not only its diagonal; the head's would be too large to be worth measuring."""
    model, sequences = small_network(), random_sequences(VOCABULARY, 3, 6)
    expected = expected_squares(
        model, sequences, lambda _, registers: {2: registers[2]}, lambda g: g.flatten(0, -2).T @ g.flatten(0, -2)
    )[2]
    matrices = measured(model, np.repeat(sequences, 800, axis=0), batch=600).matrices
    np.testing.assert_allclose(matrices[2].output_fisher, expected, atol=0.1 * np.abs(expected).max())
    np.testing.assert_allclose(matrices[2].output_fisher.diagonal(), matrices[2].row_fisher, rtol=1e-6)
    assert np.abs(expected - np.diag(np.diag(expected))).max() > 0.2 * np.abs(expected).max()
    assert matrices[2].output_fisher.dtype == np.float32 and matrices[3].output_fisher is None


def test_with_too_little_text_outputs_are_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sequences = small_network(), random_sequences(VOCABULARY, 5, 6)
    together = measured(model, sequences).matrices
    monkeypatch.setattr(calibration, "LEAST_SHARE", told_share(sequences.size, WIDTH) + 0.01)
    alone = measured(model, sequences).matrices
    for tensor, matrix in together.items():
        np.testing.assert_allclose(alone[tensor].row_fisher, matrix.row_fisher, rtol=1e-5)
        np.testing.assert_array_equal(alone[tensor].hessian, matrix.hessian)
        assert alone[tensor].output_fisher is None
    assert together[2].output_fisher is not None


@pytest.mark.parametrize("positions", [3, 1 << 20])
def test_a_model_is_compared_with_guessing(positions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entropy of predictions in all batches, the text's own tokens in the first, whatever the parts."""
    monkeypatch.setattr(logit_parts, "LOGIT_FLOATS", positions * VOCABULARY)
    monkeypatch.setattr(logit_parts, "LEAST_POSITIONS", 1)
    model, sequences = small_network(), np.repeat(random_sequences(VOCABULARY, 3, 6), 400, axis=0)
    tensors = {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)}
    logs = TorchExecutor(model.program, tensors).forward(torch.from_numpy(sequences)).log_softmax(-1)
    found = measured(model, sequences, batch=300).guessing
    assert found.entropy == pytest.approx(float(torch.special.entr(logs.exp()).sum(-1).mean()), rel=1e-5)
    losses = -logs[:300, :-1].gather(-1, torch.from_numpy(sequences[:300, 1:, None])).double()
    assert found.loss == pytest.approx(float(losses.mean()), rel=1e-5)
    assert found.loss_error == pytest.approx(float(losses.std() / losses.numel() ** 0.5), rel=1e-4)
    assert (found.vocabulary, found.known) == (VOCABULARY, pytest.approx(np.log(VOCABULARY) - found.entropy))


def test_fisher_through_attention_approaches_the_expectation_over_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A register's gradient comes from the losses of all later positions: their cross terms vanish in expectation."""
    monkeypatch.setattr(outlying_tokens, "OUTLYING", 1e9)
    model, sequences = attention_network(), random_sequences(VOCABULARY, 2, 6, seed=4)
    outputs = linear_outputs(model)
    del outputs[0]  # the tied table
    expected = expected_squares(
        model,
        sequences,
        lambda _, registers: {w: registers[k] for w, k in outputs.items()},
        lambda g: g.square().sum((0, 1)),
    )
    statistics = measured(model, np.repeat(sequences, 6000, axis=0), batch=1000)
    assert expected.keys() == outputs.keys() and len(expected) == 12
    for tensor, fisher in expected.items():
        assert_near(statistics.matrices[tensor].row_fisher, fisher, 0.15)


def test_fisher_of_vectors_approaches_the_expectation_over_labels() -> None:
    model, sequences = small_network(), random_sequences(VOCABULARY, 2, 6, seed=1)
    expected = expected_squares(model, sequences, lambda tensors, _: {1: tensors[1]})
    found = measured(model, np.repeat(sequences, 400, axis=0), batch=1).vectors[1]
    assert_near(found, expected[1], 0.25)


@pytest.mark.parametrize("hashed", [False, True])
def test_fisher_of_a_table_approaches_the_expectation_over_labels(hashed: bool) -> None:
    """Rows: mean squared gradient of an element. Columns: second moment of the gradients, scaled to a mean of 1."""
    model, sequences = small_network(hashed=hashed), random_sequences(VOCABULARY, 2, 6, seed=1)
    expected = expected_squares(model, sequences, lambda tensors, _: {0: tensors[0]})[0].mean(1)
    found = measured(model, np.repeat(sequences, 400, axis=0), batch=1).matrices[0]
    assert_near(found.row_fisher, expected, 0.25)
    outer = expected_squares(
        model, sequences, lambda _, registers: {0: registers[0]}, lambda g: torch.einsum("bti,btj->ij", g, g)
    )[0]
    np.testing.assert_allclose(found.hessian, outer / outer.diagonal().mean(), atol=0.1)
    assert found.hessian.diagonal().mean() == pytest.approx(1)


def test_a_tied_table_has_the_fisher_of_both_uses() -> None:
    """The head's rows, and the mean squared gradient of the lookups in units of the head's mean squared input."""
    model, sequences = small_network(tied=True), np.array([[0, 1, 2, 3, 4, 5]])
    head = expected_squares(model, sequences, lambda _, registers: {0: registers[4]}, lambda g: g.square().sum((0, 1)))[
        0
    ]
    lookups = expected_squares(
        model, sequences, lambda _, registers: {0: registers[0]}, lambda g: g[0].square().mean(1)
    )[0]
    found = measured(model, np.repeat(sequences, 400, axis=0), batch=1).matrices[0]
    moment = naive_hessians(model, sequences)[0]
    np.testing.assert_allclose(found.hessian, moment, rtol=1e-4, atol=1e-6)
    assert_near(found.row_fisher, head + lookups / np.diag(moment).mean(), 0.25)


def test_a_token_that_never_occurs_has_no_fisher_as_an_embedding() -> None:
    model = small_network()
    fisher = measured(model, np.array([[0, 1, 2, 3, 2, 1]])).matrices[0].row_fisher
    assert (fisher[:4] > 0).all() and (fisher[4:] == 0).all()


def test_fisher_of_a_table_of_positions_approaches_the_expectation_over_labels() -> None:
    """By row, as a table of tokens; rows before the offset have none, rows beyond the sequences that of the others."""
    model, sequences = position_network(), random_sequences(VOCABULARY, 2, 4, seed=1)
    expected = expected_squares(model, sequences, lambda tensors, _: {1: tensors[1]})[1].mean(1)
    found = measured(model, np.repeat(sequences, 400, axis=0), batch=1).matrices[1]
    assert_near(found.row_fisher[:6], expected[:6], 0.25)
    assert (found.row_fisher[:2] == 0).all() and (found.row_fisher[2:6] > 0).all()
    np.testing.assert_allclose(found.row_fisher[6:], found.row_fisher[2:6].mean())
    assert found.hessian.diagonal().mean() == pytest.approx(1)


@pytest.mark.parametrize("batch", [1, 5])
def test_predicted_loss_of_errors_in_positions_and_frequencies(batch: int) -> None:
    """Whatever the batch: the sequences of one share the table's rows."""
    model, sequences = position_network(), random_sequences(VOCABULARY, 400, 6)
    statistics, random = measured(model, sequences, batch=batch), np.random.default_rng(3)
    for index in (1, 4):
        values, predicted, real = model.tensors[index].values, 0.0, 0.0
        for _ in range(8):
            error = random.standard_normal(values.shape) * 0.02 * np.sqrt(np.mean(values**2))
            moved = (values + error).astype(np.float32)
            predicted += predicted_divergence(statistics, index, moved.astype(np.float64) - values)
            real += mean_divergence(model, sequences, index, moved)
        assert 0.6 < predicted / real < 1.6, index


@pytest.mark.parametrize("tied", [True, False])
def test_predicted_loss_of_small_errors_is_the_measured_one(tied: bool) -> None:
    model, sequences = golf_model(0, tie_embeddings=tied), random_sequences(24, 128, 16)
    random = np.random.default_rng(1)
    with one_thread_each():
        statistics = measured(model, sequences)
        predicted, real = np.zeros(len(model.tensors)), np.zeros(len(model.tensors))
        for index, tensor in enumerate(model.tensors):
            for _ in range(3):
                error = random.standard_normal(tensor.values.shape) * 0.01 * np.sqrt(np.mean(tensor.values**2))
                values = (tensor.values + error).astype(np.float32)
                error = values.astype(np.float64) - tensor.values
                predicted[index] += predicted_divergence(statistics, index, error)
                real[index] += mean_divergence(model, sequences, index, values)
    assert 0.7 < predicted.sum() / real.sum() < 1.4
    ratio = predicted / real
    assert (ratio > 0.3).all() and (ratio < 2).all() and 0.7 < np.median(ratio) < 1.4


def test_equal_bits_whatever_the_threads() -> None:
    model, sequences = golf_model(2), random_sequences(24, 11, 16)
    one, two = (measured(model, sequences, batch=2, threads=threads) for threads in (1, 2))
    for tensor, matrix in one.matrices.items():
        assert matrix.hessian.tobytes() == two.matrices[tensor].hessian.tobytes()
        assert matrix.row_fisher.tobytes() == two.matrices[tensor].row_fisher.tobytes()
    assert all(fisher.tobytes() == two.vectors[tensor].tobytes() for tensor, fisher in one.vectors.items())


@pytest.mark.parametrize("model", [golf_model(2), small_network(tied=False), small_network(tied=True)])
def test_products_in_bfloat16_measure_the_same_but_for_rounding(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlying_tokens, "OUTLYING", 1e9)  # a token just at the bound is on either side of it
    sequences = random_sequences(model.program.vocabulary_size, 8, 16)
    exact = measured(model, sequences)
    monkeypatch.setattr(calibration, "has_half_products", lambda device: True)
    half, again = measured(model, sequences), measured(model, sequences, threads=2)
    differ = []
    for tensor, matrix in exact.matrices.items():
        for name in ("hessian", "row_fisher", "output_fisher"):
            found, expected = getattr(half.matrices[tensor], name), getattr(matrix, name)
            if expected is not None:
                differ.append(np.linalg.norm(found - expected) / np.linalg.norm(expected))
                assert differ[-1] < 0.03, (tensor, name)
                assert found.tobytes() == getattr(again.matrices[tensor], name).tobytes()
    assert max(differ) > 1e-4
    for tensor, fisher in exact.vectors.items():
        np.testing.assert_allclose(half.vectors[tensor].sum(), fisher.sum(), rtol=0.1)


@pytest.mark.parametrize("model", [golf_model(2), small_network(tied=False), small_network(tied=True)])
def test_what_is_passed_over_changes_nothing_of_the_rest(model: Model) -> None:
    sequences = random_sequences(model.program.vocabulary_size, 3, 16)
    whole = measured(model, sequences, batch=1)
    inner = [op.weight for op in MeasuredProgram(model.program).linear.values()][:-1]
    how = {"batch_sequences": 1, "seed": 0, "device": "cpu", "threads": 1}
    part = measure_statistics(model, sequences, passed_over=inner[::2], **how)
    assert part.matrices.keys() == whole.matrices.keys() - set(inner[::2])
    for tensor, matrix in part.matrices.items():
        assert matrix.hessian.tobytes() == whole.matrices[tensor].hessian.tobytes()
        assert matrix.row_fisher.tobytes() == whole.matrices[tensor].row_fisher.tobytes()
    assert {i: values.tobytes() for i, values in part.vectors.items()} == {
        i: values.tobytes() for i, values in whole.vectors.items()
    }


def test_the_seed_draws_the_gradients() -> None:
    model, sequences = golf_model(2), random_sequences(24, 4, 16)
    first, again, other = (measured(model, sequences, seed=seed) for seed in (1, 1, 2))
    hidden = max(linear_outputs(model))
    assert first.matrices[hidden].row_fisher.tobytes() == again.matrices[hidden].row_fisher.tobytes()
    assert first.matrices[hidden].row_fisher.tobytes() != other.matrices[hidden].row_fisher.tobytes()
    assert first.matrices[hidden].hessian.tobytes() == other.matrices[hidden].hessian.tobytes()


def test_progress_counts_batches() -> None:
    counted: list[int] = []
    measure_statistics(
        golf_model(2),
        random_sequences(24, 5, 16),
        batch_sequences=2,
        seed=0,
        device="cpu",
        threads=2,
        finished=counted.append,
    )
    assert counted == [1, 2, 3]


@pytest.mark.parametrize("positions", [1, 5, 7])
@pytest.mark.parametrize("tied", [False, True])
def test_logits_a_few_positions_at_a_time_say_the_same(
    positions: int, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a scale behind the head, whose gradient is the sum of those of all parts'."""
    model = small_network(tied=tied)
    scale = len(model.tensors)
    program = replace(model.program, instructions=(*model.program.instructions, Scale(5, Row(scale))))
    values = 1 + 0.3 * np.random.default_rng(3).standard_normal(VOCABULARY)
    model = bare_model(program, *(tensor.values for tensor in model.tensors), values)
    sequences = random_sequences(VOCABULARY, 3, 6, seed=2)
    whole = measured(model, sequences, batch=3)
    monkeypatch.setattr(logit_parts, "LOGIT_FLOATS", positions * VOCABULARY)
    monkeypatch.setattr(logit_parts, "LEAST_POSITIONS", 1)
    parts = measured(model, sequences, batch=3)
    assert whole.vectors.keys() == parts.vectors.keys() and scale in parts.vectors
    for tensor, fisher in whole.vectors.items():
        np.testing.assert_allclose(parts.vectors[tensor], fisher, rtol=1e-4)
    for tensor, matrix in whole.matrices.items():
        np.testing.assert_allclose(parts.matrices[tensor].row_fisher, matrix.row_fisher, rtol=1e-4)
        np.testing.assert_allclose(parts.matrices[tensor].hessian, matrix.hessian, rtol=1e-4, atol=1e-9)
