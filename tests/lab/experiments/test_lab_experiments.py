"""Experiments on artifacts: how a verdict comes about, finer members against a slow twin, each run for real."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import bytecap_command
from html_pages import parsed_page
from hypothesis import given
from hypothesis import strategies as st

import bytecap
from bytecap.cli.lab_command import EXPERIMENTS as NAMES
from bytecap.compiler.menu.kinds import Unit
from bytecap.compiler.quantize.gptq import quantize_matrix
from bytecap.compiler.quantize.grids import GridQuantizer
from bytecap.compiler.settings import QuantizationSettings
from bytecap.compiler.statistics.calibration import MatrixStatistics
from bytecap.format.tensors.grid import reconstruct_grid
from bytecap.lab.experiments.byte_allocation.report import judge_coder, judge_execution, judge_steepness
from bytecap.lab.experiments.comparing import outcome_by_budget, outcome_of_change, outcome_of_share
from bytecap.lab.experiments.findings import Observation, verdict_of
from bytecap.lab.experiments.finer_members import COLUMNS, ROWS, WEIGHTS, OnSteps, WithResidual, steps_of
from bytecap.lab.experiments.protected_sets import concentration, exception_bytes, strongest
from bytecap.lab.experiments.registry import EXPERIMENTS
from bytecap.lab.experiments.row_rescue.artifacts import HalfPrecisionRows
from bytecap.lab.experiments.row_rescue.report import judge_bookkeeping
from bytecap.lab.experiments.running import document_of
from bytecap.lab.measure.equal_bytes import Bench
from bytecap.lab.measure.estimate import Estimate
from bytecap.lab.measure.simple_steps import ALL_STEPS, ONE_STEP, ROW_SCALE, ROW_STEPS, RULES, expected_losses
from bytecap.report.experiment_page import render_experiment
from bytecap.runtime.shards import HEADER_BYTES

QUICK = {
    "byte-allocation": {"shares": [0.02, 0.2], "bits": 3.0},
    "row-rescue": {"shares": [0.1], "bits": 3.0},
    "vq-head": {"budgets": [3.0], "menu": [["vq-rows", "scaled", 1, 105, 0], ["codebook", "scaled", 2, 64]]},
}
PRICES = dict.fromkeys(RULES, 0.1) | {ROW_SCALE: 1e-4}
S, F, U = "supports", "falsifies", "undecided"


@pytest.mark.parametrize(
    "outcomes, verdict",
    [
        ([S, S], "supported"),
        ([S, U], "undecided"),
        ([S, F], "falsified"),
        ([U, F], "falsified"),
        ([U], "undecided"),
        ([], "undecided"),
    ],
)
def test_the_verdict_follows_from_what_decides(outcomes, verdict):
    decisive = [Observation("?", "!", outcome) for outcome in outcomes]
    assert verdict_of(decisive) == verdict
    assert verdict_of([*decisive, Observation("?", "!", F, decisive=False)]) == verdict


@pytest.mark.parametrize(
    "mean, error, outcome", [(-2.0, 1.0, S), (-1.9, 1.0, U), (0.0, 0.0, U), (1.9, 1.0, U), (2.0, 1.0, F)]
)
def test_a_change_is_judged_by_its_interval(mean, error, outcome):
    assert outcome_of_change(Estimate(mean, error)) == outcome


@pytest.mark.parametrize("value, outcome", [(0.5, S), (0.49, U), (0.25, U), (0.24, F), (-1.0, F)])
def test_a_share_is_judged_by_both_thresholds(value, outcome):
    assert outcome_of_share(value, 0.5, 0.25) == outcome


@pytest.mark.parametrize(
    "gains, outcome",
    [
        ({0.01: 0.1, 0.02: 0.15, 0.1: 0.2, 0.2: 0.21}, S),
        ({0.01: 0.1, 0.02: 0.15, 0.1: 0.2, 0.2: 0.3}, U),  # goes on rising
        ({0.01: 0.01, 0.02: 0.05, 0.1: 0.2, 0.2: 0.2}, U),  # a quarter early
        ({0.01: 0.01, 0.02: 0.03, 0.1: 0.2, 0.2: 0.2}, F),
        ({0.01: -0.1, 0.2: -0.2}, F),
        ({0.05: 0.2, 0.2: 0.2}, U),  # nothing early was measured
        ({0.01: 0.2}, U),  # nothing late was measured
    ],
)
def test_steepness(gains, outcome):
    assert judge_steepness(gains) == outcome
    assert judge_steepness(gains, certain=False) == (F if max(gains.values()) <= 0 else U)


def test_coder_execution_bookkeeping_and_budgets():
    assert [judge_coder(n, c) for n, c in ((0.2, 0.1), (0.2, 0.09), (0.2, 0.04), (0.2, -0.1), (-0.1, 0.1))] == [
        S,
        U,
        F,
        F,
        F,
    ]
    assert [judge_execution(ratio) for ratio in (0.9, 1.25, 1.5, 2.1)] == [S, S, U, F]
    assert [judge_bookkeeping(net, told) for net, told in ((10, 9), (10, 10), (0, 1), (-5, 1))] == [S, U, F, F]
    down, flat, up = Estimate(-3, 1), Estimate(0, 1), Estimate(3, 1)
    assert [outcome_by_budget(each, everywhere=False) for each in ([up, down], [up, flat], [up, up])] == [S, U, F]
    assert [outcome_by_budget(each, everywhere=True) for each in ([up, down], [down, down], [up, up])] == [U, S, F]


def unit_of(rows=12, columns=10, seed=0, price=0.05):
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((columns, columns))
    statistics = MatrixStatistics(mixing @ mixing.T + np.eye(columns), random.uniform(0.1, 4.0, rows))
    quantizer = GridQuantizer(QuantizationSettings(trellis_states=0, correlation=0.0))
    return Unit(
        random.standard_normal((rows, columns)) * random.uniform(0.5, 2, (rows, 1)), statistics, quantizer, price, 1, {}
    )


def naive_residual(unit, steps, mask, fine):
    """Column by column, the last in processing order first, each on its own.

    t = (W L)_j / L_jj - sum over k > j of w'_k L_kj / L_jj
    """
    prepared, (rows, columns) = unit.prepared, unit.shape
    found = np.zeros((rows, columns))
    for j in reversed(range(columns)):
        place = prepared.order[j]
        for i in range(rows):
            target = sum(prepared.weights[i, k] * prepared.factor[k, j] for k in range(columns))
            target -= sum(found[i, prepared.order[k]] * prepared.factor[k, j] for k in range(j + 1, columns))
            target /= prepared.factor[j, j]
            value = round(target / steps[i, place]) * steps[i, place]
            if mask[i, place]:
                value += round((target - value) / fine) * fine
            found[i, place] = value
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("axis, members", [(ROWS, (0, 7)), (COLUMNS, (3,)), (WEIGHTS, (1, 17, 50, 119))])
def test_exceptions_are_those_of_the_slow_twin(rule, axis, members):
    unit = unit_of(price=PRICES[rule])
    found = WithResidual(rule, axis, members, 2.0).fit(unit)
    grid, told = found.parts
    mask = np.zeros(unit.shape, bool)
    mask.reshape(-1)[list(members)] = axis == WEIGHTS
    mask[(list(members) if axis == ROWS else slice(0),)] = True
    mask[:, list(members) if axis == COLUMNS else slice(0)] = True
    assert np.allclose(found.weights, naive_residual(unit, steps_of(grid.grid), mask, told.part.base), atol=1e-5)
    errors = np.abs(found.weights - reconstruct_grid(grid.grid))
    assert not errors[~mask].any() and errors[mask].any()


@pytest.mark.parametrize("rule", RULES)
def test_finer_lines_of_the_same_grid(rule):
    unit = unit_of(price=PRICES[rule])
    plain, finer = OnSteps(rule).fit(unit), OnSteps(rule, ROWS, (2, 5), 2.0).fit(unit)
    ratio = steps_of(finer.grid) / steps_of(plain.grid)
    assert np.allclose(ratio[[2, 5]], 0.25, rtol=0.1) and np.allclose(np.delete(ratio, [2, 5], 0), 1.0, rtol=0.1)
    assert unit.row_losses(finer.weights)[[2, 5]].sum() < unit.row_losses(plain.weights)[[2, 5]].sum()


def test_the_rules_are_what_they_say():
    unit = unit_of()
    plain = quantize_matrix(unit.prepared, unit.byte_price)
    assert np.array_equal(OnSteps(ALL_STEPS).fit(unit).weights, plain.weights)
    assert len(set(steps_of(OnSteps(ONE_STEP).fit(unit).grid).reshape(-1))) == 1
    scaled = steps_of(OnSteps(ROW_SCALE).fit(unit).grid)
    rms = np.sqrt(np.square(unit.target).mean(1))
    assert np.allclose(scaled / rms[:, None], (scaled / rms[:, None])[0, 0], rtol=0.1)
    by_importance = steps_of(OnSteps(ROW_STEPS).fit(unit).grid)
    assert np.allclose(
        by_importance * np.sqrt(unit.prepared.row_fisher)[:, None],
        (by_importance * np.sqrt(unit.prepared.row_fisher)[:, None])[0, 0],
        rtol=0.1,
    )


@pytest.mark.parametrize("rule", RULES)
def test_expected_losses_are_those_of_fine_steps(rule):
    unit = unit_of(rows=60, columns=40, price=PRICES[rule] / 4)
    found = OnSteps(rule).fit(unit)
    assert expected_losses(unit.prepared, rule).sum() * unit.byte_price**2 == pytest.approx(
        found.predicted_loss, rel=0.25
    )


def test_a_set_told_by_bits_costs_what_compressed_bits_cost():
    """The exceptions of one column: 128 places a row apart, a bitmap of 2,048 bytes that compresses to a few dozen."""
    unit = unit_of(rows=128, columns=128)
    column = WithResidual(ROW_STEPS, WEIGHTS, tuple(range(5, 128 * 128, 128)), 2.0).fit(unit)
    known = exception_bytes({0: column}, 1)
    rows = exception_bytes({0: HalfPrecisionRows((3, 9, 77)).fit(unit)}, 1)
    assert 0 < rows["place_bytes"] < 40 and 0.7 * 768 < rows["residual_bytes"] < 1.1 * 768
    assert 0 < known["place_bytes"] < 100 and 0 < known["residual_bytes"] < 128


@given(st.integers(0, 10_000), st.sampled_from([ROWS, COLUMNS, WEIGHTS]), st.floats(0.01, 0.9))
def test_the_strongest_hold_their_share_and_no_more_than_needed(seed, axis, share):
    random = np.random.default_rng(seed)
    claims = {i: random.exponential(size=shape) for i, shape in ((1, (6, 4)), (4, (3, 8)))}
    members = strongest(claims, axis, share)
    lines = {i: {ROWS: c.shape[0], COLUMNS: c.shape[1], WEIGHTS: c.size}[axis] for i, c in claims.items()}
    assert all(list(m) == sorted(set(m)) and 0 < len(m) < lines[i] for i, m in members.items())
    weights = {i: len(m) * claims[i].size // lines[i] for i, m in members.items()}
    full = any(len(m) == lines[i] - 1 for i, m in members.items())  # capped: a set is never everything
    assert full or sum(weights.values()) >= share * 48 > sum(weights.values()) - 8
    assert strongest(claims, axis, share, only=[4]).keys() <= {4}
    held = concentration(claims, axis)
    assert held == sorted(held) and all(h >= s - 1e-9 for h, s in zip(held, (0.01, 0.05, 0.1, 0.2), strict=True))


@pytest.fixture(scope="module")
def runs(small_job, tmp_path_factory):
    """Every experiment on the small job, with the folder of its parts."""
    folder = tmp_path_factory.mktemp("parts")
    return {name: run(small_job, name, folder) for name in QUICK}


def run(small_job, name, folder):
    return bytecap.run_experiment(
        name,
        checkpoint=small_job.checkpoint,
        architecture=small_job.architecture,
        calibration=small_job.calibration,
        evaluation=small_job.data,
        tokenizer=small_job.tokenizer,
        tokens=256,
        threads=1,
        folder=folder,
        options=QUICK[name],
    )


@pytest.mark.parametrize("name", QUICK)
def test_an_experiment_for_real(runs, name):
    found = runs[name]
    document = document_of(found)
    assert document["verdict"] == found.verdict == verdict_of(found.findings.observations)
    assert [each["outcome"] for each in document["observations"] if each["decisive"]]
    assert {each["outcome"] for each in document["observations"]} <= {S, F, U}
    assert document == json.loads(json.dumps(document, allow_nan=False))
    for table in document["tables"]:
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    sizes = {
        row[column]
        for t in document["tables"]
        if ">bytes" in (t["columns"])
        for column in [t["columns"].index(">bytes")]
        for row in t["rows"]
    }
    budget = found.findings.settings.get("budget, bytes", max(sizes))
    assert sizes and 0.97 * budget <= min(sizes) <= max(sizes) <= budget
    text = render_experiment(document)
    page, bars = parsed_page(text), text.count('class="interval"')
    assert page.tags.count("h1") == 1 and len(page.tables) >= len(document["tables"])
    assert page.tags.count("svg") == 2 * len(document["charts"]) + bars
    assert bars >= 1 and text.count(' error"') >= 2


def test_without_a_tokenizer_scores_are_in_bits_a_token(runs, small_job, tmp_path):
    """Tokens alone are enough: the same artifacts, whose scores count the tokens instead of their bytes."""
    shard, bare = small_job.data.read_bytes(), tmp_path / "bare.bin"
    bare.write_bytes(shard[HEADER_BYTES:])
    inputs = {"checkpoint": small_job.checkpoint, "architecture": small_job.architecture, "threads": 1, "tokens": 256}
    data = {"calibration": small_job.calibration, "evaluation": bare}
    found = bytecap.run_experiment(
        "row-rescue", **inputs, **data, folder=tmp_path / "parts", options=QUICK["row-rescue"]
    )
    before, after = (document_of(run)["tables"][0] for run in (runs["row-rescue"], found))
    gap = after["columns"].index(">gap, mbit a token")
    assert before["columns"][gap] == ">gap, mBPB" and "mbit a token" in str(document_of(found)["observations"])
    # kept artifacts were searched for from another price, so that sizes differ a little
    assert [row[:2] for row in after["rows"]] == [row[:2] for row in before["rows"]]
    assert after["rows"][0][gap - 1] == pytest.approx(before["rows"][0][gap - 1], rel=0.05)
    assert f"{bare} has no header" in document_of(found)["settings"]["assumed"]


@pytest.mark.parametrize("name", QUICK)
def test_results_and_their_intervals_come_first(runs, name):
    """In every table right behind the name of a row; charts have the same intervals."""
    document = document_of(runs[name])
    table = next(table for table in document["tables"] if table["intervals"])
    value, low, high = table["intervals"][0]
    assert [table["columns"][k] for k in (value, low, high)] == [">change, mbit", ">low", ">high"] and value <= 3
    for row in table["rows"]:
        assert row[low] <= row[value] <= row[high]
    series = [each for chart in document["charts"] for each in chart["series"]]
    for each in series:
        for (_, y), interval in zip(each["points"], each["intervals"], strict=True):
            assert interval is None or interval[0] <= y <= interval[1]
    assert any(interval is not None for each in series for interval in each["intervals"])


@pytest.mark.parametrize("name", QUICK)
def test_a_finished_run_measures_nothing_again(runs, small_job, monkeypatch, name):
    monkeypatch.setattr(Bench, "open", None)
    again = run(small_job, name, runs[name].inputs.folder)
    assert again.findings == runs[name].findings


def test_a_stopped_run_goes_on(runs, small_job, tmp_path, monkeypatch):
    folder = runs["vq-head"].inputs.folder
    kept = sorted(folder.iterdir())
    for path in kept[:-1]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    opened = []
    real = Bench.open.__func__
    monkeypatch.setattr(Bench, "open", classmethod(lambda cls, *a, **k: opened.append(1) or real(cls, *a, **k)))
    for name in QUICK:
        assert document_of(run(small_job, name, tmp_path))["tables"][0]["title"]
    assert len(opened) == 1
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept}


def test_the_names_are_those_of_the_registry():
    assert tuple(EXPERIMENTS) == NAMES
    assert all(e.thesis and e.supports and e.falsifies for e in EXPERIMENTS.values())


def test_list_as_text_and_as_a_document():
    text, document = bytecap_command("lab", "list"), bytecap_command("lab", "list", "--json").document
    assert (document["schema"], document["command"]) == (1, "lab list")
    expected = []
    for each in document["experiments"]:
        expected += [f"{each['name']}: {each['thesis']}", *(f"  supports   {line}" for line in each["supports"])]
        expected += [f"  falsifies  {line}" for line in each["falsifies"]]
    assert (text.code, text.stdout.splitlines(), text.stderr) == (0, expected, "")


def lab_run(small_job, folder, *more):
    inputs = [
        "--checkpoint",
        small_job.checkpoint,
        "--architecture",
        small_job.architecture,
        "--calibration",
        small_job.calibration,
    ]
    inputs += [
        "--evaluation",
        small_job.data,
        "--tokenizer",
        small_job.tokenizer,
        "--tokens",
        256,
        "--threads",
        1,
        "--folder",
        folder,
    ]
    return bytecap_command("lab", "run", *more, *inputs)


def test_run_as_text_page_and_document(runs, small_job, tmp_path, monkeypatch):
    monkeypatch.setattr("bytecap.interface.run_experiment", lambda name, **options: runs[name])
    files = ["--report", tmp_path / "page.html", "--output", tmp_path / "out.json"]
    outcome = lab_run(small_job, tmp_path, "row-rescue", *files)
    document = json.loads((tmp_path / "out.json").read_text())
    lines = outcome.stdout.splitlines()
    assert outcome.code == 0 and outcome.stderr.startswith("bytecap: note: assumed of the checkpoint: ")
    assert lines[:2] == [f"row-rescue: {document['thesis']}", ""]
    for line, each in zip(lines[2:-2], document["observations"], strict=True):
        assert (
            line
            == f"{each['outcome']:<10} {each['question']}{'' if each['decisive'] else ' (beside)'}  {each['answer']}"
        )
    counts = [sum(o["outcome"] == kind for o in document["observations"] if o["decisive"]) for kind in (S, F, U)]
    assert lines[-2:] == [
        "",
        f"verdict    {document['verdict']} ({counts[0]} supports, {counts[1]} falsifies, {counts[2]} undecided)",
    ]
    assert (document["schema"], document["command"]) == (1, "lab run") and document["reproduce"].startswith(
        "bytecap lab run row-rescue \\\n"
    )
    assert f"row-rescue: {document['verdict']}" in (tmp_path / "page.html").read_text()
    refused = lab_run(small_job, tmp_path, "row-rescue", *files)
    assert (refused.code, refused.stderr) == (
        9,
        f"bytecap: error: {tmp_path / 'page.html'} exists; use --force to replace it, or name another output\n",
    )
    assert lab_run(small_job, tmp_path, "row-rescue", *files, "--force", "--json").document == json.loads(
        (tmp_path / "out.json").read_text()
    )


@pytest.mark.parametrize("name", QUICK)
def test_missing_inputs_are_named(small_job, tmp_path, name):
    outcome = bytecap_command("lab", "run", name, "--checkpoint", small_job.checkpoint, "--folder", tmp_path / "parts")
    expected = f"bytecap: error: the experiment {name} needs --calibration and --evaluation\n"
    assert (outcome.code, outcome.stdout, outcome.stderr) == (8, "", expected)
    assert not (tmp_path / "parts").exists()


def test_options_of_an_experiment(small_job, tmp_path, monkeypatch):
    outcome = lab_run(small_job, tmp_path / "parts", "row-rescue", "--option", "colour=red")
    expected = "bytecap: error: there is no option 'colour' of this experiment; there are shares, bits\n"
    assert (outcome.code, outcome.stdout, outcome.stderr) == (8, "", expected)
    outcome = lab_run(small_job, tmp_path / "parts", "row-rescue", "--option", "bits")
    assert (outcome.code, outcome.stdout) == (2, "") and "'bits' is not NAME=VALUE" in outcome.stderr
    given = {}

    def look(name: str, **options: object) -> None:
        given.update(options)
        raise bytecap.errors.DataError("seen")

    monkeypatch.setattr("bytecap.interface.run_experiment", look)
    lab_run(
        small_job,
        tmp_path / "parts",
        "row-rescue",
        "--option",
        "bits=3.5",
        "--option",
        "shares=[0.1, 0.2]",
        "--option",
        "word=tokens",
    )
    assert given["options"] == {"bits": 3.5, "shares": [0.1, 0.2], "word": "tokens"}


def test_an_experiment_that_is_not_there():
    with pytest.raises(bytecap.errors.DataError, match="there is no experiment 'luck'; there are byte-allocation, "):
        bytecap.run_experiment("luck")
