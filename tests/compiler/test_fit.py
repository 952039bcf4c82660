"""Several checkpoints and caps in one run: each artifact as a compile of its own makes it, and a run that goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_models import ARCHITECTURE as SMALL
from tiny_models import golf_model, random_sequences
from tokenizer_files import write_tokenizers

from bytecap.compiler import fit as fit_module
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.fit import fit_checkpoints
from bytecap.compiler.fitted import RECORD, FittedArtifact
from bytecap.compiler.options import CompileOptions
from bytecap.compiler.pipeline import compile_checkpoint
from bytecap.errors import CapError, CheckpointError, OutputError
from bytecap.runtime.shards import write_shard

ARCHITECTURE = SMALL | {"vocab_size": 40, "model_dim": 16, "num_layers": 1}
CAPS = (3_000, 2_500)
QUICK = "[calibrate]\ntokens = 256\n\n[correct-drift]\nenabled = false\n\n[land-on-cap]\ntolerance = 0.02\n"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two seeds, under one name in two folders, and how they are compiled."""
    folder = tmp_path_factory.mktemp("inputs")
    for seed in (0, 1):
        (folder / f"seed{seed}").mkdir()
        model = golf_model(seed, **ARCHITECTURE)
        names, dtypes = [t.name for t in model.tensors], [t.dtype for t in model.tensors]
        export_checkpoint(names, [t.values for t in model.tensors], dtypes, folder / f"seed{seed}" / "model.pt")
    (folder / "architecture.json").write_text(json.dumps(ARCHITECTURE))
    (folder / "quick.toml").write_text(QUICK)
    write_shard(folder / "calibration.bin", random_sequences(40, 64, ARCHITECTURE["seq_len"], seed=2).reshape(-1))
    options = CompileOptions(
        folder / "calibration.bin",
        architecture=folder / "architecture.json",
        recipe=folder / "quick.toml",
        threads=1,
    )
    return [folder / f"seed{seed}" / "model.pt" for seed in (0, 1)], options


@pytest.fixture
def counted(monkeypatch):
    """Names of the checkpoints that are measured, and caps that are landed on, in order."""
    done = []
    measure, land = fit_module.measure_checkpoint, fit_module.land_checkpoint

    def counted_measure(path, *rest):
        done.append(str(path))
        return measure(path, *rest)

    def counted_land(measured, cap, *rest):
        done.append(cap)
        return land(measured, cap, *rest)

    monkeypatch.setattr(fit_module, "measure_checkpoint", counted_measure)
    monkeypatch.setattr(fit_module, "land_checkpoint", counted_land)
    return done


def test_each_artifact_is_that_of_a_compile_of_its_own(inputs, counted, tmp_path):
    checkpoints, options = inputs
    seen = []
    found = fit_checkpoints(
        checkpoints, CAPS, tmp_path / "out", options, progress=lambda stage, done, total: seen.append(stage)
    )
    wanted = [(str(checkpoint), cap) for checkpoint in checkpoints for cap in CAPS]
    assert found.fits and [(each.checkpoint, each.cap) for each in found.artifacts] == wanted
    assert counted == [str(checkpoints[0]), *CAPS, str(checkpoints[1]), *CAPS]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        RECORD,
        *(f"seed{seed}-model-{cap}.bcap" for seed in (0, 1) for cap in sorted(CAPS)),
    ]
    given = {"calibration": options.calibration, "architecture": options.architecture, "recipe": options.recipe}
    for each in found.artifacts[1:3]:
        alone = compile_checkpoint(each.checkpoint, cap=each.cap, threads=1, **given)
        assert alone.artifact == (tmp_path / "out" / each.output.rsplit("/")[-1]).read_bytes()
        assert each.artifact_bytes == len(alone.artifact) == each.cap - each.margin
        assert each.measured_loss == alone.report["measured_loss"]
        assert each.predicted_loss == alone.report["predicted_loss"]
    assert "2/2 model.pt: calibrate" in seen
    for spread in found.spreads:
        rows = [each for each in found.artifacts if each.cap == spread.cap]
        losses = [each.measured_loss for each in rows]
        assert (spread.least_bytes, spread.most_bytes) == tuple(sorted(each.artifact_bytes for each in rows))
        assert spread.least_margin == spread.cap - spread.most_bytes
        assert spread.mean_measured == pytest.approx(np.mean(losses))
        assert spread.deviation == pytest.approx(np.std(losses, ddof=1))


def test_what_is_finished_is_kept_and_the_rest_is_made(inputs, counted, tmp_path):
    checkpoints, options = inputs
    folder = tmp_path / "out"
    first = fit_checkpoints(checkpoints[:1], CAPS[:1], folder, options)
    again = fit_checkpoints(checkpoints[:1], CAPS[:1], folder, replace(options, threads=2))
    assert counted == [str(checkpoints[0]), CAPS[0]]
    assert again.artifacts == tuple(replace(each, kept=True) for each in first.artifacts)
    more = fit_checkpoints(checkpoints, CAPS[:1], tmp_path / "both", options)
    counted.clear()
    content = (tmp_path / "both" / "seed1-model.bcap").read_bytes()
    (tmp_path / "both" / "seed1-model.bcap").unlink()
    repaired = fit_checkpoints(checkpoints, CAPS[:1], tmp_path / "both", options)
    assert counted == [str(checkpoints[1]), CAPS[0]]
    assert (tmp_path / "both" / "seed1-model.bcap").read_bytes() == content
    assert [each.kept for each in repaired.artifacts] == [True, False]
    assert [each.sha256 for each in repaired.artifacts] == [each.sha256 for each in more.artifacts]


def test_a_run_that_was_interrupted_goes_on(inputs, monkeypatch, tmp_path):
    checkpoints, options = inputs
    land = fit_module.land_checkpoint

    def interrupted(measured, cap, *rest):
        if cap == CAPS[1]:
            raise KeyboardInterrupt
        return land(measured, cap, *rest)

    monkeypatch.setattr(fit_module, "land_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_checkpoints(checkpoints[:1], CAPS, tmp_path, options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORD, f"model-{CAPS[0]}.bcap"]
    monkeypatch.setattr(fit_module, "land_checkpoint", land)
    found = fit_checkpoints(checkpoints[:1], CAPS, tmp_path, options)
    assert [each.kept for each in found.artifacts] == [True, False]


def test_an_artifact_of_another_making_is_in_the_way(inputs, counted, tmp_path):
    checkpoints, options = inputs
    first = fit_checkpoints(checkpoints[:1], CAPS[:1], tmp_path, options)
    counted.clear()
    other = replace(options, seed=1)
    with pytest.raises(OutputError, match=r"model\.bcap exists, and is not what these inputs and options gave"):
        fit_checkpoints(checkpoints[:1], CAPS[:1], tmp_path, other)
    assert counted == []
    found = fit_checkpoints(checkpoints[:1], CAPS[:1], tmp_path, other, force=True)
    assert found.artifacts[0].made_of != first.artifacts[0].made_of
    (tmp_path / "model.bcap").write_bytes(b"damaged")
    with pytest.raises(OutputError, match="exists"):
        fit_checkpoints(checkpoints[:1], CAPS[:1], tmp_path, other)


def test_what_is_read_beside_the_named_files_is_part_of_the_making(inputs, tmp_path):
    """An architecture beside the checkpoint, another shard of it, the merges of a vocabulary."""
    checkpoints, options = inputs
    own = write_tokenizers(tmp_path)["vocab and merges"]
    (tmp_path / "model.pt").write_bytes(checkpoints[0].read_bytes())
    beside = tmp_path / "architecture.json"
    found = []
    for softcap, merges in ((30.0, b""), (5.0, b""), (5.0, b"\n")):
        beside.write_text(json.dumps(ARCHITECTURE | {"logit_softcap": softcap}))
        with own.with_name("merges.txt").open("ab") as file:
            file.write(merges)
        given = replace(options, architecture=None, tokenizer=own)
        found.append(fit_module._plan([tmp_path / "model.pt"], CAPS[:1], tmp_path, given)[0].made_of)
    assert len(set(found)) == 3
    shards = [tmp_path / f"s-0000{k}-of-00002.safetensors" for k in (1, 2)]
    for content in (b"a", b"b"):
        shards[0].write_bytes(b"first")
        shards[1].write_bytes(content)
        found.append(fit_module._plan(shards[:1], CAPS[:1], tmp_path, options)[0].made_of)
    assert len(set(found)) == 5


def test_a_cap_that_cannot_be_met_leaves_the_others(inputs, tmp_path):
    checkpoints, options = inputs
    found = fit_checkpoints(checkpoints[:1], (CAPS[0], 500), tmp_path, options)
    assert not found.fits and [each.failure is None for each in found.artifacts] == [True, False]
    assert "the cap is too small" in found.artifacts[1].failure and found.artifacts[1].sha256 is None
    assert [spread.cap for spread in found.spreads] == [CAPS[0]]
    assert not (tmp_path / "model-500.bcap").exists()
    assert not fit_checkpoints(checkpoints[:1], (CAPS[0], 500), tmp_path, options).artifacts[1].kept


def test_what_is_wrong_is_refused_before_the_work(inputs, counted, tmp_path):
    checkpoints, options = inputs
    (tmp_path / "file").write_text("x")
    (tmp_path / "code.py").write_text("pass\n" * 100)
    (tmp_path / "bad").mkdir()
    for record in ("x", "[]", '{"schema": 1, "artifacts": [{}]}', '{"schema": 2, "artifacts": []}'):
        (tmp_path / "bad" / RECORD).write_text(record)
        with pytest.raises(OutputError, match=r"fit\.json is no record of a fit"):
            fit_checkpoints(checkpoints, CAPS, tmp_path / "bad", options)
    with pytest.raises(OutputError, match="is a file; name a folder"):
        fit_checkpoints(checkpoints, CAPS, tmp_path / "file", options)
    with pytest.raises(OutputError, match=f"{checkpoints[0]} is named twice"):
        fit_checkpoints([checkpoints[0]] * 2, CAPS, tmp_path / "out", options)
    with pytest.raises(CapError, match="leaves nothing for the artifact"):
        fit_checkpoints(checkpoints, (400,), tmp_path / "out", replace(options, code=[tmp_path / "code.py"]))
    assert counted == [] and not (tmp_path / "out").exists()
    (tmp_path / "wrong.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError):
        fit_checkpoints([tmp_path / "wrong.pt"], CAPS, tmp_path / "out", options)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == []


def test_the_code_counts_once_for_every_artifact():
    made = FittedArtifact("a.pt", 1000, "a.bcap", "", artifact_bytes=700, code_bytes=200)
    assert made.total_bytes == 900
