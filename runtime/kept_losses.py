"""Losses of windows that were scored, kept in a file, so that a run that was stopped goes on and gives the same digits.

Strategy: one file a run, named by the digest of everything that its losses depend on; a record of 20 bytes a window
(its number, its loss and a checksum, little endian) is appended as soon as the window is done. What a killed process
left of a record at the end is cut off, so nothing has to be written twice. A record whose checksum is wrong counts as
not there: a power cut may leave zeros in the place of the last ones, and zeros would be a loss.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import OutputError
from ..format.program.program import Program
from ..version import VERSION
from .windows import Window

LOSS = np.dtype([("window", "<i8"), ("nats", "<f8")])
RECORD = np.dtype([("loss", LOSS), ("checksum", "<u4")])


class KeptLosses:
    """The losses of one run in `folder`; a context, within which they can be added to.

    digest : of what the losses depend on, see `run_digest`; windows : how many the run has
    known : float64 [windows]     NaN where a window is still to be scored

    Raises OutputError when the folder cannot be made, or the file be read or written.
    """

    def __init__(self, folder: Path, digest: str, windows: int) -> None:
        self.path, self.known = folder / f"{digest[:32]}.losses", np.full(windows, np.nan)
        self._run = zlib.crc32(digest.encode())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
            whole = self._file.tell() // RECORD.itemsize * RECORD.itemsize
            os.truncate(self.path, whole)
            records = np.fromfile(self.path, RECORD)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        losses = records["loss"][records["checksum"] == self._checksums(records["loss"])]
        inside = losses[(losses["window"] >= 0) & (losses["window"] < windows)]
        self.known[inside["window"]] = inside["nats"]

    def add(self, numbers: Sequence[int], nats: np.ndarray) -> None:
        """Keep the losses of some windows."""
        records = np.empty(len(numbers), RECORD)
        records["loss"]["window"], records["loss"]["nats"] = numbers, nats
        records["checksum"] = self._checksums(records["loss"])
        try:
            self._file.write(records.tobytes())
            self._file.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _checksums(self, losses: np.ndarray) -> np.ndarray:
        """uint32 of each loss of this run: CRC-32 over the run's digest and the loss as it is written."""
        data, size = losses.tobytes(), LOSS.itemsize
        return np.array([zlib.crc32(data[i : i + size], self._run) for i in range(0, len(data), size)], np.uint32)

    def __enter__(self) -> KeptLosses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as failure:  # what a full disk did not take is tried once more, and told already
            if error is None:
                raise _unwritable(self.path, failure) from failure


def run_digest(
    program: Program, tensors: Iterable[np.ndarray], ids: np.ndarray, plan: Sequence[Window], scorer: str
) -> str:
    """SHA-256 in hex of what the losses of a run depend on: the model, the tokens, the windows, and who scores.

    scorer : in words, such as "runtime" or "torch on cuda"
    """
    total = hashlib.sha256(f"{VERSION} {scorer} {program!r}".encode())
    for tensor in tensors:
        total.update(repr(tensor.shape).encode())
        total.update(np.ascontiguousarray(tensor).data)
    total.update(np.ascontiguousarray(ids, np.int64).data)
    total.update(np.array([(w.start, w.stop, w.skip) for w in plan], np.int64).data)
    return total.hexdigest()


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot keep losses in {path}: {error.strerror or error}; name another folder")
