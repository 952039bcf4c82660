"""Artifacts of the SmolLM2 benchmark: what is kept is used again only for what it was made of."""

from __future__ import annotations

import hashlib
import json

import pytest

from benchmarks import own_process, smollm_artifacts
from bytecap.compiler.recipe import read_recipe
from bytecap.version import VERSION


@pytest.fixture
def folder(tmp_path):
    for name in ("model", "calibration", "effort-3-40.bcap"):
        (tmp_path / name).write_bytes(name.encode())
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("model", "calibration")}
    made = {"version": VERSION, "effort": 3, "cap": 40, **digests, "seconds": 7.0}
    made["recipe"] = read_recipe("default", 3).digest
    made["artifact"] = hashlib.sha256(b"effort-3-40.bcap").hexdigest()
    (tmp_path / "effort-3-40.json").write_text(json.dumps(made))
    return tmp_path


def used_again(folder) -> bool:
    """Whether the kept artifact is taken; a compile would start a process, which the tests replace by an error."""
    try:
        path, log = smollm_artifacts.compiled(folder / "model", folder / "calibration", folder, 40, 3)
    except SystemExit:
        return False
    return path == folder / "effort-3-40.bcap" and log["seconds"] == 7


@pytest.fixture(autouse=True)
def no_compiles(monkeypatch):
    def refuse(_):
        raise SystemExit("a compile")

    monkeypatch.setattr(own_process.multiprocessing, "get_context", refuse)


def test_what_was_made_of_the_same_is_used_again(folder):
    assert used_again(folder)


@pytest.mark.parametrize("changed", ["model", "calibration", "effort-3-40.bcap"])
def test_other_files_are_not_taken_for_the_same(folder, changed):
    (folder / changed).write_bytes(b"other")
    assert not used_again(folder)


@pytest.mark.parametrize(
    "entry, value", [("version", "0.0"), ("effort", 1), ("recipe", ""), ("cap", 41), ("model", None)]
)
def test_other_logs_are_not_taken_for_the_same(folder, entry, value):
    log = folder / "effort-3-40.json"
    log.write_text(json.dumps(json.loads(log.read_text()) | {entry: value}))
    assert not used_again(folder)
    log.unlink()
    assert not used_again(folder)


def test_a_given_artifact_is_named_with_its_digest_and_has_to_be_there(folder):
    path, log = smollm_artifacts.given(folder / "model", 3)
    assert path == folder / "model" and log["artifact"] == hashlib.sha256(b"model").hexdigest() and log["effort"] == 3
    with pytest.raises(SystemExit, match=r"nothing\.bcap is not there"):
        smollm_artifacts.given(folder / "nothing.bcap", 3)
