"""`bytecap compile`: the artifact, its ledger, and every way in which it must not start or must not leave anything."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import signal
import subprocess

import pytest
from command_line import bytecap_command, heed_interrupts, process_arguments
from small_job import CAP

from bytecap.compiler.outlook import USUAL_RATIOS
from bytecap.format.parallel import usable_cores

MESSAGES = {
    "checkpoint": ("checkpoint.pt", b"not a checkpoint", 8),
    "calibration": ("calibration.bin", b"not a shard", 8),
}


def folder_contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_document_agrees_with_the_files(small_job):
    document = small_job.compiled.document
    data = small_job.artifact.read_bytes()
    code_bytes = sum((small_job.folder / name).stat().st_size for name in ("run.py", "model_code.py"))
    ledger = document["ledger"]
    assert document["schema"] == 1
    assert document["output"] == str(small_job.artifact)
    assert document["sha256"] == hashlib.sha256(data).hexdigest()
    assert (ledger["artifact_bytes"], ledger["code_bytes"], ledger["cap"]) == (len(data), code_bytes, CAP)
    assert sum(row["bytes"] for row in ledger["rows"]) == ledger["total_bytes"] == len(data) + code_bytes <= CAP
    assert small_job.compiled.stderr == ""


def test_compiling_again_with_other_threads_gives_the_same_bytes(small_job, tmp_path):
    """One where the processor has several cores, as many as the small job had."""
    threads = 1 if usable_cores() > 1 else 2
    output = tmp_path / "out.bcap"
    assert bytecap_command(*small_job.compile_arguments(output, "--threads", threads)).code == 0
    assert output.read_bytes() == small_job.artifact.read_bytes()


def test_the_text_report(small_job, tmp_path):
    outcome = bytecap_command(*small_job.compile_arguments(tmp_path / "out.bcap"))
    lines = outcome.stdout.splitlines()
    data = (tmp_path / "out.bcap").read_bytes()
    total = small_job.compiled.document["ledger"]["total_bytes"]
    assert (outcome.code, outcome.stderr) == (0, "")
    assert lines[0].startswith(f"{tmp_path}/out.bcap  {total:,} of {CAP:,} bytes (")
    assert lines[0].endswith(f"sha256 {hashlib.sha256(data).hexdigest()}")
    table = [line.split() for line in lines[2 : lines.index("", 2)]]
    amounts = [int(cells[-3].replace(",", "")) for cells in table[1:]]
    assert sum(amounts[:-1]) == amounts[-1] == total
    assert any(line.startswith("from defaults") and "rope_base" in line for line in lines)


@pytest.fixture(scope="module")
def outlook(small_job, tmp_path_factory):
    """What a dry run tells of the cap that the artifact was compiled to; it leaves nothing in its folder."""
    folder = tmp_path_factory.mktemp("dry")
    found = bytecap_command(*small_job.compile_arguments(folder / "out.bcap", "--dry-run", "--json"))
    assert list(folder.iterdir()) == []
    return found.document["outlook"]


def test_a_dry_run_says_what_caps_are_of_use_and_writes_nothing(small_job, outlook, tmp_path):
    arguments = small_job.compile_arguments(tmp_path / "out.bcap", "--dry-run")
    ledger = small_job.compiled.document["ledger"]
    assert 0 < outlook["smallest"] < ledger["artifact_bytes"] < outlook["largest_useful"]
    assert outlook["budget"] == CAP - ledger["code_bytes"]
    measured = small_job.compiled.document["report"]
    assert outlook["bits_per_weight"] == pytest.approx(measured["bits_per_weight"], rel=0.05)
    assert 0.3 < outlook["predicted_loss"] / measured["predicted_loss"] < 3
    assert tuple(outlook["measured_usually"]) in USUAL_RATIOS.values()
    assert outlook["for_small_errors"] and outlook["predicted_loss"] < outlook["guessing_loss"] / 10
    assert outlook["forecast"]["low"] < sum(outlook["forecast"]["seconds"].values()) < outlook["forecast"]["high"]
    printed = bytecap_command(*arguments, "--cap", "1MB")
    assert f"{outlook['smallest']:,} bytes, every matrix zero" in printed.stdout
    assert "measured usually is" in printed.stdout
    small = (*arguments, "--cap", outlook["smallest"] + 200)
    assert not bytecap_command(*small, "--json").document["outlook"]["for_small_errors"]
    text = " ".join(bytecap_command(*small).stdout.split())
    assert "an order and no amount: second order is for small errors" in text and "measured usually is" not in text
    assert "nothing has to be saved" in printed.stdout and "make no better artifact" in printed.stdout
    assert list(tmp_path.iterdir()) == []


def test_where_only_zeros_fit_a_loss_is_predicted_too(small_job, outlook, tmp_path):
    """That every matrix is zero is no prediction of no loss: neither before the work nor after it."""
    arguments = small_job.compile_arguments(tmp_path / "out.bcap", "--json")
    cap = outlook["smallest"] + CAP - outlook["budget"] + 20
    least = bytecap_command(*arguments, "--dry-run", "--cap", cap).document["outlook"]
    assert least["budget"] - least["smallest"] == 20
    assert least["predicted_loss"] > 10 * outlook["predicted_loss"] > 0
    report = bytecap_command(*arguments, "--cap", cap).document["report"]
    assert report["predicted_loss"] == pytest.approx(least["predicted_loss"], rel=1.0)
    assert report["predicted_loss"] == pytest.approx(sum(each["predicted_loss"] for each in report["tensors"]))


def test_a_dry_run_says_that_the_text_itself_is_learned(small_job, tmp_path):
    recipe = tmp_path / "labels.toml"
    recipe.write_text("[distil]\nlabels = 0.5\n")
    arguments = small_job.compile_arguments(tmp_path / "out.bcap", "--dry-run", "--recipe", recipe)
    assert "(labels = 0.5)" in bytecap_command(*arguments).stdout
    assert any("(labels = 0.5)" in note for note in bytecap_command(*arguments, "--json").document["outlook"]["notes"])


def test_a_cap_that_nothing_fits_under_is_refused_before_the_work(small_job, tmp_path):
    for more in ((), ("--dry-run",)):
        refused = bytecap_command(*small_job.compile_arguments(tmp_path / "out.bcap", "--cap", 600, "-v", *more))
        assert (refused.code, refused.stdout) == (6, "")
        assert "the smallest possible artifact is" in refused.stderr and "calibrate" not in refused.stderr


def test_text_calibration_needs_and_uses_the_tokenizer(small_job, tmp_path):
    """The one that is given, or the one beside the checkpoint; its name stands in the report."""
    text = small_job.folder / "calibration.txt"
    alone = tmp_path / "checkpoint.pt"
    alone.write_bytes(small_job.checkpoint.read_bytes())
    command, _, *options = small_job.compile_arguments(tmp_path / "out.bcap", "--calibration", text)
    given = options.index("--tokenizer")
    del options[given : given + 2]
    refused = bytecap_command(command, alone, *options)
    assert (refused.code, refused.stdout) == (8, "")
    assert "tokenizer is needed" in refused.stderr
    expected = small_job.compiled.document["report"]["calibration_tokens"]
    for checkpoint, more in ((alone, ["--tokenizer", small_job.tokenizer]), (small_job.checkpoint, ["--force"])):
        outcome = bytecap_command(command, checkpoint, *options, *more)
        assert outcome.code == 0
        assert f"calibration    {expected:,} tokens by {small_job.tokenizer}; distillation makes " in outcome.stdout


def test_an_existing_output_is_kept_without_force_and_replaced_with_it(small_job, tmp_path):
    output = tmp_path / "out.bcap"
    output.write_bytes(b"precious")
    refused = bytecap_command(*small_job.compile_arguments(output))
    assert refused == type(refused)(
        9, "", f"bytecap: error: {output} exists; use --force to replace it, or name another output\n"
    )
    assert folder_contents(tmp_path) == {"out.bcap": b"precious"}
    assert bytecap_command(*small_job.compile_arguments(output, "--force")).code == 0
    assert folder_contents(tmp_path) == {"out.bcap": small_job.artifact.read_bytes()}


def test_an_output_folder_that_does_not_exist(small_job, tmp_path):
    outcome = bytecap_command(*small_job.compile_arguments(tmp_path / "none" / "out.bcap"))
    assert outcome.code == 9
    assert outcome.stderr == f"bytecap: error: {tmp_path}/none is not a folder; create it first\n"


def test_an_unwritable_output_folder(small_job, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    folder = "/proc" if os.geteuid() == 0 else closed
    outcome = bytecap_command(*small_job.compile_arguments(f"{folder}/out.bcap"))
    assert outcome.code == 9
    assert outcome.stderr.startswith(f"bytecap: error: cannot write {folder}/out.bcap: ")
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize("which", MESSAGES)
def test_a_bad_input_file_is_named(small_job, tmp_path, which):
    name, content, code = MESSAGES[which]
    (tmp_path / name).write_bytes(content)
    paths = {"checkpoint": small_job.checkpoint, "calibration": small_job.calibration, which: tmp_path / name}
    options = [*small_job.compile_options(), "--calibration", paths["calibration"]]
    outcome = bytecap_command("compile", paths["checkpoint"], "-o", tmp_path / "out.bcap", *options)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert outcome.stderr.startswith("bytecap: error: ") and outcome.stderr.count("\n") == 1
    assert str(tmp_path / name) in outcome.stderr
    assert folder_contents(tmp_path) == {name: content}


def test_a_cap_that_is_too_small_names_the_smallest_size(small_job, tmp_path):
    arguments = small_job.compile_arguments(tmp_path / "out.bcap")
    refused = bytecap_command(*arguments, "--cap", 300)
    assert (refused.code, refused.stdout) == (6, "")
    smallest = int(re.search(r"smallest possible artifact is ([\d,]+) bytes", refused.stderr)[1].replace(",", ""))
    code_bytes = small_job.compiled.document["ledger"]["code_bytes"]
    assert smallest + code_bytes > 300
    assert bytecap_command(*arguments, "--cap", smallest + code_bytes - 1).code == 6
    assert list(tmp_path.iterdir()) == []
    outcome = bytecap_command(*arguments, "--cap", smallest + code_bytes)
    assert outcome.code == 0
    assert (tmp_path / "out.bcap").stat().st_size == smallest


def test_a_cap_smaller_than_the_code(small_job, tmp_path):
    big = tmp_path / "big.py"
    big.write_text("#" * 20_000)
    outcome = bytecap_command(*small_job.compile_arguments(tmp_path / "out.bcap", "--code", big))
    assert outcome.code == 6
    assert not (tmp_path / "out.bcap").exists()


def test_an_unknown_recipe(small_job, tmp_path):
    outcome = bytecap_command(*small_job.compile_arguments(tmp_path / "out.bcap", "--recipe", "magic"))
    assert outcome.code == 6
    assert "magic" in outcome.stderr


def test_interrupting_a_compile_leaves_nothing_and_progress_is_for_terminals(small_job, tmp_path):
    """Started on a terminal of its own, interrupted as soon as the first progress shows that the work is under way."""
    terminal, stderr = pty.openpty()
    arguments = process_arguments(
        *small_job.compile_arguments(tmp_path / "out.bcap", "--recipe", _slow_recipe(tmp_path))
    )
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "TERM": "xterm"},
        preexec_fn=heed_interrupts,
    )
    os.close(stderr)
    shown = b""
    while b"calibrate" not in shown:
        shown += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    rest = _read_all(terminal)
    assert process.wait() == 130
    assert process.stdout.read() == b""
    assert b"bytecap: error: interrupted; nothing half-written is left" in rest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slow.toml"]


def _slow_recipe(folder):
    """So many calibration batches and distillation steps that the interrupt always comes in time."""
    path = folder / "slow.toml"
    path.write_text("[calibrate]\nbatch-sequences = 1\ntolerance = 0.0\n\n[distil]\nsteps = 1000\nbatch-tokens = 32\n")
    return path


def _read_all(terminal) -> bytes:
    """Everything until the last writer closes the terminal, which Linux reports as an error."""
    content = b""
    try:
        while chunk := os.read(terminal, 4096):
            content += chunk
    except OSError:
        pass
    return content


def test_the_document_is_json_with_plain_numbers(small_job):
    assert json.loads(json.dumps(small_job.compiled.document, allow_nan=False)) == small_job.compiled.document


def test_evaluation_data_in_the_calibration_text_is_refused(small_job, tmp_path):
    copied = tmp_path / "copied.bin"
    copied.write_bytes(small_job.calibration.read_bytes())
    outcome = bytecap_command(*small_job.compile_arguments(tmp_path / "out.bcap", "--evaluation", copied))
    assert (outcome.code, outcome.stdout) == (8, "")
    assert outcome.stderr == (
        f"bytecap: error: {small_job.calibration} holds 100.0 % of the windows of 64 tokens of {copied}, "
        "the first at token 0 there; calibrate on text that is not evaluated\n"
    )
    assert list(tmp_path.iterdir()) == [copied]
    agreed = bytecap_command(*small_job.compile_arguments(tmp_path / "out.bcap", "--evaluation", small_job.data))
    assert agreed.code == 0
