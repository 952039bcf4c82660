"""The demonstration, whole but small: the files it leaves, the numbers it prints, and what it refuses to overwrite."""

from __future__ import annotations

import functools

import pytest
from command_line import bytecap_command

from bytecap.lab.demo import demo as demo_module
from bytecap.lab.demo import demo_text
from bytecap.lab.demo.demo import EFFORT, STANDARD_SCALE, DemoScale, run_demo

TINY = DemoScale(
    architecture={
        "vocab_size": 512,
        "num_layers": 2,
        "model_dim": 32,
        "num_heads": 2,
        "num_kv_heads": 1,
        "mlp_mult": 2,
        "seq_len": 64,
    },
    steps=12,
    batch_sequences=4,
    training_seconds=600.0,  # more than a busy machine takes, so that the steps end it
    cap=16_000,
)
FILES = {
    "architecture.json",
    "calibration.bin",
    "checkpoint.pt",
    "model.bcap",
    "text.txt",
    "tokenizer.model",
    "train.bin",
    "validation.bin",
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The folder of a tiny demo run by the command line, and what it printed.

    Of the standard library's modules one package is read: test_demo_text.py reads them all.
    """
    folder, documents_of = tmp_path_factory.mktemp("demo") / "folder", demo_text._module_documents
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_module, "run_demo", functools.partial(run_demo, scale=TINY))
        patch.setattr(demo_text, "_module_documents", lambda library: documents_of(library / "email"))
        return folder, bytecap_command("demo", folder)


def test_the_report_says_what_is_in_the_files(printed):
    """Every figure of the report against the file that it is about, or against the commands that read that file."""
    folder, outcome = printed
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in outcome.stdout.splitlines() if line}
    size = (folder / "model.bcap").stat().st_size
    tensors = bytecap_command("inspect", folder / "model.bcap", "--json").document["tensors"]
    weights = sum(tensor["elements"] for tensor in tensors)
    assert lines["text"].startswith(f"{(folder / 'text.txt').stat().st_size:,} bytes ")
    assert lines["model"].startswith(f"{weights:,} weights, {TINY.steps} training steps in ")
    assert lines["total"].startswith(f"{size:,} ")
    summary = verification(folder)["summary"]
    assert lines["verdict"].startswith(f"{summary}; {size:,} of {TINY.cap:,} bytes ")
    assert lines["files"] == str(folder)
    provenance = bytecap_command("inspect", folder / "model.bcap", "--json").document["provenance"]
    assert provenance["effort"] == EFFORT


def verification(folder):
    """What `bytecap verify` says of the demo's artifact under the demo's cap."""
    return bytecap_command(
        "verify", folder / "model.bcap", "--cap", TINY.cap, "--tokenizer", folder / "tokenizer.model", "--json"
    ).document


def test_all_files_stay_in_the_folder(printed):
    folder, _ = printed
    assert {path.name for path in folder.iterdir()} == FILES
    assert {path.name for path in folder.parent.iterdir()} == {folder.name}
    assert (folder / "model.bcap").stat().st_size <= TINY.cap


def test_the_files_give_the_printed_score(printed):
    folder, outcome = printed
    files = [
        "--data",
        folder / "validation.bin",
        "--tokenizer",
        folder / "tokenizer.model",
        "--architecture",
        folder / "architecture.json",
    ]
    document = bytecap_command(
        "eval", folder / "model.bcap", *files, "--against", folder / "checkpoint.pt", "--json"
    ).document
    assert f"artifact    {document['score']['bits_per_byte']:.5f} ± " in outcome.stdout
    assert f"float       {document['reference']['bits_per_byte']:.5f} ± " in outcome.stdout
    assert f"{document['gap']['mbpb']:+.2f} ± {document['gap']['standard_error_mbpb']:.2f} mBPB" in outcome.stdout
    assert document["same_program"]


def test_a_folder_with_files_is_refused(printed):
    folder, _ = printed
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    outcome = bytecap_command("demo", folder)
    assert (outcome.code, outcome.stdout) == (9, "")
    assert (
        outcome.stderr
        == f"bytecap: error: {folder} is not empty; use --force to replace an earlier demo's files in it, "
        "or name another folder\n"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    outcome = bytecap_command("demo", tmp_path / "file" / "folder")
    assert outcome.code == 9
    assert outcome.stderr.startswith(f"bytecap: error: cannot make the folder {tmp_path}/file/folder: ")


def test_the_standard_demo_trains_for_at_most_two_minutes():
    assert STANDARD_SCALE.training_seconds <= 120
