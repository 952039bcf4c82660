"""`bytecap fit`: the table, the document, what is kept, and the exit code where a cap cannot be met."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from command_line import bytecap_command
from small_job import CAP

import bytecap
from bytecap.errors import CompileError

QUICK = "[calibrate]\ntokens = 512\n\n[correct-drift]\nenabled = false\n\n[land-on-cap]\ntolerance = 0.02\n"


@pytest.fixture(scope="module")
def arguments(small_job, tmp_path_factory):
    """What every run of this file says of the compile."""
    recipe = tmp_path_factory.mktemp("recipe") / "quick.toml"
    recipe.write_text(QUICK)
    given = ["--calibration", small_job.calibration, "--architecture", small_job.architecture, "--code", small_job.code]
    return [*given, "--recipe", recipe]


def test_two_caps_a_table_and_what_is_kept(small_job, arguments, tmp_path):
    command = ["fit", small_job.checkpoint, "--cap", CAP, "--cap", "16KB", "-o", tmp_path / "out", *arguments]
    document = bytecap_command(*command, "--json").document
    assert (document["fits"], len(document["artifacts"]), len(document["spreads"])) == (True, 2, 2)
    for row, cap in zip(document["artifacts"], (CAP, 16_000), strict=True):
        assert row["output"].endswith(f"checkpoint-{cap}.bcap") and not row["kept"]
        assert 0 <= row["margin"] == cap - row["total_bytes"] and row["code_bytes"] > 0
        assert bytecap_command("verify", row["output"], "--cap", cap, "--code", small_job.code).code == 0
    again = bytecap_command(*command)
    lines = again.stdout.splitlines()
    assert again.code == 0 and lines[0] == "2 of 2 artifacts under their caps, 2 kept from before"
    assert lines[2].split() == ["artifact", "bytes", "margin", "bits/weight", "predicted", "measured", "seconds"]
    assert [line.split()[0] for line in lines[3:5]] == [f"checkpoint-{CAP}.bcap", "checkpoint-16000.bcap"]
    assert lines[6:] == ["predicted and measured: nats a token more than the checkpoint has"], "nothing lies apart"
    assert "bytecap: note: " in again.stderr and "assumed " in again.stderr
    more = [*command[:-1], arguments[-1], "--seed", 1]
    refused = bytecap_command(*more)
    assert refused.code == 9 and "is not what these inputs and options gave; use --force" in refused.stderr


def test_a_cap_that_cannot_be_met_is_said_and_the_exit_code_is_6(small_job, arguments, tmp_path):
    command = ["fit", small_job.checkpoint, "--cap", "16KB", "--cap", "600", "-o", tmp_path / "out", *arguments]
    outcome = bytecap_command(*command)
    assert outcome.code == 6 and outcome.stdout.splitlines()[0] == "1 of 2 artifacts under their caps"
    assert "checkpoint.pt under 600: the cap is too small" in outcome.stdout.splitlines()[-1]
    record = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert [row["failure"] is None for row in record["artifacts"]] == [True, False]


def test_evaluation_text_is_scored(small_job, arguments, tmp_path):
    scored = ["--evaluation", small_job.data, "--tokenizer", small_job.tokenizer, "--evaluation-tokens", 256]
    command = ["fit", small_job.checkpoint, "--cap", "16KB", "-o", tmp_path / "out", *arguments, *scored]
    document = bytecap_command(*command, "--json").document
    row, spread = document["artifacts"][0], document["spreads"][0]
    options = ["--data", small_job.data, "--tokenizer", small_job.tokenizer, "--max-tokens", 256]
    score = bytecap_command("eval", row["output"], *options, "--json").document["score"]
    assert row["bits_per_byte"] == spread["mean_bits_per_byte"] == pytest.approx(score["bits_per_byte"], abs=1e-9)
    assert row["gap_mbpb"] is not None and spread["deviation_bits_per_byte"] is None
    text = bytecap_command(*command).stdout
    assert "bits/byte" in text and f"  {row['bits_per_byte']:.5f}  " in text and " on average" not in text


def test_two_checkpoints_lie_apart_and_caps_are_told_by_their_sizes(small_job, arguments, tmp_path):
    other = tmp_path / "other.pt"
    shutil.copyfile(small_job.checkpoint, other)
    caps = ["--cap", "16KB", "--cap", CAP]
    outcome = bytecap_command("fit", small_job.checkpoint, other, *caps, "-v", "-o", tmp_path / "out", *arguments)
    spread = [line.split(":")[0] for line in outcome.stdout.splitlines() if line.startswith("cap ")]
    assert outcome.code == 0 and spread == ["cap 16,000", "cap 18,000"]
    stages = [line.split("  ")[-1] for line in outcome.stderr.splitlines() if ": took " in line]
    told = [re.sub(r" [\d,]+/.*", "", stage) for stage in stages]
    names = ("calibrate", "16,000 bytes: land on the cap", "18,000 bytes: land on the cap")
    assert told == [f"{place}: {name}" for place in ("1/2 checkpoint.pt", "2/2 other.pt") for name in names]
    assert len(re.findall(" 3 stages$", outcome.stderr, re.MULTILINE)) == 2


def test_from_python(small_job, arguments, tmp_path):
    found = bytecap.fit(
        small_job.checkpoint,
        cap="16KB",
        calibration=small_job.calibration,
        architecture=small_job.architecture,
        recipe=arguments[-1],
        output=tmp_path / "out",
    )
    assert found.fits and (tmp_path / "out" / "checkpoint.bcap").stat().st_size == found.artifacts[0].artifact_bytes
    assert found.spreads[0].deviation is None and found.spreads[0].artifacts == 1


def test_a_profile_that_there_is_not_is_refused_before_the_folder_is_made(small_job, tmp_path):
    with pytest.raises(CompileError, match="no profile is named 'smallest'"):
        bytecap.fit(
            small_job.checkpoint,
            cap="16KB",
            calibration=small_job.calibration,
            output=tmp_path / "out",
            profile="smallest",
        )
    assert not (tmp_path / "out").exists()
