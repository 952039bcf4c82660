"""Head against trunk: shares of the gradient against a slow twin, spectra of known matrices, verdicts
that are planted.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from naive_head_gradient import naive_head_gradients, naive_projection
from naive_sensitivity import naive_part_loss
from tiny_models import ARCHITECTURE, bare_model, golf_model, random_sequences

from bytecap.compiler.model.model import Model
from bytecap.compiler.statistics.calibration import measure_statistics
from bytecap.compiler.statistics.swaps import measure_divergences
from bytecap.errors import CheckpointError, DataError
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.lab.measure.diagnosis import HEAD, TRUNK, UNDECIDED, WIDTH, diagnose_model, limit_of_gradient
from bytecap.lab.measure.head_gradient import (
    HeadGradient,
    measure_head,
    moment_spectrum,
    spectrum,
    spread_of_random_subspaces,
)
from bytecap.lab.measure.unit_losses import quantization_error
from bytecap.lab.measure.units import Submatrix

LENGTH, VOCABULARY = ARCHITECTURE["seq_len"], ARCHITECTURE["vocab_size"]
SEQUENCES = random_sequences(VOCABULARY, 10, LENGTH, seed=2)


def measured(model, sequences=SEQUENCES, threads=1):
    return measure_head(model, sequences, threads=threads, finished=lambda *call: None)


def with_tensor(model: Model, name: str, change) -> Model:
    """The model with one tensor's values changed."""
    return replace(
        model,
        tensors=tuple(
            replace(t, values=change(t.values).astype(np.float32)) if t.name == name else t for t in model.tensors
        ),
    )


def low_rank(values: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(5)
    return random.standard_normal((len(values), 3)) @ random.standard_normal((3, values.shape[1]))


MODELS = {
    "tied": golf_model(1),
    "untied, softcap that bites": golf_model(2, tie_embeddings=False, logit_softcap=3.0),
    "no softcap": golf_model(3, logit_softcap=0.0),
    "head of rank 3": with_tensor(golf_model(4, tie_embeddings=False), "lm_head.weight", low_rank),
}


@pytest.mark.parametrize("name", MODELS)
def test_shares_of_the_gradient_are_those_of_single_tokens(name):
    model = MODELS[name]
    head, hidden, found = measured(model)
    assert head.rank == (3 if name == "head of rank 3" else 16)
    values = {t.name: t.values.astype(np.float64) for t in model.tensors}
    weights = values.get("lm_head.weight", values["tok_emb.weight"])
    rows = naive_head_gradients(model, SEQUENCES)
    plain, through = (sum(float(row[k] @ row[k]) for row in rows) for k in (1, 2))
    projected = [float(np.square(naive_projection(weights, g)).sum()) for _, _, g in rows]
    greatest = np.linalg.norm(weights, 2)
    assert found.tokens == len(rows) == SEQUENCES.size - len(SEQUENCES)
    assert found.through_softcap == pytest.approx(through / plain, rel=1e-5)
    assert found.projected == pytest.approx(sum(projected) / through, rel=1e-5)
    assert found.projected_mean == pytest.approx(
        np.mean([p / float(g @ g) for p, (_, _, g) in zip(projected, rows, strict=True)]), rel=1e-5
    )
    weighted = sum(float(np.square(g @ weights).sum()) for _, _, g in rows) / (through * greatest**2)
    assert found.weighted == pytest.approx(weighted, rel=1e-5)
    assert (
        found.random_projected
        == np.linalg.matrix_rank(weights.astype(np.float32)) / VOCABULARY
        == head.rank / VOCABULARY
    )
    assert found.random_weighted == pytest.approx(np.square(weights).sum() / greatest**2 / VOCABULARY)
    states = np.stack([x for x, _, _ in rows]) / math.sqrt(len(rows))
    np.testing.assert_allclose(hidden.values, np.linalg.svd(states, compute_uv=False), rtol=1e-4)
    passed = np.stack([g @ weights for _, _, g in rows])
    expected = np.linalg.svd(passed, compute_uv=False)
    expected = expected[: head.rank]
    assert found.hidden_directions == pytest.approx(
        np.exp(-(expected / expected.sum() * np.log(expected / expected.sum())).sum()), rel=1e-4
    )


def test_a_head_as_wide_as_the_vocabulary_loses_nothing():
    model = golf_model(1, vocab_size=8)
    _, _, found = measured(model, random_sequences(8, 6, LENGTH))
    assert found.projected == pytest.approx(1.0) and found.random_projected == 1.0


def test_the_shares_do_not_depend_on_the_threads():
    one, three = measured(MODELS["tied"]), measured(MODELS["tied"], threads=3)
    assert one[2] == three[2] and (one[1].values == three[1].values).all()


def test_spectrum_of_known_singular_values():
    found = spectrum(np.array([1.0, 4.0, 2.0, 0.0]), 1e-12)
    assert found.values.tolist() == [4.0, 2.0, 1.0, 0.0]
    assert (found.rank, found.stable_rank, found.condition) == (3, pytest.approx(21 / 16), 4.0)
    p = np.array([4, 2, 1]) / 7
    assert found.effective_rank == pytest.approx(np.prod(p**-p))
    assert spectrum(np.full(5, 3.0), 1e-12).effective_rank == pytest.approx(5)
    assert (spectrum(np.zeros(3), 1e-12).rank, spectrum(np.zeros(3), 1e-12).condition) == (0, math.inf)
    x = np.random.default_rng(0).standard_normal((50, 2)) @ np.random.default_rng(1).standard_normal((2, 6))
    assert moment_spectrum(x.T @ x / 50).rank == 2


def diagnosed(model, **changes):
    text = random_sequences(VOCABULARY, 24, LENGTH, seed=3)
    options = {"bits": 3, "tokens": 256, "seed": 0, "threads": 1, "progress": lambda *call: None} | changes
    return diagnose_model(model, text[:16].ravel(), text[16:], **options), text


def test_sides_are_the_second_order_losses_and_the_divergences_of_their_matrices():
    model = MODELS["untied, softcap that bites"]
    found, text = diagnosed(model)
    statistics = measure_statistics(
        model, text[:16].astype(np.int64), batch_sequences=4, seed=0, device="cpu", threads=1
    )
    assert set(found.head.tensors) == {"tok_emb.weight", "lm_head.weight"} and not found.tied
    assert set(found.trunk.tensors) == {t.name for t in model.tensors if t.name.endswith(".weight")} - set(
        found.head.tensors
    )
    for side in (found.head, found.trunk):
        loss, values, weights = 0.0, {}, 0
        for i, tensor in enumerate(model.tensors):
            if tensor.name in side.tensors:
                error = quantization_error(tensor.values.astype(np.float64), 3)
                values[i] = (tensor.values + error).astype(np.float32)
                loss += naive_part_loss(Submatrix(i, slice(None), slice(None)), error, statistics.matrices[i])
                weights += tensor.values.size
        assert (side.weights, side.bytes) == (weights, weights * 3 / 8)
        assert side.predicted == pytest.approx(loss, rel=1e-6)
        assert side.measured == pytest.approx(measure_divergences(model, [values], text[16:], threads=1)[0], rel=1e-4)
        assert (
            side.loss_per_byte == side.predicted / side.bytes and side.measured_per_byte == side.measured / side.bytes
        )


def test_the_verdict_in_bytes_follows_a_planted_error():
    """A heavy weight in every row coarsens all steps of the table; one of only plus and minus the same
    value has no error at all.
    """
    heavy = with_tensor(
        golf_model(0), "tok_emb.weight", lambda values: values * np.where(np.arange(values.shape[1]) == 0, 60, 1)
    )
    exact = with_tensor(golf_model(0), "tok_emb.weight", np.sign)
    assert (diagnosed(heavy)[0].limit_in_bytes, diagnosed(exact)[0].limit_in_bytes) == (HEAD, TRUNK)
    assert diagnosed(exact)[0].head.predicted == 0.0


def test_the_bytes_are_judged_as_measured_where_that_agrees():
    found, _ = diagnosed(golf_model(0))

    def judged(head: tuple[float, float | None], trunk: tuple[float, float | None]) -> str:
        sides = [
            replace(side, predicted=loss, measured=measured, bytes=1.0)
            for side, (loss, measured) in zip((found.head, found.trunk), (head, trunk), strict=True)
        ]
        return replace(found, head=sides[0], trunk=sides[1]).limit_in_bytes

    assert judged((2.0, 3.0), (1.0, 1.0)) == HEAD and judged((1.0, 1.0), (2.0, 3.0)) == TRUNK
    assert judged((2.0, 1.0), (1.0, 2.0)) == judged((1.0, 2.0), (2.0, 1.0)) == UNDECIDED
    assert judged((2.0, 1.1), (1.0, 1.0)) == judged((1.1, None), (1.0, None)) == UNDECIDED
    assert judged((2.0, None), (1.0, None)) == HEAD and judged((1.0, None), (2.0, None)) == TRUNK


LARGE = 512  # a vocabulary in which few labels do not stand out


def pointing_at(tokens: int, vocabulary: int = LARGE) -> Model:
    """An untied head of small weights whose only directions are the first tokens."""
    rows = np.zeros((vocabulary, 16))
    rows[:tokens, :tokens] = np.eye(tokens) * 1e-3
    model = golf_model(4, tie_embeddings=False, vocab_size=vocabulary)
    return with_tensor(model, "lm_head.weight", lambda values: rows)


def test_the_verdict_in_gradient_is_against_random_subspaces():
    """The same narrow head, 3 directions of 512, comes out each way, by what the text asks of it."""
    shape, head = (40, LENGTH), pointing_at(3)
    random = np.random.default_rng(3)
    others = random.integers(3, LARGE, shape)
    texts = {
        TRUNK: random.integers(0, 3, shape),
        WIDTH: np.where(random.random(shape) < 0.2, random.integers(0, 3, shape), others),
        HEAD: others,
    }
    found = {verdict: measured(head, text)[2] for verdict, text in texts.items()}
    assert {each.random_projected for each in found.values()} == {3 / LARGE}
    assert {verdict: limit_of_gradient(each) for verdict, each in found.items()} == {v: v for v in texts}


@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_random_directions_are_never_called_better_than_chance(width):
    """The null: weights that know nothing of the text keep width / vocabulary of the gradient, whatever the width."""
    random = np.random.default_rng(width)
    rows = np.zeros((VOCABULARY, 16))
    rows[:, :width] = random.standard_normal((VOCABULARY, width)) * 1e-4
    model = with_tensor(golf_model(4, tie_embeddings=False), "lm_head.weight", lambda values: rows)
    text = random_sequences(VOCABULARY, 256, LENGTH, seed=width).astype(np.int64)
    gradient = measured(model, text)[2]
    assert abs(gradient.projected - width / VOCABULARY) < 3 * gradient.random_spread
    assert limit_of_gradient(gradient) in ((HEAD, UNDECIDED) if width < VOCABULARY / 2 else (TRUNK,))


def test_thespread_of_random_subspaces_is_that_of_drawn_ones():
    random = np.random.default_rng(9)
    eigenvalues = np.array([0.5, 0.3, 0.1, 0.05, 0.03, 0.02, 0.0, 0.0])
    drawn = [np.linalg.qr(random.standard_normal((8, 3)))[0] for _ in range(4000)]
    kept = [float((eigenvalues[:, None] * each**2).sum()) for each in drawn]
    expected = spread_of_random_subspaces(3, 8, float(np.square(eigenvalues).sum()))
    assert np.std(kept) == pytest.approx(expected, rel=0.05) and np.mean(kept) == pytest.approx(3 / 8, abs=0.01)
    assert spread_of_random_subspaces(8, 8, 0.5) == spread_of_random_subspaces(3, 8, 1 / 8) == 0.0


def test_too_little_text_leaves_the_gradient_undecided():
    one_batch = measured(pointing_at(2), np.random.default_rng(3).integers(3, LARGE, (2, LENGTH)))[2]
    assert one_batch.projected_error is None and one_batch.projected < 0.5
    assert limit_of_gradient(one_batch) == UNDECIDED
    assert limit_of_gradient(replace(one_batch, projected_error=1.0)) == UNDECIDED
    assert diagnosed(golf_model(1, model_dim=32, num_heads=2))[0].limit_in_gradient == TRUNK


def test_of_few_batches_the_interval_is_students():
    certain = HeadGradient(1.0, 0.1, 0.1, 0.05, 0.1, 0.1, 2.0, 100, projected_error=0.01, batches=30)
    assert limit_of_gradient(certain) == WIDTH
    assert limit_of_gradient(replace(certain, batches=2)) == UNDECIDED


def test_without_held_out_text_nothing_is_measured():
    text = random_sequences(VOCABULARY, 2, LENGTH)
    found = diagnose_model(
        MODELS["tied"],
        text.ravel(),
        np.zeros((0, LENGTH), np.int64),
        bits=4,
        tokens=32,
        seed=0,
        threads=1,
        progress=lambda *call: None,
    )
    assert found.head.measured is None and found.trunk.measured_per_byte is None and found.tied


def test_models_whose_head_cannot_be_told():
    zero = bare_model(Program((op.Embed(0), op.Linear(0, 1)), 9, 8, 1), np.ones((9, 4)), np.zeros((9, 4)))
    with pytest.raises(CheckpointError, match="head is zero"):
        measured(zero, random_sequences(9, 2, 8))
    none = bare_model(Program((op.Embed(0),), 9, 8, 1), np.eye(9))
    with pytest.raises(CheckpointError, match="one linear map"):
        measured(none, random_sequences(9, 2, 8))
    with pytest.raises(DataError, match="no next token"):
        measured(MODELS["tied"], SEQUENCES[:, :1])
