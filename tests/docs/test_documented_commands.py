"""Every command and program in README and docs is run, on a small job whose files have the names of the pages.

Strategy: the files that the pages name (final_model.pt, train.bin, ...) are those of the small job. What would take
minutes or needs another machine is listed with the reason, and is at least read by the command line that would run it.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import reduce
from itertools import pairwise

import click
import pytest
from command_line import bytecap_command
from documentation import blocks, commands, programs
from small_job import ARCHITECTURE
from source_tree import ROOT
from tiny_tokenizers import tiny_tokenizer, words

import bytecap
from bytecap.cli.command_group import COMMANDS
from bytecap.cli.main import group
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokens import read_tokens

OUTPUT_OPTIONS = ("-o", "--output", "--report", "--plot")
HOLD_OUT = ("bytecap sensitivity", "bytecap diagnose", "bytecap curve")  # need text enough to hold some out
LONG_COMMANDS = {  # the beginning of a command line, and why it is only read
    "bytecap demo": "trains a model for two minutes; tests/lab/demo runs it at a smaller scale",
    "bytecap lab run": "takes minutes; tests/lab/experiments runs every experiment on tiny models",
    "bytecap curve final_model.pt --calibration train.bin --unit rows --unit sparse": "a dozen compiles",
    "bytecap curve final_model.pt --calibration train.bin --backend dask": "tests/lab/measure starts a cluster",
    "bytecap pack": "runs a script in torch; tests/packing/test_pack.py does",
    "bytecap fit": "several compiles; tests/cli/test_cli_fit.py runs one of two caps",
    "bytecap compile SmolLM2-135M": "a model of 135 million weights; `make bench-smollm` compiles it",
    "bytecap eval smollm2.bcap": "as above",
    "bytecap generate smollm2.bcap": "as above",
    "bytecap export smollm2.bcap": "as above",
    "bytecap export model.bcap -o folder": "the small job has no config.json; tests/cli/test_cli_export.py has one",
    "bytecap export model.bcap -o coded": "as above",
}
OTHER_TOOLS = {  # the beginning of a command line, and the test that stands for running it
    "make ": "make_target",
    "dask ": "dask_options",
    "python examples/": "example",
    ".venv/bin/python -m pytest ": "pytest_paths",
    ".venv/bin/python -m tests.fuzz ": "fuzz_options",
    ".venv/bin/python docs/": "script",
    ".venv/bin/python requirements/": "script",
    "pip install ": "install",
    "uv tool install ": "install",
    "pipx install ": "install",
    "uvx --from . ": "from_here",
    "pipx run --spec . ": "from_here",
}
LONG_PROGRAMS = {  # a call in a Python block, and why the block is only read
    "add_frontend(": "its class is that of examples/own_frontend.py, which runs",
    "bytecap.curve(": "five compiles",
    "bytecap.fit(": "several compiles; tests/cli/test_cli_fit.py runs one",
    "bytecap.pack(": "runs a script in torch; tests/packing/test_pack.py does",
    "bytecap.run_experiment(": "takes minutes",
}


@pytest.fixture(scope="session")
def long_calibration(tmp_path_factory):
    """A token shard that is long enough for commands without an architecture, whose sequences have 1,024 tokens."""
    folder = tmp_path_factory.mktemp("calibration")
    text, shard = folder / "train.txt", folder / "train.bin"
    text.write_text("\0".join(" ".join(words(seed, 60)) for seed in range(200, 280)), encoding="utf-8")
    write_shard(shard, read_tokens(text, tiny_tokenizer(), ARCHITECTURE["vocab_size"], 1).ids)
    return shard


@pytest.fixture
def pages_folder(small_job, tmp_path, monkeypatch):
    """A folder with every file that the pages name, entered."""
    named = {
        "final_model.pt": small_job.checkpoint,
        **dict.fromkeys(("seed0.pt", "seed1.pt", "seed2.pt"), small_job.checkpoint),
        "config.json": small_job.architecture,
        "train.bin": small_job.calibration,
        "train.txt": small_job.folder / "calibration.txt",
        "val.bin": small_job.data,
        "val.txt": small_job.text,
        "tokenizer.model": small_job.tokenizer,
        "train_gpt.py": small_job.code,
        "model_code.py": small_job.folder / "model_code.py",
        "model.bcap": small_job.artifact,
        "smollm2.bcap": small_job.artifact,
        "text.txt": small_job.text,
        "held_out.txt": small_job.text,
        "bytecap-demo/checkpoint.pt": small_job.checkpoint,
        "bytecap-demo/architecture.json": small_job.architecture,
        "bytecap-demo/calibration.bin": small_job.calibration,
        "bytecap-demo/validation.bin": small_job.data,
        "bytecap-demo/tokenizer.model": small_job.tokenizer,
    }
    (tmp_path / "bytecap-demo").mkdir()
    (tmp_path / "SmolLM2-135M").mkdir()
    for name, source in named.items():
        shutil.copyfile(source, tmp_path / name)
    (tmp_path / "quick.toml").write_text(blocks(ROOT / "docs" / "recipe.md", "toml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def beginning(line: str, table: dict[str, str]) -> str | None:
    return next((start for start in table if line.startswith(start)), None)


DOCUMENTED = commands()
BYTECAP = [command for command in DOCUMENTED if command.line.startswith("bytecap ")]
RUN = [command for command in BYTECAP if beginning(command.line, LONG_COMMANDS) is None]
READ = [command for command in BYTECAP if beginning(command.line, LONG_COMMANDS) is not None]
OTHERS = [command for command in DOCUMENTED if not command.line.startswith("bytecap ")]


def name_of(command) -> str:
    return f"{command.page}: {command.line[:60]}"


def label(line: str) -> str:
    """What a printed line is about: its first word, with PASS and FAIL its second; numbers do not matter."""
    words = line.split()
    return re.sub(r"\d+", "0", " ".join(words[: 2 if words[0] in ("PASS", "FAIL") else 1]))


@pytest.mark.parametrize("command", RUN, ids=name_of)
def test_a_documented_command_runs_and_prints_what_its_page_shows(command, pages_folder, long_calibration):
    arguments = shlex.split(command.line)[1:]
    if command.line.startswith(HOLD_OUT):
        shutil.copyfile(long_calibration, pages_folder / "train.bin")
    for option, value in pairwise(arguments):
        if option in OUTPUT_OPTIONS:
            (pages_folder / value).unlink(missing_ok=True)
    outcome = bytecap_command(*arguments)
    assert outcome.code == 0, outcome.stderr
    printed = {label(line) for line in outcome.stdout.splitlines() if line.strip()}
    shown = {label(line) for line in command.output.splitlines() if line.strip() and line != "..."}
    assert shown - printed == set()
    for option, value in pairwise(arguments):
        if option in OUTPUT_OPTIONS:
            assert (pages_folder / value).stat().st_size > 0


def test_what_scripts_take_from_the_documents_is_there(small_job, tmp_path):
    """Each path of jq in the page on all commands, in the document that the page takes it from."""
    page = (ROOT / "docs" / "commands" / "README.md").read_text(encoding="utf-8")
    scored, other = small_job.score_arguments(), tmp_path / "other.bcap"
    other.write_bytes(small_job.artifact.read_bytes())
    documents = {
        "verify": bytecap_command("verify", small_job.artifact, *scored, "--json", "-q").document,
        "eval": bytecap_command("eval", small_job.artifact, *scored, "--json").document,
        "compile": json.loads(small_job.compiled.stdout),
        "diff": bytecap_command("diff", small_job.artifact, other, "--json").document,
    }
    taken = re.findall(r"^bytecap (\w+) .*--json \| jq \.([\w.]+)", page, re.MULTILINE)
    assert {command for command, _ in taken} == {"eval", "compile", "diff"}
    for command, path in taken:
        assert reduce(lambda found, name: found[name], path.split("."), documents[command]) is not None
    assert "jq -r .summary" in page and documents["verify"]["summary"] == "PASS: 6 of 6 checks"
    assert """jq '.checks[] | select(.name == "score").bits_per_byte'""" in page
    check = next(check for check in documents["verify"]["checks"] if check["name"] == "score")
    assert check["bits_per_byte"] == documents["eval"]["score"]["bits_per_byte"]


@pytest.mark.parametrize("command", READ, ids=name_of)
def test_a_long_command_is_one_that_the_command_line_takes(command, pages_folder):
    """Options, their values and the files are checked as if it were to run."""
    words, found = shlex.split(command.line)[1:], group
    context = click.Context(group, info_name="bytecap", **group.context_settings)
    while isinstance(found, click.Group):
        found = found.get_command(context, words.pop(0))
    assert found.make_context(command.line, words, parent=context) is not None


@pytest.mark.parametrize("command", OTHERS, ids=name_of)
def test_another_tool_knows_what_it_is_asked_for(command):
    start = beginning(command.line, OTHER_TOOLS)
    assert start is not None, "neither a bytecap command nor a tool on the list"
    words = command.line.split()
    match OTHER_TOOLS[start]:
        case "make_target":
            assert re.search(rf"^{words[1]}:.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        case "dask_options":
            module = f"distributed.cli.dask_{words[1]}"
            shown = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
            assert all(word in shown.stdout for word in words if word.startswith("--"))
        case "fuzz_options":
            shown = subprocess.run(
                [sys.executable, "-m", "tests.fuzz", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
            )
            assert all(word in shown.stdout for word in words if word.startswith("--"))
        case "install":
            extras = re.findall(r"\.\[(.*)\]", command.line)
            known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            assert set(extras) <= set(known["optional-dependencies"]) and (extras or words[-1] in (".", "uv"))
        case "from_here":
            assert words[words.index("bytecap") + 1] in COMMANDS
        case "pytest_paths":
            assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
        case _:
            assert (ROOT / words[1]).exists()


@pytest.mark.parametrize("program", programs(), ids=lambda program: f"{program.page}: {program.text[:40]!r}")
def test_a_documented_program_runs(program, pages_folder):
    if not any(call in program.text for call in LONG_PROGRAMS):
        (pages_folder / "model.safetensors").unlink(missing_ok=True)
        if "output=" in program.text:
            (pages_folder / "model.bcap").unlink()
        exec(compile(program.text, program.page, "exec"), {"__name__": "documented"})
        return
    calls = [node for node in ast.walk(ast.parse(program.text)) if isinstance(node, ast.Call)]
    for call in calls:
        name = ast.unparse(call.func)
        if name.startswith("bytecap."):
            function = getattr(bytecap, name.removeprefix("bytecap."))
            inspect.signature(function).bind(*call.args, **{word.arg: word.value for word in call.keywords})


def test_lists_of_exceptions_have_no_entry_too_many():
    for table in (LONG_COMMANDS, OTHER_TOOLS):
        assert [start for start in table if not any(c.line.startswith(start) for c in DOCUMENTED)] == []
    assert [call for call in LONG_PROGRAMS if not any(call in program.text for program in programs())] == []
