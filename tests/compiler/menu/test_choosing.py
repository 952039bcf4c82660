"""Menus in whole compiles: what is chosen on a model made for it, that it pays in real bytes, and that
off means untouched.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ARCHITECTURE as SMALL
from tiny_models import CALM, golf_model, random_sequences

from bytecap.cli.compile_report import print_compile_report
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.explanation.table_steps import table_steps_text
from bytecap.compiler.job import CompileJob
from bytecap.compiler.menu.allocation import Allocation, confirm_largest
from bytecap.compiler.menu.choose import MenuOutcome, choose_representations
from bytecap.compiler.menu.kinds.alias import AliasSetting
from bytecap.compiler.menu.menus import offered_kinds, offered_shared_kinds
from bytecap.compiler.menu.offers import Offer
from bytecap.compiler.menu.representations import ChosenRepresentations
from bytecap.compiler.menu.setting import Selection, Setting
from bytecap.compiler.model.model import Model, ModelTensor
from bytecap.compiler.pipeline import CompileResult, compile_checkpoint
from bytecap.compiler.quantize.grids import GridQuantizer, PlainGrids
from bytecap.compiler.rate_control.landing import Landing, Trial
from bytecap.compiler.rate_control.quick_trials import QuickTrials
from bytecap.compiler.recipe import parse_recipe, read_recipe
from bytecap.compiler.representation_settings import MenuSettings
from bytecap.compiler.statistics.convergence import calibrate
from bytecap.compiler.workers import one_thread_each
from bytecap.format.artifact import decode_tensors, read_artifact, write_artifact
from bytecap.progress import silent_stage
from bytecap.report.compile_page import compile_with_page
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

ARCHITECTURE = SMALL | {"vocab_size": 40, "model_dim": 48, "num_kv_heads": 2}
CAP = 13_000
UNSCALED = "[exchange-symmetries]\noutput-scales = false\n\n"  # scaled rows would leave less to choose
QUICK = UNSCALED + "[calibrate]\ntokens = 768\n\n[correct-drift]\nenabled = false\n"
WALKED = (
    UNSCALED
    + "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 768\n\n"
    + "[distil]\nbatch-tokens = 64\nsteps = 16\nfinal-steps = 4\n"
)
MENUS = "\n[choose-candidates]\nenabled = true\n"


def made_for_menus() -> tuple[Model, dict[str, str]]:
    """A model with matrices that other kinds than a grid store best, and which kinds those are by name."""
    model, random = golf_model(6, **ARCHITECTURE), np.random.default_rng(7)
    values = {t.name: t.values.copy() for t in model.tensors}
    width = ARCHITECTURE["model_dim"]
    values["blocks.0.attn.c_k.weight"] = random.standard_normal((width, 1)) @ random.standard_normal((1, width)) * 0.15
    values["blocks.1.attn.proj.weight"] = 0.2 * random.integers(-1, 2, (width, width))
    values["blocks.1.attn.c_v.weight"] = values["blocks.0.attn.c_v.weight"]
    values["blocks.0.attn_scale"] *= 4  # so that what the two share is stored more finely than the second one needs
    kinds = {
        "blocks.0.attn.c_k.weight": "low-rank",
        "blocks.1.attn.c_v.weight": "alias",
    }
    kinds["blocks.1.attn.proj.weight"] = "codebook"
    tensors = tuple(
        ModelTensor(t.name, np.ascontiguousarray(values[t.name], np.float32), t.dtype) for t in model.tensors
    )
    return replace(model, tensors=tensors), kinds


class Job:
    """The files of a compile and how it is run."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder, self.model = folder, model
        self.sequences = random_sequences(ARCHITECTURE["vocab_size"], 48, ARCHITECTURE["seq_len"], seed=6)
        export_checkpoint(
            [t.name for t in model.tensors],
            [t.values for t in model.tensors],
            [t.dtype for t in model.tensors],
            folder / "model.pt",
        )
        write_shard(folder / "calibration.bin", self.sequences.ravel())
        (folder / "architecture.json").write_text(json.dumps(ARCHITECTURE))

    def compile(self, recipe: str, **options) -> CompileResult:
        (self.folder / "recipe.toml").write_text(recipe)
        given = {"calibration": self.folder / "calibration.bin", "architecture": self.folder / "architecture.json"}
        run = partial(compile_with_page, page=options.pop("page")) if "page" in options else compile_checkpoint
        return run(
            self.folder / "model.pt", recipe=self.folder / "recipe.toml", cap=CAP, **(given | {"threads": 1} | options)
        )


def trials_of(model: Model, **quantization: float) -> tuple[QuickTrials, Trial]:
    """Plain grids under the recipe `everything` with other settings of them, and a trial at a price of about three bits
    a weight.
    """
    text = random_sequences(ARCHITECTURE["vocab_size"], 48, ARCHITECTURE["seq_len"], seed=6)
    recipe = read_recipe("everything")
    recipe = replace(recipe, quantization=replace(recipe.quantization, **quantization))
    with one_thread_each():
        statistics = calibrate(model, text.ravel(), recipe.calibration, progress=silent_stage, **CALM)
        job = CompileJob(model, statistics, text.ravel(), text[:4], recipe, {}, **CALM)
        trials = QuickTrials(job, PlainGrids(model, statistics, GridQuantizer(recipe.quantization), 1))
        return trials, trials.at(3e-3)


def choose(trials: QuickTrials, plain: Trial) -> MenuOutcome:
    """What the menus choose at the price of a trial, without another landing."""
    with one_thread_each():
        return choose_representations(
            trials,
            Landing(plain, (), False),
            lambda chosen, price: Landing(chosen.at(price), (), False),
            silent_stage,
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Job, dict[str, str]]:
    model, kinds = made_for_menus()
    return Job(tmp_path_factory.mktemp("made"), model), kinds


@pytest.fixture(scope="module")
def outcome(made) -> tuple[MenuOutcome, Trial]:
    """What the menus came to, and the trial of plain grids before."""
    trials, plain = trials_of(made[0].model)
    return choose(trials, plain), plain


@pytest.fixture(scope="module")
def plain(made) -> CompileResult:
    """Grids for all that is no table."""
    return made[0].compile(QUICK + "\n[offer-factors]\nenabled = false\n")


@pytest.fixture(scope="module")
def chosen(made) -> CompileResult:
    """With a report page, `page.html`."""
    return made[0].compile(QUICK + MENUS, page=made[0].folder / "page.html")


@pytest.fixture(scope="module")
def walked(made) -> CompileResult:
    return made[0].compile(WALKED + MENUS)


def test_every_matrix_becomes_what_it_was_made_for(made, chosen: CompileResult) -> None:
    kinds = made[1]
    found = {row["name"]: row["kind"] for row in chosen.report["candidates"]["chosen"]}
    assert kinds.items() <= found.items()
    quantizers = {row["name"]: row["quantizer"].split()[0] for row in chosen.report["tensors"]}
    assert kinds.items() <= quantizers.items()
    assert all(
        row["saved"] > 0 and row["bytes"] < row["plain"]["bytes"] for row in chosen.report["candidates"]["chosen"]
    )


@pytest.mark.parametrize("which", ["chosen", "walked"])
def test_the_artifact_decodes_and_runs(made, which: str, request) -> None:
    job, result = made[0], request.getfixturevalue(which)
    artifact = read_artifact(result.artifact)
    assert write_artifact(artifact) == result.artifact and CAP * 0.99 <= len(result.artifact) <= CAP
    arrays = decode_tensors(artifact)
    terms = {entry.name: entry.terms[0].name for entry in artifact.directory}
    assert made[1].items() <= terms.items()
    logits = Interpreter(artifact.program, arrays).logits(job.sequences[:2])
    expected = Interpreter(artifact.program, [t.values for t in job.model.tensors]).logits(job.sequences[:2])
    assert np.abs(logits - expected).mean() < 0.25 * np.abs(expected).mean()
    assert sum(row["bytes"] for row in result.report["tensors"]) < len(result.artifact)


def test_menus_pay(plain: CompileResult, chosen: CompileResult, walked: CompileResult) -> None:
    """In as many bytes, far less loss, predicted and measured: the bytes saved went to finer steps."""
    assert len(chosen.artifact) <= CAP and chosen.report["byte_price"] < plain.report["byte_price"]
    for key in ("predicted_loss", "measured_loss"):
        assert chosen.report[key] < 0.8 * plain.report[key]
    assert walked.report["measured_loss"] < 0.8 * plain.report["measured_loss"]


def test_what_the_menus_came_to_adds_up(chosen: CompileResult) -> None:
    found, everything = chosen.report["candidates"], MenuSettings(enabled=True)
    assert [row["kind"] for row in found["kinds"]] == [*offered_kinds(everything), *offered_shared_kinds(everything)]
    assert sum(row["won"] for row in found["kinds"]) == len(found["chosen"])
    for row in found["kinds"]:
        offers = [
            o["saved"]
            for m in [*found["matrices"], {"offers": found["groups"]}]
            for o in m["offers"]
            if o["kind"] == row["kind"]
        ]
        assert row["offered"] == len(offers) and row["would_save"] - row["would_lose"] == pytest.approx(sum(offers))
        if offers:
            assert row["most_saved"] == max(offers) and row["most_lost"] == -min(offers)
    assert found["least_loss"] < found["plain_loss"]
    for matrix in found["matrices"]:
        for offer in matrix["offers"]:
            saved = (
                matrix["bytes"]
                - offer["bytes"]
                + (matrix["predicted_loss"] - offer["predicted_loss"]) / found["nats_per_byte"]
            )
            assert offer["saved"] == pytest.approx(saved)
    json.dumps(found, allow_nan=False)


def test_the_page_and_the_command_line_tell_it(made, chosen: CompileResult, capsys) -> None:
    page, found = (made[0].folder / "page.html").read_text("utf-8"), chosen.report["candidates"]
    part = page[page.index("<h2>Kinds of candidates</h2>") : page.index("<h2>What each tensor costs</h2>")]
    part = part.replace("<wbr>", "")
    for row in found["chosen"]:
        title = " ".join(map(str, (row["kind"], *row["setting"])))
        assert f"<td>{row['name']}</td><td>{title}</td>" in part and f"{round(row['saved']):,}" in part
    print_compile_report(chosen, None)
    won = [row for row in found["kinds"] if row["won"]]
    printed = capsys.readouterr().out
    told = re.search(r"^candidates {5}(.*)$", printed, re.M)
    assert told is not None
    metadata = ", ".join(f"{row['name']} {row['bytes']:,}" for row in chosen.report["metadata"])
    assert f"\nmetadata       {metadata} bytes\n" in printed and "codewords" in metadata
    assert "<summary>Metadata, which the tables above count too</summary>" in page
    parts = [
        f"{r['kind']} for {r['won']} {'matrix' if r['won'] == 1 else 'matrices'} (saves {round(r['saved']):,} bytes)"
        for r in won
    ]
    finer = [f"{row['name']} {table_steps_text(row)} by its measured loss" for row in found["finer"]]
    assert told[1] == ", ".join(parts + finer)


def test_what_others_are_aliases_of_is_fitted_to_all_its_uses(made) -> None:
    """Against a source that only sees its own use: fewer bytes and loss together, at what a byte is worth. Where
    correlations of inputs count in full, so that what suits the inputs of one place does not suit those of another.
    """
    trials, plain = trials_of(made[0].model, input_correlation=1.0)
    found = choose(trials, plain)
    made, menus = found.trials.representations, found.allocation.menus
    names = [tensor.name for tensor in found.trials.job.model.tensors]
    first, second = (names.index(f"blocks.{layer}.attn.c_v.weight") for layer in (0, 1))
    alias = Offer("alias", AliasSetting("alone", first), 0.0, 0, 0.0)
    costs = []
    for choices in ({second: alias}, {first: menus[first][0], second: alias}):
        chosen = ChosenRepresentations(made.plain, made.units, choices)
        trial = replace(found.trials, representations=chosen).at(plain.byte_price)
        assert np.array_equal(trial.quantized[first].weights, trial.quantized[second].weights)
        loss = sum(trial.quantized[i].predicted_loss for i in (first, second))
        costs.append(trial.size + loss / found.allocation.nats_per_byte)
    assert costs[1] < costs[0]


def test_equal_bytes_on_two_threads_with_a_work_folder_which_keeps_trials_with_choices_apart(
    made, walked: CompileResult, tmp_path: Path
) -> None:
    """The trials before the choices stand at the same byte price."""
    assert made[0].compile(WALKED + MENUS, threads=2, work=tmp_path / "work").artifact == walked.artifact


def test_tables_are_decided_by_their_measured_loss_and_offered_nothing_else(chosen: CompileResult) -> None:
    (table,) = (row for row in chosen.report["candidates"]["matrices"] if row["name"] == "tok_emb.weight")
    assert {offer["kind"] for offer in table["offers"]} <= {"vq-rows", "low-rank"}


def test_never_larger_at_equal_predicted_loss(outcome) -> None:
    """At one byte price, whole artifacts."""
    found, plain = outcome
    again, nats_per_byte = found.trials.at(plain.byte_price), found.allocation.nats_per_byte
    assert found.choices and again.size < plain.size and again.data == found.near.trial.data
    assert again.size + again.predicted_loss / nats_per_byte < plain.size + plain.predicted_loss / nats_per_byte


def test_on_weights_without_structure_nothing_is_chosen_and_the_bytes_are_the_same() -> None:
    trials, plain = trials_of(golf_model(6, **ARCHITECTURE))
    found = choose(trials, plain)
    assert found.allocation.menus and not found.choices
    assert found.trials is trials and found.near.trial is plain


def test_off_by_default_and_then_no_trace_in_the_recipe_digest(plain: CompileResult) -> None:
    """But for tables, which are offered codewords and factors."""
    found = plain.report["candidates"]
    assert [row["kind"] for row in found["kinds"]] == ["low-rank", "vq-rows"] and found["chosen"] == []
    default = read_recipe("default")
    assert default.menu.enabled is False and read_recipe("everything").menu.enabled is True
    tables = default.to_toml().split("\n\n")
    counted = [t for t in tables if not t.startswith(("[choose-candidates]", "[bias-head]", "[sample-rows]"))]
    text = "\n\n".join(counted)
    newer = (  # than the digest
        "passes = 1.0\n",
        "labels = 0.0\n",
        "rare-rows = true\n",
        "tokens-an-input = 0\n",
        "input-correlation = 0.85\n",
    )
    for line in newer:  # each at its default
        assert line in text
        text = text.replace(line, "")
    assert default.digest == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert default.digest != read_recipe("everything").digest
    switched = parse_recipe("switched", {"choose-candidates": {"enabled": False, "raw": False}})
    assert switched.digest != default.digest


def test_a_choice_that_measurement_does_not_confirm_is_dropped() -> None:
    """Two choices that save 100 bytes each, by their menus; measured, one of them costs more than those are worth."""
    model, sequences = golf_model(1), random_sequences(SMALL["vocab_size"], 4, SMALL["seq_len"])
    good, bad = (
        i for i, t in enumerate(model.tensors) if t.name in ("blocks.0.attn.c_q.weight", "blocks.1.attn.c_q.weight")
    )
    menus = {
        i: [Offer("grid", Setting(), 0.0, 300, 1e-4), Offer("sparse", Selection("raw", 9), 0.0, 200, 1e-4)]
        for i in (good, bad)
    }
    allocation = Allocation(menus, {i: menus[i][1] for i in menus}, 1e-6, 0.0, {})
    before = {i: model.tensors[i].values for i in menus}
    after = {good: before[good], bad: np.zeros_like(before[bad])}
    found = confirm_largest(
        model, allocation, before, [{i: weights} for i, weights in after.items()], sequences, threads=1
    )
    assert set(found.chosen) == {good} and set(found.measured) == {good, bad}
    assert found.measured[bad][1] > 1e-4 > found.measured[good][1]
