"""Every public function, each of its files in turn missing, a folder, empty, and garbage: every error is a
BytecapError.
"""

from __future__ import annotations

import numpy as np
import pytest
from small_job import CAP

import bytecap

GARBAGE = bytes(np.random.default_rng(8).integers(0, 256, 4096, dtype=np.uint8))


def calls(job, folder) -> dict:
    """By name each public function that reads files, its call with good ones, and which arguments are files."""
    measured = {"architecture": job.architecture, "tokenizer": job.tokenizer, "tokens": 128}
    compiled = {
        "cap": CAP,
        "calibration": job.calibration,
        "architecture": job.architecture,
    }
    scored = {"data": job.data, "tokenizer": job.tokenizer, "max_tokens": 64}
    return {
        "compile": {"checkpoint": job.checkpoint, **compiled, "evaluation": job.data},
        "forecast": {"checkpoint": job.checkpoint, **compiled},
        "fit": {"checkpoints": job.checkpoint, **compiled, "output": folder / "fitted"},
        "evaluate": {"model": job.artifact, "against": job.checkpoint, **scored, "architecture": job.architecture},
        "load": {"model": job.checkpoint, "tokenizer": job.tokenizer, "architecture": job.architecture},
        "inspect": {"artifact": job.artifact},
        "diff": {"first": job.artifact, "second": job.artifact, **scored},
        "verify": {"artifact": job.artifact, "code": [job.code], "data": job.data, "tokenizer": job.tokenizer},
        "verify_folder": {"path": folder},
        "check_byte_table": {"table": job.tokenizer, "tokenizer": job.tokenizer, "data": job.data},
        "export": {"artifact": job.artifact, "output": folder / "x.safetensors"},
        "pack": {"artifact": job.artifact, "output": folder / "packed", "data": job.data, "tokenizer": job.tokenizer},
        "sensitivity": {"checkpoint": job.checkpoint, "calibration": job.calibration, "slices": 1, **measured},
        "curve": {"checkpoint": job.checkpoint, "calibration": job.calibration, **measured, "budget": "6%"},
        "describe": {"checkpoint": job.checkpoint, "architecture": job.architecture},
        "diagnose": {"checkpoint": job.checkpoint, "data": job.calibration, **measured},
    }


NO_FILES = {"cap", "max_tokens", "tokens", "slices", "budget", "output"}
FUNCTIONS = (
    "compile forecast fit evaluate load inspect diff verify verify_folder check_byte_table export pack "
    "sensitivity curve describe diagnose"
).split()
UNTESTED = {
    "read_artifact": "takes bytes",
    "write_artifact": "takes a record",
    "decode_tensors": "takes a record",
    "experiments": "takes nothing",
    "plugins": "takes nothing",
    "run_experiment": "below",
    "verify_folders": "verify_folder calls it",
    "check_scorer": "below",
    "score": "the old name of sensitivity",
    "errors": "a module",
    "__version__": "a text",
}


def test_every_public_name_is_driven():
    assert set(FUNCTIONS) | set(UNTESTED) == set(bytecap.__all__)


def bad_paths(folder) -> dict:
    """A path of each kind of bad file."""
    empty, garbage, nested = folder / "empty.bin", folder / "garbage.bin", folder / "folder"
    empty.touch()
    garbage.write_bytes(GARBAGE)
    nested.mkdir(exist_ok=True)
    return {"missing": folder / "missing.bin", "folder": nested, "empty": empty, "garbage": garbage}


def assert_deliberate(name: str, given: dict, case: str) -> None:
    """The call gives a result, or fails with an error of ours that says something."""
    try:
        getattr(bytecap, name)(**given)
    except bytecap.errors.BytecapError as error:
        assert str(error).strip(), case
        assert not isinstance(error, OSError) or error.filename is not None, case
    except Exception as error:
        raise AssertionError(f"{case}: {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_files_are_errors_of_ours(small_job, tmp_path, name):
    given = calls(small_job, tmp_path)[name]
    bad = bad_paths(tmp_path)
    for argument in given.keys() - NO_FILES:
        for kind, path in bad.items():
            value = [path] if isinstance(given[argument], list) else path
            assert_deliberate(name, {**given, argument: value}, f"{name}({argument}={kind})")


@pytest.mark.parametrize("experiment", [each.name for each in bytecap.experiments()])
def test_experiments_with_bad_files(small_job, tmp_path, experiment):
    for kind, path in bad_paths(tmp_path).items():
        given = dict.fromkeys(("checkpoint", "calibration", "evaluation", "tokenizer", "training"), path)
        assert_deliberate("run_experiment", {"name": experiment, **given, "folder": tmp_path / "kept"}, kind)


def test_a_scorer_with_bad_files(small_job, tmp_path):
    model = bytecap.load(small_job.artifact)
    model.vocabulary_size = 420
    for kind, path in bad_paths(tmp_path).items():
        assert_deliberate("check_scorer", {"scorer": model, "data": path, "sequence_length": 32}, kind)


def test_a_missing_file_is_also_the_error_that_python_has_for_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.bcap: No such file") as caught:
        bytecap.inspect(tmp_path / "nothing.bcap")
    assert isinstance(caught.value, bytecap.errors.BytecapError)
    assert (caught.value.filename, caught.value.errno) == (str(tmp_path / "nothing.bcap"), 2)


def test_a_folder_is_an_error_of_ours(tmp_path):
    with pytest.raises(bytecap.errors.FileAccessError, match="directory"):
        bytecap.inspect(tmp_path)
