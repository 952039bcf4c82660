"""Arrays that are not needed yet, on disk instead of in memory.

Strategy: one temporary file without a name, so that nothing is left behind however the process ends; arrays stand in
it one after the other and are read back whole. Small ones stay in memory. The folder is the one that a compile works
in, or else the system's for temporary files (TMPDIR names another).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO

import numpy as np

from ..errors import OutputError

KEPT_IN_MEMORY = 1 << 15  # bytes of an array


class ScratchFile:
    """Keeps arrays for the time of a compile; a context manager. Raises OutputError where the disk is full."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="bytecap-", dir=self._folder)
        self._lock, self._end = Lock(), 0

    def __enter__(self) -> ScratchFile:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def keep(self, array: np.ndarray) -> KeptArray:
        """The array, to be loaded later."""
        array = np.ascontiguousarray(array)
        if array.nbytes <= KEPT_IN_MEMORY:
            return KeptArray(self, array.shape, array.dtype, 0, [array.copy()])
        with self._lock:
            offset, self._end = self._end, self._end + array.nbytes
        kept = KeptArray(self, array.shape, array.dtype, offset, [])
        self.write(offset, array)
        return kept

    def write(self, offset: int, array: np.ndarray) -> None:
        """Put the bytes of a contiguous array at a place of the file."""
        try:
            with self._lock:
                self._file.seek(offset)
                self._file.write(memoryview(array).cast("B"))
        except OSError as error:
            message = f"the folder {self._folder} cannot hold what a compile puts aside ({error.strerror})"
            raise OutputError(f"{message}; name another one by TMPDIR, or by --work") from None

    def read(self, offset: int, array: np.ndarray) -> None:
        """Fill a contiguous array from a place of the file."""
        with self._lock:
            self._file.seek(offset)
            self._file.readinto(memoryview(array).cast("B"))  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False)
class KeptArray:
    """One array of a ScratchFile; `small` holds it where it stayed in memory."""

    file: ScratchFile
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    small: list[np.ndarray]

    def load(self) -> np.ndarray:
        """A copy of the array."""
        if self.small:
            return self.small[0].copy()
        array = np.empty(self.shape, self.dtype)
        self.file.read(self.offset, array)
        return array

    def store(self, array: np.ndarray) -> None:
        """Replace the values by others of the same shape and dtype."""
        if self.small:
            self.small[0] = array
        else:
            self.file.write(self.offset, np.ascontiguousarray(array, self.dtype))
