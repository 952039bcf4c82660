"""Files that were given for something else, and damaged ones: exit code and message, word for word, each with its way
out. Names and wrong usage are in test_cli_usage.py, what needs torch otherwise in test_cli_refusals.py.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from command_line import bytecap_command
from tiny_artifacts import BOUNDARY, tiny_artifact
from tiny_tokenizers import model_bytes

from bytecap.runtime.shards import write_shard

NOT_AN_ARTIFACT = "0x0000: not an artifact: header: begins with {}, expected 89 42 43 41 50 0d 0a 1a [R-HDR-1]"
ZIPPED, TEXT = NOT_AN_ARTIFACT.format("50 4b 03 04 14 00 00 00"), NOT_AN_ARTIFACT.format("73 6f 6d 65 20 77 6f 72")
A_CHECKPOINT = "it is a checkpoint, which `bytecap compile` makes an artifact of and `bytecap inspect` shows"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    data = tiny_artifact()
    (folder / "model.bcap").write_bytes(data)
    (folder / "cut.bcap").write_bytes(data[:-1])
    (folder / "longer.bcap").write_bytes(data + b"x")
    (folder / "version.bcap").write_bytes(data[:8] + b"\x09" + data[9:])
    (folder / "empty.bcap").write_bytes(b"")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("archive/data.pkl", b"")
    (folder / "model.pt").write_bytes(zipped.getvalue())
    np.savez(folder / "arrays.npz", a=np.zeros(3))
    (folder / "text.txt").write_text("some words here " * 50)
    (folder / "latin.txt").write_bytes("Grüße".encode("latin-1") * 50)
    write_shard(folder / "data.bin", np.full(64, BOUNDARY))
    (folder / "tokenizer.model").write_bytes(model_bytes())
    (folder / "tokenizer.json").write_text('{"model": {"type": "BPE"}}')
    return folder


MISTAKES = {
    "export model.pt -o new.safetensors": (3, f"model.pt:{ZIPPED}; {A_CHECKPOINT}"),
    "diff model.bcap model.pt": (3, f"model.pt:{ZIPPED}; {A_CHECKPOINT}"),
    "export text.txt -o new.safetensors": (3, f"text.txt:{TEXT}"),
    "inspect empty.bcap": (8, "empty.bcap is neither an artifact nor a checkpoint: it is empty"),
    "eval model.bcap --data data.bin --tokenizer data.bin": (
        8,
        "data.bin is a token shard, no tokenizer; give the tokenizer's file, and the shard as data",
    ),
    "eval model.bcap --data data.bin --tokenizer tokenizer.json": (
        8,
        "tokenizer.json: the tokenizers library cannot read it: Missing vocab/merges at line 1 column 26; "
        "give the file that lies with the model",
    ),
    "eval model.bcap --data arrays.npz --tokenizer tokenizer.model": (
        8,
        "arrays.npz is an archive of numpy arrays, not data; give a token shard or UTF-8 text",
    ),
    "eval model.bcap --data latin.txt --tokenizer tokenizer.model": (
        8,
        "latin.txt is neither a token shard nor UTF-8 text: byte 0xfc at offset 2 (invalid start byte); "
        "convert it to UTF-8, or give a shard",
    ),
    "inspect longer.bcap": (4, None),
    "inspect cut.bcap": (4, None),
    "inspect version.bcap": (3, None),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_file_that_is_something_else(folder, monkeypatch, line):
    monkeypatch.chdir(folder)
    code, message = MISTAKES[line]
    outcome = bytecap_command(*line.split())
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (code, "", 1)
    if message is None:  # the reader's own words, with offset and rule
        assert outcome.stderr.startswith(f"bytecap: error: {line.split()[1]}:0x")
        assert outcome.stderr.endswith("]\n")
    else:
        assert outcome.stderr == f"bytecap: error: {message}\n"


def test_verify_of_a_checkpoint_says_what_it_is(folder, monkeypatch):
    monkeypatch.chdir(folder)
    outcome = bytecap_command("verify", "model.pt")
    assert (outcome.code, outcome.stderr) == (7, f"bytecap: note: model.pt: {A_CHECKPOINT}\n")
    assert outcome.stdout.startswith(f"FAIL     structure: {ZIPPED}")


@pytest.mark.parametrize("name", ["cut.bcap", "longer.bcap", "version.bcap", "empty.bcap"])
def test_verify_of_a_damaged_file_has_its_fail_line_and_its_document(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    text, document = bytecap_command("verify", name), bytecap_command("verify", name, "--json").document
    assert text.code == 7 and text.stdout.startswith("FAIL     structure: ")
    assert text.stdout.splitlines()[-1] == document["summary"]
    assert document["verdict"] == "fail" and document["checks"][0]["outcome"] == "failed"
