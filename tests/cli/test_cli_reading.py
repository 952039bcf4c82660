"""Every command that takes a checkpoint says what it assumed, chose and left out before it works, and takes --weights
and --ignore.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from command_line import bytecap_command
from small_job import ARCHITECTURE

import bytecap
from bytecap.cli import main
from bytecap.cli.reading_report import print_reading, reading_document
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.model.model import Reading

SCORE = ("--data", "{data}", "--tokenizer", "{tokenizer}", "--max-tokens", 64)
COMMANDS = {  # by the function that works: arguments around the checkpoint
    "compile": (("compile",), ("-o", "{data}.new.bcap", "--cap", "40KB", "--calibration", "{data}")),
    "sensitivity": (("sensitivity",), ("--calibration", "{data}")),
    "curve": (("curve",), ("--calibration", "{data}")),
    "diagnose": (("diagnose",), ("--data", "{data}")),
    "run_experiment": (("lab", "run", "row-rescue", "--checkpoint"), ()),
    "evaluate": (("eval",), SCORE),
    "load": (("generate",), ("--tokens", 1, "--tokenizer", "{tokenizer}")),
    "evaluate against": (("eval", "{artifact}", "--against"), SCORE),
}
WORKED = {  # what is not tested here: the work itself, and what is printed of it
    "compile": ("compile_report", "compile_document", "print_compile_report"),
    "sensitivity": ("sensitivity_report", "sensitivity_document", "print_sensitivity"),
    "curve": ("curve_report", "curve_document", "print_curves"),
    "diagnose": ("diagnose_report", "diagnosis_document", "print_diagnosis"),
    "run_experiment": ("lab_report", "run_document", "print_run"),
}


@pytest.fixture(scope="module")
def sets(small_job, tmp_path_factory):
    """The small job's weights under `model`, other ones under `ema`, a counter and a mask beside them."""
    root = tmp_path_factory.mktemp("sets")
    state = {name: torch.from_numpy(values) for name, values in read_checkpoint(small_job.checkpoint).tensors.items()}
    beside = {"updates": torch.tensor(7), "attn.mask": torch.ones(4, 4).tril().bool()}
    ema = {name: values * 0.5 for name, values in state.items()}
    torch.save({"model": state | beside, "ema": ema | beside}, root / "sets.pt")
    (root / "two.json").write_text(json.dumps({"frontend": "parameter-golf", "seq_len": 32}))
    return root


@pytest.fixture
def run(sets, small_job, monkeypatch):
    """Run a command on the checkpoint with several sets; `calls` keeps what the function was called with."""
    calls = []

    def work(name, options):
        calls.append(options)
        if name == "compile":  # what was read comes back with the result
            read = {name: options[name] for name in ("checkpoint", "architecture", "weights", "ignore", "rename")}
            return SimpleNamespace(reading=bytecap.describe(**read))
        return SimpleNamespace(notes=())

    for name, (report, *functions) in WORKED.items():
        monkeypatch.setattr(f"bytecap.interface.{name}", lambda *given, name=name, **options: work(name, options))
        for function in functions:
            monkeypatch.setattr(f"bytecap.cli.{report}.{function}", lambda *_, **__: {})
    places = {"data": small_job.data, "tokenizer": small_job.tokenizer, "artifact": small_job.artifact}

    def run(name, *more):
        before, after = ([str(each).format(**places) for each in part] for part in COMMANDS[name])
        return bytecap_command(*before, sets / "sets.pt", *after, "--architecture", sets / "two.json", *more)

    return run, calls


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_read_is_said(name, run):
    command, calls = run
    outcome = command(name, "--ignore", "updates")
    said = outcome.stderr
    assert outcome.code == 0, said
    assert "note: the checkpoint: read 'model'; the file also holds ema (--weights chooses)\n" in said
    assert "note: the checkpoint: left out as asked: updates\n" in said
    assert "note: the checkpoint: left out, since the model computes them: attn.mask\n" in said
    assert ("note: assumed of the checkpoint: " in said and "rope_base 10000" in said) is (name != "compile")
    assert all((call["weights"], call["ignore"]) == (None, ("updates",)) for call in calls)


@pytest.mark.parametrize("name", COMMANDS)
def test_tensors_are_read_by_other_names(name, run):
    command, calls = run
    outcome = command(name, "--ignore", "updates", "--rename", "blocks.*=h.*", "--rename", "h.*=blocks.*")
    assert outcome.code == 0, outcome.stderr
    assert all(call["rename"] == ("blocks.*=h.*", "h.*=blocks.*") for call in calls)
    refused = command(name, "--ignore", "updates", "--rename", "block.*=h.*")
    assert refused.code == 8 and "has no tensor 'block.*' to rename; most like it are " in refused.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_set_is_chosen_and_the_document_says_it(name, run):
    command, calls = run
    outcome = command(name, "--ignore", "updates", "--weights", "ema", "--json")
    read = json.loads(outcome.stdout)["checkpoint"]  # the rest of the document is not made here
    assert read["weights"] == "ema" and read["notes"][0].startswith("read 'ema'; the file also holds model")
    assert read["assumed"]["rope_base"] == 10_000.0 and read["told"]["num_layers"] == "shapes"
    assert all((call["weights"], call["ignore"]) == ("ema", ("updates",)) for call in calls)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_compile_reads_its_checkpoint_once(small_job, tmp_path, monkeypatch, more):
    expected = {"checkpoint": small_job.checkpoint, "architecture": small_job.architecture}
    expected = reading_document(bytecap.describe(**expected))
    monkeypatch.setattr("bytecap.interface.describe", lambda *_, **__: pytest.fail("it is read a second time"))
    arguments = small_job.compile_arguments(tmp_path / "out.bcap", "--effort", 1, *more, "--json")
    assert bytecap_command(*arguments).document["checkpoint"] == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_what_cannot_be_chosen_is_refused_with_the_choices(name, run):
    unknown = run[0](name, "--weights", "emma")
    assert unknown.code == 8 and "has no set of weights 'emma'; it holds the sets model, ema" in unknown.stderr
    asked = run[0](name)
    assert asked.code == 8 and "updates (int64)" in asked.stderr and "--ignore NAME" in asked.stderr


def test_eval_scores_the_set_that_was_chosen(run):
    one, other = (
        run[0]("evaluate", "--ignore", "updates", "--weights", name, "--json").document for name in ("model", "ema")
    )
    assert one["score"]["bits_per_byte"] != other["score"]["bits_per_byte"]


@pytest.mark.parametrize("name", ["compile", "evaluate"])
def test_a_name_of_the_hub_is_told_how_to_become_a_folder(name, small_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, after = COMMANDS[name]
    places = {"data": small_job.data, "tokenizer": small_job.tokenizer}
    outcome = bytecap_command(*before, "HuggingFaceTB/SmolLM2-135M", *(str(each).format(**places) for each in after))
    assert outcome.code == 2
    told = " ".join(outcome.stderr.split())
    assert "`hf download HuggingFaceTB/SmolLM2-135M --local-dir SmolLM2-135M`, and give the folder" in told


@pytest.mark.parametrize("name", ["config.json", "architecture.json"])
def test_a_file_beside_the_checkpoint_is_used_and_told(name, small_job, tmp_path):
    alone = tmp_path / "checkpoint.pt"
    alone.write_bytes(small_job.checkpoint.read_bytes())
    (tmp_path / name).write_text(json.dumps(ARCHITECTURE | {"rope_base": 500.0}))
    arguments = ["--data", small_job.data, "--tokenizer", small_job.tokenizer, "--max-tokens", 64]
    beside = bytecap_command("eval", alone, *arguments)
    assert f"note: the checkpoint: {name} beside it tells " in beside.stderr and "rope_base" in beside.stderr
    named = bytecap_command("eval", alone, *arguments, "--architecture", tmp_path / name)
    assert beside.stdout.split()[1] == named.stdout.split()[1]
    (tmp_path / name).unlink()
    without = bytecap_command("eval", alone, *arguments, "--sequence-length", 32)
    assert "beside it" not in without.stderr and beside.stdout.split()[1] != without.stdout.split()[1]


def test_a_preset_says_what_the_tensors_do_not(small_job):
    """The demo's model is a baseline, as which a preset names it; it has the parts of no record."""
    data = ["--data", small_job.data, "--tokenizer", small_job.tokenizer, "--sequence-length", "16", "--json"]
    named = bytecap_command("eval", small_job.checkpoint, *data, "--architecture", "preset:baseline")
    assumed = bytecap_command("eval", small_job.checkpoint, *data)
    assert named.code == assumed.code == 0
    assert named.document["score"]["bits_per_byte"] == assumed.document["score"]["bits_per_byte"]
    unknown = bytecap_command("eval", small_job.checkpoint, *data, "--architecture", "preset:2031-01-01")
    assert (
        unknown.code == 8 and "no preset '2031-01-01'; there are baseline, 2026-03-17_NaiveBaseline" in unknown.stderr
    )
    missing = bytecap_command("eval", small_job.checkpoint, *data, "--architecture", "preset.toml")
    assert missing.code == 2 and "does not exist" in missing.stderr


def test_names_of_a_checkpoint_move_nothing_on_a_terminal(tmp_path, capfd):
    path = tmp_path / "model.pt"
    torch.save({"a\x1b[31mRED\n\u202e\u200b": torch.zeros(2)}, path)
    code = main.run(["eval", str(path), "--data", str(path), "--tokenizer", str(path)])
    error = capfd.readouterr().err
    assert code == 8 and error.count("\n") == 1 and error.rstrip("\n").isprintable()
    print_reading(Reading(notes=("left out: a\x1b[2J\u202e\n",)))
    note = capfd.readouterr().err
    assert note.count("\n") == 1 and r"a\x1b[2J\u202e\n" in note
