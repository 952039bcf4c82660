"""Losses that were kept: a run goes on from them with the same digits, and what they depend on is in their name."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_artifacts import tiny_artifact

from bytecap.errors import OutputError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.kept_losses import RECORD, KeptLosses, run_digest
from bytecap.runtime.windows import Window

ARTIFACT = read_artifact(tiny_artifact())
TENSORS = decode_tensors(ARTIFACT)
IDS, PLAN = np.arange(9), [Window(0, 4, 0), Window(4, 8, 0)]


def test_a_torn_record_and_windows_beyond_the_run_are_left_out(tmp_path):
    with KeptLosses(tmp_path / "new", "ab", 4) as kept:
        kept.add([2, 0], np.array([1.5, -0.25]))
        kept.add([4, 9], np.array([6.0, 7.0]))
    with kept.path.open("ab") as file:
        file.write(b"\x01\x02\x03")
    with KeptLosses(tmp_path / "new", "ab", 4) as again:
        assert np.array_equal(again.known, [-0.25, np.nan, 1.5, np.nan], equal_nan=True)
        again.add([1], np.array([3.0]))
    assert np.fromfile(again.path, RECORD)["loss"]["window"].tolist() == [2, 0, 4, 9, 1]


@pytest.mark.parametrize("how", ["zeros at the end", "a bit", "a byte less", "of another run"])
def test_a_damaged_record_is_no_loss(tmp_path, how):
    losses = np.array([1.5, -0.25, 3.0, 2.0])
    with KeptLosses(tmp_path, "ab", 4) as kept:
        kept.add(range(4), losses)
    data = kept.path.read_bytes()
    size, right = RECORD.itemsize, 4
    match how:
        case "zeros at the end":  # what a power cut leaves of a file that had grown
            right, data = 2, data[: 2 * size] + bytes(2 * size)
        case "a bit":
            right, data = 3, data[:-6] + bytes([data[-6] ^ 8]) + data[-5:]
        case "a byte less":
            right, data = 1, data[: size + 3] + data[size + 4 :]
        case "of another run":
            right = 0
    other = "ac" if how == "of another run" else "ab"
    (tmp_path / f"{other}.losses").write_bytes(data)
    with KeptLosses(tmp_path, other, 4) as again:
        assert np.array_equal(again.known, np.where(np.arange(4) < right, losses, np.nan), equal_nan=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot keep losses in .*; name another folder"):
        KeptLosses(tmp_path / "file", "ab", 4)


def test_whatever_a_loss_depends_on_changes_the_digest():
    other = [*TENSORS[:-1], TENSORS[-1] + np.float32(1)]
    found = {
        run_digest(ARTIFACT.program, TENSORS, IDS, PLAN, "runtime"),
        run_digest(ARTIFACT.program, TENSORS, IDS, PLAN, "torch"),
        run_digest(ARTIFACT.program, TENSORS, IDS + 1, PLAN, "runtime"),
        run_digest(ARTIFACT.program, TENSORS, IDS, PLAN[:1], "runtime"),
        run_digest(ARTIFACT.program, other, IDS, PLAN, "runtime"),
    }
    assert len(found) == 5


def test_a_full_disk_is_told_once_and_with_the_file(tmp_path):
    kept = KeptLosses(tmp_path, "ab", 4)
    kept._file.close()
    kept._file = open("/dev/full", "ab")
    with pytest.raises(OutputError, match=r"cannot keep losses in .*ab\.losses: No space left on device; name another"):
        with kept:
            kept.add([0], np.array([1.0]))
