"""`-`: artifacts that come from standard input, and the sentence where it is not read."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from command_line import bytecap_command
from tiny_artifacts import tiny_artifact

ONCE = "bytecap: error: standard input can be read once; name files for the others\n"


@pytest.fixture
def standard_input(monkeypatch):
    def give(data):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return give


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_an_artifact_comes_from_standard_input_as_from_a_file(standard_input, tmp_path, command):
    path = tmp_path / "model.bcap"
    path.write_bytes(tiny_artifact())
    standard_input(tiny_artifact())
    given, named = bytecap_command(command, "-", "--json").document, bytecap_command(command, path, "--json").document
    for document in (given, named):
        for check in document.get("checks", []):
            check.pop("seconds")
    assert given == {**named, "artifact": "-"}


def test_several_targets_with_one_from_standard_input(standard_input, tmp_path):
    path = tmp_path / "model.bcap"
    path.write_bytes(tiny_artifact())
    standard_input(tiny_artifact())
    outcome = bytecap_command("verify", path, "-", "--json")
    assert [target["artifact"] for target in outcome.document["targets"]] == [str(path), "-"]
    standard_input(tiny_artifact())
    assert bytecap_command("verify", path, "-").stdout.splitlines()[-1] == "PASS: 2 targets, 2 pass"


def test_what_is_no_artifact_is_said_of_it(standard_input):
    standard_input(b"anything else")
    outcome = bytecap_command("inspect", "-")
    assert outcome.code == 3
    assert outcome.stderr.startswith("bytecap: error: -:0x0000: not an artifact: header: begins with 61 6e 79")


def test_a_cut_artifact_is_a_failed_check(standard_input):
    standard_input(tiny_artifact()[:-5])
    outcome = bytecap_command("verify", "-")
    assert outcome.code == 7
    assert outcome.stdout.startswith("FAIL     structure: ")


def test_standard_input_is_read_once(tmp_path):
    assert bytecap_command("verify", "-", "-").stderr == ONCE
    (tmp_path / "t").write_bytes(b"x")
    assert bytecap_command("verify", "-", "--data", "-", "--tokenizer", tmp_path / "t").stderr == ONCE
