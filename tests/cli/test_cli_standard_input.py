"""`-`: artifacts that come from standard input, and the sentence where it is not read."""

from __future__ import annotations

import hashlib
import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import bytecap_command
from tiny_artifacts import tiny_artifact

from bytecap.errors import DataError
from bytecap.runtime.shards import encode_shard
from bytecap.runtime.tokenizers import load_tokenizer

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


@pytest.fixture
def piped():
    """Names of pipes that hold some bytes, as a shell's `<(...)` gives them; the bytes fit into a pipe."""
    ends = []

    def give(data):
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        ends.append(reading)
        return f"/dev/fd/{reading}"

    yield give
    for end in ends:
        os.close(end)


def test_inspect_reads_an_artifact_from_a_pipe(piped):
    outcome = bytecap_command("inspect", piped(tiny_artifact()), "--json")
    assert (outcome.code, outcome.document["sha256"]) == (0, hashlib.sha256(tiny_artifact()).hexdigest())


@pytest.mark.parametrize(
    "command", ["eval {} --data {file} --tokenizer bytes", "generate {} --tokenizer bytes --prompt a", "inspect {}"]
)
def test_a_pipe_is_never_read_from_its_middle(piped, tmp_path, command):
    """What looks at a file's beginning first said of an artifact or a checkpoint that it begins otherwise."""
    (tmp_path / "x.txt").write_text("abc")
    data = b"PK\x03\x04" + bytes(1000) if command.startswith("inspect") else tiny_artifact()
    path = piped(data)
    outcome = bytecap_command(*command.format(path, file=tmp_path / "x.txt").split())
    refused = f"bytecap: error: {path} is a pipe, which is read only once; write it to a file\n"
    none = f"bytecap: error: {path}:0x0000: not an artifact: header: begins with 50 4b 03 04 00 00 00 00, "
    assert outcome.stderr.startswith(none if command.startswith("inspect") else refused)
    assert outcome.code != 0


def test_a_tokenizer_from_a_pipe_is_refused(piped):
    path = piped(b"{}")
    with pytest.raises(DataError, match=f"{path} is a pipe, which is read only once; write it to a file"):
        load_tokenizer(path)


def test_a_shard_from_standard_input_is_called_one(standard_input, tmp_path):
    path = tmp_path / "model.bcap"
    path.write_bytes(tiny_artifact())
    standard_input(encode_shard(np.arange(3, 100)))
    outcome = bytecap_command("eval", path, "--data", "-", "--tokenizer", "bytes", "--other-tokenizer")
    said = "bytecap: error: - holds a token shard, and standard input is read as text; give it as a file\n"
    assert (outcome.code, outcome.stderr) == (8, said)
