"""Wrong usage, word for word: one line in the style of every other error, exit code 2, and a way out."""

from __future__ import annotations

import json
import os

import pytest
from command_line import bytecap_command

MISTAKES = {
    "inpsect": "no such command 'inpsect'; did you mean 'inspect'?",
    "ispect {file}": "no such command 'ispect'; did you mean 'inspect'?",
    "help": "no such command 'help'; did you mean '--help'?",
    "version": "no such command 'version'; did you mean '--version'?",
    "quantize {file}": "no such command 'quantize'; did you mean 'compile'?",
    "sore": "no such command 'sore'; see them with: bytecap --help",
    "squeeze": "no such command 'squeeze'; see them with: bytecap --help",
    "lab rn": "no such command 'rn'; did you mean 'run'?",
    "--verison": "no such option --verison; did you mean --version?",
    "inspect": "missing argument ARTIFACT; see: bytecap inspect --help",
    "inspect {folder}/missing.bcap": "{folder}/missing.bcap does not exist; see: ls {folder}",
    "compile {file} --cap 1MB --calibration {file} -o {folder}": "--output: {folder} is a folder; name a file in it",
    "compile {file} --cap 1MB --calibration {file} --code nothing.py": "--code: nothing.py does not exist; see: ls .",
    "inspect {folder}/flie": "{folder}/flie does not exist; did you mean {folder}/file?",
    "inspect nowhere/model.bcap": "nowhere/model.bcap does not exist; there is no folder nowhere",
    "inspect {folder}/*.bcap": "no file is named like {folder}/*.bcap; name one that is there",
    "inspect https://example.org/model.bcap": "https://example.org/model.bcap is an address, and nothing is "
    "downloaded; fetch it first and give the file",
    "eval somebody/model": "somebody/model is no file or folder here; if it is a model of the Hugging Face hub, "
    "download it first, with `hf download somebody/model --local-dir model`, and give the folder model",
    "inspect {file} --sort szie": "--sort: 'szie' is not one of size, name, bits; did you mean 'size'?",
    "inspect {file} --sort colour": "--sort: 'colour' is not one of size, name, bits; see: bytecap inspect --help",
    "inspect {file} --srot size": "no such option --srot; did you mean --sort?",
    "inspect {file} --colour": "no such option --colour; see: bytecap inspect --help",
    "verify {file} --max-tokens 3": "no such option --max-tokens (as diff, eval have); see: bytecap verify --help",
    "generate {file} --max-tokens 3": "no such option --max-tokens (as diff, eval have); did you mean --tokens?",
    "inspect {file} --seed 3": "no such option --seed (as compile, fit, generate and 3 more have); "
    "see: bytecap inspect --help",
    "eval {file} --html a": "no such option --html (as inspect, diff have); see: bytecap eval --help",
    "inspect {file} --hex --tensor a": "--by, --tensor, --program and --hex are four views; choose one",
    "inspect {file} --hex=3": "option '--hex' does not take a value; see: bytecap inspect --help",
    "compile {file}": "missing option --cap; see: bytecap compile --help",
    "compile {file} --cap": "option '--cap' requires an argument; see: bytecap compile --help",
    "compile {file} --cap 1MB --calibration {file}": "missing option --output; without it, use --dry-run",
    "compile {file} --cap 0 --calibration {file}": "--cap: '0' is no room at all; a size is at least 1 byte",
    "compile {file} --cap 16 MB --calibration {file}": "unexpected argument 'MB'; write --cap 16MB",
    "fit {file} --cap 16 MB": "MB does not exist; a size is one word: 16MB",
    "compile {file} --cap 16M": "--cap: '16M' is not a size in bytes; write 16MB (decimal) or 16MiB (binary)",
    "compile {file} --cap 200k": "--cap: '200k' is not a size in bytes; write 200KB (decimal) or 200KiB (binary)",
    "compile {file} --cap 16,000,000": "--cap: '16,000,000' is not a size in bytes; write 16_000_000",
    "compile {file} --cap 3bpw": "--cap: '3bpw' is not a size in bytes; "
    "write for example 16_000_000, 16MB (decimal) or 16MiB (binary)",
    "compile {file} --cap 1MB --calibration {folder}": "--calibration: {folder} is a folder; give a file in it",
    "compile {file} --cap 1MB --calibration -": "--calibration: standard input is not read here; "
    "write it to a file and name that",
    "compile {file} --cap 1MB --calibration {file} --threads 0": "--threads: 0 is not in the range x>=1; "
    "see: bytecap compile --help",
    "compile {file} --cap 1MB --calibration {file} --effort 12": "--effort: 12 is not in the range 1<=x<=9; "
    "see: bytecap compile --help",
    "compile {file} --cap 1MB --calibration {file} --profile fats": "--profile: 'fats' is not one of max, default, "
    "fast; did you mean 'fast'?",
    "compile {file} {other} --cap 1MB --calibration {file}": "unexpected argument '{other}'; "
    "one file at a time, each in a command of its own",
    "verify {file} --data {file}": "--data needs --tokenizer; see: bytecap verify --help",
    "verify {file} --expect-bpb 1.2": "--expect-bpb needs --data and --tokenizer; see: bytecap verify --help",
    "eval {file}": "missing option --data; see: bytecap eval --help",
    "eval {file} --data {file} {other}": "unexpected argument '{other}'; "
    "repeat the option for each file: --data {file} --data {other}",
    "sensitivity {file}": "missing option --calibration; see: bytecap sensitivity --help",
    "sensitivity {file} --calibration {file} --bits 1": "--bits: 1 bit leaves zero alone; use 0 to remove, or 2 to 16",
    "sensitivity {file} --calibration {file} --plot a --output a": "--output and --plot are two files; name two",
    "curve {file}": "missing option --calibration; see: bytecap curve --help",
    "curve {file} --calibration {file} --unit rwos": "--unit: 'rwos' is not one of rows, channels, tensors, blocks, "
    "heads, codebook, low-rank, sparse; did you mean 'rows'?",
    "curve {file} --calibration {file} --budget 1:2": "--budget: '1:2' is not a range of budgets; "
    "write first:last:number, for example 0.5%:10%:6 or 4KB:64KB:5",
    "curve {file} --calibration {file} --budget 1%:100%:2": "--budget: '100%' is not a share between 0% and 100%; "
    "see: bytecap curve --help",
    "curve {file} --calibration {file} --backend dask": "--backend dask and --scheduler go together; "
    "see: bytecap curve --help",
    "diagnose {file}": "missing option --data; see: bytecap diagnose --help",
    "lab run": "missing argument NAME; one of byte-allocation, head-bottleneck, head-to-depth, row-rescue, vq-head",
    "lab run vqhead": "'vqhead' is not one of byte-allocation, head-bottleneck, head-to-depth, row-rescue, vq-head; "
    "did you mean 'vq-head'?",
    "lab run vq-head --report a --output a": "--report and --output are two files; name two",
    "export {file}": "missing option --output; see: bytecap export --help",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_wrong_usage_is_one_line_that_ends_with_the_way_out(line, tmp_path):
    places = {"file": tmp_path / "file", "other": tmp_path / "other", "folder": tmp_path}
    for name in ("file", "other"):
        (tmp_path / name).write_bytes(b"anything")
    outcome = bytecap_command(*line.format(**places).split())
    assert outcome.stderr == f"bytecap: error: {MISTAKES[line].format(**places)}\n"
    assert (outcome.code, outcome.stdout) == (2, "")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "other"}


@pytest.mark.parametrize("line", ["", "lab"])
def test_a_command_that_is_given_nothing_shows_its_help(line):
    outcome = bytecap_command(*line.split())
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr == bytecap_command(*line.split(), "--help").stdout


@pytest.mark.parametrize("line", [line for line in MISTAKES if not line.startswith("--")])
def test_the_document_of_wrong_usage_has_the_line_and_its_way_out(line, tmp_path):
    (tmp_path / "file").write_bytes(b"anything")
    words = line.format(file=tmp_path / "file", other="other", folder=tmp_path).split()
    if "--cap" == words[-1]:
        return  # takes the word that follows
    outcome = bytecap_command(*words, "--json")
    error = json.loads(outcome.stdout)["error"]
    assert (error["exit_code"], outcome.stderr) == (2, f"bytecap: error: {error['message']}\n")
    assert error["way_out"] and error["message"].endswith(error["way_out"])


def test_a_link_to_nothing_is_told_from_a_name_that_is_not_there(tmp_path):
    (tmp_path / "model.bcap").symlink_to("elsewhere/model.bcap")
    outcome = bytecap_command("inspect", str(tmp_path / "model.bcap"))
    link = f"{tmp_path}/model.bcap"
    said = f"bytecap: error: {link} is a link to elsewhere/model.bcap, and nothing is there; see: ls -l {link}\n"
    assert (outcome.code, outcome.stdout, outcome.stderr) == (2, "", said)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_may_not_be_read_is_said_with_a_way_to_see_why(tmp_path, monkeypatch, kind):
    path = tmp_path / "model.bcap"
    path.mkdir() if kind == "folder" else path.touch()
    allowed = os.access  # root may read everything
    monkeypatch.setattr(os, "access", lambda name, mode, **more: str(name) != str(path) and allowed(name, mode, **more))
    outcome = bytecap_command("inspect", path)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr == f"bytecap: error: {path} may not be read by this user; see: ls -ld {path}\n"
