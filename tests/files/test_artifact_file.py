"""Any file is answered by its first bytes: large, endless, cut and longer ones as the reader answers the whole."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from tiny_artifacts import tiny_artifact

import bytecap
from bytecap.cli.main import run
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.errors import ArtifactError, CheckpointError
from bytecap.files.artifact_file import read_artifact_file
from bytecap.format.artifact import read_artifact
from bytecap.format.container.layout import MAGIC

LARGE = 3 << 30
MOST_MEMORY = 200 << 20


def refusal(data: bytes) -> str:
    with pytest.raises(ArtifactError) as caught:
        read_artifact(data)
    return str(caught.value)


def sparse(path, begin: bytes = b""):
    """A file of LARGE bytes that takes none of the disk but its beginning."""
    path.write_bytes(begin)
    os.truncate(path, LARGE)
    return path


def test_a_whole_artifact_is_read_whole(tmp_path):
    path = tmp_path / "model.bcap"
    path.write_bytes(tiny_artifact())
    assert read_artifact_file(path) == tiny_artifact()


def test_a_cut_one_gives_the_error_of_the_whole_file(tmp_path):
    path, whole = tmp_path / "model.bcap", tiny_artifact()
    for length in [*range(0, 120), *range(120, len(whole), 37)]:
        path.write_bytes(whole[:length])
        assert refusal(read_artifact_file(path)) == refusal(whole[:length])


@pytest.mark.parametrize("flip", range(0, 90, 3))
def test_a_damaged_head_gives_the_error_of_the_whole_file(flip, tmp_path):
    path, data = tmp_path / "model.bcap", bytearray(tiny_artifact() + bytes(5000))
    data[flip] ^= 0x40
    path.write_bytes(data)
    assert refusal(read_artifact_file(path)) == refusal(bytes(data))


@pytest.mark.parametrize(
    "begin", [b"", MAGIC, MAGIC + b"\1\1\5\0" + b"\xff" * 90, tiny_artifact()[:40], tiny_artifact()]
)
def test_large_files_are_answered_from_their_beginning(begin, tmp_path, capsys):
    path = sparse(tmp_path / "model.bcap", begin)
    tracemalloc.start()
    try:
        for read in (bytecap.inspect, lambda p: bytecap.export(p, tmp_path / "m.safetensors")):
            with pytest.raises(ArtifactError):
                read(path)
        ledger = next(check for check in bytecap.verify(path) if check.name == "ledger")
        assert ledger.values["artifact_bytes"] == LARGE
        assert run(["inspect", str(path)]) in (3, 4, 8)
        for read in (read_checkpoint, read_holdings):
            with pytest.raises(CheckpointError):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_without_an_end_is_answered():
    assert refusal(read_artifact_file("/dev/zero")).endswith("[R-HDR-1]")
    assert run(["inspect", "/dev/zero"]) == 8
