"""What needs no torch to be refused is refused without it: every mistake here is answered where torch is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import bytecap_command
from without_torch import run_without_torch

CALIBRATED = ("sensitivity", "curve", "diagnose")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files that are wrong in one way each."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "exists").write_bytes(b"anything")
    (folder / "empty.bin").write_bytes(b"")
    (folder / "text.txt").write_text("some text")
    (folder / "broken.json").write_text("{")
    (folder / "broken.toml").write_text("[calibrate]\ntokkens = 3\n")
    (folder / "array.npy").write_bytes(b"\x93NUMPY anything")
    (folder / "alone.pt").write_bytes(b"PK\x03\x04, with no tokenizer beside it")
    (folder / "script.py").write_text("x" * 30_000)
    return folder


@pytest.fixture(scope="module")
def answers(small_job, folder):
    """Exit code and message by mistake, all made in one process that cannot import torch."""
    commands = dict(mistakes(small_job, folder))
    outcomes = run_without_torch(*commands.values())
    return {
        name: (code, stderr.replace(str(folder), "F").replace(str(small_job.folder), "J"))
        for name, (code, stdout, stderr) in zip(commands, outcomes, strict=True)
        if stdout == ""
    }


def mistakes(job, folder):
    compiled = ["--cap", 20_000, "--calibration", job.calibration]
    out = ["-o", folder / "new.bcap"]
    yield "output exists", ["compile", job.checkpoint, *compiled, "-o", folder / "exists"]
    yield "folder is missing", ["compile", job.checkpoint, *compiled, "-o", folder / "no" / "new.bcap"]
    yield "report exists", ["compile", job.checkpoint, *compiled, *out, "--report", folder / "exists"]
    yield "recipe by name", ["compile", job.checkpoint, *compiled, *out, "--recipe", "everyhting"]
    yield "recipe option", ["compile", job.checkpoint, *compiled, *out, "--recipe", folder / "broken.toml"]
    yield "cap", ["compile", job.checkpoint, *compiled, *out, "--code", folder / "script.py"]
    yield "empty evaluation", ["compile", job.checkpoint, *compiled, *out, "--evaluation", folder / "empty.bin"]
    yield "architecture", ["compile", job.checkpoint, *compiled, *out, "--architecture", folder / "broken.json"]
    yield "no checkpoint", ["compile", folder / "array.npy", *compiled, *out]
    yield "swapped", ["compile", job.calibration, "--cap", 20_000, "--calibration", job.checkpoint, *out]
    yield "an artifact", ["compile", job.artifact, *compiled, *out]
    yield "text", ["compile", folder / "alone.pt", "--cap", 20_000, "--calibration", folder / "text.txt", *out]
    yield "fit: recipe", ["fit", job.checkpoint, *compiled, "-o", folder / "fitted", "--recipe", "defautl"]
    yield "fit: no checkpoint", ["fit", job.checkpoint, folder / "exists", *compiled, "-o", folder / "fitted"]
    for command in CALIBRATED:
        data = "--data" if command == "diagnose" else "--calibration"
        yield f"{command}: empty", [command, job.checkpoint, data, folder / "empty.bin"]
        yield f"{command}: tokenizer", [command, job.checkpoint, data, job.data, "--tokenizer", folder / "exists"]
    for command in ("sensitivity", "curve"):
        yield f"{command}: exists", [command, job.checkpoint, "--calibration", job.data, "--output", folder / "exists"]
    yield "lab: missing", ["lab", "run", "row-rescue", "--checkpoint", job.checkpoint]
    yield "lab: exists", ["lab", "run", "row-rescue", "--checkpoint", job.checkpoint, "--report", folder / "exists"]
    yield (
        "lab: empty",
        ["lab", "run", "row-rescue", "--evaluation", folder / "empty.bin"],
    )
    yield "demo: folder", ["demo", folder]
    yield "export: exists", ["export", job.artifact, "-o", job.checkpoint]
    yield "pack: folder", ["pack", job.artifact, "-o", folder]


EMPTY = "F/empty.bin is empty; give a token shard or UTF-8 text"
NO_TOKENIZER = "F/exists is not a sentencepiece model; give the .model file that the tokens were made with"
EXISTS = "F/exists exists; use --force to replace it, or name another output"
ANSWERS = {
    "output exists": (9, EXISTS),
    "folder is missing": (9, "F/no is not a folder; create it first"),
    "report exists": (9, EXISTS),
    "recipe by name": (
        6,
        "recipe everyhting: neither a named recipe nor a readable file (No such file or directory); "
        "did you mean 'everything'?",
    ),
    "recipe option": (6, "recipe F/broken.toml: [calibrate] has no option 'tokkens'; did you mean 'tokens'?"),
    "cap": (
        6,
        "the cap of 20000 bytes leaves nothing for the artifact: code files take 30000; raise the cap",
    ),
    "empty evaluation": (8, EMPTY),
    "architecture": (
        8,
        "F/broken.json is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); "
        "give hyperparameters as TOML or JSON",
    ),
    "no checkpoint": (
        8,
        "F/array.npy is not a checkpoint: it is one numpy array; give the state_dict as .safetensors or .pt",
    ),
    "swapped": (
        8,
        "J/calibration.bin is not a checkpoint: it is a token shard of 3,740 tokens; "
        "a shard is data, for --calibration or --data",
    ),
    "an artifact": (
        8,
        "J/model.bcap is not a checkpoint: it is a compiled artifact; give a Hugging Face folder, a .safetensors file, "
        "a .pt state_dict, a .gguf file, a .npz of arrays by name, a llama2.c or llm.c .bin file or a "
        "final_model.int8.ptz",
    ),
    "text": (8, "F/text.txt is text, not a token shard; a tokenizer is needed to read it; change it with --tokenizer"),
    "fit: recipe": (
        6,
        "recipe defautl: neither a named recipe nor a readable file (No such file or directory); "
        "did you mean 'default'?",
    ),
    "fit: no checkpoint": (
        8,
        "F/exists is not a checkpoint: it is a text; a text is data, for --calibration or --data",
    ),
    **{f"{command}: empty": (8, EMPTY) for command in CALIBRATED},
    **{f"{command}: tokenizer": (8, NO_TOKENIZER) for command in CALIBRATED},
    "sensitivity: exists": (9, EXISTS),
    "curve: exists": (9, EXISTS),
    "lab: missing": (8, "the experiment row-rescue needs --calibration and --evaluation"),
    "lab: exists": (9, EXISTS),
    "lab: empty": (8, EMPTY),
    "demo: folder": (
        9,
        "F is not empty; use --force to replace an earlier demo's files in it, or name another folder",
    ),
    "export: exists": (9, "J/checkpoint.pt exists; use --force to replace it, or name another output"),
    "pack: folder": (9, "F exists and is not empty; use --force to replace it, or name another output"),
}


@pytest.mark.parametrize("mistake", ANSWERS)
def test_a_mistake_is_answered_where_torch_is_missing(answers, mistake):
    code, message = ANSWERS[mistake]
    assert answers[mistake] == (code, f"bytecap: error: {message}\n")


def test_every_mistake_has_its_answer(answers):
    assert set(answers) == set(ANSWERS)


@pytest.mark.parametrize("command", ["sensitivity", "curve"])
def test_a_plot_is_named_for_what_it_is(tmp_path, command):
    """Refused before anything is measured, and before the inputs are looked at."""
    (tmp_path / "file").write_bytes(b"anything")
    path = tmp_path / "plot.pdf"
    outcome = bytecap_command(command, tmp_path / "file", "--calibration", tmp_path / "file", "--plot", path)
    assert (outcome.code, outcome.stderr) == (
        9,
        f"bytecap: error: {path} is named for no drawing; name it .svg or .png\n",
    )


@pytest.mark.parametrize("command", ["sensitivity", "curve"])
def test_a_png_names_the_extra_that_draws_it(tmp_path, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    (tmp_path / "file").write_bytes(b"anything")
    path = tmp_path / "plot.PNG"
    outcome = bytecap_command(command, tmp_path / "file", "--calibration", tmp_path / "file", "--plot", path)
    assert outcome.code == 1
    assert outcome.stderr.endswith("pip install 'bytecap[plot]'\n")


def test_no_output_is_a_file_that_the_command_reads(small_job, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(small_job.checkpoint)
    renamed = tmp_path / "artifact.pt"
    renamed.write_bytes(small_job.artifact.read_bytes())
    calibrated = ["--calibration", small_job.calibration]
    compiled = ["compile", small_job.checkpoint, "--cap", 20_000, *calibrated]
    for words in (
        (*compiled, "-o", small_job.checkpoint),
        (*compiled, "-o", link),
        (*compiled, "-o", tmp_path / "new.bcap", "--report", small_job.calibration),
        (*compiled, "-o", small_job.code, "--code", small_job.code),
        ("export", renamed, "-o", renamed),
        ("inspect", small_job.artifact, "--html", small_job.artifact),
        ("diff", small_job.artifact, small_job.artifact, "--html", small_job.artifact),
        ("sensitivity", small_job.checkpoint, *calibrated, "--output", small_job.checkpoint),
        ("curve", small_job.checkpoint, *calibrated, "--plot", small_job.calibration),
    ):
        files = [word for word in words if isinstance(word, Path) and word.exists()]
        before = [file.read_bytes() for file in files]
        outcome = bytecap_command(*words, "--force")
        assert outcome.code == 9 and "is read; name another file to write" in outcome.stderr, outcome.stderr
        assert [file.read_bytes() for file in files] == before
