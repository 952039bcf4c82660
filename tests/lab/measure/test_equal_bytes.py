"""Artifacts with given protected weights at given bytes, and what is measured of them sequence by sequence."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_curves import ARCHITECTURE, CALIBRATION_TOKENS, make_curve_job
from tiny_models import random_sequences

from bytecap.compiler.menu.kinds.sparse import weight_losses, weight_parts
from bytecap.compiler.menu.kinds.subsets import COLUMNS, ROWS, line_losses, line_parts, plain_grid
from bytecap.errors import CapError, CompileError, DataError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.lab.measure.choices import WEIGHTS, Candidate, Finer, Protected
from bytecap.lab.measure.equal_bytes import Bench, BenchInputs
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

PRICE = 3e-3


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return make_curve_job(tmp_path_factory.mktemp("bench"))


def open_bench(job, **changes) -> Bench:
    options = {
        "architecture": job.architecture,
        "recipe": {"calibrate": {"tokens": CALIBRATION_TOKENS}},
        "threads": 1,
    } | changes
    threads = options.pop("threads")
    return Bench.open(BenchInputs(job.checkpoint, job.calibration, **options), threads)


@pytest.fixture(scope="module")
def bench(job) -> Bench:
    return open_bench(job)


def decoded(trial) -> list[np.ndarray]:
    return decode_tensors(read_artifact(trial.data))


@pytest.mark.parametrize("how", ["finer", "apart", "raw"])
@pytest.mark.parametrize("axis, members", [(ROWS, [5, 2, 30]), (COLUMNS, [0, 7]), (WEIGHTS, [900, 3, 64, 65])])
def test_given_members_are_better_and_decode_to_what_was_fitted(bench, how, axis, members):
    index = bench.matrices[1]
    plain, trial = bench.artifact(PRICE), bench.artifact(PRICE, {index: Protected(axis, members, how)})
    values, target = decoded(trial)[index], bench.model.tensors[index].values
    assert values.tobytes() == trial.quantized[index].weights.tobytes()
    at = {ROWS: (members,), COLUMNS: (slice(None), members), WEIGHTS: np.unravel_index(members, target.shape)}[axis]
    assert trial.quantized[index].setting.values() == (how, len(members))
    if how == "raw":
        assert np.abs(values[at] - target[at]).max() < 2e-3 * np.abs(target).max()
    if how == "finer":
        assert trial.quantized[index].predicted_loss < plain.quantized[index].predicted_loss
    assert all(
        trial.quantized[i].weights.tobytes() == plain.quantized[i].weights.tobytes()
        for i in bench.matrices
        if i != index
    )


@pytest.mark.parametrize("kind, axis", [("rescued-rows", ROWS), ("protected-columns", COLUMNS), ("sparse", WEIGHTS)])
@pytest.mark.parametrize("how", ["finer", "apart", "raw"])
def test_a_candidates_own_choice_is_a_set_like_any_other(bench, kind, axis, how):
    index = bench.matrices[2]
    unit = bench.unit(index, PRICE)
    losses = weight_losses(unit, how).reshape(-1) if axis == WEIGHTS else line_losses(unit, axis, how)
    members = np.argsort(-losses, kind="stable")[:3]
    own, given = (
        bench.artifact(PRICE, {index: choice}) for choice in (Candidate(kind, (how, 3)), Protected(axis, members, how))
    )
    assert own.data == given.data == bench.artifact(PRICE, {index: (kind, (how, 3))}).data


def test_corrections_of_single_weights_take_away_the_loss_that_they_claim(bench):
    """One corrected weight lowers the loss by half its claim, but for the rounding of its value;
    several lower it further.
    """
    unit = bench.unit(bench.matrices[1], PRICE)
    assert unit.prepared.coupling is not None
    claims = weight_losses(unit, "finer").reshape(-1)
    order, plain = np.argsort(-claims, kind="stable"), plain_grid(unit).predicted_loss
    losses = [
        unit.composite("sparse", ("finer", n), weight_parts(unit, np.sort(order[:n]), "finer")).predicted_loss
        for n in (1, 8, 64)
    ]
    assert losses[0] == pytest.approx(plain - claims[order[0]] / 2, rel=1e-3)
    assert losses[2] < losses[1] < losses[0] < plain


@pytest.mark.parametrize("axis", [ROWS, COLUMNS])
def test_lines_claim_what_their_correction_takes_away(bench, axis):
    """The claim against the loss of the correction in exact arithmetic, and that against a grid of very fine steps."""
    unit = bench.unit(bench.matrices[1], PRICE)
    plain, claims = plain_grid(unit), line_losses(unit, axis, "finer")
    line = int(np.argmax(claims))
    fine = unit.composite("lines", ("finer", 1), line_parts(unit, axis, np.array([line]), "finer", -9.0))
    assert plain.predicted_loss - fine.predicted_loss == pytest.approx(claims[line] / 2, rel=1e-3)


def test_bytes_are_met_from_below_with_and_without_choices(bench):
    index = bench.matrices[0]
    for choices in (None, {index: ("rescued-rows", ("finer", 2))}, {index: Finer(-1.0)}):
        trial = bench.at_bytes(8000, choices, PRICE, tolerance=0.004)
        assert 8000 * 0.996 <= len(trial.data) <= 8000
    near = bench.at_nearest(8000, 30, PRICE)
    assert abs(len(near.data) - 8000) <= 30
    with pytest.raises(CapError):
        bench.at_bytes(300)


def test_other_steps_are_one_share_of_each_rows_magnitude_or_one_a_matrix(bench):
    own, uniform, flat = (
        bench.with_steps(*steps).artifact(PRICE) for steps in (("allocated",), ("uniform", 100.0), ("per-matrix", 1.0))
    )
    for i in bench.matrices:
        grids, target = [trial.quantized[i].grid for trial in (own, uniform, flat)], bench.model.tensors[i].values
        rows, columns = (
            np.exp2(np.asarray(e) / 2 ** grids[0].resolution)
            for e in (grids[0].row_exponents, grids[0].column_exponents)
        )
        assert rows.std() > 0 and columns.std() > 0
        steps = grids[1].base * np.exp2(np.asarray(grids[1].row_exponents) / 2 ** grids[1].resolution)
        assert steps / np.sqrt(np.mean(np.square(target, dtype=np.float64), axis=1)) == pytest.approx(
            100.0 * PRICE, rel=0.07
        )
        assert (
            not np.any(grids[1].column_exponents)
            and not np.any(grids[2].column_exponents)
            and not np.any(grids[2].row_exponents)
        )
        assert grids[2].base == pytest.approx(
            grids[0].base * np.exp(np.log(rows).mean() + np.log(columns).mean()), rel=1e-6
        )


def test_quality_is_that_of_the_runtime(bench):
    """Losses against the numba interpreter, divergence against its definition, on the decoded artifact."""
    trial = bench.artifact(PRICE)
    quality = bench.quality(trial)
    sequences = np.concatenate([bench.meter.sequences, bench.meter.targets[:, -1:]], axis=1)
    losses = Interpreter(bench.model.program, decoded(trial)).token_losses(sequences)
    assert quality.bits * np.log(2) == pytest.approx(losses.sum(1), rel=1e-4)
    assert quality.divergence.shape == (len(sequences),) and (quality.divergence > 0).all()
    assert not bench.meter.float_model.divergence.any()
    assert bench.bits_per_byte(trial)[1] is None and quality.bits_per_byte is None and quality.gap_to(quality) is None
    assert bench.divergence(trial).tolist() == quality.divergence.tolist()


def test_an_evaluation_file_is_measured_on_and_may_not_be_calibration_text(job, tmp_path):
    write_shard(
        tmp_path / "other.bin",
        random_sequences(ARCHITECTURE["vocab_size"], 12, ARCHITECTURE["seq_len"], seed=60).ravel(),
    )
    opened = open_bench(job, evaluation=tmp_path / "other.bin", tokens=64, threads=2)
    assert opened.meter.sequences.shape == (4, ARCHITECTURE["seq_len"])
    assert (
        opened.meter.sequences[0].tolist()
        == random_sequences(ARCHITECTURE["vocab_size"], 12, ARCHITECTURE["seq_len"], seed=60)[0].tolist()
    )
    with pytest.raises(DataError, match="not evaluated"):
        open_bench(job, evaluation=job.calibration)
    with pytest.raises(CompileError, match="unknown table"):
        open_bench(job, recipe={"polish": {}})


def test_threads_change_nothing(job, bench):
    other = open_bench(job, threads=3)
    choices = {bench.matrices[0]: ("low-rank", ("over", 2)), bench.matrices[2]: ("sparse", ("finer", 9))}
    trials = [each.artifact(PRICE, choices) for each in (bench, other)]
    assert trials[0].data == trials[1].data
    assert bench.divergence(trials[0]).tolist() == other.divergence(trials[1]).tolist()
