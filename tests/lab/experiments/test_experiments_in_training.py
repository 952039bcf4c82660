"""Experiments that train models, for real on generated text: what they find, how they go on, what they refuse."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from html import escape
from itertools import pairwise

import numpy as np
import pytest
import torch
from command_line import bytecap_command
from tiny_tokenizers import words

from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.errors import CompileError, DataError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.lab.experiments import training_budget
from bytecap.lab.experiments.document_scores import DocumentScores
from bytecap.lab.experiments.findings import FALSIFIES, SUPPORTS, UNDECIDED
from bytecap.lab.experiments.head_bottleneck import study as bottleneck_study
from bytecap.lab.experiments.head_bottleneck.arms import BottleneckOptions
from bytecap.lab.experiments.head_bottleneck.experiment import HeadBottleneck
from bytecap.lab.experiments.head_bottleneck.findings import rank_correlation
from bytecap.lab.experiments.head_bottleneck.study import BottleneckStudy
from bytecap.lab.experiments.head_to_depth import study as depth_study
from bytecap.lab.experiments.head_to_depth.arms import (
    BASELINE,
    FACTORIZED,
    FACTORIZED_TO_TRUNK,
    SMALL,
    SMALL_TO_TRUNK,
    Arm,
    DepthOptions,
    all_arms,
    architecture_of,
    weights_of,
)
from bytecap.lab.experiments.head_to_depth.experiment import HeadToDepth
from bytecap.lab.experiments.head_to_depth.findings import depth_observations, gain, judged
from bytecap.lab.experiments.head_to_depth.study import ArmResult
from bytecap.lab.experiments.inputs import Inputs
from bytecap.lab.experiments.keeping import KeptParts
from bytecap.lab.experiments.running import ExperimentRun, document_of
from bytecap.lab.measure.estimate import Estimate
from bytecap.lab.train.fresh_models import initial_model
from bytecap.report.experiment_page import render_experiment
from bytecap.runtime.interpreter import Interpreter

DEPTH = {
    "vocabulary": 400,
    "small": 330,
    "large": [],
    "width": 16,
    "layers": 2,
    "heads": 2,
    "length": 32,
    "batch_sequences": 2,
    "seeds": 1,
    "flops": 3e7,
    "cap": 2800,
    "training_bytes": 40_000,
    "calibration_bytes": 4_000,
    "tokenizer_bytes": 40_000,
}
FEW = DEPTH | {"arms": ["factorized head to trunk", "pruned vocabulary, retuned"]}
BOTTLENECK = {
    "vocabulary": 330,
    "width": 16,
    "layers": 1,
    "heads": 2,
    "length": 32,
    "batch_sequences": 4,
    "ranks": [1, 4],
    "seeds": 2,
    "checkpoints": 3,
    "flops": 2e8,
    "training_bytes": 40_000,
    "tokenizer_bytes": 40_000,
}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Inputs with generated text; the folder of parts is the test's own."""
    folder = tmp_path_factory.mktemp("text")
    for name, seeds in (("training", range(150)), ("evaluation", range(1000, 1006))):
        (folder / name).write_text("\0".join(" ".join(words(seed, 80)) for seed in seeds), encoding="utf-8")
    return Inputs(
        None, None, folder / "evaluation", folder / "parts", training=folder / "training", tokens=700, threads=1
    )


@pytest.fixture(scope="module")
def depth(texts):
    inputs = replace(texts, folder=texts.folder / "depth", options=FEW)
    return inputs, HeadToDepth().run(inputs)


@pytest.fixture(scope="module")
def bottleneck(texts):
    inputs = replace(texts, folder=texts.folder / "bottleneck", options=BOTTLENECK)
    return inputs, HeadBottleneck().run(inputs)


def forbidden(*arguments, **options):
    raise AssertionError("what was kept is made again")


def test_head_to_depth_compares_at_equal_bytes(depth):
    _, findings = depth
    scores, sizes, training = findings.tables
    assert [row[0] for row in scores.rows] == [row[0] for row in sizes.rows] == ["baseline", *FEW["arms"]]
    assert all(0.9 * FEW["cap"] < row[7] <= FEW["cap"] for row in sizes.rows)
    assert sizes.rows[0][5] == pytest.approx(sizes.rows[1][5], rel=0.01) and sizes.rows[2][5] < sizes.rows[0][5]
    assert all(0 < row[8] < row[7] for row in sizes.rows)
    assert [row[1] for row in sizes.rows] == [400, 400, 330] and training.rows[2][1] >= 10
    assert all(1 < row[1] < 10 for row in scores.rows)
    assert [o.decisive for o in findings.observations].count(True) == 2  # no small vocabulary, no factorized head alone
    assert findings.settings["evaluated_documents"] >= 1 and findings.verdict in ("supported", "falsified", "undecided")


@pytest.mark.parametrize("name", ["depth", "bottleneck"])
def test_findings_become_a_document_and_a_page(name, request):
    inputs, findings = request.getfixturevalue(name)
    experiment = HeadToDepth() if name == "depth" else HeadBottleneck()
    document = document_of(ExperimentRun(experiment, inputs, findings, 1.0))
    assert json.loads(json.dumps(document, allow_nan=False))["verdict"] == findings.verdict
    page = render_experiment(document)
    assert all(escape(table.title) in page for table in findings.tables) and all(
        escape(o.answer) in page for o in findings.observations
    )


@pytest.mark.parametrize("name", ["head-to-depth", "head-bottleneck"])
def test_missing_inputs_of_the_command(name, tmp_path):
    outcome = bytecap_command("lab", "run", name, "--folder", tmp_path / "parts")
    expected = f"bytecap: error: the experiment {name} needs --training and --evaluation\n"
    assert (outcome.code, outcome.stdout, outcome.stderr) == (8, "", expected)
    assert not (tmp_path / "parts").exists()


def test_head_to_depth_goes_on_where_it_was(depth, monkeypatch):
    inputs, findings = depth
    compiled = sorted(inputs.folder.glob("compile-*.json"))
    assert len(compiled) == len(sorted(inputs.folder.glob("training-*.json"))) == 3
    monkeypatch.setattr(depth_study, "train_model", forbidden)
    compiled[0].unlink()
    counted = []
    monkeypatch.setattr(depth_study, "compile_checkpoint", lambda *a, **o: counted.append(a) or real_compile(*a, **o))
    assert HeadToDepth().run(inputs) == findings and len(counted) == 1


real_compile = depth_study.compile_checkpoint


def test_factorized_and_shared_artifacts_run_alike_everywhere(depth):
    inputs, _ = depth
    (path,) = inputs.folder.glob("factorized-head-to-trunk-*.bcap")
    artifact = read_artifact(path.read_bytes())
    tensors = decode_tensors(artifact)
    known = json.loads(path.with_suffix(".json").read_text())
    assert (
        known["num_layers"] == 1
        and known["encoder_layers"] == known["decoder_layers"] == [0]
        and known["embedding_dim"] == 4
    )
    assert artifact.program == initial_model(known, 0).program
    tokens = np.random.default_rng(0).integers(400, size=(2, 20))
    expected = (
        TorchExecutor(artifact.program, {i: torch.from_numpy(t) for i, t in enumerate(tensors)})
        .forward(torch.from_numpy(tokens))
        .numpy()
    )
    np.testing.assert_allclose(Interpreter(artifact.program, tensors).logits(tokens), expected, atol=1e-4)


def test_a_killed_run_loses_one_training_at_most(texts, monkeypatch):
    counted = []
    inputs = replace(texts, folder=texts.folder / "killed", options=BOTTLENECK | {"seeds": 1, "flops": 1e6})

    def stop_at_third(stage, done, total):
        if stage.startswith("train plain"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HeadBottleneck().run(replace(inputs, progress=stop_at_third))
    kept = len(list(inputs.folder.glob("head-*.json")))
    monkeypatch.setattr(
        BottleneckStudy,
        "_measure_arm",
        lambda self, arm, seed: counted.append(arm.name) or measure_arm(self, arm, seed),
    )
    findings = HeadBottleneck().run(inputs)
    assert (kept, counted) == (3, ["plain head", "rank 1, wider MLP"])
    assert len(findings.tables[0].rows) == 5


measure_arm = BottleneckStudy._measure_arm


def test_less_of_the_gradient_survives_a_narrower_head(bottleneck):
    _, findings = bottleneck
    heads, way = findings.tables
    weights, shares, randoms = (
        {row[0]: row[heads.columns.index(column)] for row in heads.rows}
        for column in (">weights", ">surviving share", ">of a random subspace")
    )
    assert 0 < shares["rank 1"] < shares["rank 4"] < shares["rank 16"] <= 1
    assert findings.observations[0].outcome in (SUPPORTS, UNDECIDED)
    assert randoms["rank 4"] == pytest.approx(4 / 330, abs=1e-4)
    assert (
        weights["rank 1, wider MLP"] == pytest.approx(weights["rank 16"], rel=0.01)
        and weights["rank 1"] < weights["rank 4"]
    )
    assert len(way.rows) == 3 * BOTTLENECK["checkpoints"]
    for name, points in findings.charts[1].series.items():
        assert [a.x < b.x for a, b in pairwise(points)] == [True, True], name
    assert {o.decisive for o in findings.observations[:3]} == {True} and {
        o.decisive for o in findings.observations[3:]
    } == {False}


def test_head_bottleneck_goes_on_where_it_was(bottleneck, monkeypatch):
    inputs, findings = bottleneck
    monkeypatch.setattr(bottleneck_study, "train_model", forbidden)
    assert HeadBottleneck().run(inputs) == findings


def test_heads_trained_by_adamw_are_other_parts(bottleneck, monkeypatch):
    """Nothing that Muon left is taken for AdamW's, and AdamW is what trains."""
    inputs, _ = bottleneck
    schedules = []

    def train(model, tokens, schedule, **how):
        schedules.append(schedule)
        raise DataError("no training here")

    monkeypatch.setattr(bottleneck_study, "train_model", train)
    with pytest.raises(DataError, match="no training here"):
        HeadBottleneck().run(replace(inputs, options=inputs.options | {"adamw": True}))
    assert [schedule.adamw for schedule in schedules] == [True]


@pytest.mark.parametrize("experiment", [HeadToDepth(), HeadBottleneck()], ids=lambda e: e.name)
def test_missing_and_unknown_inputs(experiment, texts):
    with pytest.raises(DataError, match=f"the experiment {experiment.name} needs --training and --evaluation"):
        experiment.run(replace(texts, training=None, evaluation=None))
    with pytest.raises(DataError, match="there is no option 'colour' of this experiment; there are vocabulary, "):
        experiment.run(replace(texts, options={"colour": 1}))
    with pytest.raises(DataError, match="holds a document that is evaluated"):
        experiment.run(replace(texts, training=texts.evaluation))
    with pytest.raises(CompileError, match="device 'nonesuch' cannot be used"):
        experiment.run(replace(texts, device="nonesuch"))


def test_ranks_and_arms_that_there_are_not(texts):
    with pytest.raises(DataError, match=r"no rank of \[64\] lies between 0 and the width, 16"):
        HeadBottleneck().run(replace(texts, options=BOTTLENECK | {"ranks": [64]}))
    with pytest.raises(DataError, match="there is no arm 'big'; there are baseline, "):
        HeadToDepth().run(replace(texts, options=DEPTH | {"arms": ["big"]}))


def test_every_arm_of_the_standard_scale_has_the_baselines_weights():
    options = DepthOptions()
    arms = all_arms(options, public_vocabulary=1024)
    known = {arm.name: architecture_of(arm, options) for arm in arms}
    wanted = weights_of(known["baseline"])
    for arm in arms:
        model = initial_model(known[arm.name], 0)
        assert model.parameters == weights_of(known[arm.name]), arm.name
        assert model.parameters == pytest.approx(wanted, rel=0.005) if arm.matched else model.parameters <= wanted, (
            arm.name
        )
    for name, columns in (("small vocabulary", options.width), ("factorized head", options.width // 4)):
        tables = [t.values.size for t in initial_model(known[name], 0).tensors if t.name == "tok_emb.weight"]
        assert tables == [known[name]["vocab_size"] * columns]
    assert (
        known["factorized head to trunk"]["model_dim"]
        > known["factorized head to own blocks"]["model_dim"]
        > options.width
    )
    assert {arm.vocabulary for arm in arms} == {512, 1024, 4096, 8192}
    with pytest.raises(DataError, match="more weights in its token tables than the whole baseline"):
        architecture_of(Arm("huge", 200_000, matched=True), options)


def test_minutes_become_equal_operations(texts, monkeypatch):
    """A clock on which a step takes a second: two arms and one seed get half of the minutes each."""
    clock = iter(range(1000))
    monkeypatch.setattr(training_budget, "training_clock", lambda device: float(next(clock)))
    options = {name: value for name, value in DEPTH.items() if name != "flops"} | {"arms": ["shared trunk"]}
    study = depth_study.DepthStudy(
        replace(texts, folder=texts.folder / "speed", minutes=0.5, options=options), DepthOptions(**options)
    )
    model = initial_model(study.architectures["baseline"], 0)
    assert training_budget.affordable_updates(model, study.flops, 2) == 15
    kept = KeptParts(study.kept.folder, study.kept.basis)
    monkeypatch.setattr(training_budget, "train_model", forbidden)
    again = training_budget.measured_speed(kept, model, np.zeros(1), batch_sequences=2, device="cpu", threads=1)
    assert again * 15 == pytest.approx(study.flops)
    chosen = replace(texts, options={"ranks": [3, 5]}).chosen(**asdict(BottleneckOptions()))
    assert BottleneckOptions(**chosen).ranks == (3, 5)


@pytest.mark.parametrize(
    ("mean", "error", "outcome"),
    [
        (-9, 1, SUPPORTS),
        (9, 1, FALSIFIES),
        (-2, 2, UNDECIDED),
        (-2, 1, FALSIFIES),
        (-6, 1, SUPPORTS),
        (0, 9, UNDECIDED),
    ],
)
def test_the_rule_of_a_gain(mean, error, outcome):
    assert judged(Estimate(mean, error)) == outcome


def planted(name, bits, head_bytes=50):
    """An arm's result of so many bits a byte on 20 documents of 100 bytes, with two seeds.

    The head is half of 1,000 weights, and `head_bytes` of 100 bytes.
    """
    noise = np.random.default_rng(sum(map(ord, name))).normal(0, 1e-4, (2, 20))
    scores = tuple(DocumentScores((bits + row) * 100 * math.log(2), np.full(20, 100), np.full(20, 40)) for row in noise)
    facts = {
        "head_bytes": head_bytes,
        "tensor_bytes": 100,
        "head_weights": 500,
        "stored_weights": 1000,
        "tokens_a_byte": 0.5,
    }
    return ArmResult(Arm(name, 8), {}, scores, scores, (facts, facts))


@pytest.mark.parametrize(
    ("bits", "head_bytes", "outcomes"),
    [
        (
            {BASELINE: 2.0, SMALL: 2.1, FACTORIZED: 2.05, SMALL_TO_TRUNK: 1.9, FACTORIZED_TO_TRUNK: 1.95},
            50,
            [SUPPORTS] * 4,
        ),
        (
            {BASELINE: 2.0, SMALL: 2.1, FACTORIZED: 2.05, SMALL_TO_TRUNK: 2.02, FACTORIZED_TO_TRUNK: 1.95},
            50,
            [SUPPORTS, FALSIFIES, SUPPORTS, SUPPORTS],
        ),
        (
            {BASELINE: 2.0, SMALL: 1.8, FACTORIZED: 1.9, SMALL_TO_TRUNK: 1.9, FACTORIZED_TO_TRUNK: 1.95},
            20,
            [SUPPORTS, SUPPORTS, FALSIFIES, FALSIFIES],
        ),
        (
            {BASELINE: 2.0, SMALL: 2.1, FACTORIZED: 2.05, SMALL_TO_TRUNK: 2.01, FACTORIZED_TO_TRUNK: 2.0},
            35,
            [FALSIFIES, FALSIFIES, UNDECIDED, SUPPORTS],
        ),
    ],
)
def test_planted_scores_are_judged_as_written_beforehand(bits, head_bytes, outcomes):
    results = {name: planted(name, value, head_bytes) for name, value in bits.items()}
    observations = depth_observations(results)
    assert [o.outcome for o in observations if o.decisive] == outcomes
    assert gain(results, BASELINE, SMALL).mean == pytest.approx(1000 * (bits[SMALL] - 2.0), abs=0.2)
    assert len(observations) == 5 and not observations[4].decisive  # the factorized head alone


def test_rank_correlation():
    assert (
        rank_correlation([1, 2, 3], [10, 20, 30]) == 1
        and rank_correlation([1, 2, 3], [3, 2, 1]) == -1
        and rank_correlation([1], [1]) == 0
    )
    assert rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)
