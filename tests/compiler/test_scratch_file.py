"""Arrays put aside come back as they were, and leave no file behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from bytecap.compiler.scratch_file import KEPT_IN_MEMORY, ScratchFile
from bytecap.errors import OutputError

LARGE = KEPT_IN_MEMORY // 8 + 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("size", [3, LARGE])
def test_what_was_kept_comes_back_and_may_be_replaced(folder: Path, size: int) -> None:
    arrays = [np.arange(size) + 0.5, np.arange(2 * size, dtype=np.float32).reshape(2, size)[:, ::-1]]
    with ScratchFile() as scratch:
        kept = [scratch.keep(array) for array in arrays]
        for array, found in zip(arrays, kept, strict=True):
            assert found.load().dtype == array.dtype
            np.testing.assert_array_equal(found.load(), array)
        found = kept[0].load()
        found += 1  # a copy
        np.testing.assert_array_equal(kept[0].load(), arrays[0])
        kept[0].store(found)
        np.testing.assert_array_equal(kept[0].load(), arrays[0] + 1)
        np.testing.assert_array_equal(kept[1].load(), arrays[1])


def test_nothing_is_left_on_disk_even_while_it_is_used(folder: Path) -> None:
    with ScratchFile() as scratch:
        scratch.keep(np.zeros(LARGE))
        assert list(folder.iterdir()) == []


def test_a_full_disk_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullFile:
        def seek(self, offset: int) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    with ScratchFile() as scratch:
        monkeypatch.setattr(scratch, "_file", FullFile())
        with pytest.raises(OutputError, match=r"No space left.*TMPDIR"):
            scratch.keep(np.zeros(LARGE))
